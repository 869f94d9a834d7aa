// Anonymous memory of Weir's own: zeroed, page-aligned, huge pages where the kernel gives them, committed on touch.
// Large sparse arrays (by id) cost only the pages that are used.
#pragma once

#include <cstddef>
#include <utility>

#include "lb/result.h"

namespace weir::dataplane {

class Mapping {
 public:
  Mapping() noexcept = default;
  Mapping(Mapping&& other) noexcept
      : base_(std::exchange(other.base_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
  Mapping& operator=(Mapping&& other) noexcept {
    std::swap(base_, other.base_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~Mapping();

  [[nodiscard]] static lb::Result<Mapping> create(std::size_t bytes, const char* what);

  /// Commits the first `bytes` now, so that no worker waits at its first touch while the kernel clears 2 MiB. Any
  /// thread, also while others read and write there: nothing changes. Without the right kernel (5.14), nothing happens.
  void populate(std::size_t bytes) const noexcept;

  /// The array at `offset` bytes; all-zero bytes must be a valid T.
  template <class T>
  [[nodiscard]] T* at(std::size_t offset = 0) const noexcept {
    return reinterpret_cast<T*>(static_cast<std::byte*>(base_) + offset);
  }

 private:
  void* base_ = nullptr;
  std::size_t bytes_ = 0;
};

}  // namespace weir::dataplane
