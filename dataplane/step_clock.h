// What each step of the packet's walk costs: one burst in 64 is timed by the TSC, between the ends of its steps. In the
// others the clock is one test of a flag at each end, which the bench does not see.
//
// Sums since start, over the timed bursts: a step's nanoseconds a packet count every packet of those bursts, whether it
// took the step or not, so the steps add up to what a packet costs. What reading the TSC itself costs (10 ns in a
// virtual machine) is measured once and taken off.
//
// written: the worker; read: control.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <string_view>

#include "lb/counter.h"

namespace weir::dataplane {

// clang-format off
#define WEIR_STEPS(X)                                                              \
  X(kReceive, "receive") X(kParse, "parse") X(kMatchVip, "match_vip") X(kMatchEndpoint, "match_endpoint") \
  X(kSteer, "steer") X(kFindFlow, "find_flow") X(kAdmit, "admit") X(kRewrite, "rewrite") X(kTransmit, "transmit") \
  X(kSideExit, "side_exit")
// clang-format on

#define WEIR_ENUMERATOR(symbol, name) symbol,
#define WEIR_NAME(symbol, name) std::string_view(name),
enum class Step : std::uint8_t { WEIR_STEPS(WEIR_ENUMERATOR) };
inline constexpr auto kStepNames = std::to_array({WEIR_STEPS(WEIR_NAME)});
#undef WEIR_ENUMERATOR
#undef WEIR_NAME

class StepClock {
 public:
  static constexpr std::uint32_t kOneBurstIn = 64;

  StepClock() noexcept : cost_(cost_of_reading()) {}

  /// A burst is about to be received. Asked again before begin(), it begins anew.
  void arm() noexcept {
    is_on_ = bursts_ % kOneBurstIn == 0;
    if (is_on_) [[unlikely]]
      last_ = read();
  }
  /// The burst that was received.
  void begin(std::size_t packets) noexcept {
    ++bursts_;
    if (is_on_) [[unlikely]]
      pending_packets_ += packets;
  }
  [[nodiscard]] bool is_timing() const noexcept { return is_on_; }
  /// The step ends here, and the next begins.
  void lap(Step step) noexcept {
    if (is_on_) [[unlikely]]
      add(step);
  }

  /// What was timed since the last call counts; or, if the thread was preempted meanwhile, does not. Once a loop.
  void settle(bool counts) noexcept {
    if (pending_packets_ == 0) return;
    if (counts) {
      packets_.add(pending_packets_);
      for (std::size_t i = 0; i < ticks_.size(); ++i) ticks_[i].add(pending_ticks_[i]);
    }
    pending_packets_ = 0;
    pending_ticks_ = {};
  }

  /// Nanoseconds a packet, for each step; 0 where nothing was timed yet. `tsc_hz`: ticks a second.
  [[nodiscard]] double ns(Step step, std::uint64_t tsc_hz) const noexcept {
    const std::uint64_t packets = packets_.get();
    if (packets == 0) return 0;
    return static_cast<double>(ticks_[static_cast<std::size_t>(step)].get()) * 1e9 / static_cast<double>(tsc_hz) /
           static_cast<double>(packets);
  }
  [[nodiscard]] std::uint64_t timed_packets() const noexcept { return packets_.get(); }

 private:
  static std::uint64_t read() noexcept { return __builtin_ia32_rdtsc(); }

  static std::uint64_t cost_of_reading() noexcept {
    std::array<std::uint64_t, 15> ticks;
    for (std::uint64_t& t : ticks) {
      const std::uint64_t begin = read();
      t = read() - begin;
    }
    std::ranges::sort(ticks);
    return ticks[ticks.size() / 2];
  }

  [[gnu::noinline]] void add(Step step) noexcept {
    const std::uint64_t now = read();
    const std::uint64_t passed = now - last_;
    pending_ticks_[static_cast<std::size_t>(step)] += passed > cost_ ? passed - cost_ : 0;
    last_ = read();
  }

  bool is_on_ = false;
  std::uint32_t bursts_ = 0;
  std::uint64_t cost_, last_ = 0;
  std::uint64_t pending_packets_ = 0;
  std::array<std::uint64_t, kStepNames.size()> pending_ticks_{};
  lb::Counter packets_;
  std::array<lb::Counter, kStepNames.size()> ticks_;
};

}  // namespace weir::dataplane
