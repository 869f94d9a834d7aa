// A counter that one thread writes and any thread may read.
#pragma once

#include <atomic>
#include <concepts>
#include <cstdint>

namespace weir::lb {

/// written: its one owner; read: anyone. Relaxed load and store compile to plain moves, and sanitizers see no race.
template <std::unsigned_integral T>
class SingleWriter {
 public:
  SingleWriter() noexcept = default;
  /// Copies the value; only while nobody writes, as when a table is moved to its place.
  SingleWriter(const SingleWriter& other) noexcept : value_(other.get()) {}
  SingleWriter& operator=(const SingleWriter& other) noexcept {
    set(other.get());
    return *this;
  }

  void add(T n = 1) noexcept {
    value_.store(static_cast<T>(value_.load(std::memory_order_relaxed) + n), std::memory_order_relaxed);
  }
  void subtract(T n = 1) noexcept { add(static_cast<T>(0 - n)); }
  void set(T v) noexcept { value_.store(v, std::memory_order_relaxed); }
  [[nodiscard]] T get() const noexcept { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<T> value_{0};
};

using Counter = SingleWriter<std::uint64_t>;

}  // namespace weir::lb
