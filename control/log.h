// The log: spdlog to stderr, text, one line an event. Under systemd the journal adds the time, so we leave it out.
//
// Control thread and start-up only; workers count, they do not log.
#pragma once

namespace weir::control {

/// Makes spdlog's default logger. Once, first thing in a daemon's life; the CLI's other commands print plainly.
void set_up_log();

}  // namespace weir::control
