// One atomic word per next hop: interface and MAC, or unresolved. A neighbour change is a store, not a publish.
#pragma once

#include <atomic>
#include <memory>

#include "lb/ids.h"
#include "lb/snapshot.h"

namespace weir::lb {

class NextHops {
 public:
  /// Ids 1 to capacity - 1 can be used.
  explicit NextHops(std::size_t capacity)
      : words_(std::make_unique<std::atomic<std::uint64_t>[]>(capacity)), capacity_(capacity) {}

  [[nodiscard]] NextHopWord get(NextHopId id) const noexcept {
    return NextHopWord::from_bits(words_[index(id)].load(std::memory_order_relaxed));
  }
  void set(NextHopId id, NextHopWord word) noexcept { words_[index(id)].store(word.bits(), std::memory_order_relaxed); }
  [[nodiscard]] std::size_t capacity() const noexcept { return capacity_; }

 private:
  std::unique_ptr<std::atomic<std::uint64_t>[]> words_;  // written: control; read: workers
  std::size_t capacity_;
};

}  // namespace weir::lb
