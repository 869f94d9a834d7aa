// From a compiled generation to workers that run it, on the control thread, without ever waiting or taking long.
//
//   add to the tables -> next-hop words -> publish -> grace period -> remove from the tables -> grace period -> reclaim
//
// One generation at a time: the next publish() comes after on_idle. What the workers have is told after the first
// grace period; the rest is tidying up. Tables are edited for two milliseconds at a time. Host routes to neighbours
// that the kernel finds take the same steps, without a publication: publish_neighbors().
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <memory>
#include <string>

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
    /// Instead of all of these: it does not fit the tables, or a twin cannot be made. Nothing has changed.
    std::function<void(std::string)> on_refused;
  };
  void publish(std::shared_ptr<const Compiled> next, Steps steps);
  /// on_workers and on_idle are called, or on_refused; on_idle with null.
  void publish_neighbors(std::shared_ptr<const NeighborRoutes> routes, Steps steps);

  /// Who knows the words of followed next hops (Compiled::new_followed). Asked before a route can lead to one.
  void ask_for_words(std::function<lb::NextHopWord(const NextHopKey&)> word_of) { word_of_ = std::move(word_of); }

  /// What the workers have, or are getting.
  [[nodiscard]] const std::shared_ptr<const Compiled>& current() const noexcept { return current_; }
  [[nodiscard]] std::uint64_t generation() const noexcept { return current_->snapshot->generation; }

 private:
  void write_words(const Compiled& compiled);
  void restore_words(const Compiled& refused);
  void restore_twins();
  void write_followed(const std::vector<std::pair<NextHopKey, lb::NextHopId>>& hops);
  void add(const lb::TableChanges& changes, std::function<void()> then, std::function<void(std::string)> refused);
  void remove(const lb::TableChanges& changes, std::function<void()> then);
  void in_next_turn(std::function<void()> then);
  void after_grace_period(std::function<void()> then);
  void poll_grace_period();

  boost::asio::steady_timer timer_;
  DataPlane& data_plane_;
  std::shared_ptr<const Compiled> current_;
  std::shared_ptr<const Compiled> leaving_;  // the generation before, while a worker may read it
  std::function<lb::NextHopWord(const NextHopKey&)> word_of_;
  std::uint64_t token_ = 0;
  std::function<void()> then_;
};

}  // namespace weir::control
