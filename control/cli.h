// The command line: what `weir` was asked to do, done. Everything but `run`, `check`, `keygen` and `trace -c` is a
// question to the running daemon over its control socket (docs/api.md).
#pragma once

#include <iosfwd>

namespace weir::control {

// Exit codes are a contract: scripts and systemd tell these apart.
inline constexpr int kExitDone = 0;
inline constexpr int kExitRefused = 1;      // bad input, and we said which
inline constexpr int kExitUsage = 2;        // no such command or option
inline constexpr int kExitUnreachable = 3;  // no daemon at the socket
inline constexpr int kExitEnvironment = 4;  // device, memory, permission

/// The whole program but for the process around it. Does not exit, and writes only to `out` and `err` (`run` apart).
[[nodiscard]] int cli_main(int argc, const char* const* argv, std::ostream& out, std::ostream& err);

}  // namespace weir::control
