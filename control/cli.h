// The command line: what `weir` was asked to do, done. Everything but `run`, `check`, `keygen` and `trace -c` is a
// question to the running daemon over its control socket (docs/api.md).
#pragma once

#include <iosfwd>

#include "control/exit_code.h"

namespace weir::control {

/// The whole program but for the process around it. Does not exit, and writes only to `out` and `err` (`run` apart).
[[nodiscard]] int cli_main(int argc, const char* const* argv, std::ostream& out, std::ostream& err);

}  // namespace weir::control
