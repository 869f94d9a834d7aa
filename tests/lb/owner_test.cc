#include "lb/owner.h"

#include <gtest/gtest.h>

#include <array>
#include <random>
#include <string_view>
#include <vector>

namespace weir::lb {
namespace {

// The key of Microsoft's "Verifying the RSS hash calculation", and zeros behind it.
ToeplitzKey verification_key() {
  constexpr std::array<std::uint8_t, 40> kFirst{0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67,
                                                0x25, 0x3d, 0x43, 0xa3, 0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb,
                                                0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30,
                                                0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa};
  ToeplitzKey key{};
  std::ranges::copy(kFirst, key.begin());
  return key;
}

// Bit by bit, as the definition says it.
std::uint32_t slow_toeplitz(const ToeplitzKey& key, std::span<const std::uint8_t> input) {
  std::uint32_t hash = 0;
  for (std::size_t i = 0; i < input.size() * 8; ++i) {
    if ((input[i / 8] >> (7 - i % 8) & 1) == 0) continue;
    for (std::size_t k = 0; k < 32; ++k) {
      const std::size_t bit = i + k;
      hash ^= static_cast<std::uint32_t>(key[bit / 8] >> (7 - bit % 8) & 1) << (31 - k);
    }
  }
  return hash;
}

std::vector<std::uint8_t> bytes_of(const Address& a) {
  return a.is_v4() ? std::vector<std::uint8_t>(a.bytes.begin() + 12, a.bytes.end())
                   : std::vector<std::uint8_t>(a.bytes.begin(), a.bytes.end());
}

TEST(Toeplitz, GivesTheVerificationSuitesHashes) {
  struct Vector {
    const char* source;
    const char* destination;
    std::uint16_t source_port, destination_port;
    std::uint32_t with_ports, addresses_only;
  };
  for (const Vector& v : {Vector{"66.9.149.187", "161.142.100.80", 2794, 1766, 0x51ccc178, 0x323e8fc2},
                          Vector{"199.92.111.2", "65.69.140.83", 14230, 4739, 0xc626b0ea, 0xd718262a},
                          Vector{"24.19.198.95", "12.22.207.184", 12898, 38024, 0x5c2b394a, 0xd2d0a5de}}) {
    std::vector<std::uint8_t> input = bytes_of(*parse_address(v.source));
    for (const std::uint8_t b : bytes_of(*parse_address(v.destination))) input.push_back(b);
    const Toeplitz toeplitz(verification_key());
    EXPECT_EQ(toeplitz(input), v.addresses_only);
    for (const std::uint16_t port : {v.source_port, v.destination_port}) {
      input.push_back(static_cast<std::uint8_t>(port >> 8));
      input.push_back(static_cast<std::uint8_t>(port));
    }
    EXPECT_EQ(toeplitz(input), v.with_ports);
    EXPECT_EQ(slow_toeplitz(verification_key(), input), v.with_ports);
  }
}

TEST(Toeplitz, IsTheSlowOneOnAnyInput) {
  std::mt19937 random(1);
  for (int i = 0; i < 300; ++i) {
    ToeplitzKey key;
    for (auto& b : key) b = static_cast<std::uint8_t>(random());
    std::vector<std::uint8_t> input(random() % (kToeplitzInputBytes + 1));
    for (auto& b : input) b = static_cast<std::uint8_t>(random());
    ASSERT_EQ(Toeplitz(key)(input), slow_toeplitz(key, input));
  }
}

Address nth(bool v6, std::uint32_t n) {
  if (!v6) return Address::v4(be32::from_host(0xc0000200 + n));
  Address a = *parse_address("2001:db8::");
  const be32 low = be32::from_host(n);
  std::memcpy(a.bytes.data() + 12, &low, 4);
  return a;
}

TEST(Owners, HashTheAddressAndThePortAsANicDoes) {
  const Owners owners(4, verification_key());
  for (const char* address : {"66.9.149.187", "3ffe:2501:200:1fff::7"}) {
    std::vector<std::uint8_t> input = bytes_of(*parse_address(address));
    input.push_back(2794 >> 8);
    input.push_back(2794 & 0xff);
    EXPECT_EQ(owners.hash(*parse_address(address), be16::from_host(2794)), slow_toeplitz(verification_key(), input));
  }
}

TEST(Owners, AreLaneHashMod128AndLanesAreDealtRoundRobin) {
  for (const unsigned workers : {1u, 2u, 3u, 7u, 128u}) {
    const Owners owners(workers, HashKey{1, 2});
    for (std::size_t i = 0; i < kLanes; ++i) EXPECT_EQ(owners.lanes()[i], i % workers);
    for (std::uint32_t n = 0; n < 100; ++n) {
      const Address a = nth(false, n);
      EXPECT_EQ(owners(a, be16::from_host(80)), (owners.hash(a, be16::from_host(80)) % 128) % workers);
    }
  }
}

// Clients of one address, as behind a NAT, and clients of one port, as probes: either part alone spreads.
TEST(Owners, SpreadClientsOverWorkersByEitherPart) {
  ToeplitzKey random_key;
  std::mt19937 random(7);
  for (auto& b : random_key) b = static_cast<std::uint8_t>(random());
  const Owners keyed(4, HashKey{0x1234, 0x5678}), toeplitz(4, random_key);
  for (const Owners* owners : {&keyed, &toeplitz})
    for (const bool v6 : {false, true})
      for (const bool one_address : {false, true}) {
        std::array<int, 4> flows{};
        for (std::uint32_t n = 0; n < 8000; ++n)
          ++flows[(*owners)(nth(v6, one_address ? 7 : n),
                            be16::from_host(one_address ? static_cast<std::uint16_t>(1024 + n) : 53))];
        for (const int count : flows) EXPECT_NEAR(count, 2000, 500) << v6 << one_address;
      }
}

TEST(Owners, OfAnotherKeyAreOthers) {
  const Owners one(128, HashKey{1, 2}), other(128, HashKey{1, 3});
  int same = 0;
  for (std::uint32_t n = 0; n < 1280; ++n) same += one(nth(false, n), {}) == other(nth(false, n), {});
  EXPECT_LT(same, 40);  // 10 by chance
}

}  // namespace
}  // namespace weir::lb
