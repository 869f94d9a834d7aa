// From a compiled generation to workers that run it, on the control thread, without ever waiting.
//
//   add to the tables -> next-hop words -> publish -> grace period -> remove from the tables -> grace period -> reclaim
//
// One generation at a time: the next publish() comes after is_idle(). What the workers have is told after the first
// grace period; the rest is tidying up.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <memory>
#include <optional>

#include "control/compile.h"
#include "control/data_plane.h"
#include "lb/result.h"

namespace weir::control {

class Publisher {
 public:
  Publisher(boost::asio::io_context& io, DataPlane& data_plane) : timer_(io), data_plane_(data_plane) {}

  /// Before the workers start: no grace period is needed.
  [[nodiscard]] lb::Result<void> publish_first(Compiled compiled);

  /// `on_workers` is called when every worker has it, or at once with what does not fit (and nothing has changed);
  /// `on_idle` when the next may come.
  void publish(Compiled compiled, std::function<void(lb::Result<void>)> on_workers, std::function<void()> on_idle);
  [[nodiscard]] bool is_idle() const noexcept { return !leaving_; }

  /// What the workers have, or are getting.
  [[nodiscard]] const Compiled& current() const noexcept { return current_; }

 private:
  [[nodiscard]] lb::Result<void> fill_tables(const Compiled& compiled);
  void after_grace_period(std::function<void()> then);
  void poll_grace_period();

  boost::asio::steady_timer timer_;
  DataPlane& data_plane_;
  Compiled current_;
  std::optional<Compiled> leaving_;  // engaged while a publish is under way: the generation before
  std::uint64_t token_ = 0;
  std::function<void()> then_;
};

}  // namespace weir::control
