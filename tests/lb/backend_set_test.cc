#include "lb/backend_set.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>

namespace weir::lb {
namespace {

constexpr HashKey kKey{0x0123456789abcdef, 0xfedcba9876543210};

struct Tuple {
  HashKey key = kKey;
  Protocol protocol = Protocol::kTcp;
  Address client;
  be16 client_port = be16::from_host(40000);
  Address vip;
  be16 vip_port = be16::from_host(80);
  [[nodiscard]] std::uint64_t hash() const { return selection_hash(key, protocol, client, client_port, vip, vip_port); }
};

Tuple v4() {
  return {.client = *parse_address("192.0.2.1"), .vip = *parse_address("203.0.113.10")};
}
Tuple v6() {
  return {.client = *parse_address("2001:db8::1"), .vip = *parse_address("2001:db8:100::10")};
}

class SelectionHash : public testing::TestWithParam<Tuple> {};
INSTANTIATE_TEST_SUITE_P(Families, SelectionHash, testing::Values(v4(), v6()),
                         [](const auto& i) { return std::string(name(i.param.client.family())); });

TEST_P(SelectionHash, IsTheSameForTheSameFlow) {
  EXPECT_EQ(GetParam().hash(), Tuple(GetParam()).hash());
}

TEST_P(SelectionHash, DiffersByEachBitOfEachInput) {
  const Tuple t = GetParam();
  std::set<std::uint64_t> seen{t.hash()};
  std::size_t variants = 1;
  const auto differs = [&](const Tuple& changed, const char* what, unsigned bit) {
    ++variants;
    EXPECT_TRUE(seen.insert(changed.hash()).second) << what << " bit " << bit;
  };
  for (unsigned bit = 0; bit < 64; ++bit) {
    Tuple c = t;
    c.key.k0 ^= std::uint64_t{1} << bit;
    differs(c, "key word 0", bit);
    c = t;
    c.key.k1 ^= std::uint64_t{1} << bit;
    differs(c, "key word 1", bit);
  }
  for (unsigned bit = 0; bit < 16; ++bit) {
    Tuple c = t;
    c.client_port = be16::from_host(static_cast<std::uint16_t>(t.client_port.host() ^ 1u << bit));
    differs(c, "client port", bit);
    c = t;
    c.vip_port = be16::from_host(static_cast<std::uint16_t>(t.vip_port.host() ^ 1u << bit));
    differs(c, "VIP port", bit);
  }
  for (unsigned byte = t.client.is_v4() ? 12 : 0; byte < 16; ++byte)
    for (unsigned bit = 0; bit < 8; ++bit) {
      Tuple c = t;
      c.client.bytes[byte] ^= static_cast<std::uint8_t>(1u << bit);
      differs(c, "client", byte * 8 + bit);
      c = t;
      c.vip.bytes[byte] ^= static_cast<std::uint8_t>(1u << bit);
      differs(c, "VIP", byte * 8 + bit);
    }
  Tuple udp = t;
  udp.protocol = Protocol::kUdp;
  differs(udp, "protocol", 0);
  EXPECT_EQ(seen.size(), variants);
}

TEST_P(SelectionHash, TellsClientFromVip) {
  Tuple swapped = GetParam();
  std::swap(swapped.client, swapped.vip);
  EXPECT_NE(swapped.hash(), GetParam().hash());
  swapped = GetParam();
  std::swap(swapped.client_port, swapped.vip_port);
  EXPECT_NE(swapped.hash(), GetParam().hash());
}

TEST(SelectionHashValue, IsPinned) {
  // Boxes of two versions share VIPs during an upgrade, so the function must not change by accident. The figures
  // come from an implementation of SipHash-1-3 in Python.
  EXPECT_EQ(v4().hash(), 0x7db45371ef3ae778u);
  EXPECT_EQ(v6().hash(), 0x4a3ff0f06ad56cbau);
}

BackendSet set_of(std::vector<EndpointId> ids, std::vector<std::uint16_t> weights) {
  BackendSet s;
  std::vector<MaglevMember> members;
  for (std::size_t i = 0; i < ids.size(); ++i)
    members.push_back({Address::v4(be32::from_host(static_cast<std::uint32_t>(0x0a000001 + i))), 8080, weights[i]});
  s.members = s.sorted_members = std::move(ids);
  std::ranges::sort(s.sorted_members);
  s.table = build_maglev(members, 4099);
  return s;
}

TEST(BackendSet, ChoosesEachMemberByItsWeightAndOnlyMembers) {
  const BackendSet s = set_of({EndpointId(900), EndpointId(7), EndpointId(42)}, {1, 2, 1});
  std::mt19937_64 random(1);
  std::map<EndpointId, int> chosen;
  for (int i = 0; i < 100'000; ++i) ++chosen[s.choose(random())];
  ASSERT_EQ(chosen.size(), 3u);
  EXPECT_NEAR(chosen[EndpointId(900)], 25'000, 1500);
  EXPECT_NEAR(chosen[EndpointId(7)], 50'000, 1500);
  EXPECT_NEAR(chosen[EndpointId(42)], 25'000, 1500);
}

TEST(BackendSet, ADrainedMemberIsContainedAndNeverChosen) {
  const BackendSet s = set_of({EndpointId(3), EndpointId(1), EndpointId(2)}, {1, 0, 1});
  EXPECT_TRUE(s.contains(EndpointId(1)));
  std::mt19937_64 random(1);
  for (int i = 0; i < 10'000; ++i) ASSERT_NE(s.choose(random()), EndpointId(1));
}

TEST(BackendSet, WithoutAWeightNobodyIsChosen) {
  EXPECT_EQ(set_of({EndpointId(3)}, {0}).choose(12345), EndpointId::kNone);
  EXPECT_EQ(set_of({}, {}).choose(12345), EndpointId::kNone);
}

TEST(BackendSet, ContainsItsMembersAlone) {
  const BackendSet s = set_of({EndpointId(30), EndpointId(10), EndpointId(20)}, {1, 1, 1});
  for (std::uint32_t id = 0; id < 40; ++id) EXPECT_EQ(s.contains(EndpointId(id)), id == 10 || id == 20 || id == 30);
  EXPECT_FALSE(set_of({}, {}).contains(EndpointId(1)));
}

}  // namespace
}  // namespace weir::lb
