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
    auto endpoints = Mapping::create(sizeof(EndpointCounters) << lb::kEndpointIdBits, "a worker's counters");
    if (!endpoints) return std::unexpected(endpoints.error());
    auto vips = Mapping::create(sizeof(VipCounters) << lb::kVipIdBits, "a worker's counters");
    if (!vips) return std::unexpected(vips.error());
    WorkerCounters c;
    c.endpoints_ = std::move(*endpoints);
    c.vips_ = std::move(*vips);
    return c;
  }

  /// Control, before a snapshot with so many ids is published: their counters are committed (Mapping::populate()).
  void prepare(std::size_t endpoints, std::size_t vips) const noexcept {
    endpoints_.populate(endpoints * sizeof(EndpointCounters));
    vips_.populate(vips * sizeof(VipCounters));
  }

  lb::Counter received, injected, generated, sent, punted, held;

  void drop(lb::DropReason r) noexcept { dropped_[static_cast<std::size_t>(r)].add(); }
  void count(lb::Event e, std::uint64_t n = 1) noexcept { events_[static_cast<std::size_t>(e)].add(n); }
  [[nodiscard]] std::uint64_t dropped(lb::DropReason r) const noexcept {
    return dropped_[static_cast<std::size_t>(r)].get();
  }
  [[nodiscard]] std::uint64_t counted(lb::Event e) const noexcept { return events_[static_cast<std::size_t>(e)].get(); }

  [[nodiscard]] EndpointCounters& of(lb::EndpointId e) const noexcept {
    return endpoints_.at<EndpointCounters>()[index(e)];
  }
  [[nodiscard]] VipCounters& of(lb::VipId v) const noexcept { return vips_.at<VipCounters>()[index(v)]; }

 private:
  WorkerCounters() = default;

  std::array<lb::Counter, lb::kDropReasons.size()> dropped_;
  std::array<lb::Counter, lb::kEvents.size()> events_;
  Mapping endpoints_, vips_;  // by id; pages come by prepare(), or on touch
};

}  // namespace weir::dataplane
