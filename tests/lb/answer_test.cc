// The packets Weir makes itself, against packets written by tests/support, whose checksums are its own.
#include "lb/answer.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

#include "tests/support/packet.h"

namespace weir::lb {
namespace {

using test::Bytes;
using test::kAck;
using test::kFin;
using test::kPsh;
using test::kRst;
using test::kSyn;
using test::kUrg;
using test::kWeirMac;
using test::link_layer_option;
using test::packet;
using test::same_packet;

Packet parsed(const Bytes& frame) {
  Link link;
  Packet p;
  EXPECT_FALSE(parse_link(frame, link));
  EXPECT_FALSE(parse_ip(frame, link, p)) << test::dump(frame);
  return p;
}

MacAddress weir_mac() {
  return *parse_mac(kWeirMac);
}

// ---- RST: RFC 9293 3.10.7.1 ----

/// What comes out for `in`, from its IP header on.
Bytes rst_for(const Bytes& in) {
  const Packet p = parsed(in);
  Bytes out = in;
  write_rst(out.data(), p);
  return {out.begin() + p.ip_offset, out.begin() + p.ip_offset + static_cast<long>(rst_length(p.is_v4))};
}

TEST(Rst, ToASegmentWithAckTakesItsSequenceFromThatAckAndCarriesNone) {
  const Bytes in = packet()
                       .eth()
                       .ipv4("192.0.2.1", "203.0.113.9", {.ttl = 7, .tos = 4, .id = 99})
                       .tcp(40000, 80, kPsh | kAck, {.seq = 1000, .ack = 0xfffffff0})
                       .payload("hello")
                       .bytes();
  EXPECT_TRUE(same_packet(packet()
                              .ipv4("203.0.113.9", "192.0.2.1", {.ttl = 64, .df = true})
                              .tcp(80, 40000, kRst, {.seq = 0xfffffff0, .ack = 0, .window = 0})
                              .bytes(),
                          rst_for(in)));
}

TEST(Rst, ToASynHasSequenceZeroAndAcknowledgesTheSyn) {
  const Bytes in = packet()
                       .eth()
                       .ipv6("2001:db8::1", "fd00::9", {.hop_limit = 3, .traffic_class = 9, .flow_label = 77})
                       .tcp(40000, 80, kSyn, {.seq = 0xffffffff, .options = test::mss_option(1460)})
                       .bytes();
  EXPECT_TRUE(same_packet(packet()
                              .ipv6("fd00::9", "2001:db8::1", {.hop_limit = 64})
                              .tcp(80, 40000, kRst | kAck, {.seq = 0, .ack = 0, .window = 0})
                              .bytes(),
                          rst_for(in)));
}

TEST(Rst, FitsEveryTcpPacketAndItsNumbersFollowTheRfcForAllFlagsAndLengths) {
  std::mt19937_64 random(1);
  for (int i = 0; i < 20'000; ++i) {
    const auto flags = static_cast<std::uint8_t>(random() % 64);
    const bool syn = flags & kSyn, fin = flags & kFin, ack = flags & kAck;
    if ((flags & kRst) != 0 || (syn && fin) || (!syn && !ack)) continue;  // never answered, or never parsed
    const bool v4 = random() % 2;
    const std::size_t payload = random() % 50;
    const auto seq = static_cast<std::uint32_t>(random() % 3 == 0 ? ~std::uint64_t{0} - random() % 60 : random());
    const auto number = static_cast<std::uint32_t>(random());
    test::Packet in = packet().eth();
    v4 ? in.ipv4("192.0.2.1", "203.0.113.9", {.options = Bytes(random() % 3 * 4, 1)})
       : in.ipv6("2001:db8::1", "fd00::9");
    if (!v4 && random() % 2) in.extension(60);
    in.tcp(1234, 80, flags, {.seq = seq, .ack = number, .options = Bytes(random() % 3 * 4, 1)}).filler(payload);

    const test::TcpFields fields =
        ack ? test::TcpFields{.seq = number, .ack = 0, .window = 0}
            : test::TcpFields{.seq = 0, .ack = static_cast<std::uint32_t>(seq + payload + syn + fin), .window = 0};
    test::Packet out = packet();
    v4 ? out.ipv4("203.0.113.9", "192.0.2.1", {.df = true}) : out.ipv6("fd00::9", "2001:db8::1");
    out.tcp(80, 1234, static_cast<std::uint8_t>(ack ? kRst : kRst | kAck), fields);
    ASSERT_TRUE(same_packet(out.bytes(), rst_for(in.bytes())));
  }
}

// ---- ICMP unreachable ----

Bytes unreachable_for(const Bytes& in, std::size_t mtu = 1500) {
  const Packet p = parsed(in);
  const std::size_t overhead = unreachable_overhead(p.is_v4);
  Bytes out(overhead + in.size() - p.ip_offset);
  std::copy(in.begin() + p.ip_offset, in.end(), out.begin() + static_cast<long>(overhead));
  out.resize(unreachable_length(p, mtu));
  write_port_unreachable(out.data(), p, out.size());
  return out;
}

TEST(Unreachable, QuotesNoMoreThanFitsTheInterface) {
  const Bytes in = packet().eth().ipv4("192.0.2.1", "203.0.113.9").udp(40000, 53).filler(400).bytes();
  EXPECT_EQ(unreachable_for(in).size(), 20 + 8 + 20 + 8 + 400);
  EXPECT_EQ(unreachable_for(in, 100).size(), 100);
}

TEST(Unreachable, QuotesAShortPacketWholeWithoutItsTrailer) {
  const test::Packet quoted = packet().ipv4("192.0.2.1", "203.0.113.9", {.ttl = 9}).udp(40000, 53).payload("hello");
  const Bytes in =
      packet().eth().ipv4("192.0.2.1", "203.0.113.9", {.ttl = 9}).udp(40000, 53).payload("hello").trailer(9).bytes();
  EXPECT_TRUE(
      same_packet(packet().ipv4("203.0.113.9", "192.0.2.1", {.df = true}).icmp(3, 3).payload(quoted.bytes()).bytes(),
                  unreachable_for(in)));
}

TEST(Unreachable, IsNeverLongerThan576BytesOr1280InIpv6) {
  for (std::size_t payload = 480; payload < 1400; payload += 7) {
    const Bytes in4 = packet().eth().ipv4("192.0.2.1", "203.0.113.9").udp(40000, 53).filler(payload).bytes();
    Bytes quoted4(in4.begin() + 14, in4.end());
    quoted4.resize(std::min<std::size_t>(quoted4.size(), 576 - 28));
    EXPECT_TRUE(same_packet(packet().ipv4("203.0.113.9", "192.0.2.1", {.df = true}).icmp(3, 3).payload(quoted4).bytes(),
                            unreachable_for(in4)));
    const Bytes in6 = packet().eth().ipv6("2001:db8::1", "fd00::9").udp(40000, 53).filler(payload).bytes();
    Bytes quoted6(in6.begin() + 14, in6.end());
    quoted6.resize(std::min<std::size_t>(quoted6.size(), 1280 - 48));
    EXPECT_TRUE(same_packet(packet().ipv6("fd00::9", "2001:db8::1").icmp6(1, 4).payload(quoted6).bytes(),
                            unreachable_for(in6)));
  }
}

// ---- echo ----

TEST(Echo, TheReplyIsTheRequestWithTypeAndAddressesTurnedRound) {
  for (const std::size_t payload : {0, 1, 56, 1400}) {
    Bytes v4 = packet()
                   .eth()
                   .ipv4("192.0.2.1", "203.0.113.9", {.ttl = 9, .tos = 8, .id = 5})
                   .icmp_echo(77, 3)
                   .filler(payload)
                   .bytes();
    write_echo_reply(v4.data(), parsed(v4));
    EXPECT_TRUE(same_packet(packet()
                                .eth()
                                .ipv4("203.0.113.9", "192.0.2.1", {.ttl = 64, .tos = 8, .id = 5})
                                .icmp_echo_reply(77, 3)
                                .filler(payload)
                                .bytes(),
                            v4));
    Bytes v6 =
        packet().eth().ipv6("2001:db8::1", "fd00::9", {.hop_limit = 9}).icmp6_echo(77, 3).filler(payload).bytes();
    write_echo_reply(v6.data(), parsed(v6));
    EXPECT_TRUE(same_packet(packet()
                                .eth()
                                .ipv6("fd00::9", "2001:db8::1", {.hop_limit = 64})
                                .icmp6_echo_reply(77, 3)
                                .filler(payload)
                                .bytes(),
                            v6));
  }
}

// ---- ARP ----

ArpKind arp_kind(const Bytes& frame, Address& target) {
  return read_arp(std::span(frame).subspan(14), target);
}

TEST(Arp, ARequestIsReadAndAnswered) {
  Bytes frame = packet().eth(test::kBroadcastMac).arp_request(test::kPeerMac, "192.0.2.1", "203.0.113.9").bytes();
  Address target;
  ASSERT_EQ(arp_kind(frame, target), ArpKind::kRequest);
  EXPECT_EQ(to_string(target), "203.0.113.9");
  write_arp_reply(frame.data() + 14, weir_mac());
  EXPECT_TRUE(same_packet(packet().arp_reply(kWeirMac, "203.0.113.9", test::kPeerMac, "192.0.2.1").bytes(),
                          std::span(frame).subspan(14)));
}

TEST(Arp, AProbeFromNoAddressIsARequest) {  // RFC 5227 2.1.1
  Address target;
  EXPECT_EQ(arp_kind(packet().eth().arp_request(test::kPeerMac, "0.0.0.0", "203.0.113.9").bytes(), target),
            ArpKind::kRequest);
}

TEST(Arp, WhatAsksNothingIsOther) {
  Address target;
  EXPECT_EQ(arp_kind(packet().eth().arp_reply(test::kPeerMac, "192.0.2.1", kWeirMac, "203.0.113.9").bytes(), target),
            ArpKind::kOther);
  EXPECT_EQ(arp_kind(packet().eth().arp_request(test::kPeerMac, "192.0.2.1", "192.0.2.1").bytes(), target),
            ArpKind::kOther);
}

TEST(Arp, WhatIsMalformedIsBad) {
  Address target;
  const auto request = [](std::string_view mac, const test::ArpFields& f) {
    return packet().eth().arp(1, mac, "192.0.2.1", "00:00:00:00:00:00", "203.0.113.9", f).bytes();
  };
  EXPECT_EQ(arp_kind(request(test::kPeerMac, {.hardware = 6}), target), ArpKind::kBad);
  EXPECT_EQ(arp_kind(request(test::kPeerMac, {.protocol = 0x86dd}), target), ArpKind::kBad);
  EXPECT_EQ(arp_kind(request(test::kPeerMac, {.hardware_bytes = 8}), target), ArpKind::kBad);
  EXPECT_EQ(arp_kind(request(test::kPeerMac, {.protocol_bytes = 16}), target), ArpKind::kBad);
  EXPECT_EQ(arp_kind(request("01:00:5e:00:00:01", {}), target), ArpKind::kBad);
  EXPECT_EQ(arp_kind(request("00:00:00:00:00:00", {}), target), ArpKind::kBad);
  const Bytes whole = request(test::kPeerMac, {});
  for (std::size_t length = 14; length < 14 + 28; ++length)
    EXPECT_EQ(arp_kind(Bytes(whole.begin(), whole.begin() + static_cast<long>(length)), target), ArpKind::kBad)
        << length;
}

// ---- neighbour solicitation: RFC 4861 7.1.1 ----

struct SolicitationCase {
  const char* says;
  test::Packet in;
  bool is_valid;
};

test::Packet from(std::string_view source, std::string_view destination, std::uint8_t hop_limit = 255) {
  return packet().eth("33:33:ff:00:00:09").ipv6(source, destination, {.hop_limit = hop_limit});
}

constexpr std::string_view kGroup = "ff02::1:ff00:9";

const SolicitationCase kSolicitations[] = {
    {"an ordinary one", from("fe80::2", kGroup).neighbor_solicitation("fd00::9", link_layer_option(1, test::kPeerMac)),
     true},
    {"without the source's link-layer address", from("fe80::2", kGroup).neighbor_solicitation("fd00::9"), true},
    {"unicast to the target, to see whether it is still there",
     from("fe80::2", "fd00::9").neighbor_solicitation("fd00::9"), true},
    {"duplicate address detection", from("::", kGroup).neighbor_solicitation("fd00::9"), true},
    {"with an unknown option (a nonce, RFC 7527)",
     from("::", kGroup).neighbor_solicitation("fd00::9", {14, 1, 1, 2, 3, 4, 5, 6}), true},
    {"a hop limit of 254: it came through a router", from("fe80::2", kGroup, 254).neighbor_solicitation("fd00::9"),
     false},
    {"a wrong checksum", from("fe80::2", kGroup).neighbor_solicitation("fd00::9").spoil_checksum(), false},
    {"code 1", from("fe80::2", kGroup).icmp6(135, 1).payload(test::from_hex("fd000000000000000000000000000009")),
     false},
    {"23 bytes", from("fe80::2", kGroup).icmp6(135, 0).payload(test::from_hex("fd0000000000000000000000000000")),
     false},
    {"a multicast target", from("fe80::2", kGroup).neighbor_solicitation("ff02::9"), false},
    {"an option of length 0", from("fe80::2", kGroup).neighbor_solicitation("fd00::9", {1, 0, 0, 0, 0, 0, 0, 0}),
     false},
    {"an option longer than the packet",
     from("fe80::2", kGroup).neighbor_solicitation("fd00::9", {1, 2, 2, 0, 0, 0, 0, 2}), false},
    {"one byte of an option", from("fe80::2", kGroup).neighbor_solicitation("fd00::9", {1}), false},
    {"detection to a unicast address", from("::", "fd00::9").neighbor_solicitation("fd00::9"), false},
    {"detection with a source link-layer address",
     from("::", kGroup).neighbor_solicitation("fd00::9", link_layer_option(1, test::kPeerMac)), false},
    {"to another target's group", from("fe80::2", "ff02::1:ff00:8").neighbor_solicitation("fd00::9"), false},
    {"to all nodes", from("fe80::2", "ff02::1").neighbor_solicitation("fd00::9"), false},
    {"unicast to somebody else", from("fe80::2", "fd00::8").neighbor_solicitation("fd00::9"), false},
};

TEST(Solicitation, IsValidExactlyWhenTheRfcsChecksHold) {
  for (const SolicitationCase& c : kSolicitations) {
    const Bytes frame = c.in.bytes();
    EXPECT_EQ(read_solicitation(frame, parsed(frame)).has_value(), c.is_valid) << c.says;
  }
}

TEST(Solicitation, SaysItsTargetAndWhetherItIsDetection) {
  Bytes frame = from("fe80::2", kGroup).neighbor_solicitation("fd00::9").bytes();
  auto s = read_solicitation(frame, parsed(frame));
  ASSERT_TRUE(s);
  EXPECT_EQ(to_string(s->target), "fd00::9");
  EXPECT_FALSE(s->is_dad);
  frame = from("::", kGroup).neighbor_solicitation("fd00::9").bytes();
  s = read_solicitation(frame, parsed(frame));
  ASSERT_TRUE(s);
  EXPECT_TRUE(s->is_dad);
}

TEST(Solicitation, ATrailerBehindThePacketIsNoOption) {
  const Bytes frame = from("fe80::2", kGroup).neighbor_solicitation("fd00::9").trailer(5).bytes();
  EXPECT_TRUE(read_solicitation(frame, parsed(frame)));
}

TEST(Advertisement, AnswersTheAskerSolicitedWithOverride) {
  Bytes out(kAdvertisementLength);
  write_advertisement(out.data(), {*parse_address("fd00::9"), false}, *parse_address("fe80::2"), weir_mac());
  EXPECT_TRUE(same_packet(packet()
                              .ipv6("fd00::9", "fe80::2", {.hop_limit = 255})
                              .neighbor_advertisement("fd00::9", 0x60, link_layer_option(2, kWeirMac))
                              .bytes(),
                          out));
}

TEST(Advertisement, AnswersDetectionToAllNodesUnsolicited) {
  Bytes out(kAdvertisementLength);
  write_advertisement(out.data(), {*parse_address("fd00::9"), true}, *parse_address("::"), weir_mac());
  EXPECT_TRUE(same_packet(packet()
                              .ipv6("fd00::9", "ff02::1", {.hop_limit = 255})
                              .neighbor_advertisement("fd00::9", 0x20, link_layer_option(2, kWeirMac))
                              .bytes(),
                          out));
  EXPECT_EQ(to_string(kAllNodesMac), "33:33:00:00:00:01");
}

}  // namespace
}  // namespace weir::lb
