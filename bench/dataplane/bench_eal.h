// EAL for a bench program: started once, without huge pages where there are none.
#pragma once

#include <cstdio>
#include <cstdlib>

#include "dataplane/eal.h"

namespace weir::bench {

/// Exits with the reason if EAL does not start.
inline dataplane::Eal start_eal(std::size_t memory_bytes) {
  auto eal = dataplane::Eal::start({.memory_bytes = memory_bytes});
  if (!eal) {
    std::fprintf(stderr, "%s\n", eal.error().message.c_str());
    std::exit(4);
  }
  return std::move(*eal);
}

}  // namespace weir::bench
