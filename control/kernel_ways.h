// What the kernel adds to a generation's routing while it runs, as of one moment: for `weir trace`, which has tables of
// its own.
#pragma once

#include <utility>
#include <vector>

#include "lb/address.h"
#include "lb/ids.h"
#include "lb/snapshot.h"

namespace weir::control {

struct KernelWays {
  std::vector<std::pair<lb::NextHopId, lb::NextHopWord>> words;  // of followed next hops that are resolved
  std::vector<std::pair<lb::Prefix, lb::NextHopId>> routes;      // to neighbours found since the generation
};

}  // namespace weir::control
