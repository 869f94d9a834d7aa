// What systemd is told (Type=notify; sd_notify(3)). Each does nothing where NOTIFY_SOCKET is not set.
#pragma once

#include <chrono>
#include <string_view>

namespace weir::control {

/// READY=1, at the end of start and of every reload, with what `systemctl status` shows.
void notify_ready(std::string_view status);
/// RELOADING=1 with MONOTONIC_USEC, as the reload begins; notify_ready() ends it, also when the file was refused.
void notify_reloading();
/// STOPPING=1, and that it takes up to `grace`: systemd is asked to be that patient (TimeoutStopSec= counts from then).
void notify_stopping(std::chrono::milliseconds grace);
/// WATCHDOG=1: all is well.
void notify_watchdog();
/// How long systemd waits for the next WATCHDOG=1 (WatchdogSec=); 0: it does not watch.
[[nodiscard]] std::chrono::microseconds watchdog_interval();
/// STATUS=... alone.
void notify_status(std::string_view status);

}  // namespace weir::control
