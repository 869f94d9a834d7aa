// From a compiled generation to workers that run it, on the control thread, without ever waiting.
//
//   add to the tables -> next-hop words -> publish -> grace period -> remove from the tables -> grace period -> reclaim
//
// One generation at a time: the next publish() comes after on_idle. What the workers have is told after the first
// grace period; the rest is tidying up.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <memory>

#include "control/compile.h"
#include "control/data_plane.h"
#include "lb/result.h"

namespace weir::control {

class Publisher {
 public:
  Publisher(boost::asio::io_context& io, DataPlane& data_plane) : timer_(io), data_plane_(data_plane) {}

  /// Before the workers start: no grace period is needed.
  [[nodiscard]] lb::Result<void> publish_first(std::shared_ptr<const Compiled> first);

  struct Steps {
    std::function<void()> on_published;  // current() is the new one; some workers may still run the old
    std::function<void()> on_workers;    // every worker runs it
    /// The next may come. Holds the last reference to the generation before, for the caller to drop where that
    /// takes no time from anybody.
    std::function<void(std::shared_ptr<const Compiled>)> on_idle;
  };
  /// Refuses at once, changing nothing and calling nothing, what does not fit the tables, and a twin that cannot be
  /// made.
  [[nodiscard]] lb::Result<void> publish(std::shared_ptr<const Compiled> next, Steps steps);

  /// What the workers have, or are getting.
  [[nodiscard]] const std::shared_ptr<const Compiled>& current() const noexcept { return current_; }
  [[nodiscard]] std::uint64_t generation() const noexcept { return current_->snapshot->generation; }

 private:
  [[nodiscard]] lb::Result<void> fill_tables(const Compiled& compiled);
  void after_grace_period(std::function<void()> then);
  void poll_grace_period();

  boost::asio::steady_timer timer_;
  DataPlane& data_plane_;
  std::shared_ptr<const Compiled> current_;
  std::shared_ptr<const Compiled> leaving_;  // the generation before, while a worker may read it
  std::uint64_t token_ = 0;
  std::function<void()> then_;
};

}  // namespace weir::control
