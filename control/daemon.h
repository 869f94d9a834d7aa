// `weir run`: the daemon, from the file to the last worker's end.
#pragma once

#include <optional>
#include <string>

#include "control/log.h"

namespace weir::control {

struct RunOptions {
  std::string config_file;
  std::optional<std::string> socket;  // instead of the file's control.socket
  std::string user;                   // USER[:GROUP] to become when the ports are open; empty: stay
  LogFormat log_format = LogFormat::kText;
  LogLevel log_level = LogLevel::kInfo;
};

/// Returns when the daemon has stopped, with the process's exit code: 0 stopped, 1 the file was refused, 4 the
/// environment was (device, memory, permission). Says why on stderr.
[[nodiscard]] int run_daemon(const RunOptions& options);

}  // namespace weir::control
