// A port without an untagged interface, VIPs announced nowhere, short timers and a small flow table.
#include <fmt/format.h>

#include "tests/cases/lab.h"
#include "tests/cases/words.h"

namespace weir::test {

namespace {

using lb::DropReason;
using lb::Event;
using std::chrono::seconds;

constexpr std::uint16_t kUplinkVlan = 10;

Packet in_vlan() {
  return from_client().vlan(kUplinkVlan);
}
Packet back_in_vlan() {
  return to_client().vlan(kUplinkVlan);
}

// As Talk, with the client's side tagged.
Case& ask_tagged(Case& c, std::string_view client, std::uint16_t port, std::uint8_t flags) {
  return c.in(in_vlan().ipv4(client, kWeb).tcp(port, 80, flags))
      .out(to_server().ipv4(client, "10.0.0.5", {.ttl = 63}).tcp(port, 8080, flags));
}
Case& tell_tagged(Case& c, std::string_view client, std::uint16_t port, std::uint8_t flags) {
  return c.in(from_server().ipv4("10.0.0.5", client).tcp(8080, port, flags))
      .out(back_in_vlan().ipv4(kWeb, client, {.ttl = 63}).tcp(80, port, flags));
}

}  // namespace

Cases trunk_cases() {
  Cases cases;
  const auto port = fresh_port();
  Case& c = add(cases, "from one VLAN to another and back");
  ask_tagged(c, kClient, port, kSyn), tell_tagged(c, kClient, port, kSyn | kAck), ask_tagged(c, kClient, port, kAck);
  add(cases, "where no interface is untagged, an untagged or priority-tagged frame is of an unknown VLAN")
      .in(from_client().ipv4(kClient, kWeb).tcp(port, 80, kSyn))
      .drops(DropReason::kVlanUnknown)
      .in(from_client().vlan(0, 5).ipv4(kClient, kWeb).tcp(port, 80, kSyn))
      .drops(DropReason::kVlanUnknown)
      .in(packet().eth(kBroadcastMac, kRouterMac).arp_request(kRouterMac, "198.51.100.254", kUplinkAddress))
      .drops(DropReason::kVlanUnknown);
  const Packet all = packet().eth(kBroadcastMac, kRouterMac).vlan(kUplinkVlan);
  add(cases, "announce: never leaves VIPs to others, but the interface's own address is answered for")
      .in(Packet(all).arp_request(kRouterMac, "198.51.100.254", kWeb))
      .drops(DropReason::kArpIgnored)
      .in(Packet(all).arp_request(kRouterMac, "198.51.100.254", kUplinkAddress))
      .out(back_in_vlan().arp_reply(kUplinkMac, kUplinkAddress, kRouterMac, "198.51.100.254"))
      .in(in_vlan().ipv4(kClient, kWeb).icmp_echo(1, 1))
      .out(back_in_vlan().ipv4(kWeb, kClient).icmp_echo_reply(1, 1));
  add(cases, "a refusal carries the tag of the VLAN it came from")
      .in(in_vlan().ipv4(kClient, kWeb).tcp(port, 81, kSyn))
      .out(back_in_vlan()
               .ipv4(kWeb, kClient, {.df = true})
               .tcp(81, port, kRst | kAck, {.seq = 0, .ack = 2, .window = 0}))
      .drops(DropReason::kNoVip);

  Case& timers = add(cases, "timers are those of the file: tcp_new 5 s, tcp_established 20 s, tcp_closing 10 s");
  const auto timed = fresh_port();
  ask_tagged(timers, kClient, timed, kSyn);
  ask_tagged(timers.passes(seconds(5)), kClient, timed, kSyn).counts({Event::kFlowExpired, Event::kFlowNew});
  tell_tagged(timers.passes(seconds(4)), kClient, timed, kSyn | kAck).counts({});
  ask_tagged(timers, kClient, timed, kAck).counts({Event::kFlowConfirmed});
  ask_tagged(timers.passes(seconds(19)), kClient, timed, kAck).counts({});
  tell_tagged(timers, kClient, timed, kFin | kAck).counts({});
  tell_tagged(timers.passes(seconds(9)), kClient, timed, kFin | kAck).counts({});
  tell_tagged(timers.passes(seconds(10)), kClient, timed, kAck).counts({Event::kFlowExpired, Event::kFlowAdopted});

  // 200 clients at once, where 64 flows fit and at most 8 unconfirmed ones of this VIP.
  Case& full =
      add(cases,
          "a flow table crowded with new flows: older ones give way, and every packet still passes, by hash alone")
          .alone();
  const auto client = [](int i) { return fmt::format("192.0.2.{}", 20 + i); };
  for (int i = 0; i < 200; ++i) ask_tagged(full, client(i), 4000, kSyn);
  for (int i = 0; i < 200; ++i) tell_tagged(full, client(i), 4000, kSyn | kAck);
  for (int i = 0; i < 200; ++i) ask_tagged(full, client(i), 4000, kAck);
  for (int i = 0; i < 200; ++i) tell_tagged(full, client(i), 4000, kAck);

  Case& confirmed = add(cases, "a flow table full of confirmed flows: what comes later passes untracked").alone();
  for (int i = 0; i < 80; ++i)
    for (const std::uint8_t flags : {kSyn, kAck}) {
      ask_tagged(confirmed, client(i), 4001, flags);
      tell_tagged(confirmed, client(i), 4001, static_cast<std::uint8_t>(flags | kAck));
    }
  ask_tagged(confirmed, client(200), 4001, kSyn).counts({Event::kUntracked});
  return cases;
}

}  // namespace weir::test
