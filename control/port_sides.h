// Who is behind each port: clients, servers or both. Decides what its hardware can be asked to hash (dataplane/rss.h);
// a wrong guess costs hand-overs, never a packet.
#pragma once

#include <vector>

#include "config/model.h"
#include "dataplane/rss.h"

namespace weir::control {

/// By position in the model's ports. Servers are where the way to any backend leads; clients are on ports without
/// servers, and where a default route leads.
[[nodiscard]] std::vector<dataplane::PortSide> port_sides(const config::Model& model);

}  // namespace weir::control
