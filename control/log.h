// The log: spdlog to stderr, one line an event, as text or as JSON. Under systemd the journal adds the time to text, so
// we leave it out.
//
// What packets, neighbours or clients can cause is logged by log_event() with the kind of message, and of each kind at
// most kMostLines appear a second (spec/faults.md G6); what was left out is told as "N suppressed" when its second is
// over. spdlog's own calls (spdlog::info) are for what happens once: start and stop.
//
// Control thread, compile thread and start-up; workers count, they do not log.
#pragma once

#include <boost/json/object.hpp>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace weir::control {

enum class LogFormat : std::uint8_t { kText, kJson };
enum class LogLevel : std::uint8_t { kDebug, kInfo, kWarning, kError };

[[nodiscard]] std::optional<LogFormat> parse_log_format(std::string_view name);
[[nodiscard]] std::optional<LogLevel> parse_log_level(std::string_view name);

/// Makes spdlog's default logger. Once, first thing in a daemon's life; the CLI's other commands print plainly.
void set_up_log(LogFormat format = LogFormat::kText, LogLevel least = LogLevel::kInfo);

/// One line, or none if there were too many of this kind. `kind` is one of a few words of ours ("reload"), never from
/// outside. `fields` appear in JSON alone, beside time, level, kind and message: the message says it all.
void log_event(std::string_view kind, LogLevel level, std::string_view message, const boost::json::object& fields = {});
/// Tells what was suppressed in seconds that are over; the control loop calls it once a second.
void log_suppressed();

/// For DPDK, which writes to a FILE: each line is an event of kind "dpdk". Never closed.
[[nodiscard]] std::FILE* log_stream();

/// Who may log: kMostLines of a kind a second. Pure; time is passed in.
class LogLimit {
 public:
  using Time = std::chrono::steady_clock::time_point;
  static constexpr std::uint32_t kMostLines = 10;

  /// True if a line of this kind may be written now; else it counts as suppressed.
  [[nodiscard]] bool allows(std::string_view kind, Time now);
  /// Kinds whose second is over and that had more than they may, with how many were left out. Each is told once.
  [[nodiscard]] std::map<std::string, std::uint64_t> take_suppressed(Time now);

 private:
  struct Second {
    Time start;
    std::uint32_t lines = 0;
    std::uint64_t suppressed = 0;
    std::uint64_t untold = 0;  // of seconds before
  };
  std::map<std::string, Second, std::less<>> kinds_;
};

}  // namespace weir::control
