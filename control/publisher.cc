#include "control/publisher.h"

#include <chrono>
#include <utility>

#include "control/log.h"

namespace weir::control {

namespace {

constexpr std::chrono::microseconds kPoll{200};  // a loop of a busy worker takes about ten
constexpr std::chrono::milliseconds kSlice{2};
constexpr std::size_t kRoutesAtOnce = 16;  // between two looks at the clock

}  // namespace

lb::Result<void> Publisher::publish_first(std::shared_ptr<const Compiled> first) {
  if (auto added = data_plane_.add_twins(*first->snapshot); !added) return added;
  data_plane_.prepare_counters(*first->snapshot);
  write_words(*first);
  if (auto added = data_plane_.tables().add(first->changes); !added) return added;
  current_ = std::move(first);
  data_plane_.rcu().publish(current_->snapshot.get());
  return {};
}

void Publisher::publish(std::shared_ptr<const Compiled> next, Steps given) {
  const auto steps = std::make_shared<Steps>(std::move(given));  // one of each, whoever holds them
  if (auto added = data_plane_.add_twins(*next->snapshot); !added) {
    restore_twins();
    return steps->on_refused(added.error().message);
  }
  data_plane_.prepare_counters(*next->snapshot);
  // Words first: a route that is added must not lead to a next hop that says nothing yet, or what another once said.
  write_words(*next);
  const auto refused = [this, next, steps](std::string why) {
    restore_words(*next);
    restore_twins();
    steps->on_refused(std::move(why));
  };
  const auto then = [this, next, steps] {
    leaving_ = std::exchange(current_, next);
    data_plane_.rcu().publish(current_->snapshot.get());
    steps->on_published();
    after_grace_period([this, steps] {
      remove(current_->changes, [this, steps] {
        data_plane_.keep_twins(*current_->snapshot);
        steps->on_workers();
        after_grace_period([this, steps] {
          data_plane_.tables().reclaim();
          steps->on_idle(std::exchange(leaving_, nullptr));
        });
      });
    });
  };
  add(next->changes, then, refused);
}

void Publisher::publish_neighbors(std::shared_ptr<const NeighborRoutes> routes, Steps steps) {
  write_followed(routes->added);
  const auto then = [this, routes, steps] {
    steps.on_workers();
    // Without a prefix that leaves, a next hop may: its id waits until nobody has just looked it up.
    if (routes->changes.routes.removed.empty() && routes->removed.empty()) return steps.on_idle(nullptr);
    remove(routes->changes,
           [this, routes, steps] { after_grace_period([on_idle = steps.on_idle] { on_idle(nullptr); }); });
  };
  add(routes->changes, then, steps.on_refused);
}

// MAC and MTU of those that the refused generation changed go back; what it added goes.
void Publisher::restore_twins() {
  if (auto done = data_plane_.add_twins(*current_->snapshot); !done)
    log_event("change", LogLevel::kError, "a twin cannot be put back as it was: " + done.error().message);
  data_plane_.keep_twins(*current_->snapshot);
}

// ---- words ----

void Publisher::write_words(const Compiled& compiled) {
  for (const auto& [id, word] : compiled.next_hops) data_plane_.next_hops().set(id, word);
  write_followed(compiled.new_followed);
}

// Those that control writes as it hears from the kernel are in no generation: of them the refused one has overwritten
// what it does not follow itself.
void Publisher::restore_words(const Compiled& refused) {
  const NextHopIndex* now = current_->next_hop_index.get();
  std::vector<std::pair<NextHopKey, lb::NextHopId>> followed;
  if (now != nullptr && refused.next_hop_index != nullptr)
    for (const auto& [key, info] : refused.next_hop_index->by_key)
      if (const NextHopInfo* here = now->find(key); !info.is_followed && (here == nullptr || here->is_followed))
        followed.emplace_back(key, info.id);
  write_followed(followed);
  write_words(*current_);
}

void Publisher::write_followed(const std::vector<std::pair<NextHopKey, lb::NextHopId>>& hops) {
  for (const auto& [key, id] : hops)
    data_plane_.next_hops().set(id, word_of_ ? word_of_(key) : lb::NextHopWord::unresolved(key.interface));
}

// ---- tables, a slice at a time; `changes` outlive it ----

void Publisher::add(const lb::TableChanges& changes, std::function<void()> then,
                    std::function<void(std::string)> refused) {
  const auto end = std::chrono::steady_clock::now() + kSlice;
  do {
    const auto added = data_plane_.tables().add_some(changes, kRoutesAtOnce);
    if (!added) return refused(added.error().message);
    if (*added) return then();
  } while (std::chrono::steady_clock::now() < end);
  in_next_turn([this, &changes, then = std::move(then), refused = std::move(refused)] { add(changes, then, refused); });
}

void Publisher::remove(const lb::TableChanges& changes, std::function<void()> then) {
  const auto end = std::chrono::steady_clock::now() + kSlice;
  do {
    if (data_plane_.tables().remove_some(changes, kRoutesAtOnce)) return then();
  } while (std::chrono::steady_clock::now() < end);
  in_next_turn([this, &changes, then = std::move(then)] { remove(changes, then); });
}

void Publisher::in_next_turn(std::function<void()> then) {
  timer_.expires_after({});
  timer_.async_wait([then = std::move(then)](const boost::system::error_code& error) {
    if (!error) then();
  });
}

// ---- grace periods ----

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
