#include "control/baselines.h"

namespace weir::control {

namespace {

Traffic counted(const DataPlane& data_plane, lb::EndpointId id) {
  Traffic t;
  for (const auto& worker : data_plane.workers()) {
    const dataplane::EndpointCounters& c = worker->counters().of(id);
    t.connections += c.connections.get();
    t.current += worker->flows().flows_of(id);
    t.packets_in += c.packets_in.get();
    t.packets_out += c.packets_out.get();
    t.bytes_in += c.bytes_in.get();
    t.bytes_out += c.bytes_out.get();
  }
  return t;
}

Traffic counted(const DataPlane& data_plane, lb::VipId id) {
  Traffic t{.current = data_plane.flows_of(id)};
  for (const auto& worker : data_plane.workers()) {
    t.connections += worker->counters().of(id).connections.get();
    t.refused += worker->counters().of(id).refused.get();
  }
  return t;
}

}  // namespace

Traffic Baselines::of(const DataPlane& data_plane, lb::EndpointId id) const {
  Traffic t = counted(data_plane, id);
  if (const auto base = endpoints_.find(id); base != endpoints_.end()) {
    t.connections -= base->second.connections;
    t.packets_in -= base->second.packets_in;
    t.packets_out -= base->second.packets_out;
    t.bytes_in -= base->second.bytes_in;
    t.bytes_out -= base->second.bytes_out;
  }
  return t;
}

Traffic Baselines::of(const DataPlane& data_plane, lb::VipId id) const {
  Traffic t = counted(data_plane, id);
  if (const auto base = vips_.find(id); base != vips_.end()) {
    t.connections -= base->second.connections;
    t.refused -= base->second.refused;
  }
  return t;
}

void Baselines::set(const DataPlane& data_plane, const std::vector<lb::VipId>& vips,
                    const std::vector<lb::EndpointId>& endpoints) {
  for (const lb::VipId id : vips) vips_[id] = counted(data_plane, id);
  for (const lb::EndpointId id : endpoints) endpoints_[id] = counted(data_plane, id);
}

}  // namespace weir::control
