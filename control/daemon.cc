#include "control/daemon.h"

#include <fmt/format.h>

#include <cstdio>

namespace weir::control {

int run_daemon(const RunOptions& options) {
  fmt::print(stderr, "weir: cannot run {}: the daemon is not built yet\n", options.config_file);
  return 4;
}

}  // namespace weir::control
