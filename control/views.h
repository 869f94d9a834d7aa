// The daemon's state as the API shows it: one function per noun of docs/api.md.
//
// Any thread: what they read is immutable or atomic; long lists are made away from the control thread. Counters are
// read while the workers write them: each number is right, the sum of several is that of
// a moment's length.
#pragma once

#include <array>
#include <boost/json/object.hpp>
#include <cstdint>
#include <memory>
#include <vector>

#include "config/load.h"
#include "control/baselines.h"
#include "control/compile.h"
#include "control/data_plane.h"
#include "control/overlay.h"
#include "control/url.h"
#include "dataplane/worker.h"
#include "lb/drop_reason.h"
#include "lb/result.h"

namespace weir::control {

/// One generation and what it belongs to, held for as long as the view is being made.
struct Running {
  std::shared_ptr<const config::Loaded> loaded;
  std::shared_ptr<const Overlay> overlay;
  std::shared_ptr<const Compiled> compiled;
  std::shared_ptr<const Baselines> baselines;
  const DataPlane& data_plane;

  [[nodiscard]] const config::Model& model() const noexcept { return loaded->model; }
};

/// kNone if it does not run (an id that no counter is of).
[[nodiscard]] lb::VipId id_of(const Running& r, const config::Service& s, const config::Vip& v);
[[nodiscard]] lb::EndpointId id_of(const Running& r, const config::Service& s, const config::Backend& b);

/// Conservation's parts, over all workers.
struct PacketCounts {
  std::uint64_t received = 0, injected = 0, generated = 0, sent = 0, all_dropped = 0, punted = 0, held = 0;
  std::array<std::uint64_t, lb::kDropReasons.size()> dropped{};  // by DropReason
  std::array<std::uint64_t, lb::kEvents.size()> events{};        // by Event
  [[nodiscard]] std::int64_t difference() const noexcept {
    return static_cast<std::int64_t>(received + injected + generated - sent - all_dropped - punted - held);
  }
};
[[nodiscard]] PacketCounts packet_counts(const Running& r);

// With the list's name and the generation, ready to be sent. Filters have passed check_query(); a name in them that
// does not exist is an error (404).
[[nodiscard]] lb::Result<boost::json::object> services_view(const Running& r, const Query& filters);
[[nodiscard]] lb::Result<boost::json::object> backends_view(const Running& r, const Query& filters);
[[nodiscard]] boost::json::object drains_view(const Running& r);
[[nodiscard]] boost::json::object ports_view(const Running& r);
/// network_views.cc. `kernel`: as of now, since it changes without a generation.
[[nodiscard]] boost::json::object routes_view(const Running& r, const KernelNetwork& kernel);
[[nodiscard]] boost::json::object neighbors_view(const Running& r, const KernelNetwork& kernel);
[[nodiscard]] boost::json::object workers_view(const Running& r);
[[nodiscard]] boost::json::object drops_view(const Running& r);

/// What the filters of /v1/flows mean to a worker.
[[nodiscard]] lb::Result<dataplane::FlowFilter> flow_filter(const Running& r, const Query& filters);
/// `requests` by worker, answered.
[[nodiscard]] boost::json::object flows_view(const Running& r,
                                             const std::vector<std::unique_ptr<dataplane::FlowRequest>>& requests,
                                             std::size_t limit);

}  // namespace weir::control
