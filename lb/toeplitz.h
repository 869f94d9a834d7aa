// Toeplitz, the hash of NICs (Microsoft, "RSS hashing functions"): for each set bit i of the input, the 32 bits of the
// key that begin at bit i are added without carry.
//
// A NIC does it for free; in software one table of 256 entries for each input byte is what measures best without
// vector instructions of its own: a look-up and an exclusive-or a byte. The tables take 18 KiB, of which IPv4
// touches 6.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace weir::lb {

/// Enough for any NIC: those of today want 40 or 52 bytes, and take the first of these.
inline constexpr std::size_t kToeplitzKeyBytes = 64;
using ToeplitzKey = std::array<std::uint8_t, kToeplitzKeyBytes>;

/// An IPv6 address and a port.
inline constexpr std::size_t kToeplitzInputBytes = 18;

class Toeplitz {
 public:
  explicit Toeplitz(const ToeplitzKey& key) noexcept {
    for (std::size_t at = 0; at < kToeplitzInputBytes; ++at)
      for (std::size_t byte = 0; byte < 256; ++byte)
        for (std::size_t bit = 0; bit < 8; ++bit)
          if ((byte << bit & 0x80) != 0) tables_[at][byte] ^= window(key, at * 8 + bit);
  }

  /// At most kToeplitzInputBytes, in network order.
  [[nodiscard]] std::uint32_t operator()(std::span<const std::uint8_t> input) const noexcept {
    std::uint32_t hash = 0;
    for (std::size_t i = 0; i < input.size(); ++i) hash ^= tables_[i][input[i]];
    return hash;
  }

 private:
  [[nodiscard]] static std::uint32_t window(const ToeplitzKey& key, std::size_t first_bit) noexcept {
    std::uint64_t bytes = 0;
    for (std::size_t i = 0; i < 5; ++i) bytes = bytes << 8 | key[first_bit / 8 + i];
    return static_cast<std::uint32_t>(bytes >> (8 - first_bit % 8));
  }

  std::array<std::array<std::uint32_t, 256>, kToeplitzInputBytes> tables_{};
};

}  // namespace weir::lb
