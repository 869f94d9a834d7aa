// Token buckets for the packets that Weir itself makes. Time is passed in.
#pragma once

#include <algorithm>
#include <atomic>
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

/// The same for several threads, without a lock: one word says until when the tokens are spent (the "theoretical
/// arrival time" of ITU-T I.371's generic cell rate algorithm), and a token costs one compare-and-swap. An empty bucket
/// is only read, so a flood of what is refused does not make threads fight for it.
class alignas(64) SharedTokenBucket {
 public:
  /// Both at least 1.
  constexpr SharedTokenBucket(std::uint64_t per_second, std::uint64_t burst) noexcept
      : interval_ns_(1'000'000'000 / per_second), tolerance_ns_((burst - 1) * interval_ns_) {}

  /// Threads' clocks may differ by a little. False: over the rate.
  [[nodiscard]] bool take(std::uint64_t now_ns) noexcept {
    std::uint64_t spent_until = spent_until_ns_.load(std::memory_order_relaxed);
    for (;;) {
      const std::uint64_t from = std::max(spent_until, now_ns);
      if (from - now_ns > tolerance_ns_) return false;
      if (spent_until_ns_.compare_exchange_weak(spent_until, from + interval_ns_, std::memory_order_relaxed))
        return true;
    }
  }

 private:
  std::uint64_t interval_ns_, tolerance_ns_;
  std::atomic<std::uint64_t> spent_until_ns_{0};
};

}  // namespace weir::lb
