// Ethernet and VLANs: which frames are for Weir at all.
#include <fmt/format.h>

#include <random>

#include "tests/cases/lab.h"
#include "tests/cases/words.h"

namespace weir::test {

namespace {

using lb::DropReason;

Packet syn(Packet eth, std::uint16_t port) {
  return eth.ipv4(kClient, kWeb).tcp(port, 80, kSyn);
}
Packet syn6(Packet eth, std::uint16_t port) {
  return eth.ipv6(kClient6, kWeb6).tcp(port, 80, kSyn);
}

void add_macs(Cases& cases) {
  const auto port = fresh_port();
  add(cases, "a frame to another MAC is not ours, whatever is in it")
      .in(syn(packet().eth(kStrangerMac, kRouterMac), port))
      .drops(DropReason::kL2NotUs)
      .in(syn6(packet().eth(kStrangerMac, kRouterMac), port))
      .drops(DropReason::kL2NotUs)
      .in(packet().eth(kStrangerMac, kRouterMac).arp_request(kRouterMac, "198.51.100.254", kUplinkAddress))
      .drops(DropReason::kL2NotUs);
  add(cases, "the MAC of another interface of ours is not that of this one")
      .in(syn(packet().eth(kServersMac, kRouterMac), port))
      .drops(DropReason::kL2NotUs)
      .in(syn(packet().eth(kUplinkMac, kRouterMac).vlan(kServersVlan), port))
      .drops(DropReason::kL2NotUs);
  for (const char* group : {"ff:ff:ff:ff:ff:ff", "01:00:5e:00:00:01", "33:33:00:00:00:01"})
    add(cases, fmt::format("a unicast packet in a frame to {} is dropped: TCP, UDP and echo", group))
        .in(syn(packet().eth(group, kRouterMac), port))
        .drops(DropReason::kL2NotUs)
        .in(syn6(packet().eth(group, kRouterMac), port))
        .drops(DropReason::kL2NotUs)
        .in(packet().eth(group, kRouterMac).ipv4(kClient, kWeb).udp(port, 53))
        .drops(DropReason::kL2NotUs)
        .in(packet().eth(group, kRouterMac).ipv4(kClient, kWeb).icmp_echo(1, 1))
        .drops(DropReason::kL2NotUs)
        .in(packet().eth(group, kRouterMac).ipv6(kClient6, kWeb6).icmp6_echo(1, 1))
        .drops(DropReason::kL2NotUs)
        .in(packet().eth(group, kRouterMac).ipv4(kClient, kWeb).udp(port, 9999))
        .drops(DropReason::kL2NotUs);
  add(cases, "a frame from a group address is nobody's")
      .in(syn(packet().eth(kUplinkMac, "03:00:00:00:01:fe"), port))
      .drops(DropReason::kL2NotUs)
      .in(packet().eth(kBroadcastMac, kBroadcastMac).arp_request(kRouterMac, "198.51.100.254", kUplinkAddress))
      .drops(DropReason::kL2NotUs);
}

void add_vlans(Cases& cases) {
  for (const std::uint8_t priority : Bytes{0, 5, 7}) {
    const Talk t = web();
    add(cases, fmt::format("a priority tag (VLAN 0, priority {}) counts as none", priority))
        .in(from_client().vlan(0, priority).ipv4(t.client, t.vip).tcp(t.client_port, 80, kSyn))
        .out(to_server().ipv4(t.client, "10.0.0.5", {.ttl = 63}).tcp(t.client_port, 8080, kSyn));
  }
  const Talk tagged = web();
  Case& c = add(cases, "a tag's priority and DEI bits are read past, and not handed on");
  ask(c, tagged, kSyn);
  c.in(packet()
           .eth(kServersMac, server_mac(5))
           .vlan(kServersVlan | 0x1000, 6)
           .ipv4("10.0.0.5", tagged.client)
           .tcp(8080, tagged.client_port, kSyn | kAck))
      .out(to_client().ipv4(kWeb, tagged.client, {.ttl = 63}).tcp(80, tagged.client_port, kSyn | kAck));

  const auto port = fresh_port();
  Case& unknown = add(cases, "a VLAN that no interface has: dropped, 4095 too");
  for (const std::uint16_t vlan : Words{1, 99, 101, 999, 4094, 4095})
    unknown.in(syn(from_client().vlan(vlan), port)).drops(DropReason::kVlanUnknown);
  add(cases, "two tags (QinQ) are an unknown VLAN, with either outer type")
      .in(syn(packet().eth(kServersMac, kRouterMac).vlan(kServersVlan).vlan(kServersVlan), port))
      .drops(DropReason::kVlanUnknown)
      .in(syn(from_client().vlan(0).vlan(0), port))
      .drops(DropReason::kVlanUnknown)
      .in(syn(packet().eth(kServersMac, kRouterMac).vlan(kServersVlan, 0, 0x88a8).vlan(kServersVlan), port))
      .drops(DropReason::kVlanUnknown)
      .in(syn(from_client().vlan(7, 0, 0x88a8), port))
      .drops(DropReason::kVlanUnknown);
}

void add_ends(Cases& cases) {
  Case& plain = add(cases, "a frame that ends inside its Ethernet header, at every byte");
  const Packet whole = syn(from_client(), fresh_port());
  for (std::size_t n = 0; n < 14; ++n) plain.in(Packet(whole).cut(n)).drops(DropReason::kL2Short);
  Case& tag = add(cases, "a frame that ends inside its VLAN tag, at every byte");
  const Packet tagged = syn(from_server(), fresh_port());
  for (std::size_t n = 14; n < 18; ++n) tag.in(Packet(tagged).cut(n)).drops(DropReason::kL2Short);
}

void add_ethertypes(Cases& cases) {
  struct Kind {
    const char* name;
    std::string_view to;
    std::uint16_t type;
  };
  for (const Kind& k :
       {Kind{"LLDP", "01:80:c2:00:00:0e", 0x88cc}, Kind{"LACP", "01:80:c2:00:00:02", 0x8809},
        Kind{"EAPOL", "01:80:c2:00:00:03", 0x888e}, Kind{"MPLS", kUplinkMac, 0x8847}, Kind{"PPPoE", kUplinkMac, 0x8864},
        Kind{"spanning tree (a length, not a type)", "01:80:c2:00:00:00", 38},
        Kind{"loopback test", kUplinkMac, 0x9000}, Kind{"RARP", kBroadcastMac, 0x8035}})
    add(cases, fmt::format("{} is not ours to carry", k.name))
        .in(packet().eth(k.to, kRouterMac, k.type).filler(46))
        .drops(DropReason::kEthertype);
  Case& sweep = add(cases, "300 random ethertypes, each with a TCP SYN behind it");
  std::mt19937 random(52);
  for (int i = 0; i < 300;) {
    const auto type = static_cast<std::uint16_t>(random());
    if (type == 0x0800 || type == 0x86dd || type == 0x0806 || type == 0x8100 || type == 0x88a8) continue;
    sweep.in(packet().eth(kUplinkMac, kRouterMac, type).ipv4(kClient, kWeb).tcp(1, 80, kSyn))
        .drops(DropReason::kEthertype);
    ++i;
  }
}

}  // namespace

Cases link_cases() {
  Cases cases;
  add_macs(cases);
  add_vlans(cases);
  add_ends(cases);
  add_ethertypes(cases);
  return cases;
}

}  // namespace weir::test
