#include "dataplane/frame_ring.h"

#include <gtest/gtest.h>

#include <random>
#include <thread>
#include <vector>

namespace weir::dataplane {
namespace {

struct Meta {
  std::uint64_t number;
  std::uint16_t kind;
};
using Ring = FrameRing<Meta>;
constexpr std::size_t kBytes = std::size_t{1} << 16;

// Bytes that say which frame they belong to.
std::vector<std::uint8_t> frame_of(std::uint64_t number, std::size_t length) {
  std::vector<std::uint8_t> f(length);
  for (std::size_t i = 0; i < length; ++i) f[i] = static_cast<std::uint8_t>(number * 31 + i);
  return f;
}

TEST(FrameRing, GivesFramesInOrderWithWhatGoesWithThem) {
  auto ring = *Ring::create(kBytes, "a ring");
  EXPECT_TRUE(ring->is_empty());
  for (std::uint64_t n = 0; n < 3; ++n)
    ASSERT_TRUE(ring->push({n, static_cast<std::uint16_t>(n + 7)}, frame_of(n, n * 60)));
  EXPECT_FALSE(ring->is_empty());

  std::uint64_t expected = 0;
  const auto check = [&](const Meta& meta, std::span<const std::uint8_t> frame) {
    EXPECT_EQ(meta.number, expected);
    EXPECT_EQ(meta.kind, expected + 7);
    EXPECT_EQ(std::vector(frame.begin(), frame.end()), frame_of(expected, expected * 60));
    ++expected;
  };
  EXPECT_EQ(ring->pop(2, check), 2u);
  EXPECT_EQ(ring->pop(9, check), 1u);
  EXPECT_EQ(ring->pop(9, check), 0u);
  EXPECT_TRUE(ring->is_empty());
}

TEST(FrameRing, RefusesWhatDoesNotFitAndGoesOn) {
  auto ring = *Ring::create(kBytes, "a ring");
  std::uint64_t pushed = 0;
  while (ring->push({pushed, 0}, frame_of(pushed, 1500))) ++pushed;
  EXPECT_GT(pushed, 40u);
  EXPECT_LT(pushed, kBytes / 1500);
  EXPECT_FALSE(ring->push({pushed, 0}, frame_of(pushed, 1500)));
  EXPECT_EQ(ring->pop(1, [](const Meta& m, auto) { EXPECT_EQ(m.number, 0u); }), 1u);
  EXPECT_TRUE(ring->push({pushed, 0}, frame_of(pushed, 1400))) << "what was taken makes room";
}

TEST(FrameRing, SaysWhetherHalfOfItIsFree) {
  auto ring = *Ring::create(kBytes, "a ring");
  std::size_t taken = 0;
  for (; ring->is_half_free(); ++taken) ASSERT_TRUE(ring->push({taken, 0}, frame_of(taken, 1000)));
  EXPECT_GE(taken, kBytes / 2 / 1040);
  EXPECT_LE(taken, kBytes / 2 / 1000 + 1);
  EXPECT_TRUE(ring->push({taken, 0}, frame_of(taken, 1000))) << "the other half is for others";
  EXPECT_EQ(ring->pop(2, [](const Meta&, auto) {}), 2u);
  EXPECT_TRUE(ring->is_half_free()) << "as of now, not of the last look";
}

// Lengths of every kind against the ring's end, with a slow consumer and a fast one.
TEST(FrameRing, TwoThreadsLoseAndMixUpNothing) {
  auto ring = *Ring::create(kBytes, "a ring");
  constexpr std::uint64_t kFrames = 200'000;
  std::thread producer([&] {
    std::mt19937 random(7);
    for (std::uint64_t n = 0; n < kFrames;) {
      const auto f = frame_of(n, random() % 10 == 0 ? random() % 9000 : random() % 128);
      while (!ring->push({n, static_cast<std::uint16_t>(f.size())}, f)) std::this_thread::yield();
      ++n;
    }
  });
  std::uint64_t next = 0, wrong = 0;
  while (next < kFrames) {
    const std::size_t taken = ring->pop(32, [&](const Meta& m, std::span<const std::uint8_t> f) {
      wrong += m.number != next || m.kind != f.size() || !std::ranges::equal(f, frame_of(next, f.size()));
      ++next;
    });
    if (taken == 0) std::this_thread::yield();
  }
  producer.join();
  EXPECT_EQ(wrong, 0u);
  EXPECT_TRUE(ring->is_empty());
}

}  // namespace
}  // namespace weir::dataplane
