// What lb/parse.h takes, what it refuses and by which name, and that it never reads past the frame: every frame here
// is parsed in a heap block of exactly its size, where AddressSanitizer sees one byte too far.
#include "lb/parse.h"

#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "tests/support/packet.h"

namespace weir::lb {
namespace {

using test::Bytes;
using test::kAck;
using test::kFin;
using test::kPsh;
using test::kRst;
using test::kSyn;
using test::packet;

struct Parsed {
  std::optional<DropReason> refusal;
  Link link;
  Packet packet;
  bool is_ip = false;
};

Parsed parse(std::span<const std::uint8_t> bytes) {
  const auto exact = std::make_unique<std::uint8_t[]>(bytes.size());
  if (!bytes.empty()) std::memcpy(exact.get(), bytes.data(), bytes.size());
  const std::span<const std::uint8_t> frame(exact.get(), bytes.size());
  Parsed p;
  p.refusal = parse_link(frame, p.link);
  if (p.refusal) return p;
  p.is_ip = p.link.type == kEtherIpv4 || p.link.type == kEtherIpv6;
  if (p.is_ip) p.refusal = parse_ip(frame, p.link, p.packet);
  return p;
}

std::string reason(const Parsed& p) {
  return p.refusal ? std::string(name(*p.refusal)) : "accepted";
}

test::Packet tcp4() {
  return packet().eth().ipv4("192.0.2.1", "203.0.113.9").tcp(40000, 80, kPsh | kAck);
}
test::Packet tcp6() {
  return packet().eth().ipv6("2001:db8::1", "fd00::9").tcp(40000, 80, kPsh | kAck);
}
test::Packet ip4(const test::Ipv4Fields& f) {
  return packet().eth().ipv4("192.0.2.1", "203.0.113.9", f);
}
test::Packet ip6(const test::Ipv6Fields& f = {}) {
  return packet().eth().ipv6("2001:db8::1", "fd00::9", f);
}

/// Frames of every shape that is taken.
std::vector<Bytes> good_frames() {
  std::vector<test::Packet> all;
  all.push_back(tcp4().payload("hello"));
  all.push_back(tcp6().payload("hello"));
  all.push_back(packet().eth().vlan(5, 3).ipv4("192.0.2.1", "203.0.113.9").udp(1, 2).filler(20));
  all.push_back(packet().eth().vlan(4094).ipv6("2001:db8::1", "fd00::9").udp(1, 2).filler(1));
  all.push_back(
      ip4({.options = {1, 0x94, 4, 0, 0, 7, 7, 4, 0, 0, 0, 0}}).tcp(1, 2, kSyn, {.options = {2, 4, 5, 0xb4}}));
  all.push_back(ip4({.options = Bytes(40, 1)}).tcp(1, 2, kSyn, {.options = Bytes(40, 1)}).filler(3));
  all.push_back(ip6().extension(0, {5, 2, 0, 0}).extension(60).extension(43, {4, 0, 0, 0, 0, 0}).tcp(1, 2, kAck));
  all.push_back(ip6()
                    .extension(0)
                    .extension(60)
                    .extension(60)
                    .extension(60)
                    .extension(60)
                    .extension(60)
                    .extension(60)
                    .extension(60)
                    .udp(7, 8));
  all.push_back(ip6().fragment(0, false, 7).udp(7, 8).filler(9));
  all.push_back(ip4({}).icmp_echo(1, 2).payload("ping"));
  all.push_back(ip6().icmp6_echo(1, 2).payload("ping"));
  all.push_back(packet().eth().ipv6("fe80::2", "ff02::1:ff00:9", {.hop_limit = 255}).neighbor_solicitation("fd00::9"));
  std::vector<Bytes> bytes;
  for (const auto& p : all) bytes.push_back(p.bytes());
  return bytes;
}

/// What every later step relies on.
void expect_sound(const Parsed& p, std::span<const std::uint8_t> frame) {
  const Packet& k = p.packet;
  ASSERT_EQ(k.ip_offset, p.link.length);
  ASSERT_LE(k.frame_length, frame.size());
  ASSERT_GE(k.l4_offset, k.ip_offset + (k.is_v4 ? 20 : 40));
  ASSERT_EQ(k.source.is_v4(), k.is_v4);
  ASSERT_EQ(k.destination.is_v4(), k.is_v4);
  const std::size_t l4 = std::size_t{k.frame_length} - k.l4_offset;
  const std::uint8_t* at = frame.data() + k.l4_offset;
  switch (k.protocol) {
    case Protocol::kTcp: {
      ASSERT_GE(l4, 20u);
      const std::size_t header = at[12] / 16 * 4u;
      ASSERT_GE(header, 20u);
      ASSERT_EQ(k.payload_length + header, l4);
      ASSERT_EQ(k.tcp_flags, at[13]);
      break;
    }
    case Protocol::kUdp: ASSERT_LE(k.payload_length + 8u, l4); break;
    case Protocol::kIcmp:
      ASSERT_TRUE(k.is_v4);
      ASSERT_GE(l4, 8u);
      break;
    case Protocol::kIcmp6:
      ASSERT_FALSE(k.is_v4);
      ASSERT_GE(l4, 8u);
      break;
    default: FAIL() << "protocol " << int(k.protocol);
  }
  if (k.has_ports()) {
    ASSERT_EQ(k.source_port.host(), at[0] << 8 | at[1]);
    ASSERT_EQ(k.destination_port.host(), at[2] << 8 | at[3]);
    ASSERT_NE(k.source_port.host(), 0);
    ASSERT_NE(k.destination_port.host(), 0);
  } else {
    ASSERT_EQ(k.source_port, be16{});
    ASSERT_EQ(k.payload_length, 0);
  }
}

TEST(Parse, TakesEveryGoodShapeAndFillsInWhatLaterStepsRelyOn) {
  for (const Bytes& frame : good_frames()) {
    const Parsed p = parse(frame);
    ASSERT_EQ(reason(p), "accepted") << test::dump(frame);
    expect_sound(p, frame);
    EXPECT_EQ(p.packet.frame_length, frame.size()) << test::dump(frame);
  }
}

TEST(Parse, ReadsEachField) {
  const Bytes frame = packet()
                          .eth("02:00:00:00:00:11", "02:00:00:00:00:22")
                          .vlan(77, 5)
                          .ipv4("192.0.2.1", "203.0.113.9", {.ttl = 9, .options = {1, 1, 1, 1}})
                          .tcp(40000, 80, kPsh | kAck, {.options = {2, 4, 5, 0xb4}})
                          .payload("hello")
                          .trailer(6)
                          .bytes();
  const Parsed p = parse(frame);
  ASSERT_EQ(reason(p), "accepted");
  EXPECT_EQ(to_string(p.link.destination), "02:00:00:00:00:11");
  EXPECT_EQ(to_string(p.link.source), "02:00:00:00:00:22");
  EXPECT_EQ(p.link.vlan, 77);
  EXPECT_EQ(p.link.type, kEtherIpv4);
  EXPECT_EQ(p.link.length, 18);
  EXPECT_EQ(to_string(p.packet.source), "192.0.2.1");
  EXPECT_EQ(to_string(p.packet.destination), "203.0.113.9");
  EXPECT_EQ(p.packet.source_port.host(), 40000);
  EXPECT_EQ(p.packet.destination_port.host(), 80);
  EXPECT_EQ(p.packet.ttl, 9);
  EXPECT_EQ(p.packet.tcp_flags, kPsh | kAck);
  EXPECT_EQ(p.packet.ip_offset, 18);
  EXPECT_EQ(p.packet.l4_offset, 18 + 24);
  EXPECT_EQ(p.packet.payload_length, 5);
  EXPECT_EQ(p.packet.frame_length, frame.size() - 6);
  EXPECT_EQ(p.packet.ip_length(), frame.size() - 6 - 18);
}

TEST(Parse, RefusesEveryPrefixOfAFrameAndReadsNothingBehindIt) {
  for (const Bytes& frame : good_frames()) {
    const std::size_t link_length = parse(frame).link.length;
    for (std::size_t length = 0; length < frame.size(); ++length) {
      const Parsed p = parse(std::span(frame).first(length));
      ASSERT_TRUE(p.refusal.has_value()) << length << " bytes of " << test::dump(frame);
      if (length < link_length) {
        EXPECT_EQ(reason(p), "l2_short") << length;
      } else {
        EXPECT_TRUE(reason(p) == "ip_hdrlen" || reason(p) == "ip_totlen") << reason(p) << " at " << length;
      }
    }
  }
}

TEST(Parse, RefusesEveryPacketWhoseIpLengthEndsEarlyOrReadsItSoundly) {
  // The frame is whole, but the IP length says that it ends inside one of the headers: `length` bytes of it count.
  for (const Bytes& frame : good_frames()) {
    const Parsed whole = parse(frame);
    const std::size_t ip = whole.packet.ip_offset;
    for (std::size_t length = 0; ip + length < frame.size(); ++length) {
      Bytes lying = frame;
      if (whole.packet.is_v4) {
        lying[ip + 2] = static_cast<std::uint8_t>(length >> 8), lying[ip + 3] = static_cast<std::uint8_t>(length);
        lying[ip + 10] = lying[ip + 11] = 0;
        std::uint32_t sum = 0;
        for (std::size_t i = ip; i < ip + (lying[ip] & 15u) * 4u; i += 2) sum += lying[i] << 8 | lying[i + 1];
        while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
        lying[ip + 10] = static_cast<std::uint8_t>(~sum >> 8), lying[ip + 11] = static_cast<std::uint8_t>(~sum);
      } else {
        if (length < 40) continue;
        lying[ip + 4] = static_cast<std::uint8_t>((length - 40) >> 8);
        lying[ip + 5] = static_cast<std::uint8_t>(length - 40);
      }
      const Parsed p = parse(lying);
      const std::size_t l4_header =
          whole.packet.protocol == Protocol::kTcp ? frame[whole.packet.l4_offset + 12] / 16 * 4u : 8;
      const bool headers_fit = ip + length >= whole.packet.l4_offset + l4_header;
      // UDP says its length twice; it may not be longer than IP allows.
      const bool is_udp = whole.packet.protocol == Protocol::kUdp;
      EXPECT_EQ(!p.refusal, headers_fit && !is_udp) << length << " of " << test::dump(frame) << " " << reason(p);
      if (!p.refusal) expect_sound(p, lying);
    }
  }
}

TEST(Parse, RandomChangesNeverMakeItReadPastTheFrameOrAcceptWhatIsUnsound) {
  std::mt19937_64 random(1);
  const auto frames = good_frames();
  std::size_t accepted = 0;
  for (int i = 0; i < 400'000; ++i) {
    Bytes frame = frames[random() % frames.size()];
    for (std::uint64_t n = random() % 6; n > 0; --n) {
      // Mostly in the headers, where it matters; now and then small numbers and all ones.
      const std::size_t at = random() % std::min<std::size_t>(frame.size(), random() % 4 == 0 ? 200 : 80);
      const std::uint8_t values[] = {0, 1, 0xff, static_cast<std::uint8_t>(random()),
                                     static_cast<std::uint8_t>(random() % 64)};
      frame[at] = values[random() % 5];
    }
    if (random() % 4 == 0) frame.resize(random() % (frame.size() + 1));
    if (random() % 4 == 0) frame.resize(frame.size() + random() % 10);
    const Parsed p = parse(frame);
    if (p.refusal || !p.is_ip) continue;
    ++accepted;
    expect_sound(p, frame);
    if (HasFatalFailure()) FAIL() << test::dump(frame);
  }
  EXPECT_GT(accepted, 50'000u);
}

TEST(Parse, RandomBytesDoNoHarm) {
  std::mt19937_64 random(2);
  for (int i = 0; i < 100'000; ++i) {
    Bytes frame(random() % 120);
    for (auto& b : frame) b = static_cast<std::uint8_t>(random());
    if (frame.size() > 14) {
      frame[12] = random() % 2 ? 0x08 : 0x86;
      frame[13] = frame[12] == 0x08 ? 0x00 : 0xdd;
      frame[14] = frame[12] == 0x08 ? 0x45 : 0x60;
    }
    const Parsed p = parse(frame);
    if (!p.refusal && p.is_ip) expect_sound(p, frame);
  }
}

struct Case {
  const char* says;
  test::Packet in;
  const char* reason;
};

const Case kCases[] = {
    {"an IHL of 4 words", ip4({.version_ihl = 0x44}).tcp(1, 2, kAck), "ip_hdrlen"},
    {"an IHL beyond the frame", ip4({.version_ihl = 0x4f}).udp(1, 2), "ip_hdrlen"},
    {"version 6 behind the IPv4 ethertype", ip4({.version_ihl = 0x65}).tcp(1, 2, kAck), "ip_version"},
    {"version 4 behind the IPv6 ethertype", ip6({.version = 4}).tcp(1, 2, kAck), "ip_version"},
    {"a total length under the header", ip4({.total_length = 19}).tcp(1, 2, kAck), "ip_totlen"},
    {"a total length one over the frame", ip4({.total_length = 41}).tcp(1, 2, kAck), "ip_totlen"},
    {"a wrong header checksum", ip4({.checksum = 0x1234}).tcp(1, 2, kAck), "ip_csum"},
    {"IPv6 with payload length 0, a jumbogram", ip6({.payload_length = 0}).tcp(1, 2, kAck), "ip_totlen"},
    {"IPv6 longer than the frame", ip6({.payload_length = 21}).tcp(1, 2, kAck), "ip_totlen"},
    {"a loose source route", ip4({.options = {131, 7, 4, 1, 2, 3, 4}}).tcp(1, 2, kAck), "ip_options"},
    {"a strict source route behind two no-ops", ip4({.options = {1, 1, 137, 7, 4, 1, 2, 3, 4}}).tcp(1, 2, kAck),
     "ip_options"},
    {"a source route behind the end of options", ip4({.options = {0, 131, 7, 4}}).tcp(1, 2, kAck), "accepted"},
    {"an option of length 0", ip4({.options = {7, 0, 4, 0}}).tcp(1, 2, kAck), "ip_options"},
    {"an option of length 1", ip4({.options = {7, 1, 4, 0}}).tcp(1, 2, kAck), "ip_options"},
    {"an option longer than the header", ip4({.options = {7, 5, 4, 0}}).tcp(1, 2, kAck), "ip_options"},
    {"an option that is its kind alone, at the very end", ip4({.options = {1, 1, 1, 7}}).tcp(1, 2, kAck), "ip_options"},
    {"a first fragment", ip4({.mf = true}).tcp(1, 2, kAck), "ip_frag"},
    {"a later fragment", ip4({.fragment_offset = 1480}).udp(1, 2), "ip_frag"},
    {"don't fragment alone", ip4({.df = true}).tcp(1, 2, kAck), "accepted"},
    {"an IPv6 first fragment", ip6().fragment(0, true, 7).udp(1, 2), "ip_frag"},
    {"an IPv6 later fragment", ip6().fragment(8, false, 7).udp(1, 2), "ip_frag"},
    {"an atomic fragment", ip6().fragment(0, false, 7).udp(1, 2), "accepted"},
    {"routing type 0", ip6().extension(43, {0, 0, 0, 0, 0, 0}).tcp(1, 2, kAck), "ip6_ext"},
    {"a routing header with segments left", ip6().extension(43, {4, 1, 0, 0, 0, 0}).tcp(1, 2, kAck), "ip6_ext"},
    {"hop-by-hop options behind another header", ip6().extension(60).extension(0).tcp(1, 2, kAck), "ip6_ext"},
    {"hop-by-hop options twice", ip6().extension(0).extension(0).tcp(1, 2, kAck), "ip6_ext"},
    {"eight extension headers",
     ip6()
         .extension(60)
         .extension(60)
         .extension(60)
         .extension(60)
         .extension(60)
         .extension(60)
         .extension(60)
         .extension(60)
         .tcp(1, 2, kAck),
     "accepted"},
    {"nine extension headers",
     ip6()
         .extension(60)
         .extension(60)
         .extension(60)
         .extension(60)
         .extension(60)
         .extension(60)
         .extension(60)
         .extension(60)
         .extension(60)
         .tcp(1, 2, kAck),
     "ip6_ext"},
    {"an extension header longer than the packet", ip6().extension(60, {}, 200).tcp(1, 2, kAck), "ip6_ext"},
    {"no next header (59)", ip6({.next_header = 59}).payload("12345678"), "proto"},
    {"ESP over IPv6", ip6({.next_header = 50}).payload("12345678"), "proto"},
    {"GRE", ip4({.protocol = 47}).payload("12345678"), "proto"},
    {"ICMP over IPv6", ip6({.next_header = 1}).payload("12345678"), "proto"},
    {"ICMPv6 over IPv4", ip4({.protocol = 58}).payload("12345678"), "proto"},
    {"an IPv4-mapped IPv6 source", packet().eth().ipv6("::ffff:192.0.2.1", "fd00::9").tcp(1, 2, kAck),
     "ip_martian_src"},
    {"an IPv4-mapped IPv6 destination", packet().eth().ipv6("fd00::1", "::ffff:192.0.2.1").tcp(1, 2, kAck),
     "ip_martian_dst"},
    {"a TCP data offset of 4 words", ip4({}).tcp(1, 2, kAck, {.data_offset = 4}), "l4_short"},
    {"a TCP data offset beyond the packet", ip4({}).tcp(1, 2, kAck, {.data_offset = 6}), "l4_short"},
    {"SYN with FIN", ip4({}).tcp(1, 2, kSyn | kFin), "tcp_flags"},
    {"SYN with RST", ip4({}).tcp(1, 2, kSyn | kRst), "tcp_flags"},
    {"FIN alone", ip4({}).tcp(1, 2, kFin), "tcp_flags"},
    {"no flag at all", ip4({}).tcp(1, 2, 0), "tcp_flags"},
    {"RST alone", ip4({}).tcp(1, 2, kRst), "accepted"},
    {"source port 0", ip4({}).tcp(0, 2, kAck), "port_zero"},
    {"destination port 0", ip4({}).udp(1, 0), "port_zero"},
    {"port 0 before flags", ip4({}).tcp(0, 2, 0), "port_zero"},
    {"a UDP length under 8", ip4({}).udp(1, 2, {.length = 7}), "l4_short"},
    {"a UDP length one over the packet", ip4({}).udp(1, 2, {.length = 9}), "l4_short"},
    {"a UDP length shorter than the packet", ip4({}).udp(1, 2, {.length = 8}).filler(4), "accepted"},
    {"UDP without a checksum over IPv4", ip4({}).udp(1, 2, {.checksum = 0}), "accepted"},
    {"UDP without a checksum over IPv6", ip6().udp(1, 2, {.checksum = 0}), "l4_csum"},
    {"a wrong TCP checksum, which is the ends' business", tcp4().spoil_checksum(), "accepted"},
    {"TTL 0, which the path judges", ip4({.ttl = 0}).tcp(1, 2, kAck), "accepted"},
    {"a tag inside a tag", packet().eth().vlan(1).vlan(2).ipv4("192.0.2.1", "203.0.113.9").tcp(1, 2, kAck),
     "vlan_unknown"},
    {"a priority tag", packet().eth().vlan(0, 7).ipv4("192.0.2.1", "203.0.113.9").tcp(1, 2, kAck), "accepted"},
    {"a header checksum of 0xffff that ought to be 0",  // both sum to zero: RFC 1624 section 3
     packet().eth().ipv4("192.0.2.1", "203.0.113.9", {.id = 0xffff}).tcp(1, 2, kAck), "accepted"},
};

TEST(Parse, NamesTheFirstThingWrong) {
  for (const Case& c : kCases) EXPECT_EQ(reason(parse(c.in.bytes())), c.reason) << c.says;
}

TEST(Parse, EveryTcpFlagByteIsJudgedByTheTwoRules) {
  for (unsigned flags = 0; flags < 256; ++flags) {
    const bool bad = ((flags & kSyn) != 0 && (flags & (kFin | kRst)) != 0) || (flags & (kSyn | kAck | kRst)) == 0;
    EXPECT_EQ(reason(parse(ip4({}).tcp(1, 2, static_cast<std::uint8_t>(flags)).bytes())),
              bad ? "tcp_flags" : "accepted")
        << flags;
  }
}

TEST(Parse, MartianAddressesOfBothFamilies) {
  for (const char* a : {"0.0.0.0", "0.1.2.3", "127.0.0.1", "127.255.255.255", "224.0.0.1", "239.255.255.255",
                        "240.0.0.1", "255.255.255.255", "::", "::1", "ff02::1", "ffff::"}) {
    EXPECT_TRUE(is_martian_source(*parse_address(a))) << a;
    EXPECT_TRUE(is_martian_destination(*parse_address(a))) << a;
  }
  for (const char* a : {"1.0.0.0", "10.0.0.1", "126.255.255.255", "128.0.0.1", "169.254.1.1", "192.168.0.1",
                        "223.255.255.255", "2001:db8::1", "fd00::1", "fe80::1", "::2"}) {
    EXPECT_FALSE(is_martian_source(*parse_address(a))) << a;
    EXPECT_FALSE(is_martian_destination(*parse_address(a))) << a;
  }
}

}  // namespace
}  // namespace weir::lb
