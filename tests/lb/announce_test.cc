// Announcements to the byte, and what is read from those of others.
#include "lb/announce.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lb/parse.h"
#include "tests/support/packet.h"

namespace weir::lb {
namespace {

using test::Bytes;
using test::kBroadcastMac;
using test::kPeerMac;
using test::kWeirMac;
using test::link_layer_option;
using test::packet;
using test::same_packet;

constexpr std::string_view kAllNodes = "33:33:00:00:00:01";

Bytes announced(std::string_view address) {
  const auto a = announce(*parse_address(address), *parse_mac(kWeirMac));
  return {a.frame().begin(), a.frame().end()};
}

TEST(Announce, Ipv4IsAnArpRequestByBroadcastWhoseSenderAndTargetAreTheAddress) {
  EXPECT_EQ(announced("203.0.113.10"),
            (Bytes{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02, 0, 0,   0,  0, 0x01, 0x08, 0x06,  //
                   0,    1,    0x08, 0,    6,    4,    0,    1,                                //
                   0x02, 0,    0,    0,    0,    0x01, 203,  0, 113, 10,                       //
                   0,    0,    0,    0,    0,    0,    203,  0, 113, 10}));
}

TEST(Announce, Ipv6IsAnUnsolicitedAdvertisementToAllNodesThatOverrides) {
  const Bytes expected = packet()
                             .eth(kAllNodes, kWeirMac)
                             .ipv6("2001:db8::10", "ff02::1", {.hop_limit = 255})
                             .neighbor_advertisement("2001:db8::10", 0x20, link_layer_option(2, kWeirMac))
                             .bytes();
  EXPECT_TRUE(same_packet(expected, announced("2001:db8::10")));
  EXPECT_EQ(expected.size(), Announcement::kMaxLength);
}

// ---- those of others ----

std::optional<Claim> arp_claim(const test::Packet& p) {
  const Bytes frame = p.bytes();
  return read_arp_claim(std::span(frame).subspan(14));
}

TEST(Claim, IsTheSenderOfAnArpRequestOrReply) {
  const auto eth = packet().eth(kBroadcastMac, kPeerMac);
  for (const auto& p : {test::Packet(eth).arp_request(kPeerMac, "203.0.113.10", "203.0.113.10"),
                        test::Packet(eth).arp_request(kPeerMac, "203.0.113.10", "198.51.100.1"),
                        test::Packet(eth).arp_reply(kPeerMac, "203.0.113.10", kWeirMac, "198.51.100.1")}) {
    const auto claim = arp_claim(p);
    ASSERT_TRUE(claim);
    EXPECT_EQ(claim->address, *parse_address("203.0.113.10"));
    EXPECT_EQ(claim->mac, *parse_mac(kPeerMac));
  }
  EXPECT_FALSE(arp_claim(test::Packet(eth).arp_request(kPeerMac, "0.0.0.0", "203.0.113.10"))) << "a probe";
}

std::optional<Claim> advertised(const test::Packet& p) {
  const Bytes frame = p.bytes();
  Link link;
  Packet parsed;
  EXPECT_FALSE(parse_link(frame, link));
  EXPECT_FALSE(parse_ip(frame, link, parsed));
  return read_advertisement(frame, parsed, link.source);
}

test::Packet to_all(std::uint8_t hop_limit = 255) {
  return packet().eth(kAllNodes, kPeerMac).ipv6("fe80::2", "ff02::1", {.hop_limit = hop_limit});
}

TEST(Claim, IsTheTargetOfAnAdvertisementAndItsOptionsMacOrElseTheFrames) {
  const auto given =
      advertised(to_all().neighbor_advertisement("2001:db8::10", 0x20, link_layer_option(2, "02:00:00:00:00:77")));
  ASSERT_TRUE(given);
  EXPECT_EQ(given->address, *parse_address("2001:db8::10"));
  EXPECT_EQ(given->mac, *parse_mac("02:00:00:00:00:77"));
  const auto bare = advertised(to_all().neighbor_advertisement("2001:db8::10", 0x20));
  ASSERT_TRUE(bare);
  EXPECT_EQ(bare->mac, *parse_mac(kPeerMac));
  const auto solicited =
      advertised(packet().eth().ipv6("fe80::2", "fd00::1", {.hop_limit = 255}).neighbor_advertisement("fd00::9", 0x60));
  ASSERT_TRUE(solicited);
  EXPECT_EQ(solicited->address, *parse_address("fd00::9"));
}

TEST(Claim, IsNotMadeByAnAdvertisementThatRfc4861CallsInvalid) {
  const Bytes option = link_layer_option(2, kPeerMac);
  EXPECT_FALSE(advertised(to_all(254).neighbor_advertisement("2001:db8::10", 0x20, option))) << "from afar";
  EXPECT_FALSE(advertised(to_all().neighbor_advertisement("2001:db8::10", 0x60, option))) << "solicited, to a group";
  EXPECT_FALSE(advertised(to_all().neighbor_advertisement("ff02::5", 0x20, option))) << "a group's";
  EXPECT_FALSE(advertised(to_all().neighbor_advertisement("2001:db8::10", 0x20, option).spoil_checksum()));
  EXPECT_FALSE(advertised(to_all().neighbor_advertisement("2001:db8::10", 0x20, Bytes{2, 0, 0, 0, 0, 0, 0, 0})));
  EXPECT_FALSE(advertised(to_all().neighbor_advertisement("2001:db8::10", 0x20, Bytes{2, 2, 0, 0, 0, 0, 0, 0})));
}

}  // namespace
}  // namespace weir::lb
