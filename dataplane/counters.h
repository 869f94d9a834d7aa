// What one worker counts. Written by that worker alone, read by control.
//
// Conservation, exact at rest, over all workers:
//   received + injected + generated = sent + sum(dropped) + punted + held
// A request that is answered in its own frame (ARP, ND, echo) is received and sent, nothing else. A packet that is
// refused is received and dropped by its reason; the RST or ICMP error that says so is generated and sent.
#pragma once

#include <array>

#include "dataplane/mapping.h"
#include "lb/counter.h"
#include "lb/drop_reason.h"
#include "lb/ids.h"

namespace weir::dataplane {

struct alignas(64) EndpointCounters {
  lb::Counter connections, packets_in, packets_out, bytes_in, bytes_out;  // in: client to endpoint; IP bytes
};
struct alignas(32) VipCounters {
  lb::Counter connections, refused;
};

class WorkerCounters {
 public:
  [[nodiscard]] static lb::Result<WorkerCounters> create() {
    auto memory =
        Mapping::create((sizeof(EndpointCounters) << lb::kEndpointIdBits) + (sizeof(VipCounters) << lb::kVipIdBits),
                        "a worker's counters");
    if (!memory) return std::unexpected(memory.error());
    WorkerCounters c;
    c.memory_ = std::move(*memory);
    return c;
  }

  lb::Counter received, injected, generated, sent, punted, held;

  void drop(lb::DropReason r) noexcept { dropped_[static_cast<std::size_t>(r)].add(); }
  void count(lb::Event e, std::uint64_t n = 1) noexcept { events_[static_cast<std::size_t>(e)].add(n); }
  [[nodiscard]] std::uint64_t dropped(lb::DropReason r) const noexcept {
    return dropped_[static_cast<std::size_t>(r)].get();
  }
  [[nodiscard]] std::uint64_t counted(lb::Event e) const noexcept { return events_[static_cast<std::size_t>(e)].get(); }

  [[nodiscard]] EndpointCounters& of(lb::EndpointId e) const noexcept {
    return memory_.at<EndpointCounters>()[index(e)];
  }
  [[nodiscard]] VipCounters& of(lb::VipId v) const noexcept {
    return memory_.at<VipCounters>(sizeof(EndpointCounters) << lb::kEndpointIdBits)[index(v)];
  }

 private:
  WorkerCounters() = default;

  std::array<lb::Counter, lb::kDropReasons.size()> dropped_;
  std::array<lb::Counter, lb::kEvents.size()> events_;
  Mapping memory_;  // by endpoint, then by VIP; pages come on touch
};

}  // namespace weir::dataplane
