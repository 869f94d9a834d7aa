// How many new flows another backend would get: the Maglev tables of two configurations held side by side.
#pragma once

#include <cstddef>
#include <vector>

#include "config/diff.h"

namespace weir::config {

/// Of services that both have with the same protocol, where backends, weights, the table's size or hash_key differ.
/// Those whose tables no longer fit into `most_entries` in all have no share.
[[nodiscard]] std::vector<Moved> moved_flows(const Model& now, const Model& next, std::size_t most_entries);

}  // namespace weir::config
