// `weir capture`: what the workers see, as a pcapng file or into another program.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <optional>
#include <string>
#include <vector>

#include "control/url.h"

namespace weir::control {

struct CaptureOptions {
  std::string socket;
  std::vector<std::string> filter;  // words
  std::string file = "-";           // "-": `out`
  std::string drops;                // "true": of any reason; else the reason; empty: not only drops
  Query query;                      // the rest, as the daemon takes it (docs/api.md)
};

/// Until the daemon has ended it, or Ctrl-C. An exit code.
int capture(const CaptureOptions& options, std::ostream& out, std::ostream& err);

}  // namespace weir::control
