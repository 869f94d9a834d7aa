#include "control/publisher.h"

#include <chrono>
#include <utility>

namespace weir::control {

namespace {
constexpr std::chrono::microseconds kPoll{200};  // a loop of a busy worker takes about ten
}

lb::Result<void> Publisher::publish_first(std::shared_ptr<const Compiled> first) {
  if (auto added = data_plane_.add_twins(*first->snapshot); !added) return added;
  if (auto filled = fill_tables(*first); !filled) return filled;
  current_ = std::move(first);
  data_plane_.rcu().publish(current_->snapshot.get());
  return {};
}

lb::Result<void> Publisher::publish(std::shared_ptr<const Compiled> next, Steps steps) {
  if (auto added = data_plane_.add_twins(*next->snapshot); !added) return added;
  if (auto filled = fill_tables(*next); !filled) {
    data_plane_.keep_twins(*current_->snapshot);
    return filled;
  }
  leaving_ = std::exchange(current_, std::move(next));
  data_plane_.rcu().publish(current_->snapshot.get());
  steps.on_published();
  after_grace_period([this, steps = std::move(steps)] {
    data_plane_.tables().remove(current_->changes);
    data_plane_.keep_twins(*current_->snapshot);
    steps.on_workers();
    after_grace_period([this, on_idle = steps.on_idle] {
      data_plane_.tables().reclaim();
      on_idle(std::exchange(leaving_, nullptr));
    });
  });
  return {};
}

lb::Result<void> Publisher::fill_tables(const Compiled& compiled) {
  // Words first: a route that is added must not lead to a next hop that says nothing yet, or what another once said.
  for (const auto& [id, word] : compiled.next_hops) data_plane_.next_hops().set(id, word);
  auto added = data_plane_.tables().add(compiled.changes);
  if (!added && current_ != nullptr)
    for (const auto& [id, word] : current_->next_hops) data_plane_.next_hops().set(id, word);
  return added;
}

void Publisher::after_grace_period(std::function<void()> then) {
  token_ = data_plane_.rcu().token();
  then_ = std::move(then);
  poll_grace_period();
}

void Publisher::poll_grace_period() {
  if (data_plane_.rcu().has_passed(token_)) {
    std::exchange(then_, nullptr)();
    return;
  }
  timer_.expires_after(kPoll);
  timer_.async_wait([this](const boost::system::error_code& error) {
    if (!error) poll_grace_period();
  });
}

}  // namespace weir::control
