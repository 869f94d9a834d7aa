#include "control/publisher.h"

#include <chrono>
#include <utility>

namespace weir::control {

namespace {
constexpr std::chrono::microseconds kPoll{200};  // a loop of a busy worker takes about ten
}

lb::Result<void> Publisher::publish_first(Compiled compiled) {
  if (auto filled = fill_tables(compiled); !filled) return filled;
  data_plane_.tables().remove(compiled.contents);  // nothing to remove; it notes what there is
  current_ = std::move(compiled);
  data_plane_.rcu().publish(current_.snapshot.get());
  return {};
}

void Publisher::publish(Compiled compiled, std::function<void(lb::Result<void>)> on_workers,
                        std::function<void()> on_idle) {
  if (auto filled = fill_tables(compiled); !filled) {
    on_workers(std::move(filled));
    on_idle();
    return;
  }
  leaving_ = std::exchange(current_, std::move(compiled));  // the old one lives until no worker reads it
  data_plane_.rcu().publish(current_.snapshot.get());
  after_grace_period([this, on_workers = std::move(on_workers), on_idle = std::move(on_idle)]() mutable {
    data_plane_.tables().remove(current_.contents);
    on_workers({});
    after_grace_period([this, on_idle = std::move(on_idle)] {
      data_plane_.tables().reclaim();
      leaving_.reset();
      on_idle();
    });
  });
}

lb::Result<void> Publisher::fill_tables(const Compiled& compiled) {
  auto& tables = data_plane_.tables();
  if (auto fits = tables.check(compiled.contents); !fits) return fits;
  if (auto added = tables.add(compiled.contents); !added) return added;
  for (const auto& [id, word] : compiled.next_hops) data_plane_.next_hops().set(id, word);
  return {};
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
