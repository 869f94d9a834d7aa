// Who else claims our VIPs: what the workers have seen, summed up so that a log can say it. Pure: time is passed in.
//
// A conflict is told at most once in ten seconds for each VIP, with how often it was seen. It is told a second after it
// was seen, and only if the VIP is still announced here by then: a fail-over looks like a conflict for as long as it
// takes this box to hear of it, and is none.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <unordered_map>
#include <vector>

#include "dataplane/side_rings.h"
#include "lb/address.h"
#include "lb/ids.h"

namespace weir::control {

class VipConflicts {
 public:
  using Time = std::chrono::steady_clock::time_point;
  struct Told {
    lb::Address vip;
    lb::InterfaceId interface{};
    lb::MacAddress mac;       // the last one that claimed it
    std::uint64_t times = 0;  // since it was last told
  };

  void saw(const dataplane::VipClaim& claim, Time now);
  /// What is to be told now. `is_announced` says of a VIP and interface whether they still are.
  [[nodiscard]] std::vector<Told> due(const std::function<bool(const lb::Address&, lb::InterfaceId)>& is_announced,
                                      Time now);

 private:
  struct Entry {
    Told told;
    Time tell_at;
  };
  std::unordered_map<lb::Address, Entry> entries_;  // at most one a VIP
};

}  // namespace weir::control
