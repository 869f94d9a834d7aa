// translate() against an obvious model that writes the new fields and adds every checksum up anew, over a million
// random packets; then VLAN and the link header.
#include "lb/rewrite.h"

#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <random>
#include <vector>

#include "tests/support/packet.h"

namespace weir::lb {
namespace {

using Frame = std::vector<std::uint8_t>;

// ---- the model: 16-bit words, most significant byte first, carries brought round ----

void put16(std::uint8_t* at, unsigned v) {
  at[0] = static_cast<std::uint8_t>(v >> 8), at[1] = static_cast<std::uint8_t>(v);
}
unsigned get16(const std::uint8_t* at) {
  return unsigned{at[0]} << 8 | at[1];
}

unsigned slow_sum(const std::uint8_t* bytes, std::size_t n, unsigned sum = 0) {
  for (std::size_t i = 0; i < n; i += 2) {
    sum += unsigned{bytes[i]} << 8 | (i + 1 < n ? bytes[i + 1] : 0u);
    sum = (sum & 0xffff) + (sum >> 16);
  }
  return sum;
}

struct Shape {
  bool v4, udp;
  std::size_t ip = 14, ip_header, l4, end;
  [[nodiscard]] std::size_t checksum_at() const { return l4 + (udp ? 6 : 16); }
};

/// The right L4 checksum of what lies in the frame now, as a fresh computation gives it.
unsigned fresh_l4_checksum(Frame f, const Shape& s) {
  put16(&f[s.checksum_at()], 0);
  const std::size_t addresses = s.v4 ? 8 : 32;
  unsigned sum = slow_sum(&f[s.ip + (s.v4 ? 12 : 8)], addresses);
  sum = slow_sum(&f[s.l4], s.end - s.l4, sum + (s.udp ? 17 : 6) + static_cast<unsigned>(s.end - s.l4));
  const unsigned checksum = ~sum & 0xffff;
  return s.udp && checksum == 0 ? 0xffff : checksum;
}

void write_ip_checksum(Frame& f, const Shape& s) {
  put16(&f[s.ip + 10], 0);
  put16(&f[s.ip + 10], ~slow_sum(&f[s.ip], s.ip_header) & 0xffff);
}

enum class Checksum { kRight, kWrong, kNone };

Frame random_packet(std::mt19937_64& random, Shape& s, Checksum& kind) {
  s.v4 = random() % 2;
  s.udp = random() % 2;
  s.ip_header = s.v4 ? 20 + random() % 3 * 4 : 40;
  s.l4 = s.ip + s.ip_header;
  const std::size_t l4_header = s.udp ? 8 : 20 + random() % 3 * 4;
  s.end = s.l4 + l4_header + random() % 24;
  Frame f(s.end);
  for (std::size_t i = 0; i < f.size(); i += 8) {
    const std::uint64_t word = random() % 16 == 0 ? (random() % 2 ? 0 : ~std::uint64_t{0}) : random();
    std::memcpy(&f[i], &word, std::min<std::size_t>(8, f.size() - i));
  }
  put16(&f[12], s.v4 ? 0x0800 : 0x86dd);
  if (s.v4) {
    f[s.ip] = static_cast<std::uint8_t>(0x40 | s.ip_header / 4);
    put16(&f[s.ip + 2], static_cast<unsigned>(s.end - s.ip));
    f[s.ip + 6] = 0x40, f[s.ip + 7] = 0;
    f[s.ip + 9] = s.udp ? 17 : 6;
    for (std::size_t i = s.ip + 20; i < s.l4; ++i) f[i] = 1;
  } else {
    f[s.ip] = static_cast<std::uint8_t>(0x60 | (f[s.ip] & 15));
    put16(&f[s.ip + 4], static_cast<unsigned>(s.end - s.l4));
    f[s.ip + 6] = s.udp ? 17 : 6;
    f[s.ip + 8] |= 0x20, f[s.ip + 24] |= 0x20;  // not mapped, not unspecified
  }
  std::uint8_t& ttl = f[s.ip + (s.v4 ? 8 : 7)];
  ttl = std::max<std::uint8_t>(ttl, 2);
  if (get16(&f[s.l4]) == 0) f[s.l4] = 1;
  if (get16(&f[s.l4 + 2]) == 0) f[s.l4 + 2] = 1;
  if (s.udp) {
    put16(&f[s.l4 + 4], static_cast<unsigned>(s.end - s.l4));
  } else {
    f[s.l4 + 12] = static_cast<std::uint8_t>(l4_header / 4 << 4);
    f[s.l4 + 13] = 0x10;
  }
  if (s.v4) write_ip_checksum(f, s);
  kind = random() % 4 == 0 ? Checksum::kWrong : s.udp && s.v4 && random() % 4 == 0 ? Checksum::kNone : Checksum::kRight;
  put16(&f[s.checksum_at()], fresh_l4_checksum(f, s));
  if (kind == Checksum::kNone) put16(&f[s.checksum_at()], 0);
  if (kind == Checksum::kWrong) {
    const unsigned wrong = static_cast<unsigned>(random()) & 0xffff;
    put16(&f[s.checksum_at()], s.udp && wrong == 0 ? 1 : wrong);
  }
  return f;
}

/// A distance of checksums in one's complement: 0x0000 and 0xffff are one number.
unsigned distance(unsigned a, unsigned b) {
  return (a % 0xffff + 0xffff - b % 0xffff) % 0xffff;
}

template <Direction kDirection>
void check_one(std::mt19937_64& random) {
  Shape s{};
  Checksum kind{};
  const Frame before = random_packet(random, s, kind);
  Link link;
  Packet parsed;
  ASSERT_FALSE(parse_link(before, link));
  ASSERT_FALSE(parse_ip(before, link, parsed)) << test::dump(before);

  std::array<std::uint8_t, 16> to_bytes;
  for (auto& b : to_bytes) b = static_cast<std::uint8_t>(random());
  to_bytes[0] |= 0x20;
  const Address to =
      s.v4 ? Address::v4(be32::from_host(static_cast<std::uint32_t>(random()))) : Address::v6(to_bytes.data());
  const auto to_port = static_cast<std::uint16_t>(random());
  Frame got = before;
  translate<kDirection>(got.data(), parsed, to, be16::from_host(to_port));

  constexpr bool kForward = kDirection == Direction::kForward;
  Frame expected = before;
  if (s.v4) {
    std::memcpy(&expected[s.ip + (kForward ? 16 : 12)], to.bytes.data() + 12, 4);
    --expected[s.ip + 8];
    write_ip_checksum(expected, s);
  } else {
    std::memcpy(&expected[s.ip + (kForward ? 24 : 8)], to.bytes.data(), 16);
    --expected[s.ip + 7];
  }
  put16(&expected[s.l4 + (kForward ? 2 : 0)], to_port);
  const unsigned got_checksum = get16(&got[s.checksum_at()]);
  switch (kind) {
    case Checksum::kRight: put16(&expected[s.checksum_at()], fresh_l4_checksum(expected, s)); break;
    case Checksum::kNone: break;
    case Checksum::kWrong:
      // As wrong as before, by the same amount; and never UDP's "none".
      ASSERT_EQ(distance(got_checksum, fresh_l4_checksum(expected, s)),
                distance(get16(&before[s.checksum_at()]), fresh_l4_checksum(before, s)));
      ASSERT_TRUE(!s.udp || got_checksum != 0);
      put16(&expected[s.checksum_at()], got_checksum);
      break;
  }
  ASSERT_TRUE(test::same_packet(expected, got)) << "from " << test::dump(before);
}

TEST(Translate, AMillionRandomPacketsComeOutAsTheModelsDo) {
  std::mt19937_64 random(1);
  for (int i = 0; i < 500'000 && !HasFatalFailure(); ++i) {
    check_one<Direction::kForward>(random);
    check_one<Direction::kReply>(random);
  }
}

TEST(Translate, ThereAndBackIsTheSamePacketButForTheTtl) {
  std::mt19937_64 random(2);
  for (int i = 0; i < 100'000; ++i) {
    Shape s{};
    Checksum kind{};
    const Frame before = random_packet(random, s, kind);
    if (before[s.ip + (s.v4 ? 8 : 7)] < 3) continue;
    Link link;
    Packet p;
    ASSERT_FALSE(parse_link(before, link));
    ASSERT_FALSE(parse_ip(before, link, p));
    Frame f = before;
    const Address to = s.v4 ? *parse_address("10.0.0.5") : *parse_address("fd00::5");
    translate<Direction::kForward>(f.data(), p, to, be16::from_host(8080));
    Packet q;
    ASSERT_FALSE(parse_ip(f, link, q));
    EXPECT_EQ(q.destination, to);
    translate<Direction::kForward>(f.data(), q, p.destination, p.destination_port);
    Frame expected = before;
    expected[s.ip + (s.v4 ? 8 : 7)] = static_cast<std::uint8_t>(expected[s.ip + (s.v4 ? 8 : 7)] - 2);
    if (s.v4) write_ip_checksum(expected, s);
    // Where both faces of zero mean the same, either may come back.
    if (distance(get16(&f[s.checksum_at()]), get16(&expected[s.checksum_at()])) == 0)
      std::memcpy(&expected[s.checksum_at()], &f[s.checksum_at()], 2);
    ASSERT_TRUE(test::same_packet(expected, f));
  }
}

TEST(Translate, ATrailerAndAVlanTagAreLeftAlone) {
  using test::packet;
  test::Bytes frame =
      packet().eth().vlan(9).ipv4("192.0.2.1", "203.0.113.9").udp(1000, 53).payload("x").trailer(7, 0xee).bytes();
  const test::Bytes expected = packet()
                                   .eth()
                                   .vlan(9)
                                   .ipv4("192.0.2.1", "10.0.0.5", {.ttl = 63})
                                   .udp(1000, 5353)
                                   .payload("x")
                                   .trailer(7, 0xee)
                                   .bytes();
  Link link;
  Packet p;
  ASSERT_FALSE(parse_link(frame, link));
  ASSERT_FALSE(parse_ip(frame, link, p));
  translate<Direction::kForward>(frame.data(), p, *parse_address("10.0.0.5"), be16::from_host(5353));
  EXPECT_TRUE(test::same_packet(expected, frame));
}

TEST(WriteLink, WritesTheHeaderWithAndWithoutATag) {
  const MacAddress to{{2, 0, 0, 0, 0, 1}};
  const MacAddress from{{2, 0, 0, 0, 0, 2}};
  test::Bytes plain(14 + 1, 0xaa);
  write_link(plain.data(), to, from, 0, kEtherIpv6);
  EXPECT_TRUE(test::same_packet(test::from_hex("020000000001 020000000002 86dd aa"), plain));
  test::Bytes tagged(18 + 1, 0xaa);
  write_link(tagged.data(), to, from, 0x123, kEtherIpv4);
  EXPECT_TRUE(test::same_packet(test::from_hex("020000000001 020000000002 8100 0123 0800 aa"), tagged));
  EXPECT_EQ(link_length(0), 14);
  EXPECT_EQ(link_length(1), 18);
}

}  // namespace
}  // namespace weir::lb
