// Chunked<T>: an array of the snapshot, shared between generations in chunks.
//
// A snapshot has arrays of up to a million elements (endpoints, VIPs, services), and most changes touch one. Kept in
// chunks of 256, the next generation copies the chunks it touches and shares the others: one change costs a chunk
// and the list of chunks, not the array.
//
//     Chunked<Endpoint>  chunk pointers  -> [256 elements] [256 elements] ...     generation 7
//     Chunked<Endpoint>  chunk pointers  ----^   new copy: [256 elements] ...     generation 8
//
// A frozen Chunked never changes. Workers read an element by two loads, without atomics; reference counts are
// touched only where generations are built and retired.
#pragma once

#include <algorithm>
#include <array>
#include <cassert>
#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

namespace weir::lb {

template <class T, std::size_t kChunkSize>
class ChunkedBuilder;

template <class T, std::size_t kChunkSize = 256>
class Chunked {
 public:
  static_assert(kChunkSize != 0 && (kChunkSize & (kChunkSize - 1)) == 0, "a power of two divides by a shift");
  using Chunk = std::array<T, kChunkSize>;

  Chunked() = default;

  /// `i` is below size(); asserted only.
  [[nodiscard]] const T& operator[](std::size_t i) const noexcept {
    assert(i < size_);
    return readable_[i / kChunkSize]->operator[](i % kChunkSize);
  }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }

  /// The elements' memory, for tests and for telling what two generations share.
  [[nodiscard]] std::size_t chunk_count() const noexcept { return readable_.size(); }
  [[nodiscard]] const Chunk* chunk(std::size_t n) const noexcept { return readable_[n]; }

 private:
  friend class ChunkedBuilder<T, kChunkSize>;

  // Apart, so that what a worker loads is dense: 8 pointers to a cache line.
  std::vector<const Chunk*> readable_;
  std::vector<std::shared_ptr<const Chunk>> owned_;
  std::size_t size_ = 0;
};

/// Makes the next generation of a Chunked.
template <class T, std::size_t kChunkSize = 256>
class ChunkedBuilder {
 public:
  ChunkedBuilder() = default;
  explicit ChunkedBuilder(const Chunked<T, kChunkSize>& previous)
      : next_(previous), writable_(next_.owned_.size(), nullptr) {}

  [[nodiscard]] std::size_t size() const noexcept { return next_.size_; }
  /// As it will be: what was set here, or the previous generation's.
  [[nodiscard]] const T& operator[](std::size_t i) const noexcept { return next_[i]; }

  /// Sets element `i`, growing to hold it; elements skipped over are T{}.
  void set(std::size_t i, T value) { edit(i) = std::move(value); }

  /// To be changed in place: copies the chunk even if nothing is changed then.
  [[nodiscard]] T& edit(std::size_t i) {
    if (i >= next_.size_) resize(i + 1);
    Chunk*& chunk = writable_[i / kChunkSize];
    if (chunk == nullptr) {
      auto copy = std::make_shared<Chunk>(*next_.readable_[i / kChunkSize]);
      chunk = copy.get();
      next_.readable_[i / kChunkSize] = chunk;
      next_.owned_[i / kChunkSize] = std::move(copy);
    }
    return (*chunk)[i % kChunkSize];
  }

  /// New elements are T{}. Elements cut off are gone: growing again gives T{}.
  void resize(std::size_t size) {
    const std::size_t chunks = (size + kChunkSize - 1) / kChunkSize;
    if (size < next_.size_ && size % kChunkSize != 0)
      for (std::size_t i = size; i < next_.size_ && i < chunks * kChunkSize; ++i) edit(i) = T{};
    const std::size_t kept = std::min(chunks, next_.owned_.size());
    next_.readable_.resize(chunks);
    next_.owned_.resize(chunks);
    writable_.resize(chunks);
    for (std::size_t n = kept; n < chunks; ++n) {
      auto chunk = std::make_shared<Chunk>();
      writable_[n] = chunk.get();
      next_.readable_[n] = chunk.get();
      next_.owned_[n] = std::move(chunk);
    }
    next_.size_ = size;
  }

  /// What was built; the builder is empty then, and cannot reach it any more.
  [[nodiscard]] Chunked<T, kChunkSize> freeze() {
    writable_.clear();
    return std::exchange(next_, {});
  }

 private:
  using Chunk = typename Chunked<T, kChunkSize>::Chunk;

  Chunked<T, kChunkSize> next_;
  std::vector<Chunk*> writable_;  // by chunk: this builder's own copy; null while shared with the previous
};

}  // namespace weir::lb
