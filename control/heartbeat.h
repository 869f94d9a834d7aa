// What the control loop does by the clock: once a second it tells what the log left out, and at half of systemd's
// WatchdogSec= it sends WATCHDOG=1, but only while the workers make progress. A worker that has not finished a loop
// since the last time means no ping and a line in the log; systemd then restarts Weir. A control thread that hangs does
// not come here at all.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <vector>

namespace weir::control {

class Heartbeat {
 public:
  /// `loops`: for each worker a number that grows with each of its loops. The interval is WATCHDOG_USEC's (sd_notify's
  /// environment), read here; without it nobody is pinged. Control thread.
  Heartbeat(boost::asio::io_context& io, std::function<std::vector<std::uint64_t>()> loops);

 private:
  void log_each_second();
  void ping_each_interval();
  [[nodiscard]] bool workers_have_moved();

  boost::asio::steady_timer log_timer_, ping_timer_;
  std::function<std::vector<std::uint64_t>()> loops_;
  std::vector<std::uint64_t> seen_;  // at the last ping
  std::chrono::microseconds interval_;
};

}  // namespace weir::control
