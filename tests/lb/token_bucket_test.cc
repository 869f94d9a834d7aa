#include "lb/token_bucket.h"

#include <gtest/gtest.h>

#include <atomic>
#include <random>
#include <thread>
#include <utility>
#include <vector>

namespace weir::lb {
namespace {

constexpr std::uint64_t kSecond = 1'000'000'000;

unsigned taken(TokenBucket& b, std::uint64_t now, unsigned tries) {
  unsigned n = 0;
  for (unsigned i = 0; i < tries; ++i) n += b.take(now);
  return n;
}

TEST(TokenBucket, StartsFullAndGivesTheBurstAtOnce) {
  TokenBucket b(1000, 50);
  EXPECT_EQ(taken(b, 0, 100), 50u);
}

TEST(TokenBucket, StartsFullWhateverTheClockSaysFirst) {
  for (const std::uint64_t start :
       {std::uint64_t{0}, std::uint64_t{1}, kSecond, 1'795'000'000 * kSecond, ~std::uint64_t{0}}) {
    TokenBucket b(1000, 50);
    EXPECT_EQ(taken(b, start, 100), 50u) << start;
  }
}

TEST(TokenBucket, RefillsAtItsRateToTheNanosecond) {
  TokenBucket b(1000, 10);
  ASSERT_EQ(taken(b, kSecond, 100), 10u);
  EXPECT_FALSE(b.take(kSecond + 999'999));
  EXPECT_TRUE(b.take(kSecond + 1'000'000));
  EXPECT_FALSE(b.take(kSecond + 1'999'999));
  EXPECT_TRUE(b.take(kSecond + 2'000'000));
}

TEST(TokenBucket, ASecondGivesOneSecondsWorth) {
  TokenBucket b(1000, 1000);
  ASSERT_EQ(taken(b, kSecond, 2000), 1000u);
  EXPECT_EQ(taken(b, 2 * kSecond, 2000), 1000u);
}

TEST(TokenBucket, NeverHoldsMoreThanItsBurst) {
  TokenBucket b(1000, 10);
  ASSERT_EQ(taken(b, 0, 10), 10u);
  EXPECT_EQ(taken(b, 3600 * kSecond, 100), 10u);
}

TEST(TokenBucket, IsFullAgainAfterAnySilenceHoweverLong) {
  // 2^64 ns / 1000 is 213 days: nanoseconds times rate must not wrap to nothing.
  constexpr std::uint64_t kWraps = ~std::uint64_t{0} / 1000 + 1;
  for (const std::uint64_t silence : {kSecond, 3600 * kSecond, kWraps, 2 * kWraps, 999 * kWraps, ~std::uint64_t{0}}) {
    TokenBucket b(1000, 1000);
    ASSERT_EQ(taken(b, 0, 1001), 1000u);
    EXPECT_EQ(taken(b, silence, 1001), 1000u) << silence;
  }
}

TEST(TokenBucket, OverAnyTimeGivesAtMostBurstPlusRateTimesTime) {
  std::mt19937_64 random(2);
  for (const std::uint64_t rate : {1u, 3u, 7u, 1000u, 999'983u}) {
    TokenBucket b(rate, 20);
    std::uint64_t now = random() % kSecond;
    const std::uint64_t start = now;
    std::uint64_t given = 0;
    for (int i = 0; i < 20'000; ++i) {
      now += random() % (2 * kSecond / rate);
      given += b.take(now);
    }
    const double most = 20 + static_cast<double>(now - start) / 1e9 * static_cast<double>(rate);
    EXPECT_LE(static_cast<double>(given), most + 1) << rate;
    EXPECT_GE(static_cast<double>(given), 0.9 * std::min(20'000.0, most)) << rate;
  }
}

// ---- shared ----

TEST(SharedTokenBucket, GivesWhatThePrivateOneGives) {
  std::mt19937 random(1);
  for (const auto& [rate, burst] :
       {std::pair<std::uint64_t, std::uint64_t>{1000, 1000}, {10, 3}, {1, 1}, {1'000'000, 5}}) {
    SharedTokenBucket shared(rate, burst);
    TokenBucket own(rate, burst);
    std::uint64_t now = 5'000'000'000;
    for (int i = 0; i < 20'000; ++i) {
      now += random() % 3 == 0 ? random() % (3'000'000'000 / rate) : 0;
      const std::uint64_t whole = now / (1'000'000'000 / rate) * (1'000'000'000 / rate);  // both count in whole tokens
      ASSERT_EQ(shared.take(whole), own.take(whole)) << i;
    }
  }
}

TEST(SharedTokenBucket, GivesThreadsTogetherWhatItHas) {
  SharedTokenBucket bucket(1000, 1000);
  std::atomic<int> given{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      for (int i = 0; i < 1000; ++i) given += bucket.take(7'000'000'000);
    });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(given, 1000);
  EXPECT_FALSE(bucket.take(7'000'999'999));
  EXPECT_TRUE(bucket.take(7'001'000'000));
}

}  // namespace
}  // namespace weir::lb
