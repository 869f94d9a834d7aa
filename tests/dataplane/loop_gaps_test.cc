#include "dataplane/loop_gaps.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <time.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "dataplane/step_clock.h"

namespace weir::dataplane {
namespace {

using Cause = LoopGaps::Cause;

TEST(LoopGaps, CountByPowersOfTwoAndByCause) {
  LoopGaps gaps;
  gaps.record(0, Cause::kOwn);
  gaps.record(1, Cause::kOwn);
  gaps.record(2, Cause::kOwn);
  gaps.record(1023, Cause::kOwn);
  gaps.record(1024, Cause::kOwn);
  gaps.record(5'000'000, Cause::kPreempted);
  gaps.record(~std::uint64_t{0}, Cause::kUnknown);
  EXPECT_EQ(gaps.loops(Cause::kOwn, 0), 2u);
  EXPECT_EQ(gaps.loops(Cause::kOwn, 1), 1u);
  EXPECT_EQ(gaps.loops(Cause::kOwn, 9), 1u);
  EXPECT_EQ(gaps.loops(Cause::kOwn, 10), 1u);
  EXPECT_EQ(gaps.loops(Cause::kPreempted, 22), 1u);
  EXPECT_EQ(gaps.loops(Cause::kUnknown, LoopGaps::kBuckets - 1), 1u);
  EXPECT_EQ(gaps.longest_ns(Cause::kOwn), 1024u);
  EXPECT_EQ(gaps.longest_ns(Cause::kPreempted), 5'000'000u);
}

std::uint64_t now_ns() {
  return static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
}

// Two threads that spin on one core: the scheduler takes it from each in turn, for milliseconds, and a thread that
// watches its clock knows those intervals from its own.
TEST(PreemptionWatch, SeesThatTheCoreWasTaken) {
  cpu_set_t before, one;
  ASSERT_EQ(sched_getaffinity(0, sizeof before, &before), 0);
  CPU_ZERO(&one);
  for (unsigned core = 0; core < CPU_SETSIZE && CPU_COUNT(&one) == 0; ++core)
    if (CPU_ISSET(core, &before)) CPU_SET(core, &one);
  ASSERT_EQ(sched_setaffinity(0, sizeof one, &one), 0);
  std::atomic<bool> is_over{false};
  std::thread rival([&] {
    while (!is_over.load(std::memory_order_relaxed)) continue;
  });

  LoopGaps gaps;
  bool can_tell = false;
  {
    PreemptionWatch watch;
    can_tell = watch.can_tell();
    std::uint64_t last = now_ns();
    for (const std::uint64_t end = last + 1'000'000'000; last < end;) {
      const std::uint64_t now = now_ns();
      gaps.record(now - last, watch.was_preempted() ? Cause::kPreempted : Cause::kOwn);
      last = now;
    }
  }
  is_over = true;
  rival.join();
  sched_setaffinity(0, sizeof before, &before);
  if (!can_tell) GTEST_SKIP() << "this kernel or C library registers no rseq area";

  std::uint64_t preempted = 0, own = 0;
  for (std::size_t b = 0; b < LoopGaps::kBuckets; ++b) {
    if (b >= 19) preempted += gaps.loops(Cause::kPreempted, b);  // half a millisecond and more
    own += gaps.loops(Cause::kOwn, b);
  }
  EXPECT_GT(preempted, 3u) << "in a second that two threads shared";
  EXPECT_GT(own, 100'000u);
  EXPECT_GT(gaps.longest_ns(Cause::kPreempted), 1'000'000u);
}

TEST(PreemptionWatch, SaysNoWhereNothingHappened) {
  PreemptionWatch watch;
  if (!watch.can_tell()) GTEST_SKIP() << "this kernel or C library registers no rseq area";
  int yes = 0;
  for (int i = 0; i < 10'000; ++i) yes += watch.was_preempted();
  EXPECT_LT(yes, 1000);
}

TEST(PreemptionWatch, CountsASleepAsTaken) {
  PreemptionWatch watch;
  if (!watch.can_tell()) GTEST_SKIP() << "this kernel or C library registers no rseq area";
  const timespec nap{0, 1'000'000};
  nanosleep(&nap, nullptr);
  EXPECT_TRUE(watch.was_preempted());
}

TEST(StepClock, TimesOneBurstIn64AndCountsItUnlessThereWasAPreemption) {
  StepClock clock;
  std::uint64_t laps = 0;
  for (int burst = 0; burst < 640; ++burst) {
    clock.arm();
    clock.arm();  // an empty poll in between
    clock.begin(10);
    laps += clock.is_timing();
    if (clock.is_timing()) {
      const auto until = std::chrono::steady_clock::now() + std::chrono::microseconds(100);
      while (std::chrono::steady_clock::now() < until) continue;
    }
    clock.lap(Step::kParse);
    clock.lap(Step::kAdmit);
    clock.settle(burst < 400);  // from then on the thread is preempted in each
  }
  EXPECT_EQ(laps, 10u);
  EXPECT_EQ(clock.timed_packets(), 70u);
  // 100 us a timed burst of 10 packets: 10,000 ns a packet at least, whatever the TSC's rate is.
  EXPECT_GT(clock.ns(Step::kParse, 10'000'000'000), 900);
  EXPECT_LT(clock.ns(Step::kAdmit, 1'000'000'000) * 100, clock.ns(Step::kParse, 1'000'000'000));
  EXPECT_EQ(clock.ns(Step::kRewrite, 1'000'000'000), 0);
}

}  // namespace
}  // namespace weir::dataplane
