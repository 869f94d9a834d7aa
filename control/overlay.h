// What the compiler takes besides the file: what an operator said by command, what the kernel knows, and whether Weir
// is leaving. A value; the control thread owns the next one (control/reloader.h), and each publication keeps its own.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "config/model.h"
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

/// An address on a twin, as the kernel has it.
struct KernelAddress {
  std::string interface;
  lb::Prefix prefix;  // own address with its subnet's length
  bool operator==(const KernelAddress&) const noexcept = default;
};

/// What the kernel knows about the interfaces that have a twin. Sorted and without duplicates by who makes it.
struct KernelNetwork {
  std::vector<KernelAddress> addresses;
  std::vector<config::Route> routes;        // `via` unspecified: on-link
  std::vector<config::Neighbor> neighbors;  // usable ones
};

struct Overlay {
  std::vector<Drain> drains;
  KernelNetwork kernel;
  bool is_withdrawn = false;  // leaving: VIPs are no longer answered for, flows go on

  [[nodiscard]] const Drain* drain_of(const std::string& service, const config::Backend& b) const noexcept {
    const auto it = std::ranges::find_if(drains, [&](const Drain& d) {
      return d.address == b.address && d.port == b.port && (d.service.empty() || d.service == service);
    });
    return it == drains.end() ? nullptr : &*it;
  }
};

}  // namespace weir::control
