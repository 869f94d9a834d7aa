#include "control/heartbeat.h"

#include <fmt/format.h>

#include <utility>

#include "control/log.h"
#include "control/notify.h"

namespace weir::control {

Heartbeat::Heartbeat(boost::asio::io_context& io, std::function<std::vector<std::uint64_t>()> loops)
    : log_timer_(io), ping_timer_(io), loops_(std::move(loops)), seen_(loops_()), interval_(watchdog_interval() / 2) {
  log_each_second();
  if (interval_.count() > 0) ping_each_interval();
}

void Heartbeat::log_each_second() {
  log_timer_.expires_after(std::chrono::seconds(1));
  log_timer_.async_wait([this](const boost::system::error_code& error) {
    if (error) return;
    log_suppressed();
    log_each_second();
  });
}

void Heartbeat::ping_each_interval() {
  ping_timer_.expires_after(interval_);
  ping_timer_.async_wait([this](const boost::system::error_code& error) {
    if (error) return;
    if (workers_have_moved()) notify_watchdog();
    ping_each_interval();
  });
}

bool Heartbeat::workers_have_moved() {
  const std::vector<std::uint64_t> before = std::exchange(seen_, loops_());
  bool all = true;
  for (std::size_t w = 0; w < seen_.size(); ++w) {
    if (w >= before.size() || seen_[w] != before[w]) continue;
    all = false;
    log_event("watchdog", LogLevel::kError,
              fmt::format("worker {} has not finished a loop for {} ms: systemd is not told that all is well", w,
                          std::chrono::duration_cast<std::chrono::milliseconds>(interval_).count()),
              {{"worker", w}});
  }
  return all;
}

}  // namespace weir::control
