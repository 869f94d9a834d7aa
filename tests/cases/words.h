// Small words that the case files share.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tests/cases/case.h"

namespace weir::test {

/// A new case at the end; what it says follows.
inline Case& add(Cases& cases, std::string says) {
  return cases.emplace_back(std::move(says));
}

using Words = std::vector<std::uint16_t>;

// One's-complement arithmetic, as checksums have it.
constexpr std::uint16_t ones_add(unsigned a, unsigned b) {
  const unsigned sum = a + b;
  return static_cast<std::uint16_t>((sum & 0xffff) + (sum >> 16));
}
constexpr std::uint16_t ones_subtract(unsigned a, unsigned b) {
  return ones_add(a, ~b & 0xffff);
}

inline std::uint16_t word_at(const Bytes& bytes, std::size_t at) {
  return static_cast<std::uint16_t>(bytes.at(at) << 8 | bytes.at(at + 1));
}
inline void set_word(Bytes& bytes, std::size_t at, unsigned word) {
  bytes.at(at) = static_cast<std::uint8_t>(word >> 8);
  bytes.at(at + 1) = static_cast<std::uint8_t>(word);
}
inline Bytes word(unsigned value) {
  return {static_cast<std::uint8_t>(value >> 8), static_cast<std::uint8_t>(value)};
}

// Where fields lie in a frame: behind an untagged or a tagged Ethernet header.
inline constexpr std::size_t kUntagged = 14, kTagged = 18;
inline constexpr std::size_t kIpv4Checksum = 10;
inline constexpr std::size_t kTcpChecksumV4 = 20 + 16, kUdpChecksumV4 = 20 + 6, kIcmpChecksumV4 = 20 + 2;
inline constexpr std::size_t kTcpChecksumV6 = 40 + 16, kUdpChecksumV6 = 40 + 6;

}  // namespace weir::test
