#include "lb/chunked.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <string>

namespace weir::lb {
namespace {

Chunked<int> numbers(std::size_t count) {
  ChunkedBuilder<int> builder;
  for (std::size_t i = 0; i < count; ++i) builder.set(i, static_cast<int>(i));
  return builder.freeze();
}

TEST(Chunked, HoldsWhatWasSet) {
  const auto array = numbers(1000);
  ASSERT_EQ(array.size(), 1000u);
  EXPECT_EQ(array.chunk_count(), 4u);
  for (std::size_t i = 0; i < 1000; ++i) EXPECT_EQ(array[i], static_cast<int>(i));
  EXPECT_TRUE(Chunked<int>().empty());
}

TEST(Chunked, SharesEveryChunkThatWasNotTouched) {
  const auto before = numbers(1000);
  ChunkedBuilder<int> builder(before);
  builder.set(300, -1);
  builder.set(301, -2);
  const auto after = builder.freeze();
  EXPECT_EQ(after.chunk(0), before.chunk(0));
  EXPECT_NE(after.chunk(1), before.chunk(1));
  EXPECT_EQ(after.chunk(2), before.chunk(2));
  EXPECT_EQ(after.chunk(3), before.chunk(3));
  EXPECT_EQ(after[300], -1);
  EXPECT_EQ(after[301], -2);
  EXPECT_EQ(after[299], 299);
  EXPECT_EQ(before[300], 300) << "the older generation is as it was";
}

TEST(Chunked, OutlivesTheGenerationsItSharesWith) {
  auto oldest = std::make_unique<Chunked<std::string>>();
  {
    ChunkedBuilder<std::string> builder;
    builder.set(600, "kept by the last that shares it");
    *oldest = builder.freeze();
  }
  ChunkedBuilder<std::string> builder(*oldest);
  builder.set(0, "new");
  const auto newest = builder.freeze();
  oldest.reset();
  EXPECT_EQ(newest[600], "kept by the last that shares it");
  EXPECT_EQ(newest[0], "new");
}

TEST(Chunked, IsOutOfItsBuildersReachOnceFrozen) {
  ChunkedBuilder<int> builder;
  builder.set(0, 1);
  const auto frozen = builder.freeze();
  EXPECT_EQ(builder.size(), 0u);
  builder.set(0, 2);
  EXPECT_EQ(frozen[0], 1);
  EXPECT_EQ(builder[0], 2);
}

TEST(Chunked, GrowsWithDefaultsAndForgetsWhatWasCutOff) {
  ChunkedBuilder<int> builder(numbers(300));
  builder.set(1000, 7);
  EXPECT_EQ(builder[299], 299);
  EXPECT_EQ(builder[300], 0);
  EXPECT_EQ(builder[999], 0);
  builder.resize(290);
  builder.resize(300);
  const auto array = builder.freeze();
  EXPECT_EQ(array.size(), 300u);
  EXPECT_EQ(array.chunk_count(), 2u);
  EXPECT_EQ(array[289], 289);
  EXPECT_EQ(array[290], 0);
}

TEST(Chunked, AgreesWithPlainArraysOverManyGenerations) {
  std::mt19937 random(1);
  std::vector<std::pair<Chunked<int, 8>, std::vector<int>>> generations(1);
  for (int g = 0; g < 300; ++g) {
    ChunkedBuilder<int, 8> builder(generations.back().first);
    std::vector<int> plain = generations.back().second;
    for (auto change = random() % 6; change > 0; --change) {
      if (random() % 8 == 0) {
        const std::size_t size = random() % 100;
        builder.resize(size), plain.resize(size);
        continue;
      }
      const std::size_t i = random() % (plain.size() + 3);
      const int value = static_cast<int>(random());
      if (i >= plain.size()) plain.resize(i + 1);
      builder.set(i, value), plain[i] = value;
    }
    generations.emplace_back(builder.freeze(), std::move(plain));
    if (generations.size() > 20) generations.erase(generations.begin());
    for (const auto& [chunked, expected] : generations) {
      ASSERT_EQ(chunked.size(), expected.size());
      for (std::size_t i = 0; i < expected.size(); ++i) ASSERT_EQ(chunked[i], expected[i]);
    }
  }
}

}  // namespace
}  // namespace weir::lb
