// How long a worker's loops take, and whose doing a long one is: Weir's, or of a scheduler that gave the core to
// somebody else for a while.
//
// The kernel tells the second without a system call, through the thread's rseq area (which glibc registers): when a
// thread that points `rseq_cs` at a critical section is preempted outside that section, the kernel clears the pointer.
// So the worker points it at a section that it never enters, and looks each loop whether the pointer is still there.
// What no thread can see, a hypervisor that takes the whole processor away or an interrupt that takes its time, counts
// as Weir's own.
#pragma once

#include <sys/rseq.h>

#include <array>
#include <bit>
#include <cstdint>

#include "lb/counter.h"

namespace weir::dataplane {

/// Of the thread that makes it, and used by that thread alone.
class PreemptionWatch {
 public:
  PreemptionWatch() noexcept {
    if (__rseq_size == 0) return;
    auto* area = reinterpret_cast<volatile rseq*>(static_cast<char*>(__builtin_thread_pointer()) + __rseq_offset);
    if (static_cast<std::int32_t>(area->cpu_id) < 0) return;  // RSEQ_CPU_ID_REGISTRATION_FAILED
    area_ = area;
    arm();
  }
  ~PreemptionWatch() {
    if (area_ != nullptr) area_->rseq_cs = 0;
  }
  PreemptionWatch(const PreemptionWatch&) = delete;
  PreemptionWatch& operator=(const PreemptionWatch&) = delete;

  /// False: this kernel or this C library does not tell.
  [[nodiscard]] bool can_tell() const noexcept { return area_ != nullptr; }
  /// Was the thread preempted since the last call? Call it right after the clock is read: a preemption in between
  /// lengthens the next interval, so the next answer is yes as well.
  [[nodiscard]] bool was_preempted() noexcept {
    const bool is_cleared = area_ != nullptr && area_->rseq_cs == 0;
    if (is_cleared) arm();
    const bool answer = is_cleared || was_cleared_;
    was_cleared_ = is_cleared;
    return answer;
  }

 private:
  // Never run: one byte long, and data. The kernel reads the signature in front of the abort address.
  struct alignas(32) Section {
    rseq_cs descriptor{};
    std::uint32_t signature = RSEQ_SIG;
    std::uint32_t abort = 0;
    Section() noexcept {
      descriptor.start_ip = reinterpret_cast<std::uintptr_t>(this);
      descriptor.post_commit_offset = 1;
      descriptor.abort_ip = reinterpret_cast<std::uintptr_t>(&abort);
    }
  };
  static inline const Section section_;

  void arm() noexcept { area_->rseq_cs = reinterpret_cast<std::uintptr_t>(&section_.descriptor); }

  volatile rseq* area_ = nullptr;
  bool was_cleared_ = false;
};

/// A histogram by powers of two. written: the worker; read: control.
class LoopGaps {
 public:
  enum class Cause : std::uint8_t { kOwn, kPreempted, kUnknown };
  static constexpr std::size_t kCauses = 3;
  static constexpr std::size_t kBuckets = 40;  // the last one: 2^39 ns, 9 minutes, and above

  void record(std::uint64_t ns, Cause cause) noexcept {
    Kind& kind = kinds_[static_cast<std::size_t>(cause)];
    const auto bucket = static_cast<std::size_t>(std::bit_width(ns | 1) - 1);
    kind.loops[bucket < kBuckets ? bucket : kBuckets - 1].add();
    if (ns > kind.longest_ns.get()) kind.longest_ns.set(ns);
  }

  /// Loops that took 2^bucket ns or more, and less than twice that.
  [[nodiscard]] std::uint64_t loops(Cause cause, std::size_t bucket) const noexcept {
    return kinds_[static_cast<std::size_t>(cause)].loops[bucket].get();
  }
  [[nodiscard]] std::uint64_t longest_ns(Cause cause) const noexcept {
    return kinds_[static_cast<std::size_t>(cause)].longest_ns.get();
  }

 private:
  struct Kind {
    std::array<lb::Counter, kBuckets> loops;
    lb::Counter longest_ns;
  };
  std::array<Kind, kCauses> kinds_;
};

}  // namespace weir::dataplane
