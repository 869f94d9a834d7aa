#include "lb/maglev.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <utility>

namespace weir::lb {
namespace {

MaglevMember member(std::uint32_t n, std::uint16_t weight = 1) {
  return {Address::v4(be32::from_host(0x0a000000 + n)), static_cast<std::uint16_t>(8000 + n % 7), weight};
}

std::vector<MaglevMember> members(std::uint32_t count, std::uint16_t weight = 1) {
  std::vector<MaglevMember> all;
  for (std::uint32_t n = 1; n <= count; ++n) all.push_back(member(n, weight));
  return all;
}

std::vector<MaglevMember> mixed_members(std::uint32_t count, std::uint16_t greatest, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  auto all = members(count);
  for (auto& m : all) m.weight = static_cast<std::uint16_t>(1 + random() % greatest);
  return all;
}

std::vector<std::size_t> entries_per_member(const MaglevTable& table, std::size_t count) {
  std::vector<std::size_t> counts(count);
  for (const std::uint16_t i : table.entries()) ++counts.at(i);
  return counts;
}

/// The rule as its sentence says it: whoever's next turn comes first claims the next free entry of its permutation.
/// The permutation is written down beforehand, in whole.
MaglevTable slow_maglev(std::span<const MaglevMember> all, std::uint32_t size) {
  struct State {
    std::size_t position;
    std::vector<std::uint32_t> permutation;
    std::size_t at = 0;
    std::uint64_t turn = 1;
  };
  constexpr HashKey kKey{0x77656972206d6167ULL, 0x6c6576207065726dULL};
  std::vector<State> states;
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (all[i].weight == 0) continue;
    std::uint64_t w[2];
    std::memcpy(w, all[i].address.bytes.data(), 16);
    const std::uint64_t port = all[i].port;
    const std::uint64_t offset = (sip_hash(kKey, w[0], w[1], port) >> 32) * size >> 32;
    const std::uint64_t skip = ((sip_hash(kKey, w[0], w[1], port + 65536) >> 32) * (size - 1) >> 32) + 1;
    State s{i, {}};
    for (std::uint64_t j = 0; j < size; ++j)
      s.permutation.push_back(static_cast<std::uint32_t>((offset + j * skip) % size));
    states.push_back(std::move(s));
  }
  if (states.empty()) return {};
  std::vector<std::uint16_t> entries(size);
  std::vector<char> taken(size);
  for (std::uint32_t filled = 0; filled < size; ++filled) {
    State* first = nullptr;
    for (State& s : states) {
      if (first == nullptr) {
        first = &s;
        continue;
      }
      const MaglevMember &a = all[s.position], &b = all[first->position];
      const std::uint64_t left = s.turn * b.weight, right = first->turn * a.weight;
      if (left < right || (left == right && std::pair(a.address, a.port) < std::pair(b.address, b.port))) first = &s;
    }
    while (taken[first->permutation[first->at]]) ++first->at;
    taken[first->permutation[first->at]] = 1;
    entries[first->permutation[first->at]] = static_cast<std::uint16_t>(first->position);
    ++first->turn;
  }
  return MaglevTable(std::move(entries));
}

TEST(Maglev, EqualsTheSlowRule) {
  for (const std::uint32_t size : {2u, 3u, 7u, 251u, 4099u})
    for (const std::uint32_t count : {1u, 2u, 3u, 10u, 40u}) {
      EXPECT_EQ(build_maglev(members(count), size), slow_maglev(members(count), size)) << count << " in " << size;
      for (const std::uint16_t greatest : {std::uint16_t{2}, std::uint16_t{100}, std::uint16_t{65535}}) {
        auto all = mixed_members(count, greatest, size + count);
        EXPECT_EQ(build_maglev(all, size), slow_maglev(all, size)) << count << " mixed in " << size;
        all[count / 2].weight = 0;
        EXPECT_EQ(build_maglev(all, size), slow_maglev(all, size)) << count << " mixed, one draining, in " << size;
      }
    }
}

// A change here moves every flow of every installation between two versions: it needs a release note.
TEST(Maglev, BuildsTheSameTableInEveryVersion) {
  const MaglevTable table = build_maglev(mixed_members(50, 100, 1), 65537);
  std::uint64_t hash = 0;
  for (const std::uint16_t i : table.entries()) hash = sip_hash(HashKey{}, hash, std::uint64_t{i});
  EXPECT_EQ(hash, 7500687652250977214u);
}

TEST(Maglev, LeavesNoEntryToADrainingMemberAndNoneEmpty) {
  auto all = members(100);
  for (std::size_t i = 0; i < 100; i += 3) all[i].weight = 0;
  const MaglevTable table = build_maglev(all, 65537);
  ASSERT_EQ(table.size(), 65537u);
  const auto counts = entries_per_member(table, 100);
  for (std::size_t i = 0; i < 100; ++i) EXPECT_EQ(counts[i] == 0, i % 3 == 0) << i;
}

TEST(Maglev, IsEmptyWithoutAWeight) {
  EXPECT_TRUE(build_maglev({}, 4099).empty());
  EXPECT_TRUE(build_maglev(members(3, 0), 4099).empty());
  EXPECT_FALSE(build_maglev(members(1), 4099).empty());
}

TEST(Maglev, GivesOneMemberEverything) {
  auto all = members(3, 0);
  all[1].weight = 65535;
  EXPECT_TRUE(std::ranges::all_of(build_maglev(all, 4099).entries(), [](std::uint16_t i) { return i == 1; }));
}

TEST(Maglev, GivesEachMemberItsShare) {
  struct {
    std::uint32_t count;
    std::uint16_t greatest;
    std::uint32_t size;
  } cases[] = {{3, 1, 4099},      {40, 1, 4099}, {41, 1, 65537}, {100, 1, 65537},  {650, 1, 65537},
               {1000, 1, 655373}, {3, 5, 4099},  {20, 3, 65537}, {100, 10, 655373}};
  for (const auto& c : cases) {
    const auto all = mixed_members(c.count, c.greatest, 9);
    double total = 0;
    for (const auto& m : all) total += m.weight;
    const auto counts = entries_per_member(build_maglev(all, c.size), c.count);
    for (std::size_t i = 0; i < c.count; ++i) {
      const double fair = all[i].weight / total * c.size;
      EXPECT_NEAR(static_cast<double>(counts[i]), fair, std::max(0.015 * fair, 1.0))
          << "weight " << all[i].weight << " of " << total << " in " << c.size;
    }
  }
}

TEST(Maglev, HoldsExtremeWeights) {
  const MaglevMember light = member(1, 1), heavy = member(2, 65535);
  const std::vector<MaglevMember> two{light, heavy};
  EXPECT_EQ(entries_per_member(build_maglev(two, 655373), 2)[0], 10u);  // 655,373 / 65,536 = 10.0003
  EXPECT_LE(entries_per_member(build_maglev(two, 4099), 2)[0], 1u);
  const auto equal = build_maglev(members(1000, 65535), 65537);
  EXPECT_EQ(equal, build_maglev(members(1000, 1), 65537)) << "equal weights are equal, whatever they are";
}

TEST(Maglev, DoesNotDependOnTheOrderOfItsMembers) {
  std::mt19937_64 random(6);
  for (const std::uint16_t greatest : {std::uint16_t{1}, std::uint16_t{50}}) {
    auto all = mixed_members(60, greatest, 3);
    const MaglevTable before = build_maglev(all, 65537);
    const auto original = all;
    for (int i = 0; i < 3; ++i) {
      std::ranges::shuffle(all, random);
      const MaglevTable after = build_maglev(all, 65537);
      for (std::size_t e = 0; e < 65537; ++e) ASSERT_EQ(original[before.entries()[e]], all[after.entries()[e]]);
    }
  }
}

TEST(Maglev, TellsPortsOnOneAddressApart) {
  std::vector<MaglevMember> all;
  for (std::uint16_t port = 1; port <= 8; ++port) all.push_back({*parse_address("fd00::1"), port, 1});
  for (const std::size_t n : entries_per_member(build_maglev(all, 4099), 8))
    EXPECT_NEAR(static_cast<double>(n), 512, 1);
}

/// Entries that changed hands although neither the old nor the new owner is `concerned`, of all.
double moved_elsewhere(const MaglevTable& a, const MaglevTable& b, std::uint16_t concerned) {
  std::size_t moved = 0;
  for (std::size_t e = 0; e < a.size(); ++e)
    if (a.entries()[e] != b.entries()[e] && a.entries()[e] != concerned && b.entries()[e] != concerned) ++moved;
  return static_cast<double>(moved) / a.size();
}

TEST(Maglev, RemovingOneOfAHundredMovesUnderOnePercentOfTheOthersEntries) {
  for (const std::uint16_t greatest : {std::uint16_t{1}, std::uint16_t{4}}) {
    auto all = mixed_members(100, greatest, 11);
    const MaglevTable before = build_maglev(all, 65537);
    double worst = 0;
    for (std::uint16_t gone = 0; gone < 100; gone += 7) {
      const std::uint16_t weight = std::exchange(all[gone].weight, std::uint16_t{0});
      worst = std::max(worst, moved_elsewhere(before, build_maglev(all, 65537), gone));
      all[gone].weight = weight;
    }
    EXPECT_LT(worst, 0.01);
    RecordProperty("worst_" + std::to_string(greatest), std::to_string(worst));
  }
}

TEST(Maglev, DrainingIsRemoving) {
  auto all = members(10);
  auto without = all;
  without.pop_back();
  all.back().weight = 0;
  EXPECT_EQ(build_maglev(all, 4099), build_maglev(without, 4099));
}

TEST(Maglev, NudgingOneWeightMovesNextToNothing) {
  for (const std::uint16_t at : {std::uint16_t{0}, std::uint16_t{50}, std::uint16_t{99}}) {
    auto all = members(100, 100);
    const MaglevTable before = build_maglev(all, 65537);
    all[at].weight = 101;  // also the new greatest
    const MaglevTable after = build_maglev(all, 65537);
    std::size_t moved = 0;
    for (std::size_t e = 0; e < 65537; ++e) moved += before.entries()[e] != after.entries()[e];
    EXPECT_LT(moved, 65537 * 0.002) << moved;
    RecordProperty("moved_" + std::to_string(at), std::to_string(moved));
  }
}

TEST(Maglev, SizeFollowsTheNumberOfListedBackends) {
  EXPECT_EQ(default_maglev_size(0), 4099u);
  EXPECT_EQ(default_maglev_size(40), 4099u);
  EXPECT_EQ(default_maglev_size(41), 65537u);
  EXPECT_EQ(default_maglev_size(650), 65537u);
  EXPECT_EQ(default_maglev_size(651), 655373u);
  EXPECT_EQ(default_maglev_size(100'000), 655373u);
}

TEST(Maglev, LooksUpOverAllEntries) {
  const MaglevTable table = build_maglev(members(40), 4099);
  EXPECT_EQ(table.lookup(0), table.entries().front());
  EXPECT_EQ(table.lookup(~0ULL), table.entries().back());
  std::map<std::uint16_t, int> hits;
  for (std::uint64_t i = 0; i < 400'000; ++i) ++hits[table.lookup(sip_hash(kPublicHashKey, i))];
  ASSERT_EQ(hits.size(), 40u);
  for (const auto& [position, n] : hits) EXPECT_NEAR(n, 10'000, 600) << position;
}

TEST(IsPrime, KnowsSmallOnesAndTheSquares) {
  for (const std::uint32_t p : {2u, 3u, 5u, 251u, 4099u, 65537u, 655373u, 4294967291u}) EXPECT_TRUE(is_prime(p)) << p;
  for (const std::uint32_t n : {0u, 1u, 4u, 9u, 25u, 4097u, 65536u, 65535u, 4294967295u})
    EXPECT_FALSE(is_prime(n)) << n;
}

}  // namespace
}  // namespace weir::lb
