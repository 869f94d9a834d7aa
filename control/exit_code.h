// The exit codes of `weir`, which scripts and systemd rely on (design part 5).
#pragma once

namespace weir::control {

inline constexpr int kExitDone = 0;
inline constexpr int kExitRefused = 1;      // bad input, and we said which
inline constexpr int kExitUsage = 2;        // no such command or option
inline constexpr int kExitUnreachable = 3;  // no daemon at the socket
inline constexpr int kExitEnvironment = 4;  // device, memory, permission

}  // namespace weir::control
