// Interfaces with a twin: what goes to the kernel, as what, and what does not. Without a kernel: what is punted is
// seen as it is given to the twin. Hardware addresses and networks are the lab's (lab.h).
#include <fmt/format.h>

#include "tests/cases/lab.h"
#include "tests/cases/words.h"

namespace weir::test {

namespace {

using lb::DropReason;
using lb::Event;
using std::chrono::seconds;

constexpr std::string_view kRouter = "198.51.100.254", kRouter6 = "2001:db8:1::fe";
constexpr std::string_view kFarAway = "192.0.2.99", kFarAway6 = "2001:db8:2::99";
constexpr std::string_view kStp = "01:80:c2:00:00:00", kAllRouters = "01:00:5e:00:00:05";
constexpr std::string_view kGroup6Mac = "33:33:00:00:00:01", kAllNodes6 = "ff02::1";

Packet broadcast() {
  return packet().eth(kBroadcastMac, kRouterMac);
}
Packet group6() {
  return packet().eth(kGroup6Mac, kRouterMac);
}
Packet from_plain() {
  return packet().eth(kQuietMac, kStrangerMac).vlan(kQuietVlan);
}
// As a server's frame leaves towards the kernel: without its tag.
Packet untagged_from_server() {
  return packet().eth(kServersMac, server_mac(5));
}

// ---- for an own address ----

void add_own(Cases& cases) {
  add(cases, "what is for an own address goes to the kernel as it came: TCP, UDP, ping, ICMP errors and the rest")
      .in(from_client().ipv4(kClient, kUplinkAddress).tcp(4000, 22, kSyn))
      .punts({Event::kPuntedOwn})
      .in(from_client().ipv4(kClient, kUplinkAddress, {.ttl = 1}).tcp(4000, 22, kAck).payload("ssh"))
      .punts({Event::kPuntedOwn})
      .in(from_client().ipv4(kClient, kUplinkAddress).udp(4000, 33434))
      .punts({Event::kPuntedOwn})
      .in(from_client().ipv4(kClient, kUplinkAddress).icmp_echo(1, 1))
      .punts({Event::kPuntedOwn})
      .in(from_client().ipv4(kClient, kUplinkAddress).icmp_echo_reply(1, 1))
      .punts({Event::kPuntedOwn})
      .in(from_client().ipv4(kClient, kUplinkAddress).icmp(3, 1).filler(28))
      .punts({Event::kPuntedOwn})
      .in(from_client().ipv4(kClient, kUplinkAddress, {.protocol = 132}).filler(20))
      .punts({Event::kPuntedOwn})
      .in(from_client().ipv6(kClient6, kUplinkAddress6).tcp(4000, 22, kSyn))
      .punts({Event::kPuntedOwn})
      .in(from_client().ipv6(kClient6, kUplinkAddress6).icmp6_echo(1, 1))
      .punts({Event::kPuntedOwn})
      .in(from_client().ipv6(kClient6, kUplinkAddress6).icmp6(1, 4).filler(48))
      .punts({Event::kPuntedOwn})
      .in(from_client().ipv6(kClient6, "fe80::1").tcp(4000, 22, kSyn))
      .punts({Event::kPuntedOwn});
  add(cases, "fragments for an own address, first and later: the kernel puts them together")
      .in(from_client().ipv4(kClient, kUplinkAddress, {.id = 7, .mf = true}).udp(4000, 53).filler(64))
      .punts({Event::kPuntedOwn})
      .in(from_client().ipv4(kClient, kUplinkAddress, {.id = 7, .fragment_offset = 72, .protocol = 17}).filler(64))
      .punts({Event::kPuntedOwn})
      .in(from_client().ipv6(kClient6, kUplinkAddress6).fragment(0, true, 7).udp(4000, 53).filler(64))
      .punts({Event::kPuntedOwn})
      .in(from_client().ipv6(kClient6, kUplinkAddress6).fragment(72, false, 7, 17).filler(64))
      .punts({Event::kPuntedOwn});
  add(cases, "the kernel gets no VLAN tag, neither the interface's nor a priority tag")
      .in(from_server().ipv4("10.0.0.5", "10.0.0.1").tcp(4000, 22, kSyn))
      .punts(untagged_from_server().ipv4("10.0.0.5", "10.0.0.1").tcp(4000, 22, kSyn), {Event::kPuntedOwn})
      .in(from_client().vlan(0, 5).ipv4(kClient, kUplinkAddress).icmp_echo(1, 1))
      .punts(from_client().ipv4(kClient, kUplinkAddress).icmp_echo(1, 1), {Event::kPuntedOwn});
  add(cases, "from a backend's own port to an own address: an answer to the kernel, no reply of a flow")
      .in(from_server().ipv4("10.0.0.5", "10.0.0.1").tcp(8080, 4000, kSyn | kAck))
      .punts(untagged_from_server().ipv4("10.0.0.5", "10.0.0.1").tcp(8080, 4000, kSyn | kAck), {Event::kPuntedOwn});
  add(cases, "to the address of another interface: the kernel has that too")
      .in(from_client().ipv4(kClient, "10.0.0.1").icmp_echo(1, 1))
      .punts({Event::kPuntedOwn});
  add(cases, "malformed, from nowhere, or from ourselves: not even to the kernel")
      .in(from_client().ipv4(kClient, kUplinkAddress).tcp(4000, 22, kSyn | kFin))
      .drops(DropReason::kTcpFlags)
      .in(from_client().ipv4(kClient, kUplinkAddress).tcp(0, 22, kSyn))
      .drops(DropReason::kPortZero)
      .in(from_client().ipv4(kClient, kUplinkAddress, {.ttl = 0}).tcp(4000, 22, kSyn))
      .drops(DropReason::kIpTtl)
      .in(from_client().ipv4(kClient, kUplinkAddress, {.ttl = 0, .mf = true}).filler(8))
      .drops(DropReason::kIpTtl)
      .in(from_client().ipv4("127.0.0.1", kUplinkAddress).tcp(4000, 22, kSyn))
      .drops(DropReason::kIpMartianSrc)
      .in(from_client().ipv4(kUplinkAddress, kUplinkAddress).tcp(4000, 22, kSyn))
      .drops(DropReason::kIpMartianSrc)
      .in(from_client().ipv4(kWeb, kUplinkAddress, {.protocol = 132}).filler(20))
      .drops(DropReason::kIpMartianSrc);
  add(cases, "an interface without a twin beside one that has: Weir answers there itself")
      .in(from_plain().ipv4("10.3.0.9", "10.3.0.1").icmp_echo(1, 1))
      .out(packet().eth(kStrangerMac, kQuietMac).vlan(kQuietVlan).ipv4("10.3.0.1", "10.3.0.9").icmp_echo_reply(1, 1))
      .in(from_plain().ipv4("10.3.0.9", "10.3.0.1").tcp(4000, 22, kSyn))
      .drops(DropReason::kNoTwin)
      .in(from_plain().ipv4("10.3.0.9", "10.0.0.1").tcp(4000, 22, kSyn))
      .drops(DropReason::kNoTwin)
      .in(from_plain().ipv4("10.3.0.9", kFarAway).tcp(4000, 22, kSyn))
      .drops(DropReason::kNoVip);
}

// ---- routing ----

void add_routing(Cases& cases) {
  add(cases, "BGP, whichever end opened it, as long as the kernel has not spoken (twin_path_test.cc: and when it has)")
      .in(from_client().ipv4(kRouter, kUplinkAddress).tcp(4000, 179, kSyn))
      .punts({Event::kPuntedBgpNew})
      .in(from_client().ipv4(kRouter, kUplinkAddress).tcp(179, 4000, kSyn))
      .punts({Event::kPuntedBgpNew})
      .in(from_client().ipv4(kRouter, kUplinkAddress).tcp(179, 4000, kSyn | kAck))
      .punts({Event::kPuntedBgpNew})
      .in(from_client().ipv4(kRouter, kUplinkAddress).tcp(4000, 179, kAck).payload("keepalive"))
      .punts({Event::kPuntedBgpNew})
      .in(from_client().ipv6(kRouter6, kUplinkAddress6).tcp(179, 4000, kAck))
      .punts({Event::kPuntedBgpNew})
      .in(from_client().ipv6("fe80::fe", "fe80::1").tcp(4000, 179, kAck))
      .punts({Event::kPuntedBgpNew});
  add(cases, "BFD, OSPF, VRRP, PIM and the rest of the link's groups")
      .in(from_client().ipv4(kRouter, kUplinkAddress, {.ttl = 255}).udp(49152, 3784))
      .punts({Event::kPuntedRouting})
      .in(packet().eth(kAllRouters, kRouterMac).ipv4(kRouter, "224.0.0.5", {.ttl = 1, .protocol = 89}).filler(44))
      .punts({Event::kPuntedRouting})
      .in(from_client().ipv4(kRouter, kUplinkAddress, {.ttl = 1, .protocol = 89}).filler(44))
      .punts({Event::kPuntedRouting})
      .in(packet()
              .eth("01:00:5e:00:00:12", kRouterMac)
              .ipv4(kRouter, "224.0.0.18", {.ttl = 255, .protocol = 112})
              .filler(20))
      .punts({Event::kPuntedRouting})
      .in(packet()
              .eth("01:00:5e:00:00:0d", kRouterMac)
              .ipv4(kRouter, "224.0.0.13", {.ttl = 1, .protocol = 103})
              .filler(20))
      .punts({Event::kPuntedRouting})
      .in(packet().eth("01:00:5e:00:00:09", kRouterMac).ipv4(kRouter, "224.0.0.9", {.ttl = 1}).udp(520, 520))
      .punts({Event::kPuntedRouting})
      .in(packet()
              .eth("33:33:00:00:00:05", kRouterMac)
              .ipv6("fe80::fe", "ff02::5", {.hop_limit = 1, .next_header = 89})
              .filler(36))
      .punts({Event::kPuntedRouting})
      .in(packet().eth("09:00:2b:00:00:05", kRouterMac, 100).filler(100))
      .punts({Event::kPuntedRouting});
  add(cases, "hosts' chatter on the link is not routing: mDNS, pings to a group, IGMP")
      .in(packet()
              .eth("01:00:5e:00:00:fb", kStrangerMac)
              .ipv4("198.51.100.9", "224.0.0.251", {.ttl = 255})
              .udp(5353, 5353))
      .punts({Event::kPuntedOwn})
      .in(packet().eth("01:00:5e:00:00:01", kStrangerMac).ipv4("198.51.100.9", "224.0.0.1", {.ttl = 1}).icmp_echo(1, 1))
      .punts({Event::kPuntedOwn})
      .in(group6().ipv6("fe80::9", kAllNodes6).icmp6_echo(1, 1))
      .punts({Event::kPuntedOwn})
      .in(packet()
              .eth("01:00:5e:00:00:01", kRouterMac)
              .ipv4(kRouter, "224.0.0.1", {.ttl = 1, .options = {0x94, 4, 0, 0}, .protocol = 2})
              .filler(8))
      .punts({Event::kPuntedSolicit});
  add(cases,
      "routing from beyond the link is what anyone may send: BFD and VRRP below TTL 255, multihop, OSPF by routers")
      .in(from_client().ipv4(kClient, kUplinkAddress, {.ttl = 254}).udp(49152, 3784))
      .punts({Event::kPuntedOwn})
      .in(from_client().ipv6(kClient6, kUplinkAddress6, {.hop_limit = 254}).udp(49152, 3784))
      .punts({Event::kPuntedOwn})
      .in(from_client().ipv6(kRouter6, kUplinkAddress6, {.hop_limit = 255}).udp(49152, 3784))
      .punts({Event::kPuntedRouting})
      .in(from_client().ipv4(kClient, kUplinkAddress, {.ttl = 255}).udp(49152, 4784))
      .punts({Event::kPuntedOwn})
      .in(from_client().ipv4(kClient, kUplinkAddress, {.ttl = 254, .protocol = 112}).filler(20))
      .punts({Event::kPuntedOwn})
      .in(from_client().ipv4(kRouter, kUplinkAddress, {.ttl = 255, .protocol = 112}).filler(20))
      .punts({Event::kPuntedRouting})
      .in(from_client().ipv4(kClient, kUplinkAddress, {.ttl = 60, .protocol = 89}).filler(44))
      .punts({Event::kPuntedOwn})
      .in(from_client().ipv4(kClient, kUplinkAddress, {.ttl = 60, .protocol = 103}).filler(20))
      .punts({Event::kPuntedOwn})
      .in(from_client().ipv4(kClient, kUplinkAddress, {.ttl = 60, .protocol = 2}).filler(8))
      .punts({Event::kPuntedOwn});
  add(cases, "groups beyond the link are nobody's here")
      .in(packet().eth("01:00:5e:01:01:01", kRouterMac).ipv4(kClient, "239.1.1.1").udp(1, 1))
      .drops(DropReason::kIpMartianDst)
      .in(packet().eth("33:33:00:00:00:01", kRouterMac).ipv6(kClient6, "ff05::1").udp(1, 1))
      .drops(DropReason::kIpMartianDst)
      .in(packet().eth("01:00:5e:01:01:01", kRouterMac).ipv4(kClient, "239.1.1.1", {.protocol = 103}).filler(8))
      .drops(DropReason::kProto);
}

// ---- ARP, ND ----

void add_neighbors(Cases& cases) {
  add(cases,
      "ARP: requests for own addresses and announcements, and answers to the kernel, go to it; for a VIP Weir answers")
      .in(broadcast().arp_request(kRouterMac, kRouter, kUplinkAddress))
      .punts({Event::kPuntedSolicit})
      .in(broadcast().arp_request(kRouterMac, kRouter, kRouter))
      .punts({Event::kPuntedSolicit})
      .in(broadcast().arp_reply(kRouterMac, kRouter, kBroadcastMac, kRouter))
      .punts({Event::kPuntedSolicit})
      .in(packet().eth(kUplinkMac, kRouterMac).arp_reply(kRouterMac, kRouter, kUplinkMac, kUplinkAddress))
      .punts({Event::kPuntedNeighbor})
      .in(broadcast().arp_request(kRouterMac, kRouter, kWeb))
      .out(to_client().arp_reply(kUplinkMac, kWeb, kRouterMac, kRouter))
      .counts({Event::kAnsweredArp})
      .in(broadcast().arp_request(kRouterMac, kRouter, "198.51.100.77"))
      .drops(DropReason::kArpIgnored)
      .in(broadcast().arp(9, kRouterMac, kRouter, kUplinkMac, kUplinkAddress))
      .drops(DropReason::kArpIgnored)
      .in(broadcast().arp(1, kRouterMac, kRouter, kUplinkMac, kUplinkAddress, {.hardware = 6}))
      .drops(DropReason::kArpBad);
  add(cases, "ARP in a VLAN reaches the kernel untagged")
      .in(packet()
              .eth(kBroadcastMac, server_mac(5))
              .vlan(kServersVlan)
              .arp_request(server_mac(5), "10.0.0.5", "10.0.0.1"))
      .punts(packet().eth(kBroadcastMac, server_mac(5)).arp_request(server_mac(5), "10.0.0.5", "10.0.0.1"),
             {Event::kPuntedSolicit});
  const Bytes source = link_layer_option(1, kRouterMac);
  const auto solicit = [&](std::string_view group, std::string_view from) {
    return packet().eth("33:33:ff:00:00:01", kRouterMac).ipv6(from, group, {.hop_limit = 255});
  };
  add(cases, "ND: solicitations for own and link-local addresses, and what only a host has use for, go to the kernel")
      .in(solicit("ff02::1:ff00:1", kRouter6).neighbor_solicitation(kUplinkAddress6, source))
      .punts({Event::kPuntedSolicit})
      .in(solicit("ff02::1:ff00:1", "::").neighbor_solicitation(kUplinkAddress6))
      .punts({Event::kPuntedSolicit})
      .in(solicit("ff02::1:ff00:1", "fe80::fe").neighbor_solicitation("fe80::1", source))
      .punts({Event::kPuntedSolicit})
      .in(solicit("ff02::1:ff00:10", kRouter6).neighbor_solicitation(kWeb6, source))
      .out(to_client()
               .ipv6(kWeb6, kRouter6, {.hop_limit = 255})
               .neighbor_advertisement(kWeb6, 0x60, link_layer_option(2, kUplinkMac)))
      .counts({Event::kAnsweredNd})
      .in(solicit("ff02::1:ff00:77", kRouter6).neighbor_solicitation("2001:db8:1::77", source))
      .drops(DropReason::kIcmpIgnored)
      .in(from_client().ipv6(kRouter6, kUplinkAddress6, {.hop_limit = 255}).neighbor_advertisement(kRouter6, 0x60))
      .punts({Event::kPuntedNeighbor})
      .in(group6().ipv6("fe80::fe", kAllNodes6, {.hop_limit = 255}).neighbor_advertisement("fe80::fe", 0x20))
      .punts({Event::kPuntedNeighbor})
      .in(group6().ipv6("fe80::fe", kAllNodes6, {.hop_limit = 255}).icmp6(134, 0).filler(8))
      .punts({Event::kPuntedSolicit})
      .in(group6().ipv6("fe80::fe", "ff02::2", {.hop_limit = 255}).icmp6(133, 0).filler(8))
      .punts({Event::kPuntedSolicit})
      .in(packet()
              .eth("33:33:00:00:00:16", kStrangerMac)
              .ipv6("fe80::9", "ff02::16", {.hop_limit = 1})
              .extension(0, {5, 2, 0, 0})
              .icmp6(143, 0)
              .filler(20))
      .punts({Event::kPuntedSolicit})
      .in(solicit("ff02::1:ff00:1", kRouter6).neighbor_solicitation(kUplinkAddress6, source).spoil_checksum())
      .drops(DropReason::kIcmpBad)
      .in(solicit("ff02::1:ff00:1", kUplinkAddress6).neighbor_solicitation(kUplinkAddress6, source))
      .drops(DropReason::kIpMartianSrc);
  add(cases,
      "ND from beyond the link, and MLD to an own address, is what anyone may send: not in the neighbours' classes")
      .in(from_client().ipv6(kClient6, kUplinkAddress6, {.hop_limit = 254}).neighbor_advertisement(kRouter6, 0x60))
      .punts({Event::kPuntedOwn})
      .in(from_client().ipv6(kClient6, kUplinkAddress6, {.hop_limit = 254}).icmp6(134, 0).filler(8))
      .punts({Event::kPuntedOwn})
      .in(from_client().ipv6("fe80::fe", kUplinkAddress6, {.hop_limit = 255}).icmp6(134, 0).filler(8))
      .punts({Event::kPuntedSolicit})
      .in(from_client().ipv6(kClient6, kUplinkAddress6, {.hop_limit = 254}).icmp6(137, 0).filler(32))
      .punts({Event::kPuntedOwn})
      .in(from_client().ipv6(kClient6, kUplinkAddress6, {.hop_limit = 255}).icmp6(130, 0).filler(16))
      .punts({Event::kPuntedOwn})
      .in(from_client().ipv6(kClient6, kUplinkAddress6, {.hop_limit = 1}).icmp6(143, 0).filler(20))
      .punts({Event::kPuntedOwn})
      .in(from_client().ipv6(kClient6, kUplinkAddress6, {.hop_limit = 254}).neighbor_solicitation(kUplinkAddress6))
      .drops(DropReason::kIcmpBad);
  add(cases, "broadcasts of the interface's subnets and to all, from a host without an address too; of no other subnet")
      .in(broadcast().ipv4("0.0.0.0", "255.255.255.255").udp(68, 67))
      .punts({Event::kPuntedOwn})
      .in(broadcast().ipv4("198.51.100.9", "198.51.100.255").udp(4000, 138))
      .punts({Event::kPuntedOwn})
      .in(broadcast().ipv4("198.51.100.9", "10.0.0.255").udp(4000, 138))
      .drops(DropReason::kL2NotUs)
      .in(broadcast().ipv4("198.51.100.9", kUplinkAddress).udp(4000, 138))
      .drops(DropReason::kL2NotUs)
      .in(broadcast().ipv4(kUplinkAddress, "198.51.100.255").udp(4000, 138))
      .drops(DropReason::kIpMartianSrc)
      .in(packet().eth(kBroadcastMac, kStrangerMac).vlan(kQuietVlan).ipv4("10.3.0.9", "10.3.0.255").udp(1, 1))
      .drops(DropReason::kL2NotUs);
  add(cases, "other kinds of frames: LLDP, spanning tree")
      .in(packet().eth("01:80:c2:00:00:0e", kRouterMac, 0x88cc).filler(60))
      .punts({Event::kPuntedOwn})
      .in(packet().eth(kStp, kRouterMac, 39).filler(39))
      .punts({Event::kPuntedRouting})
      .in(packet().eth(kStp, kRouterMac).vlan(kQuietVlan).filler(39))
      .drops(DropReason::kEthertype);
}

// ---- transit, VIPs ----

void add_transit(Cases& cases) {
  add(cases, "transit: what is for nobody here goes to the kernel, which may route it; from a backend too")
      .in(from_server().ipv4("10.0.0.5", kFarAway).tcp(4000, 443, kSyn))
      .punts(untagged_from_server().ipv4("10.0.0.5", kFarAway).tcp(4000, 443, kSyn), {Event::kPuntedTransit})
      .in(from_client().ipv4(kFarAway, "10.0.0.5").tcp(443, 4000, kSyn | kAck))
      .punts({Event::kPuntedTransit})
      .in(from_client().ipv6(kFarAway6, "fd00::5").udp(443, 4000))
      .punts({Event::kPuntedTransit})
      .in(from_client().ipv4(kFarAway, "10.0.0.5").icmp_echo(1, 1))
      .punts({Event::kPuntedTransit})
      .in(from_client().ipv4(kFarAway, "10.0.0.5", {.ttl = 1}).udp(33000, 33434))
      .punts({Event::kPuntedTransit})
      .in(from_client().ipv4(kFarAway, "10.0.0.5", {.protocol = 50}).filler(40))
      .punts({Event::kPuntedTransit});
  add(cases, "not transit: from a known endpoint, from us, to nowhere, and what could belong to a flow")
      .in(from_server().ipv4("10.0.0.5", kFarAway).tcp(8080, 443, kSyn))
      .drops(DropReason::kNoFlow)
      .in(from_client().ipv4(kWeb, "10.0.0.5").tcp(80, 4000, kSyn))
      .drops(DropReason::kIpMartianSrc)
      .in(from_client().ipv4(kFarAway, "127.0.0.1").tcp(80, 4000, kSyn))
      .drops(DropReason::kIpMartianDst)
      .in(from_client().ipv4(kFarAway, "224.0.0.5").tcp(80, 4000, kSyn))
      .drops(DropReason::kIpMartianDst)
      .in(from_server().ipv4("10.0.0.5", kFarAway, {.mf = true}).udp(5353, 4000).filler(8))
      .drops(DropReason::kIpFrag)
      .in(from_server().ipv4("10.0.0.5", kFarAway).icmp(3, 3).filler(28))
      .drops(DropReason::kIcmpError);
  Case& vips = add(cases, "VIPs are Weir's business, with a twin too: balanced, refused, pinged");
  const Talk t = web();
  open(vips, t);
  vips.in(from_client().ipv4(kClient, kWeb).tcp(t.client_port, 22, kSyn))
      .out(to_client()
               .ipv4(kWeb, kClient, {.df = true})
               .tcp(22, t.client_port, kRst | kAck, {.seq = 0, .ack = 2, .window = 0}))
      .drops(DropReason::kNoVip)
      .in(from_client().ipv4(kClient, kWeb).icmp_echo(1, 1))
      .out(to_client().ipv4(kWeb, kClient).icmp_echo_reply(1, 1))
      .in(from_client().ipv4(kClient, kWeb, {.protocol = 132}).filler(20))
      .drops(DropReason::kProto)
      .in(from_client().ipv4(kClient, kWeb, {.mf = true}).udp(4000, 53).filler(8))
      .drops(DropReason::kIpFrag)
      .in(from_client().ipv4(kClient, kWeb).icmp(3, 4).filler(28))
      .drops(DropReason::kIcmpError);
}

// ---- limits ----

void add_limits(Cases& cases) {
  struct Kind {
    const char* name;
    Packet in;
    Event punted;
    DropReason over;
    unsigned per_second;
  };
  const Packet ping = from_client().ipv4(kClient, kUplinkAddress).icmp_echo(1, 1);
  const Packet bfd = from_client().ipv4(kRouter, kUplinkAddress, {.ttl = 255}).udp(49152, 3784);
  const std::vector<Kind> kinds{{"routing", bfd, Event::kPuntedRouting, DropReason::kPuntRouting, 20'000},
                                {"bgp_new", from_client().ipv4(kRouter, kUplinkAddress).tcp(4000, 179, kSyn),
                                 Event::kPuntedBgpNew, DropReason::kPuntBgpNew, 1'000},
                                {"neighbor", from_client().arp_reply(kRouterMac, kRouter, kUplinkMac, kUplinkAddress),
                                 Event::kPuntedNeighbor, DropReason::kPuntNeighbor, 2'000},
                                {"solicit", broadcast().arp_request(kRouterMac, kRouter, kUplinkAddress),
                                 Event::kPuntedSolicit, DropReason::kPuntSolicit, 2'000},
                                {"own", ping, Event::kPuntedOwn, DropReason::kPuntOwn, 10'000},
                                {"transit", from_client().ipv4(kFarAway, "10.0.0.77").udp(1, 1), Event::kPuntedTransit,
                                 DropReason::kPuntTransit, 20'000}};
  for (const Kind& k : kinds) {
    Case& c =
        add(cases, fmt::format("a flood of class {} is cut to its rate, and takes nothing from the others", k.name));
    c.alone().in(k.in).punts({k.punted}).times(k.per_second / 4);
    c.in(k.in).drops(k.over).times(1'000);
    for (const Kind& other : kinds)
      if (other.punted != k.punted) c.in(other.in).punts({other.punted});
    const Talk t = web();
    open(c, t);
    c.passes(seconds(1)).in(k.in).punts({k.punted}).times(k.per_second / 4);
    c.in(k.in).drops(k.over);
  }
}

// ---- held ----

void add_held(Cases& cases) {
  Case& c = add(cases, "a packet to a backend that nobody has resolved waits a second for the kernel, then is dropped");
  const auto port = fresh_port();
  c.in(from_client().ipv4(kClient, "203.0.113.41").tcp(port, 80, kSyn)).counts({Event::kFlowNew});
  c.passes(seconds(1)).in(from_client().ipv4(kClient, kUplinkAddress).icmp_echo(1, 1));
  c.punts({Event::kPuntedOwn}).drops(DropReason::kNeighUnresolved);
  c.passes(seconds(3600));  // its flow is forgotten like any other
  Case& budget = add(cases, "three packets a next hop may wait; more are dropped, and open no flow").alone();
  for (int i = 0; i < 3; ++i)
    budget.in(from_client().ipv4(kClient, "203.0.113.41").tcp(fresh_port(), 80, kSyn)).counts({Event::kFlowNew});
  budget.in(from_client().ipv4(kClient, "203.0.113.41").tcp(fresh_port(), 80, kSyn))
      .drops(DropReason::kNeighUnresolved)
      .counts({});
  add(cases, "where the way out has no twin, nobody would ask: dropped at once")
      .in(from_client().ipv4(kClient, "203.0.113.42").tcp(fresh_port(), 80, kSyn))
      .drops(DropReason::kNeighUnresolved);
}

}  // namespace

Cases twin_cases() {
  Cases cases;
  add_own(cases);
  add_routing(cases);
  add_neighbors(cases);
  add_transit(cases);
  add_limits(cases);
  add_held(cases);
  return cases;
}

std::string twin_yaml() {
  return R"(
hash_key: "000102030405060708090a0b0c0d0e0f"
conntrack: {capacity: 4096, wide_capacity: 4096}
interfaces:
  - {name: uplink, port: p0, mac: "02:00:00:00:01:00", addresses: [198.51.100.1/24, "2001:db8:1::1/64"], twin: true}
  - {name: servers, port: p0, vlan: 100, mac: "02:00:00:00:02:00", addresses: [10.0.0.1/24, "fd00::1/64"], twin: true}
  - {name: plain, port: p0, vlan: 300, mac: "02:00:00:00:04:00", mtu: 1000, addresses: [10.3.0.1/24]}
routes:
  - {to: 192.0.2.0/24, via: 198.51.100.254}
  - {to: "2001:db8:2::/64", via: "2001:db8:1::fe"}
neighbors:
  - {address: 198.51.100.254, mac: "02:00:00:00:01:fe"}
  - {address: "2001:db8:1::fe", mac: "02:00:00:00:01:fe"}
  - {address: 10.0.0.5, mac: "02:00:00:00:00:05"}
  - {address: "fd00::5", mac: "02:00:00:00:00:05"}
services:
  - {name: web, vips: [{address: 203.0.113.10, port: 80}, {address: "2001:db8:100::10", port: 80}], protocol: tcp, backends: [{address: 10.0.0.5, port: 8080}, {address: "fd00::5", port: 8080}]}
  - {name: dns, vips: [{address: 203.0.113.10, port: 53}], protocol: udp, backends: [{address: 10.0.0.5, port: 5353}]}
  - {name: waiting, vips: [{address: 203.0.113.41, port: 80}], protocol: tcp, backends: [{address: 10.0.0.99, port: 8080}]}
  - {name: lost, vips: [{address: 203.0.113.42, port: 80}], protocol: tcp, backends: [{address: 10.3.0.99, port: 8080}]}
)";
}

}  // namespace weir::test
