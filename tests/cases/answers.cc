// What Weir answers itself: ARP, neighbour discovery, echo.
#include <fmt/format.h>

#include "tests/cases/lab.h"
#include "tests/cases/words.h"

namespace weir::test {

namespace {

using lb::DropReason;
using lb::Event;

constexpr std::string_view kRouter = "198.51.100.254";
constexpr std::string_view kRouter6 = "2001:db8:1::fe";
constexpr std::string_view kNobody = "00:00:00:00:00:00";
constexpr std::string_view kAllNodes = "33:33:00:00:00:01";

Packet broadcast() {
  return packet().eth(kBroadcastMac, kRouterMac);
}

// ---- ARP ----

void add_arp(Cases& cases) {
  for (const auto& [address, what] :
       {std::pair(kWeb, "a VIP"), std::pair(std::string_view("203.0.113.30"), "a VIP without backends"),
        std::pair(kUplinkAddress, "Weir's own address")})
    add(cases, fmt::format("ARP: who has {}? Answered once, to who asks, by broadcast or unicast", what))
        .in(broadcast().arp_request(kRouterMac, kRouter, address))
        .out(to_client().arp_reply(kUplinkMac, address, kRouterMac, kRouter))
        .counts({Event::kAnsweredArp})
        .in(from_client().arp_request(kRouterMac, kRouter, address))
        .out(to_client().arp_reply(kUplinkMac, address, kRouterMac, kRouter));
  add(cases, "ARP: padding behind a request is not echoed")
      .in(broadcast().arp_request(kRouterMac, kRouter, kWeb).trailer(18, 0xee))
      .out(to_client().arp_reply(kUplinkMac, kWeb, kRouterMac, kRouter));
  add(cases, "ARP in a VLAN is answered in that VLAN, with that interface's MAC, for its own address and VIPs")
      .in(packet()
              .eth(kBroadcastMac, server_mac(5))
              .vlan(kServersVlan)
              .arp_request(server_mac(5), "10.0.0.5", "10.0.0.1"))
      .out(to_server().arp_reply(kServersMac, "10.0.0.1", server_mac(5), "10.0.0.5"))
      .in(packet().eth(kBroadcastMac, server_mac(5)).vlan(kServersVlan).arp_request(server_mac(5), "10.0.0.5", kWeb))
      .out(to_server().arp_reply(kServersMac, kWeb, server_mac(5), "10.0.0.5"));
  add(cases, "ARP: a probe for a VIP (from 0.0.0.0) is answered, so the VIP is defended")
      .in(broadcast().arp_request(kRouterMac, "0.0.0.0", kWeb))
      .out(to_client().arp_reply(kUplinkMac, kWeb, kRouterMac, "0.0.0.0"));
  const Packet quiet = packet().eth(kBroadcastMac, kStrangerMac).vlan(kQuietVlan);
  add(cases, "ARP where VIPs are not announced: silence for a VIP, an answer for the interface's own address")
      .in(Packet(quiet).arp_request(kStrangerMac, "10.3.0.9", kWeb))
      .drops(DropReason::kArpIgnored)
      .in(Packet(quiet).arp_request(kStrangerMac, "10.3.0.9", "10.3.0.1"))
      .out(packet()
               .eth(kStrangerMac, kQuietMac)
               .vlan(kQuietVlan)
               .arp_reply(kQuietMac, "10.3.0.1", kStrangerMac, "10.3.0.9"));
  add(cases, "ARP for others, for another interface's address, announcements and replies nobody asked for: ignored")
      .in(broadcast().arp_request(kRouterMac, kRouter, "198.51.100.77"))
      .drops(DropReason::kArpIgnored)
      .in(broadcast().arp_request(kRouterMac, kRouter, "10.0.0.1"))
      .drops(DropReason::kArpIgnored)
      .in(broadcast().arp_request(kRouterMac, kRouter, "0.0.0.0"))
      .drops(DropReason::kArpIgnored)
      .in(broadcast().arp_request(kRouterMac, kRouter, kRouter))
      .drops(DropReason::kArpIgnored)
      .in(broadcast().arp_reply(kRouterMac, kRouter, kBroadcastMac, kRouter))
      .drops(DropReason::kArpIgnored)
      .in(from_client().arp(3, kRouterMac, kRouter, kNobody, kWeb))
      .drops(DropReason::kArpIgnored);
  add(cases, "ARP by which another host claims a VIP is a conflict: announcement, request, reply, unless it is a probe")
      .in(broadcast().arp_request(kRouterMac, kWeb, kWeb))
      .drops(DropReason::kArpIgnored)
      .counts({Event::kVipConflict})
      .in(from_client().arp_reply(kStrangerMac, kWeb, kUplinkMac, kUplinkAddress))
      .drops(DropReason::kArpIgnored)
      .counts({Event::kVipConflict})
      .in(broadcast().arp_request(kStrangerMac, kWeb, "198.51.100.77"))
      .drops(DropReason::kArpIgnored)
      .counts({Event::kVipConflict})
      .in(broadcast().arp_request(kRouterMac, "0.0.0.0", "198.51.100.77"))
      .drops(DropReason::kArpIgnored)
      .counts({});
  add(cases, "ARP about a VIP with a MAC of Weir's own (its other interface on the same segment) is no conflict")
      .in(broadcast().arp_request(kServersMac, kWeb, kWeb))
      .drops(DropReason::kArpIgnored)
      .counts({});
  add(cases, "ARP about a VIP where VIPs are not announced, and about Weir's own address: no VIP's conflict")
      .in(Packet(quiet).arp_request(kStrangerMac, kWeb, kWeb))
      .drops(DropReason::kArpIgnored)
      .counts({})
      .in(broadcast().arp_request(kStrangerMac, kUplinkAddress, kUplinkAddress))
      .drops(DropReason::kArpIgnored)
      .counts({});
  const auto malformed = [&](const ArpFields& f) { return broadcast().arp(1, kRouterMac, kRouter, kNobody, kWeb, f); };
  add(cases, "malformed ARP: other hardware, other protocol, wrong sizes, a sender that is a group or zero")
      .in(malformed({.hardware = 6}))
      .drops(DropReason::kArpBad)
      .in(malformed({.protocol = 0x86dd}))
      .drops(DropReason::kArpBad)
      .in(malformed({.hardware_bytes = 8}))
      .drops(DropReason::kArpBad)
      .in(malformed({.hardware_bytes = 0}))
      .drops(DropReason::kArpBad)
      .in(malformed({.protocol_bytes = 16}))
      .drops(DropReason::kArpBad)
      .in(broadcast().arp_request("01:00:5e:00:00:01", kRouter, kWeb))
      .drops(DropReason::kArpBad)
      .in(broadcast().arp_request(kBroadcastMac, kRouter, kWeb))
      .drops(DropReason::kArpBad)
      .in(broadcast().arp_request(kNobody, kRouter, kWeb))
      .drops(DropReason::kArpBad);
  Case& ends = add(cases, "ARP cut off at every byte behind the Ethernet header");
  for (std::size_t n = 14; n < 42; ++n)
    ends.in(broadcast().arp_request(kRouterMac, kRouter, kWeb).cut(n)).drops(DropReason::kArpBad);
}

// ---- neighbour discovery ----

Packet solicit(std::string_view group, std::string_view source, std::string_view destination,
               std::uint8_t hop_limit = 255) {
  return packet().eth(group, kRouterMac).ipv6(source, destination, {.hop_limit = hop_limit});
}
Packet advertise(std::string_view target, std::string_view asker) {
  return to_client()
      .ipv6(target, asker, {.hop_limit = 255})
      .neighbor_advertisement(target, 0x60, link_layer_option(2, kUplinkMac));
}

void add_neighbor_discovery(Cases& cases) {
  const Bytes source = link_layer_option(1, kRouterMac);
  for (const auto& [target, group, mac, what] :
       {std::tuple(kWeb6, "ff02::1:ff00:10", "33:33:ff:00:00:10", "a VIP"),
        std::tuple(std::string_view("2001:db8:100::30"), "ff02::1:ff00:30", "33:33:ff:00:00:30",
                   "a VIP without backends"),
        std::tuple(kUplinkAddress6, "ff02::1:ff00:1", "33:33:ff:00:00:01", "Weir's own address")}) {
    add(cases,
        fmt::format("neighbour solicitation for {}: answered, by multicast or unicast, with a source option or without",
                    what))
        .in(solicit(mac, kRouter6, group).neighbor_solicitation(target, source))
        .out(advertise(target, kRouter6))
        .counts({Event::kAnsweredNd})
        .in(solicit(kUplinkMac, kRouter6, target).neighbor_solicitation(target, source))
        .out(advertise(target, kRouter6))
        .in(solicit(kUplinkMac, kRouter6, target).neighbor_solicitation(target))
        .out(advertise(target, kRouter6))
        .in(solicit(mac, "fe80::fe", group).neighbor_solicitation(target, source))
        .out(advertise(target, "fe80::fe"));
    add(cases, fmt::format("duplicate address detection for {}: defended, to all nodes", what))
        .in(solicit(mac, "::", group).neighbor_solicitation(target))
        .out(packet()
                 .eth(kAllNodes, kUplinkMac)
                 .ipv6(target, "ff02::1", {.hop_limit = 255})
                 .neighbor_advertisement(target, 0x20, link_layer_option(2, kUplinkMac)))
        .counts({Event::kAnsweredNd});
  }
  constexpr std::string_view kGroup = "ff02::1:ff00:10", kGroupMac = "33:33:ff:00:00:10";
  Bytes more_options = source;
  const Bytes nonce{14, 1, 1, 2, 3, 4, 5, 6};  // RFC 3971 5.3.2
  more_options.insert(more_options.end(), nonce.begin(), nonce.end());
  add(cases, "neighbour solicitation with unknown options, in an odd frame: answered alike")
      .in(solicit(kGroupMac, kRouter6, kGroup).neighbor_solicitation(kWeb6, more_options))
      .out(advertise(kWeb6, kRouter6))
      .in(solicit(kGroupMac, kRouter6, kGroup).neighbor_solicitation(kWeb6, source).trailer(7, 0xee))
      .out(advertise(kWeb6, kRouter6));
  add(cases, "neighbour solicitation in a VLAN is answered in that VLAN")
      .in(packet()
              .eth("33:33:ff:00:00:01", server_mac(5))
              .vlan(kServersVlan)
              .ipv6("fd00::5", "ff02::1:ff00:1", {.hop_limit = 255})
              .neighbor_solicitation("fd00::1", link_layer_option(1, server_mac(5))))
      .out(to_server()
               .ipv6("fd00::1", "fd00::5", {.hop_limit = 255})
               .neighbor_advertisement("fd00::1", 0x60, link_layer_option(2, kServersMac)));

  add(cases, "neighbour solicitation that fails RFC 4861 7.1.1 is dropped, each check")
      .in(solicit(kGroupMac, kRouter6, kGroup, 254).neighbor_solicitation(kWeb6, source))
      .drops(DropReason::kIcmpBad)
      .in(solicit(kGroupMac, kRouter6, kGroup, 64).neighbor_solicitation(kWeb6, source))
      .drops(DropReason::kIcmpBad)
      .in(solicit(kGroupMac, kRouter6, kGroup).icmp6(135, 1).payload(Bytes(16, 0)))
      .drops(DropReason::kIcmpBad)
      .in(solicit(kGroupMac, kRouter6, kGroup).icmp6(135, 0).payload(Bytes(15, 0)))
      .drops(DropReason::kIcmpBad)
      .in(solicit(kGroupMac, kRouter6, kGroup).icmp6(135, 0))
      .drops(DropReason::kIcmpBad)
      .in(solicit(kGroupMac, kRouter6, kGroup).neighbor_solicitation(kWeb6, source).spoil_checksum())
      .drops(DropReason::kIcmpBad)
      .in(solicit(kGroupMac, kRouter6, kGroup).neighbor_solicitation(kWeb6).checksum(0))
      .drops(DropReason::kIcmpBad)
      .in(solicit(kGroupMac, kRouter6, kGroup).neighbor_solicitation("ff02::1"))
      .drops(DropReason::kIcmpBad)
      .in(solicit(kGroupMac, kRouter6, kGroup).neighbor_solicitation(kWeb6, {1, 0, 0, 0, 0, 0, 0, 0}))
      .drops(DropReason::kIcmpBad)
      .in(solicit(kGroupMac, kRouter6, kGroup).neighbor_solicitation(kWeb6, {1, 2, 0, 0, 0, 0, 0, 0}))
      .drops(DropReason::kIcmpBad)
      .in(solicit(kGroupMac, kRouter6, kGroup).neighbor_solicitation(kWeb6, {1}))
      .drops(DropReason::kIcmpBad)
      .in(solicit(kGroupMac, "::", kGroup).neighbor_solicitation(kWeb6, source))
      .drops(DropReason::kIcmpBad)
      .in(solicit(kUplinkMac, "::", kWeb6).neighbor_solicitation(kWeb6))
      .drops(DropReason::kIcmpBad)
      .in(solicit(kAllNodes, "::", "ff02::1").neighbor_solicitation(kWeb6))
      .drops(DropReason::kIcmpBad)
      .in(solicit("33:33:ff:00:00:11", kRouter6, "ff02::1:ff00:11").neighbor_solicitation(kWeb6))
      .drops(DropReason::kIcmpBad)
      .in(solicit(kUplinkMac, kRouter6, kUplinkAddress6).neighbor_solicitation(kWeb6))
      .drops(DropReason::kIcmpBad);
  add(cases, "neighbour solicitation from a source that cannot be: a group, loopback, Weir's own address, a VIP")
      .in(solicit(kGroupMac, "ff02::1", kGroup).neighbor_solicitation(kWeb6, source))
      .drops(DropReason::kIpMartianSrc)
      .in(solicit(kGroupMac, "::1", kGroup).neighbor_solicitation(kWeb6, source))
      .drops(DropReason::kIpMartianSrc)
      .in(solicit(kGroupMac, kUplinkAddress6, kGroup).neighbor_solicitation(kWeb6, source))
      .drops(DropReason::kIpMartianSrc)
      .in(solicit(kGroupMac, kWeb6, kGroup).neighbor_solicitation(kWeb6, source))
      .drops(DropReason::kIpMartianSrc);
  add(cases,
      "neighbour solicitation for others, for another interface's address, where VIPs are not announced; "
      "advertisements")
      .in(solicit("33:33:ff:00:00:77", kRouter6, "ff02::1:ff00:77").neighbor_solicitation("2001:db8:1::77", source))
      .drops(DropReason::kIcmpIgnored)
      .in(solicit("33:33:ff:00:00:01", kRouter6, "ff02::1:ff00:1").neighbor_solicitation("fd00::1", source))
      .drops(DropReason::kIcmpIgnored)
      .in(packet()
              .eth(kGroupMac, kStrangerMac)
              .vlan(kQuietVlan)
              .ipv6("fd03::9", kGroup, {.hop_limit = 255})
              .neighbor_solicitation(kWeb6, link_layer_option(1, kStrangerMac)))
      .drops(DropReason::kIcmpIgnored)
      .in(packet()
              .eth(kAllNodes, kStrangerMac)
              .ipv6("fe80::9", "ff02::1", {.hop_limit = 255})
              .neighbor_advertisement(kWeb6, 0x20, link_layer_option(2, kStrangerMac)))
      .drops(DropReason::kIpMartianDst)
      .counts({Event::kVipConflict})
      .in(packet()
              .eth("33:33:00:00:00:16", kStrangerMac)
              .ipv6("fe80::9", "ff02::16", {.hop_limit = 1})
              .extension(0, {5, 2, 0, 0})
              .icmp6(143, 0)
              .filler(20))
      .drops(DropReason::kIpMartianDst);
}

// ---- echo ----

void add_echo(Cases& cases) {
  for (const auto& [address, what] :
       {std::pair(kWeb, "a VIP"), std::pair(std::string_view("203.0.113.30"), "a VIP without backends"),
        std::pair(kUplinkAddress, "Weir's own address"),
        std::pair(std::string_view("10.0.0.1"), "Weir's address on the other side")})
    add(cases, fmt::format("echo request to {}: answered, addresses swapped, data equal", what))
        .in(from_client()
                .ipv4(kClient, address, {.ttl = 9, .id = 0x1234, .df = true})
                .icmp_echo(7, 1)
                .payload("abcdefgh"))
        .out(to_client().ipv4(address, kClient, {.id = 0x1234, .df = true}).icmp_echo_reply(7, 1).payload("abcdefgh"))
        .counts({Event::kAnsweredEcho});
  for (const auto& [address, what] :
       {std::pair(kWeb6, "a VIP"), std::pair(std::string_view("2001:db8:100::30"), "a VIP without backends"),
        std::pair(kUplinkAddress6, "Weir's own address")})
    add(cases, fmt::format("IPv6 echo request to {}: answered", what))
        .in(from_client().ipv6(kClient6, address, {.hop_limit = 9}).icmp6_echo(7, 1).payload("abcdefgh"))
        .out(to_client().ipv6(address, kClient6).icmp6_echo_reply(7, 1).payload("abcdefgh"));
  Case& sizes = add(cases, "echo of many sizes, odd ones too, both families");
  for (const std::size_t size : {0, 1, 2, 3, 17, 55, 56, 64, 127, 255, 511, 999, 1001, 1451, 1452, 1471, 1472}) {
    sizes.in(from_client().ipv4(kClient, kWeb).icmp_echo(3, 4).filler(size))
        .out(to_client().ipv4(kWeb, kClient).icmp_echo_reply(3, 4).filler(size));
    if (size <= 1452)
      sizes.in(from_client().ipv6(kClient6, kWeb6).icmp6_echo(3, 4).filler(size))
          .out(to_client().ipv6(kWeb6, kClient6).icmp6_echo_reply(3, 4).filler(size));
  }
  add(cases, "echo of nothing but zeroes: its checksum is 0xffff, since a sum of 0 is all ones")
      .in(from_client().ipv4(kClient, kWeb).icmp_echo(0, 0))
      .out(to_client().ipv4(kWeb, kClient).icmp_echo_reply(0, 0).checksum(0xffff))
      .in(from_client().ipv4(kClient, kWeb).icmp_echo(0, 0).payload(Bytes(56, 0)))
      .out(to_client().ipv4(kWeb, kClient).icmp_echo_reply(0, 0).payload(Bytes(56, 0)));
  const Bytes to_zero = word(word_at(to_client().ipv4(kWeb, kClient).icmp_echo_reply(1, 1).payload(word(0)).bytes(),
                                     kUntagged + kIcmpChecksumV4));
  add(cases, "echo whose reply's checksum computes to 0")
      .in(from_client().ipv4(kClient, kWeb).icmp_echo(1, 1).payload(to_zero))
      .out(to_client().ipv4(kWeb, kClient).icmp_echo_reply(1, 1).payload(to_zero).checksum(0));
  add(cases, "echo with TTL 1 has arrived; with TTL 0 it was never allowed to travel")
      .in(from_client().ipv4(kClient, kWeb, {.ttl = 1}).icmp_echo(1, 1))
      .out(to_client().ipv4(kWeb, kClient).icmp_echo_reply(1, 1))
      .in(from_client().ipv6(kClient6, kWeb6, {.hop_limit = 1}).icmp6_echo(1, 1))
      .out(to_client().ipv6(kWeb6, kClient6).icmp6_echo_reply(1, 1))
      .in(from_client().ipv4(kClient, kWeb, {.ttl = 0}).icmp_echo(1, 1))
      .drops(DropReason::kIpTtl)
      .in(from_client().ipv6(kClient6, kWeb6, {.hop_limit = 0}).icmp6_echo(1, 1))
      .drops(DropReason::kIpTtl);
  add(cases, "echo with a trailer: cut off")
      .in(from_client().ipv4(kClient, kWeb).icmp_echo(1, 1).trailer(18, 0xee))
      .out(to_client().ipv4(kWeb, kClient).icmp_echo_reply(1, 1))
      .in(from_client().ipv6(kClient6, kWeb6).icmp6_echo(1, 1).trailer(3, 0xee))
      .out(to_client().ipv6(kWeb6, kClient6).icmp6_echo_reply(1, 1));
  add(cases, "echo from a server's network goes back there; with a priority tag, without one")
      .in(from_server(6).ipv4("10.0.0.6", kWeb).icmp_echo(1, 1))
      .out(to_server(6).ipv4(kWeb, "10.0.0.6").icmp_echo_reply(1, 1))
      .in(from_client().vlan(0, 7).ipv4(kClient, kWeb).icmp_echo(1, 1))
      .out(to_client().ipv4(kWeb, kClient).icmp_echo_reply(1, 1));
  add(cases, "echo with a wrong checksum: answered as wrong as it came")
      .in(from_client().ipv4(kClient, kWeb).icmp_echo(0x1111, 0x2222).checksum(0xc4cb))        // right: 0xc4cc
      .out(to_client().ipv4(kWeb, kClient).icmp_echo_reply(0x1111, 0x2222).checksum(0xcccb));  // right: 0xcccc
  add(cases, "echo with IP options: they stay")
      .in(from_client().ipv4(kClient, kWeb, {.options = {7, 7, 4, 0, 0, 0, 0}}).icmp_echo(1, 1))
      .out(to_client().ipv4(kWeb, kClient, {.options = {7, 7, 4, 0, 0, 0, 0}}).icmp_echo_reply(1, 1));
  add(cases, "an echo request with a code is none")
      .in(from_client().ipv4(kClient, kWeb).icmp(8, 1))
      .drops(DropReason::kIcmpIgnored)
      .in(from_client().ipv6(kClient6, kWeb6).icmp6(128, 1))
      .drops(DropReason::kIcmpIgnored);
}

// ---- rates ----

void add_rates(Cases& cases) {
  using std::chrono::seconds;
  struct Kind {
    const char* name;
    Packet in, out;
  };
  for (const Kind& k : {Kind{"echo replies", from_client().ipv4(kClient, kWeb).icmp_echo(1, 1),
                             to_client().ipv4(kWeb, kClient).icmp_echo_reply(1, 1)},
                        Kind{"ARP replies", broadcast().arp_request(kRouterMac, kRouter, kWeb),
                             to_client().arp_reply(kUplinkMac, kWeb, kRouterMac, kRouter)},
                        Kind{"advertisements", solicit(kUplinkMac, kRouter6, kWeb6).neighbor_solicitation(kWeb6),
                             advertise(kWeb6, kRouter6)}})
    add(cases, fmt::format("{}: 1,000 at once, then 1,000 a second; the rest is dropped by name", k.name))
        .in(k.in)
        .out(k.out)
        .times(1000)
        .in(k.in)
        .drops(DropReason::kRateLimit)
        .times(50)
        .passes(seconds(1))
        .in(k.in)
        .out(k.out)
        .times(1000)
        .in(k.in)
        .drops(DropReason::kRateLimit)
        .passes(seconds(3600))
        .in(k.in)
        .out(k.out)
        .times(1000)
        .in(k.in)
        .drops(DropReason::kRateLimit);
  const Talk t = web();
  Case& c = add(cases, "a flood of pings costs flows and ARP nothing");
  c.alone()
      .in(from_client().ipv4(kClient, kWeb).icmp_echo(1, 1))
      .out(to_client().ipv4(kWeb, kClient).icmp_echo_reply(1, 1))
      .times(1000);
  c.in(from_client().ipv4(kClient, kWeb).icmp_echo(1, 1)).drops(DropReason::kRateLimit).times(1000);
  open(c, t);
  c.in(broadcast().arp_request(kRouterMac, kRouter, kWeb))
      .out(to_client().arp_reply(kUplinkMac, kWeb, kRouterMac, kRouter));
}

}  // namespace

Cases answer_cases() {
  Cases cases;
  add_arp(cases);
  add_neighbor_discovery(cases);
  add_echo(cases);
  add_rates(cases);
  return cases;
}

}  // namespace weir::test
