#include "control/notify.h"

#include <fmt/format.h>
#include <systemd/sd-daemon.h>
#include <time.h>

#include <algorithm>
#include <cstdint>
#include <string>

namespace weir::control {

namespace {

void send(const std::string& state) {
  ::sd_notify(0, state.c_str());  // nobody to tell: nothing to do about it
}

/// A line feed would begin another assignment.
std::string one_line(std::string_view text) {
  std::string line(text);
  std::replace(line.begin(), line.end(), '\n', ' ');
  return line;
}

std::uint64_t monotonic_usec() {
  timespec t{};
  ::clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<std::uint64_t>(t.tv_sec) * 1'000'000 + static_cast<std::uint64_t>(t.tv_nsec) / 1'000;
}

}  // namespace

void notify_ready(std::string_view status) {
  send(fmt::format("READY=1\nSTATUS={}", one_line(status)));
}

void notify_reloading() {
  send(fmt::format("RELOADING=1\nMONOTONIC_USEC={}", monotonic_usec()));
}

void notify_stopping(std::chrono::milliseconds grace) {
  if (grace.count() == 0) return send("STOPPING=1");
  constexpr std::chrono::seconds kTidyingUp{30};
  const std::chrono::microseconds patience = grace + kTidyingUp;
  send(fmt::format("STOPPING=1\nEXTEND_TIMEOUT_USEC={}", patience.count()));
}

void notify_watchdog() {
  send("WATCHDOG=1");
}

std::chrono::microseconds watchdog_interval() {
  std::uint64_t usec = 0;
  return std::chrono::microseconds(::sd_watchdog_enabled(0, &usec) > 0 ? usec : 0);
}

void notify_status(std::string_view status) {
  send(fmt::format("STATUS={}", one_line(status)));
}

}  // namespace weir::control
