#include "control/log.h"

#include <fmt/format.h>
#include <spdlog/formatter.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <array>
#include <boost/json/serialize.hpp>
#include <cstdlib>
#include <ctime>
#include <memory>
#include <mutex>
#include <utility>

#include "control/json_text.h"

namespace weir::control {

namespace {

constexpr std::array<std::string_view, 4> kLevels{"debug", "info", "warning", "error"};

spdlog::level::level_enum to_spdlog(LogLevel level) {
  constexpr std::array kTo{spdlog::level::debug, spdlog::level::info, spdlog::level::warn, spdlog::level::err};
  return kTo[static_cast<std::size_t>(level)];
}

// What the line being written has besides its message. spdlog formats within the call, on the caller's thread.
thread_local std::string_view kind_of_line;
thread_local const boost::json::object* fields_of_line = nullptr;

/// {"time": "2026-11-20T17:30:17.045Z", "level": "info", "kind": "reload", "message": "...", more fields}
class JsonFormatter : public spdlog::formatter {
 public:
  void format(const spdlog::details::log_msg& msg, spdlog::memory_buf_t& out) override {
    const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(msg.time.time_since_epoch()).count();
    const std::time_t seconds = ms / 1000;
    std::tm utc{};
    ::gmtime_r(&seconds, &utc);
    std::array<char, 32> time{};
    std::strftime(time.data(), time.size(), "%Y-%m-%dT%H:%M:%S", &utc);
    boost::json::object line{{"time", fmt::format("{}.{:03}Z", time.data(), ms % 1000)},
                             {"level", std::string_view(spdlog::level::to_string_view(msg.level).data())}};
    if (!kind_of_line.empty()) line["kind"] = kind_of_line;
    line["message"] = as_utf8({msg.payload.data(), msg.payload.size()});
    if (fields_of_line != nullptr)
      for (const auto& [key, value] : *fields_of_line) line.insert_or_assign(key, value);
    const std::string text = boost::json::serialize(line);
    out.append(text.data(), text.data() + text.size());
    out.push_back('\n');
  }
  [[nodiscard]] std::unique_ptr<spdlog::formatter> clone() const override { return std::make_unique<JsonFormatter>(); }
};

// Guarded, for the compile thread and DPDK log too.
struct Limited {
  std::mutex mutex;
  LogLimit limit;
};
Limited& limited() {
  static Limited l;
  return l;
}

void write(std::string_view kind, spdlog::level::level_enum level, std::string_view message,
           const boost::json::object& fields) {
  kind_of_line = kind;
  fields_of_line = &fields;
  spdlog::log(level, "{}", message);
  kind_of_line = {};
  fields_of_line = nullptr;
}

}  // namespace

std::optional<LogFormat> parse_log_format(std::string_view name) {
  if (name == "text") return LogFormat::kText;
  if (name == "json") return LogFormat::kJson;
  return std::nullopt;
}

std::optional<LogLevel> parse_log_level(std::string_view name) {
  for (std::size_t i = 0; i < kLevels.size(); ++i)
    if (name == kLevels[i]) return static_cast<LogLevel>(i);
  return std::nullopt;
}

void set_up_log(LogFormat format, LogLevel least) {
  auto logger = std::make_shared<spdlog::logger>("weir", std::make_shared<spdlog::sinks::stderr_sink_mt>());
  if (format == LogFormat::kJson) {
    logger->set_formatter(std::make_unique<JsonFormatter>());
  } else {
    logger->set_pattern(std::getenv("JOURNAL_STREAM") != nullptr ? "%l: %v" : "%Y-%m-%d %H:%M:%S.%e %l: %v");
  }
  logger->set_level(to_spdlog(least));
  logger->flush_on(spdlog::level::trace);
  spdlog::set_default_logger(std::move(logger));
}

void log_event(std::string_view kind, LogLevel level, std::string_view message, const boost::json::object& fields) {
  if (!spdlog::should_log(to_spdlog(level))) return;
  {
    const std::lock_guard lock(limited().mutex);
    if (!limited().limit.allows(kind, std::chrono::steady_clock::now())) return;
  }
  write(kind, to_spdlog(level), message, fields);
}

void log_suppressed() {
  std::map<std::string, std::uint64_t> suppressed;
  {
    const std::lock_guard lock(limited().mutex);
    suppressed = limited().limit.take_suppressed(std::chrono::steady_clock::now());
  }
  for (const auto& [kind, n] : suppressed)
    write(kind, spdlog::level::warn,
          fmt::format("{} suppressed of kind {}: at most {} lines a second", n, kind, LogLimit::kMostLines),
          {{"suppressed", n}});
}

std::FILE* log_stream() {
  const auto take = [](void*, const char* bytes, std::size_t n) -> ssize_t {
    std::string_view text(bytes, n);
    while (!text.empty()) {
      const std::size_t end = std::min(text.find('\n'), text.size());
      if (end > 0) log_event("dpdk", LogLevel::kWarning, text.substr(0, end));
      text.remove_prefix(std::min(end + 1, text.size()));
    }
    return static_cast<ssize_t>(n);
  };
  std::FILE* stream = ::fopencookie(nullptr, "w", {.read = nullptr, .write = take, .seek = nullptr, .close = nullptr});
  if (stream == nullptr) return stderr;
  std::setvbuf(stream, nullptr, _IOLBF, 4096);
  return stream;
}

bool LogLimit::allows(std::string_view kind, Time now) {
  auto it = kinds_.find(kind);
  if (it == kinds_.end()) it = kinds_.emplace(kind, Second{.start = now}).first;
  Second& second = it->second;
  if (now - second.start >= std::chrono::seconds(1)) {
    second.start = now;
    second.lines = 0;
    second.untold += std::exchange(second.suppressed, 0);
  }
  if (second.lines < kMostLines) {
    ++second.lines;
    return true;
  }
  ++second.suppressed;
  return false;
}

std::map<std::string, std::uint64_t> LogLimit::take_suppressed(Time now) {
  std::map<std::string, std::uint64_t> taken;
  for (auto& [kind, second] : kinds_) {
    if (now - second.start >= std::chrono::seconds(1)) second.untold += std::exchange(second.suppressed, 0);
    if (second.untold > 0) taken[kind] = std::exchange(second.untold, 0);
  }
  return taken;
}

}  // namespace weir::control
