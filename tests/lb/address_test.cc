#include "lb/address.h"

#include <gtest/gtest.h>

#include "lb/hash.h"

namespace weir::lb {
namespace {

TEST(Address, ParsesAndPrintsBothFamilies) {
  for (const char* text : {"0.0.0.0", "203.0.113.10", "255.255.255.255", "::", "::1", "2001:db8::1", "fe80::1:2"}) {
    const auto a = parse_address(text);
    ASSERT_TRUE(a) << text;
    EXPECT_EQ(to_string(*a), text);
  }
}

TEST(Address, RefusesWhatIsNotAnAddress) {
  for (const char* text : {"", "1.2.3", "1.2.3.4.5", "256.1.1.1", "01.2.3.4", "1.2.3.4 ", "::ffff:1.2.3.4",
                           "fe80::1%eth0", ":::", "2001:db8::1::2", "banana"}) {
    EXPECT_FALSE(parse_address(text)) << text;
  }
}

TEST(Address, KnowsItsKind) {
  EXPECT_EQ(parse_address("10.0.0.1")->family(), Family::kIpv4);
  EXPECT_EQ(parse_address("fd00::1")->family(), Family::kIpv6);
  EXPECT_TRUE(parse_address("0.0.0.0")->is_unspecified());
  EXPECT_TRUE(parse_address("::")->is_unspecified());
  EXPECT_TRUE(parse_address("127.3.2.1")->is_loopback());
  EXPECT_TRUE(parse_address("::1")->is_loopback());
  EXPECT_TRUE(parse_address("239.0.0.1")->is_multicast());
  EXPECT_TRUE(parse_address("ff02::1")->is_multicast());
  EXPECT_TRUE(parse_address("febf::1")->is_link_local_v6());
  EXPECT_FALSE(parse_address("fec0::1")->is_link_local_v6());
}

TEST(Prefix, ContainsExactlyItsNetwork) {
  const auto p = *parse_prefix("198.51.100.130/25");
  EXPECT_EQ(to_string(p.network()), "198.51.100.128");
  EXPECT_TRUE(p.contains(*parse_address("198.51.100.255")));
  EXPECT_FALSE(p.contains(*parse_address("198.51.100.127")));
  EXPECT_FALSE(p.contains(*parse_address("2001:db8::1")));
  const auto p6 = *parse_prefix("2001:db8:1::1/47");
  EXPECT_EQ(to_string(p6.network()), "2001:db8::");
  EXPECT_TRUE(parse_prefix("0.0.0.0/0")->contains(*parse_address("255.255.255.255")));
  EXPECT_TRUE(parse_prefix("::/0")->contains(*parse_address("ffff::")));
  EXPECT_FALSE(parse_prefix("::/0")->contains(*parse_address("10.0.0.1")));
}

TEST(Prefix, RefusesBadLengths) {
  for (const char* text : {"10.0.0.0", "10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0.0/-1", "10.0.0.0/8x", "/8"})
    EXPECT_FALSE(parse_prefix(text)) << text;
}

TEST(Mac, ParsesAndPrints) {
  EXPECT_EQ(to_string(*parse_mac("02:00:00:00:0a:fF")), "02:00:00:00:0a:ff");
  for (const char* text : {"", "02:00:00:00:00", "02-00-00-00-00-01", "02:00:00:00:00:0g", "2:0:0:0:0:1"})
    EXPECT_FALSE(parse_mac(text)) << text;
}

// The vectors of the SipHash reference code are for 2-4; these were computed with its 1-3 variant's definition by
// hand-written long form below, an independent spelling of the paper's figure 2.
std::uint64_t slow_sip13(HashKey k, const std::uint8_t* in, std::size_t n) {
  std::uint64_t v[4] = {k.k0 ^ 0x736f6d6570736575, k.k1 ^ 0x646f72616e646f6d, k.k0 ^ 0x6c7967656e657261,
                        k.k1 ^ 0x7465646279746573};
  const auto rot = [](std::uint64_t x, int b) { return x << b | x >> (64 - b); };
  const auto round = [&] {
    v[0] += v[1], v[2] += v[3], v[1] = rot(v[1], 13), v[3] = rot(v[3], 16), v[1] ^= v[0], v[3] ^= v[2];
    v[0] = rot(v[0], 32);
    v[2] += v[1], v[0] += v[3], v[1] = rot(v[1], 17), v[3] = rot(v[3], 21), v[1] ^= v[2], v[3] ^= v[0];
    v[2] = rot(v[2], 32);
  };
  for (std::size_t i = 0; i <= n / 8; ++i) {
    std::uint64_t m = i == n / 8 ? std::uint64_t{n} << 56 : 0;
    for (std::size_t b = 0; b < 8 && i * 8 + b < n; ++b) m |= std::uint64_t{in[i * 8 + b]} << (8 * b);
    v[3] ^= m, round(), v[0] ^= m;
  }
  v[2] ^= 0xff;
  for (int i = 0; i < 3; ++i) round();
  return v[0] ^ v[1] ^ v[2] ^ v[3];
}

TEST(SipHash, EqualsAnIndependentSpellingOverItsBytes) {
  std::uint64_t x = 1;
  for (int i = 0; i < 10000; ++i) {
    std::uint64_t w[3];
    for (auto& e : w) e = x = x * 6364136223846793005ULL + 1442695040888963407ULL;
    const HashKey key{w[2] * 3, w[1] ^ 0x55};
    std::uint8_t bytes[24];
    std::memcpy(bytes, w, 24);
    ASSERT_EQ(sip_hash(key, w[0]), slow_sip13(key, bytes, 8));
    ASSERT_EQ(sip_hash(key, w[0], w[1]), slow_sip13(key, bytes, 16));
    ASSERT_EQ(sip_hash(key, w[0], w[1], w[2]), slow_sip13(key, bytes, 24));
  }
}

TEST(HashKey, ReadsThirtyTwoHexDigits) {
  EXPECT_EQ(parse_hash_key("00112233445566778899aabbccddeeff"), (HashKey{0x0011223344556677, 0x8899aabbccddeeff}));
  for (const char* text : {"", "0011", "00112233445566778899aabbccddeefg", "-0112233445566778899aabbccddeeff"})
    EXPECT_FALSE(parse_hash_key(text)) << text;
}

TEST(Reduce, StaysInRangeAndIsEven) {
  int counts[7] = {};
  for (std::uint64_t i = 0; i < 70000; ++i) ++counts[reduce(sip_hash(kPublicHashKey, i), 7)];
  for (int c : counts) EXPECT_NEAR(c, 10000, 500);
  EXPECT_EQ(reduce(~0ULL, 100), 99u);
}

}  // namespace
}  // namespace weir::lb
