#include "tests/support/packet.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>
#include <string>

namespace weir::test {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

struct Case {
  const char* says;
  Packet built;
  const char* expected;  // as scapy 2.5.0 makes it, kept here so that tests need no scapy
};

const Case kCases[] = {
    {"a SYN with options",
     packet()
         .eth()
         .ipv4("192.0.2.1", "203.0.113.9", {.ttl = 63, .tos = 0x10, .id = 0x1234, .df = true})
         .tcp(40000, 80, kSyn, {.seq = 0x01020304, .window = 64240, .options = {2, 4, 5, 0xb4, 1, 3, 3, 7, 4, 2}}),
     "020000000001020000000002 0800 45100034123440003f062b75c0000201cb007109"
     "9c40005001020304000000008002faf0d67f0000020405b40103030704020000"},
    {"IPv4 options, and an odd UDP payload",
     packet()
         .eth()
         .ipv4("192.0.2.1", "203.0.113.9", {.id = 1, .options = {0x94, 4, 0, 0}})
         .udp(53, 5353)
         .payload("odd"),
     "020000000001020000000002 0800 46000023000100004011e7b9c0000201cb00710994040000 003514e9000b194a6f6464"},
    {"VLAN, UDP over IPv6",
     packet()
         .eth()
         .vlan(5, 3)
         .ipv6("2001:db8::1", "fd00::9", {.hop_limit = 9, .traffic_class = 7, .flow_label = 0x12345})
         .udp(1000, 53)
         .payload("hello"),
     "020000000001020000000002 8100600586dd 60712345000d110920010db8000000000000000000000001"
     "fd000000000000000000000000000009 03e80035000d8d2168656c6c6f"},
    {"two extension headers before TCP",
     packet()
         .eth()
         .ipv6("2001:db8::1", "fd00::9")
         .extension(0, {5, 2, 0, 0})
         .extension(60, {1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})
         .tcp(1, 2, kPsh | kAck, {.seq = 5, .ack = 6, .window = 7})
         .payload("x"),
     "020000000001020000000002 86dd 60000000002d004020010db8000000000000000000000001"
     "fd000000000000000000000000000009 3c00050200000100 0601010c000000000000000000000000"
     "000100020000000500000006501800070cf3000078"},
    {"an IPv6 fragment",
     packet().eth().ipv6("2001:db8::1", "fd00::9").fragment(1480, true, 0xdeadbeef, 17).payload("abcdefgh"),
     "020000000001020000000002 86dd 6000000000102c4020010db8000000000000000000000001"
     "fd000000000000000000000000000009 110005c9deadbeef6162636465666768"},
    {"a ping", packet().eth().ipv4("192.0.2.1", "203.0.113.9", {.id = 7}).icmp_echo(0x77, 3).payload("ping"),
     "020000000001020000000002 0800 450000200007000040017ccbc0000201cb007109 080018b50077000370696e67"},
    {"a ping over IPv6", packet().eth().ipv6("2001:db8::1", "fd00::9").icmp6_echo(0x77, 3).payload("ping"),
     "020000000001020000000002 86dd 60000000000c3a4020010db8000000000000000000000001"
     "fd000000000000000000000000000009 800075aa0077000370696e67"},
    {"an ARP request", packet().eth(kBroadcastMac).arp_request(kPeerMac, "192.0.2.1", "192.0.2.254"),
     "ffffffffffff020000000002 0806 0001080006040001020000000002c0000201000000000000c00002fe"},
    {"a neighbour solicitation",
     packet()
         .eth("33:33:ff:00:00:09")
         .ipv6("fe80::2", "ff02::1:ff00:9", {.hop_limit = 255})
         .neighbor_solicitation("fd00::9", link_layer_option(1, kPeerMac)),
     "3333ff000009020000000002 86dd 6000000000203afffe800000000000000000000000000002"
     "ff0200000000000000000001ff000009 87007c0700000000fd0000000000000000000000000000090101020000000002"},
    {"a neighbour advertisement",
     packet()
         .eth()
         .ipv6("fd00::9", "fe80::2", {.hop_limit = 255})
         .neighbor_advertisement("fd00::9", 0xe0, link_layer_option(2, kWeirMac)),
     "020000000001020000000002 86dd 6000000000203afffd000000000000000000000000000009"
     "fe800000000000000000000000000002 88009b0be0000000fd0000000000000000000000000000090201020000000001"},
    {"IPv4 in IPv4",
     packet()
         .eth()
         .ipv4("198.51.100.1", "10.0.0.3", {.df = true})
         .ipv4("192.0.2.1", "203.0.113.9", {.id = 9})
         .udp(1, 2)
         .payload("in"),
     "020000000001020000000002 0800 4500003200004000400406 91c63364010a000003"
     "4500001e0009000040117cbbc0000201cb007109 00010002000a985d696e"},
    {"the last fragment of a datagram",
     packet()
         .eth()
         .ipv4("192.0.2.1", "203.0.113.9", {.id = 9, .fragment_offset = 1480, .protocol = 17})
         .payload("tail"),
     "020000000001020000000002 0800 45000018000900b940117c08c0000201cb007109 7461696c"},
    {"an ICMP error that quotes a datagram",
     packet()
         .eth()
         .ipv4("203.0.113.1", "192.0.2.1")
         .icmp(3, 4, 1400)
         .payload(packet().ipv4("192.0.2.1", "203.0.113.9", {.id = 9}).udp(1, 2).payload("in").bytes()),
     "020000000001020000000002 0800 4500003a0000000040017cc0cb007101c0000201"
     "0304f5aa000005784500001e0009000040117cbbc0000201cb00710900010002000a985d696e"},
};

TEST(Packet, EqualsScapy) {
  for (const Case& c : kCases) EXPECT_TRUE(same_packet(from_hex(c.expected), c.built.bytes())) << c.says;
}

TEST(Packet, ShowsNoWrongChecksumWhereThereIsNone) {
  for (const Case& c : kCases) {
    EXPECT_THAT(dump(c.built.bytes()), Not(HasSubstr("BAD"))) << c.says;
    EXPECT_THAT(dump(c.built.bytes()), Not(HasSubstr("CUT"))) << c.says;
  }
}

TEST(Packet, WritesFragmentHeaders) {
  const auto first = packet().eth().ipv6("::1", "::2").fragment(0, true, 7).udp(1, 2).filler(8).bytes();
  EXPECT_EQ(Bytes(first.begin() + 54, first.begin() + 62), (Bytes{17, 0, 0, 1, 0, 0, 0, 7}));
  const auto last = packet().eth().ipv6("::1", "::2").fragment(1448, false, 7).filler(8).bytes();
  EXPECT_EQ(Bytes(last.begin() + 54, last.begin() + 62), (Bytes{59, 0, 5, 0xa8, 0, 0, 0, 7}));
}

TEST(Packet, TakesFieldsByHand) {
  const Bytes none = packet().eth().ipv4("10.0.0.1", "10.0.0.2").udp(1, 2).checksum(0).bytes();
  EXPECT_EQ(none[40], 0);
  EXPECT_EQ(none[41], 0);
  EXPECT_THAT(dump(none), HasSubstr("no checksum"));
  const Bytes lies = packet()
                         .eth()
                         .ipv4("10.0.0.1", "10.0.0.2", {.version_ihl = 0x65, .total_length = 9, .checksum = 0x1234})
                         .udp(1, 2, {.length = 4})
                         .bytes();
  EXPECT_EQ(lies[14], 0x65);
  EXPECT_EQ(lies[17], 9);
  EXPECT_EQ(lies[24], 0x12);
  EXPECT_EQ(lies[39], 4);
  EXPECT_EQ(packet().eth(kWeirMac, kPeerMac, 0x88b5).payload("?").bytes()[12], 0x88);
}

TEST(Packet, NeverSendsAUdpChecksumOfZeroByItself) {
  // Ports that make the sum come to 0: found by trying them all.
  for (unsigned port = 0; port < 65536; ++port) {
    const Bytes p = packet().ipv4("10.0.0.1", "10.0.0.2").udp(static_cast<std::uint16_t>(port), 2).bytes();
    ASSERT_FALSE(p[26] == 0 && p[27] == 0) << port;
  }
}

TEST(Packet, SpoilsChecksumsOnRequest) {
  const auto good = packet().eth().ipv4("10.0.0.1", "10.0.0.2").tcp(1, 2, kAck).bytes();
  const auto bad = packet().eth().ipv4("10.0.0.1", "10.0.0.2").tcp(1, 2, kAck).spoil_checksum(0x0300).bytes();
  EXPECT_EQ(bad[50], good[50] ^ 3);
  EXPECT_THAT(dump(bad), HasSubstr("BAD checksum"));
  const auto bad_ip = packet().eth().ipv4("10.0.0.1", "10.0.0.2").spoil_checksum().tcp(1, 2, kAck).bytes();
  EXPECT_THAT(dump(bad_ip), HasSubstr("BAD ipv4 checksum"));
}

TEST(Packet, HasATrailerTheIpLengthDoesNotCountAndCanBeCut) {
  const auto whole = packet().eth().ipv4("10.0.0.1", "10.0.0.2").udp(1, 2).payload("x").trailer(17, 0xee);
  EXPECT_EQ(whole.bytes().size(), 60u);
  EXPECT_EQ(whole.bytes()[17], 29);
  EXPECT_EQ(whole.bytes().back(), 0xee);
  EXPECT_THAT(dump(whole.bytes()), HasSubstr("trailer 17"));
  EXPECT_EQ(Packet(whole).cut(33).bytes().size(), 33u);
  EXPECT_EQ(Packet(whole).cut(61).bytes().size(), 60u);
}

TEST(Packet, RefusesMisspeltAddresses) {
  EXPECT_THROW(packet().ipv4("10.0.0.256", "10.0.0.1"), std::invalid_argument);
  EXPECT_THROW(packet().ipv6("10.0.0.1", "::1"), std::invalid_argument);
  EXPECT_THROW(packet().eth("02:00:00:00:00"), std::invalid_argument);
}

TEST(Dump, TellsWhatAPacketSays) {
  const auto p = packet().eth().vlan(5).ipv4("192.0.2.1", "203.0.113.9").tcp(40000, 80, kSyn | kAck, {.seq = 7});
  EXPECT_THAT(dump(p.bytes()),
              HasSubstr("eth 02:00:00:00:00:02 > 02:00:00:00:00:01 vlan 5 ipv4 192.0.2.1 > 203.0.113.9 ttl 64 id 0 tcp "
                        "40000 > 80 SA seq 7 ack 0 payload 0 (58 bytes): 02 00 00"));
  EXPECT_EQ(::testing::PrintToString(p), dump(p.bytes()));
}

TEST(Dump, ReadsNothingBehindTheEnd) {  // the sanitizers are the judge
  for (const Case& c : kCases)
    for (std::size_t n = 0; n < c.built.bytes().size(); ++n) {
      const Bytes cut = Packet(c.built).cut(n).bytes();
      EXPECT_FALSE(dump(Bytes(cut.begin(), cut.end())).empty());
    }
}

TEST(SamePacket, NamesTheFieldThatDiffers) {
  const auto one = packet().eth().ipv4("192.0.2.1", "203.0.113.9").tcp(1, 2, kSyn);
  const auto two = packet().eth().ipv4("192.0.2.1", "203.0.113.9", {.ttl = 63}).tcp(1, 2, kSyn);
  EXPECT_TRUE(same_packet(one.bytes(), one.bytes()));
  const auto result = same_packet(one.bytes(), two.bytes());
  EXPECT_FALSE(result);
  EXPECT_THAT(result.message(), HasSubstr("differ at byte 22 (ipv4 ttl): expected 40, got 3f"));
  EXPECT_THAT(same_packet(one.bytes(), Packet(one).trailer(3).bytes()).message(),
              HasSubstr("expected 54 bytes, got 57"));
  EXPECT_EQ(field_at(one.bytes(), 47), "tcp flags");
  EXPECT_EQ(field_at(Packet(one).trailer(3).bytes(), 55), "trailer");
}

}  // namespace
}  // namespace weir::test
