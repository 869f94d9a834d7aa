#include "dataplane/flow_table.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>
#include <vector>

#include "tests/dataplane/flow_model.h"

namespace weir::dataplane {
namespace {

using lb::Address;
using lb::be16;
using lb::be32;
using lb::Direction;
using lb::EndpointId;
using lb::FlowState;
using lb::Tick;
using lb::VipId;
using Inserted = FlowTable::Inserted;

constexpr lb::HashKey kKey{0x1122334455667788, 0x99aabbccddeeff00};
constexpr lb::Timeouts kTimeouts{.tcp_new = 60, .tcp_established = 7440, .tcp_closing = 240, .udp_new = 30, .udp = 300};
const FlowState kConfirmed =
    FlowState::opened(false).after(Direction::kReply, lb::kTcpAck, 0).after(Direction::kForward, lb::kTcpAck, 0);

FlowTable table(std::uint32_t capacity, std::uint32_t wide, lb::HashKey key = kKey) {
  auto t = FlowTable::create({capacity, wide}, key);
  EXPECT_TRUE(t.has_value());
  return std::move(*t);
}

Flow flow(std::uint32_t client, std::uint32_t vip = 1, std::uint16_t client_port = 40000) {
  Flow f;
  f.client = Address::v4(be32::from_host(0x0b000000 + client));
  f.client_port = be16::from_host(client_port);
  f.vip = VipId(vip);
  f.endpoint = EndpointId(vip);
  f.port = 8080;
  return f;
}

Flow flow6(std::uint32_t client, std::uint32_t vip = 1) {
  Flow f = flow(client, vip);
  f.client.bytes = {0x20,
                    1,
                    0xd,
                    0xb8,
                    0,
                    0,
                    0,
                    0,
                    0,
                    0,
                    0,
                    0,
                    0,
                    std::uint8_t(client >> 16),
                    std::uint8_t(client >> 8),
                    std::uint8_t(client)};
  return f;
}

FlowRef find(const FlowTable& t, const Flow& f) {
  return t.find(t.forward(f.client, f.client_port, f.vip, false, {}));
}

Inserted insert_confirmed(FlowTable& t, const Flow& f, Tick now = 0) {
  const Inserted how = t.insert(f, now);
  if (how != Inserted::kNoRoom) t.touch(find(t, f), kConfirmed, now);
  return how;
}

// ---- against the model ----

struct Small {
  std::uint32_t capacity, wide, clients;
};

class AgainstModel : public testing::TestWithParam<Small> {};
INSTANTIATE_TEST_SUITE_P(Sizes, AgainstModel,
                         testing::Values(Small{64, 32, 40}, Small{100, 40, 200}, Small{257, 100, 60},
                                         Small{1000, 300, 900}, Small{8, 4, 8}, Small{64, 0, 20}, Small{0, 32, 20},
                                         Small{3, 3, 5}),
                         [](const auto& i) {
                           return std::to_string(i.param.capacity) + "_" + std::to_string(i.param.wide);
                         });

TEST_P(AgainstModel, RandomOperationsAgree) {
  std::mt19937_64 random(GetParam().capacity);
  test::FlowModel::Tally all;
  for (int round = 0; round < 4; ++round) {
    // The clock starts such that ticks wrap within the round.
    test::FlowModel model({GetParam().capacity, GetParam().wide}, GetParam().clients, {random(), random()},
                          65'536 * 3 - 200);
    for (int i = 0; i < 50'000; ++i) {
      ASSERT_NO_THROW(model.step([&](std::uint64_t n) { return random() % n; })) << "round " << round << " step " << i;
      if (i % 5000 == 0) {
        ASSERT_NO_THROW(model.check_all());
      }
    }
    const auto& t = model.tally();
    all.inserted += t.inserted, all.overwritten += t.overwritten, all.no_room += t.no_room;
    all.unexplained_no_room += t.unexplained_no_room, all.expired += t.expired, all.wide_v4 += t.wide_v4;
  }
  RecordProperty("inserted", static_cast<int>(all.inserted));
  RecordProperty("overwritten", static_cast<int>(all.overwritten));
  RecordProperty("no_room", static_cast<int>(all.no_room));
  RecordProperty("wide_v4", static_cast<int>(all.wide_v4));
  // The run went through what it is for.
  EXPECT_GT(all.inserted, 1000u);
  EXPECT_GT(all.expired, 20u);
  if (GetParam().capacity >= 64 && GetParam().wide >= 32) {
    EXPECT_GT(all.overwritten, 100u);
    EXPECT_GT(all.wide_v4, GetParam().capacity == 1000 ? 50u : 0u);
    // No room although neither kind is full nor a quota used up: only where two buckets are full of confirmed flows.
    EXPECT_LT(all.unexplained_no_room, all.inserted / 20);
  }
}

// ---- rules, one by one ----

TEST(FlowTable, ForwardAndReplyFindTheSameRecord) {
  FlowTable t = table(1000, 100);
  for (const Flow& f : {flow(7), flow6(7)}) {
    ASSERT_EQ(t.insert(f, 5), Inserted::kNew);
    const FlowRef ref = find(t, f);
    ASSERT_TRUE(ref);
    EXPECT_EQ(t.find(t.reply(f.client, f.client_port, f.endpoint, false, {})), ref);
    EXPECT_FALSE(t.find(t.reply(f.client, f.client_port, EndpointId(99), false, {})));
    EXPECT_FALSE(t.find(t.forward(f.client, f.client_port, VipId(99), false, {})));
    EXPECT_FALSE(t.find(t.forward(f.client, be16::from_host(1), f.vip, false, {})));
  }
}

TEST(FlowTable, APortIsComparedOnlyWhereAskedFor) {
  FlowTable t = table(1000, 100);
  for (const Flow& f : {flow(7), flow6(7)}) {
    ASSERT_EQ(t.insert(f, 5), Inserted::kNew);
    for (const std::uint16_t port : {std::uint16_t{8080}, std::uint16_t{8081}}) {
      const be16 p = be16::from_host(port);
      EXPECT_TRUE(t.find(t.forward(f.client, f.client_port, f.vip, false, p)));
      EXPECT_EQ(bool(t.find(t.forward(f.client, f.client_port, f.vip, true, p))), port == 8080);
      EXPECT_EQ(bool(t.find(t.reply(f.client, f.client_port, f.endpoint, true, p))), port == 8080);
    }
  }
}

TEST(FlowTable, TheWidestIdsAndPortsFitARecord) {
  FlowTable t = table(1000, 100);
  for (Flow f : {flow(7), flow6(7)}) {
    f.client_port = be16::from_host(65535);
    f.vip = VipId(65535);
    f.endpoint = EndpointId((1u << 20) - 1);
    f.port = 65535;
    f.state = FlowState::from_bits(0x3f);
    ASSERT_EQ(t.insert(f, 65535), Inserted::kNew);
    const Flow got = t.read(find(t, f));
    EXPECT_EQ(got.client, f.client);
    EXPECT_EQ(got.client_port, f.client_port);
    EXPECT_EQ(got.vip, f.vip);
    EXPECT_EQ(got.endpoint, f.endpoint);
    EXPECT_EQ(got.port, f.port);
    EXPECT_EQ(got.state, f.state);
    EXPECT_EQ(got.last_seen, 65535);
    EXPECT_EQ(t.flows_of(f.endpoint), f.client.is_v4() ? 1u : 2u);
  }
}

TEST(FlowTable, AClientSocketHasEightNarrowFlowsSixteenWideOnesAndNoMore) {
  FlowTable t = table(1000, 100);
  for (std::uint16_t n = 1; n <= 24; ++n) {
    ASSERT_EQ(insert_confirmed(t, flow(7, n)), Inserted::kNew) << n;
    EXPECT_EQ(find(t, flow(7, n)).is_wide(), n > 8) << n;
    for (std::uint16_t before = 1; before <= n; ++before)
      ASSERT_TRUE(find(t, flow(7, before))) << before << " of " << n;
    std::set<VipId> seen;
    t.for_client(flow(7).client, flow(7).client_port, [&](FlowRef, const Flow& f) { seen.insert(f.vip); });
    ASSERT_EQ(seen.size(), n);
  }
  EXPECT_EQ(insert_confirmed(t, flow(7, 25)), Inserted::kNoRoom);
  EXPECT_EQ(t.narrow_count(), 8u);
  EXPECT_EQ(t.wide_count(), 16u);
}

TEST(FlowTable, AnIpv6ClientSocketHasSixteenFlows) {
  FlowTable t = table(1000, 100);
  for (std::uint16_t n = 1; n <= 16; ++n) ASSERT_EQ(insert_confirmed(t, flow6(7, n)), Inserted::kNew) << n;
  EXPECT_EQ(insert_confirmed(t, flow6(7, 17)), Inserted::kNoRoom);
}

TEST(FlowTable, UnconfirmedFlowsAreAtMostAQuarterAndOneVipHasHalfOfThat) {
  for (const bool v6 : {false, true}) {
    FlowTable t = v6 ? table(0, 1000) : table(1000, 0);
    const auto make = [&](std::uint32_t n, std::uint16_t vip) { return v6 ? flow6(n, vip) : flow(n, vip); };
    std::uint32_t n = 0;
    while (n < 5000) static_cast<void>(t.insert(make(n++, 1), 0));
    EXPECT_EQ(t.unconfirmed_count(), 125u);
    EXPECT_EQ(t.flows_of(VipId(1)), 125u);
    while (n < 10000) static_cast<void>(t.insert(make(n++, 2), 0));
    while (n < 15000) static_cast<void>(t.insert(make(n++, 3), 0));
    EXPECT_EQ(t.unconfirmed_count(), 250u);
    EXPECT_LE(t.flows_of(VipId(3)), 125u);
    EXPECT_GT(t.flows_of(VipId(3)), 0u);
  }
}

TEST(FlowTable, AFloodOfOneVipDisplacesNoOtherVipsUnconfirmedFlows) {
  FlowTable t = table(1000, 0);
  for (std::uint32_t n = 0; n < 100; ++n) ASSERT_EQ(t.insert(flow(n, 2), 0), Inserted::kNew);
  for (std::uint32_t n = 1000; n < 100'000; ++n) static_cast<void>(t.insert(flow(n, 1), 1));
  for (std::uint32_t n = 0; n < 100; ++n) EXPECT_TRUE(find(t, flow(n, 2))) << n;
  EXPECT_EQ(t.flows_of(VipId(1)), 125u);
}

TEST(FlowTable, AFloodCostsConfirmedFlowsNothing) {
  FlowTable t = table(1000, 250);
  std::vector<Flow> confirmed;
  for (std::uint32_t n = 0; t.narrow_count() < 700; ++n) {
    const Flow f = n % 4 == 0 ? flow6(n) : flow(n);
    if (insert_confirmed(t, f) != Inserted::kNoRoom) confirmed.push_back(f);
  }
  std::uint64_t overwritten = 0;
  for (std::uint32_t n = 10'000; n < 300'000; ++n)
    overwritten += t.insert(n % 4 == 0 ? flow6(n, 2 + n % 5) : flow(n, 2 + n % 5), 1) == Inserted::kOverOld;
  EXPECT_GT(overwritten, 10'000u);
  for (const Flow& f : confirmed) ASSERT_TRUE(find(t, f));
}

TEST(FlowTable, OverwritesTheOldestUnconfirmedOfTheTwoBuckets) {
  // One client socket: all flows share two buckets, so that the order is in sight. Quota 1000/8 = 125 is far.
  FlowTable t = table(1000, 0);
  for (std::uint16_t n = 1; n <= 8; ++n) ASSERT_EQ(t.insert(flow(7, n), static_cast<Tick>(65'530 + n)), Inserted::kNew);
  for (std::uint16_t n = 1; n <= 8; ++n) {
    ASSERT_EQ(t.insert(flow(7, 100 + n), 100), Inserted::kOverOld) << n;
    for (std::uint16_t old = 1; old <= 8; ++old) ASSERT_EQ(bool(find(t, flow(7, old))), old > n) << n << " " << old;
  }
}

/// How many of the confirmed flows offered found no room until `count()` was reached.
template <class Make, class Count>
std::uint32_t refused_until_full(FlowTable& t, std::uint32_t capacity, Make make, Count count) {
  std::uint32_t refused = 0;
  for (std::uint32_t n = 0; count() < capacity && n < 3 * capacity; ++n)
    refused += insert_confirmed(t, make(n)) == Inserted::kNoRoom;
  return refused;
}

TEST(FlowTable, IpV4CapacityIsReachedExactlyWithHardlyARefusal) {
  std::mt19937_64 random(1);
  for (const std::uint32_t capacity : {64u, 1000u, 65'536u, 300'000u}) {
    FlowTable t = table(capacity, 0, {random(), random()});
    const std::uint32_t refused =
        refused_until_full(t, capacity, [](std::uint32_t n) { return flow(n); }, [&] { return t.narrow_count(); });
    RecordProperty("refused_of_" + std::to_string(capacity), static_cast<int>(refused));
    EXPECT_EQ(t.narrow_count(), capacity);
    EXPECT_LE(refused, capacity / 5000 + 1) << capacity;
    EXPECT_EQ(insert_confirmed(t, flow(10'000'000)), Inserted::kNoRoom);
    EXPECT_EQ(t.narrow_count(), capacity);
  }
}

TEST(FlowTable, WideCapacityIsReachedExactlyWithHardlyARefusal) {
  std::mt19937_64 random(1);
  for (const std::uint32_t capacity : {32u, 1000u, 65'536u, 100'000u}) {
    FlowTable t = table(64, capacity, {random(), random()});
    const std::uint32_t refused =
        refused_until_full(t, capacity, [](std::uint32_t n) { return flow6(n); }, [&] { return t.wide_count(); });
    RecordProperty("refused_of_" + std::to_string(capacity), static_cast<int>(refused));
    EXPECT_EQ(t.wide_count(), capacity);
    EXPECT_LE(refused, capacity / 5000 + 1) << capacity;
    EXPECT_EQ(insert_confirmed(t, flow6(10'000'000)), Inserted::kNoRoom);
  }
}

TEST(FlowTable, WhatIsErasedIsRoomAgain) {
  std::mt19937_64 random(3);
  FlowTable t = table(64, 256);
  std::vector<Flow> held;
  for (std::uint32_t round = 0; round < 20; ++round) {
    for (std::uint32_t n = 0; t.wide_count() < 256; ++n) {
      const Flow f = flow6(round * 10'000 + n);
      if (insert_confirmed(t, f) != Inserted::kNoRoom) held.push_back(f);
    }
    std::ranges::shuffle(held, random);
    const std::size_t keep = random() % held.size();
    while (held.size() > keep) t.erase(find(t, held.back())), held.pop_back();
    ASSERT_EQ(t.wide_count(), keep);
    for (const Flow& f : held) ASSERT_TRUE(find(t, f));
  }
}

TEST(FlowTable, AFlowIsOverToTheSecondAcrossTheWrapOfTicks) {
  const struct {
    FlowState state;
    Tick timeout;
  } kStates[] = {{FlowState::opened(false), 60},
                 {kConfirmed, 7440},
                 {kConfirmed.after(Direction::kReply, lb::kTcpRst, 0), 240},
                 {FlowState::opened(true), 30},
                 {FlowState::opened(true).after(Direction::kReply, 0, 0).after(Direction::kForward, 0, 0), 300}};
  FlowTable t = table(64, 64);
  for (const auto& s : kStates)
    for (const std::uint32_t seen : {0u, 1u, 65'500u, 65'535u, 65'536u - s.timeout, 65'536u - s.timeout + 1})
      for (Flow f : {flow(1), flow6(1)}) {
        f.state = FlowState::opened(s.state.is_udp());
        ASSERT_EQ(t.insert(f, static_cast<Tick>(seen)), Inserted::kNew);
        const FlowRef ref = find(t, f);
        t.touch(ref, s.state, static_cast<Tick>(seen));
        const auto all = static_cast<std::uint32_t>(t.lines());
        const auto live = [](VipId) { return true; };
        for (std::uint32_t age = 0; age < s.timeout; age += age + 10 < s.timeout ? 10 : 1)
          ASSERT_FALSE(t.is_expired(ref, static_cast<Tick>(seen + age), kTimeouts)) << age << " since " << seen;
        EXPECT_EQ(t.scan(all, static_cast<Tick>(seen + s.timeout - 1), kTimeouts, live), 0u);
        EXPECT_TRUE(t.is_expired(ref, static_cast<Tick>(seen + s.timeout), kTimeouts));
        EXPECT_EQ(t.scan(all, static_cast<Tick>(seen + s.timeout), kTimeouts, live), 1u);
        ASSERT_FALSE(find(t, f));
      }
}

TEST(FlowTable, AScanInPiecesOfAnySizeCoversEverything) {
  for (const std::uint32_t lines : {1u, 2u, 3u, 7u, 64u, 1'000'000u}) {
    FlowTable t = table(200, 100);
    for (std::uint32_t n = 0; n < 100; ++n) {
      insert_confirmed(t, flow(n));
      insert_confirmed(t, flow6(n));
    }
    ASSERT_EQ(t.narrow_count() + t.wide_count(), 200u);
    std::uint32_t erased = 0;
    for (std::uint64_t seen = 0; seen < t.lines(); seen += lines)
      erased += t.scan(lines, 7440, kTimeouts, [](VipId) { return true; });
    EXPECT_EQ(erased, 200u) << lines;
    EXPECT_EQ(t.narrow_count() + t.wide_count(), 0u);
    EXPECT_EQ(t.flows_of(VipId(1)), 0u);
  }
}

TEST(FlowTable, AScanForgetsTheFlowsOfAVipThatIsGone) {
  FlowTable t = table(200, 100);
  for (std::uint32_t n = 0; n < 50; ++n) insert_confirmed(t, flow(n, 1 + n % 2));
  EXPECT_EQ(t.scan(static_cast<std::uint32_t>(t.lines()), 1, kTimeouts, [](VipId v) { return v == VipId(1); }), 25u);
  EXPECT_EQ(t.flows_of(VipId(1)), 25u);
  EXPECT_EQ(t.flows_of(VipId(2)), 0u);
}

TEST(FlowTable, ListingInPiecesSeesEachFlowOnce) {
  FlowTable t = table(2000, 500);
  for (std::uint32_t n = 0; n < 1000; ++n) insert_confirmed(t, n % 3 == 0 ? flow6(n) : flow(n));
  for (const std::uint32_t lines : {1u, 5u, 64u, 100'000u}) {
    std::map<Address, int> seen;
    std::uint64_t cursor = 0;
    while (cursor < t.lines()) cursor = t.list(cursor, lines, [&](FlowRef, const Flow& f) { ++seen[f.client]; });
    EXPECT_EQ(cursor, t.lines());
    EXPECT_EQ(seen.size(), t.narrow_count() + t.wide_count());
    for (const auto& [client, count] : seen) EXPECT_EQ(count, 1);
  }
}

TEST(FlowTable, WhatAListingSeesItMayErase) {
  FlowTable t = table(2000, 500);
  for (std::uint32_t n = 0; n < 1000; ++n) insert_confirmed(t, n % 3 == 0 ? flow6(n, 1 + n % 2) : flow(n, 1 + n % 2));
  const std::uint32_t of_one = t.flows_of(VipId(1)), of_two = t.flows_of(VipId(2));
  std::uint32_t erased = 0;
  for (std::uint64_t cursor = 0; cursor < t.lines();)
    cursor = t.list(cursor, 5, [&](FlowRef ref, const Flow& f) {
      if (f.vip == VipId(1)) ++erased, t.erase(ref);
    });
  EXPECT_EQ(erased, of_one);
  EXPECT_EQ(t.flows_of(VipId(1)), 0u);
  EXPECT_EQ(t.narrow_count() + t.wide_count(), of_two);
  EXPECT_FALSE(find(t, flow(2, 1)));
  EXPECT_TRUE(find(t, flow(1, 2)));
}

TEST(FlowTable, ATableOfNothingTakesNothing) {
  FlowTable t = table(0, 0);
  EXPECT_EQ(t.insert(flow(1), 0), Inserted::kNoRoom);
  EXPECT_EQ(t.insert(flow6(1), 0), Inserted::kNoRoom);
  EXPECT_FALSE(find(t, flow(1)));
  EXPECT_FALSE(find(t, flow6(1)));
  EXPECT_EQ(t.scan(100, 0, kTimeouts, [](VipId) { return true; }), 0u);
}

TEST(FlowTable, AMovedTableIsTheTable) {
  FlowTable t = table(100, 100);
  insert_confirmed(t, flow(1));
  insert_confirmed(t, flow6(1));
  const FlowTable moved = std::move(t);
  EXPECT_TRUE(find(moved, flow(1)));
  EXPECT_TRUE(find(moved, flow6(1)));
  EXPECT_EQ(moved.narrow_count(), 1u);
}

}  // namespace
}  // namespace weir::dataplane
