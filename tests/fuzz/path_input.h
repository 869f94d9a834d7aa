// What path_fuzz reads: frames, each behind three bytes that say how to deliver it.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace weir::test {

// The first byte. The two others are the frame's length, low byte first; a length beyond the input's end means all
// that is left.
inline constexpr std::uint8_t kFixIpv4Checksum = 1;  // so that a changed header is read on
inline constexpr std::uint8_t kFixIcmp6Checksum = 2;
inline constexpr std::uint8_t kEndsBurst = 4;
inline constexpr std::uint8_t kExpire = 8;  // a whole scan after the burst
inline constexpr unsigned kTimeShift = 4;   // upper four bits n: 2^n - 1 seconds pass first

inline void append(std::vector<std::uint8_t>& input, std::uint8_t how, std::span<const std::uint8_t> frame) {
  input.push_back(how);
  input.push_back(static_cast<std::uint8_t>(frame.size()));
  input.push_back(static_cast<std::uint8_t>(frame.size() >> 8));
  input.insert(input.end(), frame.begin(), frame.end());
}

}  // namespace weir::test
