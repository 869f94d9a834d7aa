// A token bucket for the packets that Weir itself makes. Time is passed in.
#pragma once

#include <algorithm>
#include <cstdint>

namespace weir::lb {

class TokenBucket {
 public:
  /// Both at least 1; burst at most 2^32, so that no product below overflows.
  constexpr TokenBucket(std::uint64_t per_second, std::uint64_t burst) noexcept
      : per_second_(per_second), burst_(burst), fill_ns_(burst * kSecond / per_second), tokens_(burst) {}

  /// `now_ns` never goes back. False: over the rate.
  [[nodiscard]] constexpr bool take(std::uint64_t now_ns) noexcept {
    const std::uint64_t silence = now_ns - last_ns_;
    if (silence > fill_ns_) {
      tokens_ = burst_;
      last_ns_ = now_ns;
    } else if (const std::uint64_t due = silence * per_second_ / kSecond; due > 0) {
      tokens_ = std::min(burst_, tokens_ + due);
      last_ns_ = tokens_ == burst_ ? now_ns : last_ns_ + due * kSecond / per_second_;
    }
    if (tokens_ == 0) return false;
    --tokens_;
    return true;
  }

 private:
  static constexpr std::uint64_t kSecond = 1'000'000'000;
  std::uint64_t per_second_, burst_, fill_ns_, tokens_;
  std::uint64_t last_ns_ = 0;
};

}  // namespace weir::lb
