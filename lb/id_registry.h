// Small numbers for things that the packet path must name: VIPs (16 bits), endpoints (20), source addresses (6).
//
// An id belongs to an identity (a key), not to a place in a file: it stays the same over reloads for as long as the
// key is configured, and longer, since conntrack records still hold it:
//
//     free --acquire--> live --retire--> retired --collect--> free
//                         ^----acquire------'
//
//   live     the configuration has the key
//   retired  it no longer does, but flows may remain; the id means the same thing until collect() frees it, and
//            acquiring the key again gives the same id back, so its flows are at home at once
//   free     used again, the one that rested longest first, and while there are numbers never used only once
//            kRestingIds rest: a record that slipped through meets an id nobody has rather than somebody else's
//
// Id 0 is never given out; it means "not set". A zeroed conntrack record, or a field somebody forgot, would
// otherwise quietly name the first VIP of the file, and its packets would go to a stranger's backend.
//
// Changes are provisional until commit(): a refused configuration is undone by rollback(), at a cost that follows
// the number of changes: 0.1 us each. (Copying the registry aside instead costs 5 ms for 100,000 ids, five times
// what publishing one changed endpoint may take; bench/lb/id_registry_bench.cc.)
//
// Used by the compile thread alone.
#pragma once

#include <cassert>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <set>
#include <unordered_map>
#include <vector>

namespace weir::lb {

template <class Key, unsigned kBits, class Hash = std::hash<Key>>
class IdRegistry {
 public:
  static_assert(kBits >= 1 && kBits < 32);
  using Id = std::uint32_t;
  static constexpr Id kNone = 0;
  static constexpr Id kMaxId = (Id{1} << kBits) - 1;
  /// Ids that rest before one is used again, while there are numbers never used. More would let the arrays that
  /// are indexed by id grow without need.
  static constexpr std::size_t kRestingIds = 256;

  /// The key's id: the one it has, live or retired (it is live again), or a new one. None when all kMaxId are
  /// taken; collect() may free some.
  [[nodiscard]] std::optional<Id> acquire(const Key& key) {
    if (const auto it = ids_.find(key); it != ids_.end()) {
      const Id id = it->second;
      if (!is_live(id)) change(Change::kRevived, id, State::kLive);
      return id;
    }
    const bool fresh = slots_.size() <= kMaxId && free_.size() < kRestingIds;
    if (!fresh && free_.empty()) return std::nullopt;
    const Id id = fresh ? static_cast<Id>(slots_.size()) : free_.front();
    if (fresh) {
      slots_.emplace_back();
    } else {
      free_.pop_front();
    }
    slots_[id].key = key;
    ids_.emplace(key, id);
    change(fresh ? Change::kCreated : Change::kReused, id, State::kLive);
    return id;
  }

  /// The configuration no longer has the key. False if it is not live.
  bool retire(const Key& key) {
    const auto it = ids_.find(key);
    if (it == ids_.end() || !is_live(it->second)) return false;
    change(Change::kRetired, it->second, State::kRetired);
    return true;
  }

  /// The changes since the last commit() are published.
  void commit() noexcept { changes_.clear(); }

  /// As if nothing had happened since the last commit().
  void rollback() {
    for (; !changes_.empty(); changes_.pop_back()) undo(changes_.back());
  }

  /// Frees each retired id for which `may_free(id)` holds, and returns how many. The caller says yes only when no
  /// worker can see the id any more (a grace period after the publish without it) and the workers' flow counts for
  /// it add up to zero. Not between a change and its commit().
  template <class Predicate>
  std::size_t collect(Predicate may_free) {
    assert(changes_.empty());
    return std::erase_if(retired_, [&](Id id) {
      if (!may_free(id)) return false;
      release(id);
      free_.push_back(id);
      return true;
    });
  }

  /// The key's id, live or retired; kNone if it has none.
  [[nodiscard]] Id find(const Key& key) const {
    const auto it = ids_.find(key);
    return it == ids_.end() ? kNone : it->second;
  }
  [[nodiscard]] bool is_live(Id id) const noexcept { return id < slots_.size() && slots_[id].state == State::kLive; }
  [[nodiscard]] bool is_retired(Id id) const noexcept {
    return id < slots_.size() && slots_[id].state == State::kRetired;
  }
  /// The key of a live or retired id; null for a free one and for kNone. Valid until the next acquire().
  [[nodiscard]] const Key* key_of(Id id) const noexcept {
    return is_live(id) || is_retired(id) ? &slots_[id].key : nullptr;
  }

  /// One above the highest id ever given out: the size of an array indexed by id.
  [[nodiscard]] Id end_of_ids() const noexcept { return static_cast<Id>(slots_.size()); }
  [[nodiscard]] std::size_t live_count() const noexcept { return ids_.size() - retired_.size(); }
  [[nodiscard]] const std::set<Id>& retired() const noexcept { return retired_; }

  /// Calls `visit(id, key)` for each live id, in rising order. `visit` may retire keys.
  template <class Visit>
  void for_each_live(Visit visit) const {
    for (Id id = 1; id < slots_.size(); ++id)
      if (is_live(id)) visit(id, slots_[id].key);
  }

 private:
  enum class State : std::uint8_t { kFree, kLive, kRetired };
  enum class Change : std::uint8_t { kCreated, kReused, kRevived, kRetired };
  struct Slot {
    Key key{};
    State state = State::kFree;
  };
  struct Done {
    Change change;
    Id id;
  };

  void change(Change what, Id id, State state) {
    set_state(id, state);
    changes_.push_back({what, id});
  }

  void set_state(Id id, State state) {
    slots_[id].state = state;
    if (state == State::kRetired) {
      retired_.insert(id);
    } else {
      retired_.erase(id);
    }
  }

  void undo(const Done& done) {
    switch (done.change) {
      case Change::kRevived: set_state(done.id, State::kRetired); break;
      case Change::kRetired: set_state(done.id, State::kLive); break;
      case Change::kReused:
        release(done.id);
        free_.push_front(done.id);
        break;
      case Change::kCreated:
        release(done.id);
        slots_.pop_back();  // undone last in, first out: it is the last one
        break;
    }
  }

  void release(Id id) {
    ids_.erase(slots_[id].key);
    slots_[id] = Slot{};
  }

  std::vector<Slot> slots_ = std::vector<Slot>(1);  // by id; slot 0 is never used
  std::unordered_map<Key, Id, Hash> ids_;           // live and retired
  std::set<Id> retired_;
  std::deque<Id> free_;  // longest rested first
  std::vector<Done> changes_;
};

}  // namespace weir::lb
