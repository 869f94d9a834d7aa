// Byte order as a type: be16, be32 and be64 hold a value as it lies on the wire.
//
// There is no implicit conversion either way, so host and network order cannot be mixed by accident; headers
// (lb/headers.h) are made of these. Equality compares without converting.
#pragma once

#include <bit>
#include <concepts>
#include <cstdint>

namespace weir::lb {

static_assert(std::endian::native == std::endian::little, "Weir runs on x86-64");

template <std::unsigned_integral T>
[[nodiscard]] constexpr T byte_swap(T v) noexcept {
  if constexpr (sizeof(T) == 2) return __builtin_bswap16(v);
  if constexpr (sizeof(T) == 4) return __builtin_bswap32(v);
  if constexpr (sizeof(T) == 8) return __builtin_bswap64(v);
}

template <std::unsigned_integral T>
class BigEndian {
 public:
  constexpr BigEndian() noexcept = default;

  [[nodiscard]] static constexpr BigEndian from_host(T v) noexcept { return from_raw(byte_swap(v)); }
  /// From the bits as loaded from memory, already in network order.
  [[nodiscard]] static constexpr BigEndian from_raw(T v) noexcept {
    BigEndian b;
    b.raw_ = v;
    return b;
  }

  [[nodiscard]] constexpr T host() const noexcept { return byte_swap(raw_); }
  [[nodiscard]] constexpr T raw() const noexcept { return raw_; }

  constexpr bool operator==(const BigEndian&) const noexcept = default;

 private:
  T raw_ = 0;
} __attribute__((packed));

using be16 = BigEndian<std::uint16_t>;
using be32 = BigEndian<std::uint32_t>;
using be64 = BigEndian<std::uint64_t>;
static_assert(sizeof(be16) == 2 && sizeof(be32) == 4 && sizeof(be64) == 8 && alignof(be32) == 1);

}  // namespace weir::lb
