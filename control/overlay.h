// What the compiler takes besides the file: what an operator said by command, what the kernel knows, and whether Weir
// is leaving. A value; the control thread owns the next one (control/reloader.h), and each publication keeps its own.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "config/model.h"
#include "control/kernel_network.h"
#include "lb/address.h"

namespace weir::control {

/// A backend that gets no new flows until `weir enable`, whatever its weight in the file. It may have left the file.
struct Drain {
  lb::Address address;
  std::uint16_t port = 0;    // as in the file; 0: as it arrived
  std::string service;       // empty: in every service
  std::int64_t since_s = 0;  // of the Unix epoch
  bool operator==(const Drain&) const noexcept = default;
};

struct Overlay {
  std::vector<Drain> drains;
  std::shared_ptr<const KernelNetwork> kernel;  // sorted() or not; null: no interface has a twin
  bool is_withdrawn = false;                    // leaving: VIPs are no longer answered for, flows go on

  [[nodiscard]] const Drain* drain_of(const std::string& service, const config::Backend& b) const noexcept {
    const auto it = std::ranges::find_if(drains, [&](const Drain& d) {
      return d.address == b.address && d.port == b.port && (d.service.empty() || d.service == service);
    });
    return it == drains.end() ? nullptr : &*it;
  }
};

}  // namespace weir::control
