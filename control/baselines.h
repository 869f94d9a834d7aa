// Counters by id never go back to zero, but ids are used again. What an id had counted when it was freed is its
// baseline: its next bearer starts from there, and shows from zero.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "control/data_plane.h"
#include "lb/ids.h"

namespace weir::control {

/// Over all workers, since start or since the id was last freed.
struct Traffic {
  std::uint64_t connections = 0, current = 0, packets_in = 0, packets_out = 0, bytes_in = 0, bytes_out = 0, refused = 0;
};

class Baselines {
 public:
  [[nodiscard]] Traffic of(const DataPlane& data_plane, lb::EndpointId id) const;
  /// connections, current and refused alone.
  [[nodiscard]] Traffic of(const DataPlane& data_plane, lb::VipId id) const;

  /// The ids are free: what they have counted is from now on their baseline.
  void set(const DataPlane& data_plane, const std::vector<lb::VipId>& vips,
           const std::vector<lb::EndpointId>& endpoints);

 private:
  std::unordered_map<lb::EndpointId, Traffic> endpoints_;
  std::unordered_map<lb::VipId, Traffic> vips_;
};

}  // namespace weir::control
