// Which service, which backend, and the way to it: port ranges, all ports, shared endpoints, many VIPs, hairpins,
// routes and neighbours.
#include <fmt/format.h>

#include "tests/cases/lab.h"
#include "tests/cases/words.h"

namespace weir::test {

namespace {

using lb::DropReason;
using lb::Event;

Talk to(std::string vip, std::uint16_t port, int server, std::uint16_t server_port) {
  return {.client = std::string(vip.find(':') == std::string::npos ? kClient : kClient6),
          .client_port = fresh_port(),
          .vip = std::move(vip),
          .vip_port = port,
          .server = server,
          .server_port = server_port};
}

Talk udp(Talk t) {
  t.udp = true;
  return t;
}

void add_ports(Cases& cases) {
  open(add(cases, "a backend without a port gets packets on the port they came to"), to("203.0.113.11", 443, 6, 443));

  Case& range =
      add(cases, "a VIP with a port range: first and last port are in it, and replies come from the port asked");
  open(range, to("203.0.113.12", 5000, 7, 5000)), open(range, to("203.0.113.12", 5999, 7, 5999));
  open(add(cases, "a port range over IPv6"), to("2001:db8:100::12", 5123, 7, 5123));

  Talk one = to("203.0.113.12", 5001, 7, 5001);
  Talk two = one;
  two.vip_port = two.server_port = 5002;
  Case& apart = add(cases, "one client port to two ports of a range: two flows, kept apart");
  ask(apart, one, kSyn).counts({Event::kFlowNew}), ask(apart, two, kSyn).counts({Event::kFlowNew});
  tell(apart, two, kSyn | kAck).counts({}), tell(apart, one, kSyn | kAck).counts({});

  Case& folded = add(cases, "a range onto one backend port: each client hears from the port that it asked");
  const Talk first = to("203.0.113.12", 7000, 12, 9000);
  const Talk last = to("203.0.113.12", 7999, 12, 9000);
  ask(folded, first, kSyn), ask(folded, last, kSyn), tell(folded, last, kSyn | kAck), tell(folded, first, kSyn | kAck);

  Talk clash = to("203.0.113.12", 7000, 12, 9000);
  Case& clashing = add(cases, "one client port to two ports of a range onto one backend port is a tuple clash");
  ask(clashing, clash, kSyn);
  clash.vip_port = 7001;
  clashing.in(clash.asked(kSyn)).drops(DropReason::kTupleClash).counts({});

  Case& all = add(cases, "an all-port VIP takes any port, TCP and UDP");
  for (const std::uint16_t port : Words{1, 22, 999, 2000, 65535})
    open(all, to("203.0.113.13", port, 8, port)), open(all, udp(to("203.0.113.13", port, 8, port)));
  Case& specific = add(cases, "on one address, one port goes before a range, and a range before all ports");
  open(specific, to("203.0.113.13", 1000, 13, 9001)), open(specific, to("203.0.113.13", 1999, 13, 9001));
  open(specific, to("203.0.113.13", 1500, 13, 9002)), open(specific, udp(to("203.0.113.13", 1500, 8, 1500)));
}

void add_shared(Cases& cases) {
  Case& two = add(cases, "two VIPs of one service: the answer comes from the VIP that was asked");
  const Talk a = to("203.0.113.14", 80, 9, 8080);
  const Talk b = to("203.0.113.15", 80, 9, 8080);
  ask(two, a, kSyn), ask(two, b, kSyn), tell(two, a, kSyn | kAck), tell(two, b, kSyn | kAck);
  ask(two, b, kAck, "b"), ask(two, a, kAck, "a"), tell(two, b, kAck, "b"), tell(two, a, kAck, "a");

  Case& services = add(cases, "one endpoint in two services: the answer comes from the VIP that was asked");
  const Talk c = to("203.0.113.16", 80, 10, 8080);
  const Talk d = to("203.0.113.17", 81, 10, 8080);
  ask(services, c, kSyn), ask(services, d, kSyn), tell(services, d, kSyn | kAck), tell(services, c, kSyn | kAck);

  for (const auto& [x, y, what] :
       {std::tuple(to("203.0.113.14", 80, 9, 8080), to("203.0.113.15", 80, 9, 8080), "VIPs"),
        std::tuple(to("203.0.113.16", 80, 10, 8080), to("203.0.113.17", 81, 10, 8080), "services"),
        std::tuple(to("203.0.113.18", 80, 14, 80), to("203.0.113.19", 80, 14, 80), "ways of naming it")}) {
    Talk second = y;
    second.client_port = x.client_port;
    Case& clash =
        add(cases, fmt::format("one client port to one endpoint through two {}: the second is a tuple clash, the "
                               "first is answered, and another port succeeds",
                               what));
    open(clash, x);
    clash.in(second.asked(kSyn)).drops(DropReason::kTupleClash);
    tell(clash, x, kAck, "still the first");
    open(clash, y);
  }
  Case& sibling = add(cases, "an endpoint by port and the same by any port: replies find the flow that there is");
  open(sibling, to("203.0.113.18", 80, 14, 80)), open(sibling, to("203.0.113.19", 80, 14, 80));

  for (const int n : {8, 9, 16, 20}) {
    Case& many = add(cases, fmt::format("{} VIPs reached from one client port: each answers as itself", n));
    const std::uint16_t port = fresh_port();
    const auto talk = [&](int i) {
      Talk t = to(fmt::format("203.0.113.{}", 100 + i), 80, 11, static_cast<std::uint16_t>(9100 + i));
      t.client_port = port;
      return t;
    };
    for (int i = 0; i < n; ++i) ask(many, talk(i), kSyn).counts({Event::kFlowNew});
    for (int i = n; i-- > 0;) tell(many, talk(i), kSyn | kAck);
    for (int i = 0; i < n; ++i) ask(many, talk(i), kAck).counts({Event::kFlowConfirmed});
    for (int i = n; i-- > 0;) tell(many, talk(i), kAck, "data");
  }
  Case& many6 = add(cases, "16 VIPs reached from one client port over IPv6: each answers as itself");
  const std::uint16_t port6 = fresh_port();
  const auto talk6 = [&](int i) {
    Talk t = to(fmt::format("2001:db8:100::1:{}", i), 80, 11, static_cast<std::uint16_t>(9100 + i));
    t.client_port = port6;
    return t;
  };
  for (int i = 0; i < 16; ++i) ask(many6, talk6(i), kSyn).counts({Event::kFlowNew});
  for (int i = 16; i-- > 0;) tell(many6, talk6(i), kSyn | kAck);
  for (int i = 0; i < 16; ++i) ask(many6, talk6(i), kAck);
}

void add_hairpins(Cases& cases) {
  const auto port = fresh_port();
  add(cases,
      "a backend that reaches itself through its VIP is dropped: without source NAT the answer would bypass Weir")
      .in(from_server(5).ipv4("10.0.0.5", kWeb).tcp(port, 80, kSyn))
      .drops(DropReason::kHairpin)
      .in(from_server(5).ipv6("fd00::5", kWeb6).tcp(port, 80, kSyn))
      .drops(DropReason::kHairpin)
      .in(from_server(5).ipv4("10.0.0.5", kWeb).udp(port, 53).payload("q"))
      .drops(DropReason::kHairpin);
  add(cases, "a backend that reaches a VIP served by another backend is a client like any other")
      .in(from_server(6).ipv4("10.0.0.6", kWeb).tcp(port, 80, kSyn))
      .out(to_server(5).ipv4("10.0.0.6", "10.0.0.5", {.ttl = 63}).tcp(port, 8080, kSyn))
      .in(from_server(5).ipv4("10.0.0.5", "10.0.0.6").tcp(8080, port, kSyn | kAck))
      .out(to_server(6).ipv4(kWeb, "10.0.0.6", {.ttl = 63}).tcp(80, port, kSyn | kAck));
}

void add_ways(Cases& cases) {
  Talk near = web();
  near.client = "198.51.100.20";
  add(cases, "a client on the uplink itself is answered at its own MAC")
      .in(near.asked(kSyn))
      .out(near.asked_on(kSyn))
      .in(near.told(kSyn | kAck))
      .out(packet()
               .eth("02:00:00:00:01:20", kUplinkMac)
               .ipv4(kWeb, near.client, {.ttl = 63})
               .tcp(80, near.client_port, kSyn | kAck, {.seq = 1000, .ack = 2000}));
  Talk nowhere = web();
  nowhere.client = "100.64.0.9";
  add(cases, "a reply to a client without a route is dropped")
      .in(nowhere.asked(kSyn))
      .out(nowhere.asked_on(kSyn))
      .in(nowhere.told(kSyn | kAck))
      .drops(DropReason::kNoRoute);
  for (const char* client : {"198.18.0.9", "198.51.100.77"}) {
    Talk unresolved = web();
    unresolved.client = client;
    add(cases, fmt::format("a reply to {}, whose next hop has no neighbour entry, is dropped", client))
        .in(unresolved.asked(kSyn))
        .out(unresolved.asked_on(kSyn))
        .in(unresolved.told(kSyn | kAck))
        .drops(DropReason::kNeighUnresolved);
  }
  add(cases, "a backend without a neighbour entry: dropped")
      .in(to("203.0.113.41", 80, 99, 8080).asked(kSyn))
      .drops(DropReason::kNeighUnresolved);
  add(cases, "a backend without a route: dropped")
      .in(to("203.0.113.42", 80, 5, 8080).asked(kSyn))
      .drops(DropReason::kNoRoute);

  const auto port = fresh_port();
  const auto sized = [&](Packet eth, std::string_view s, std::string_view d, std::uint8_t ttl, std::uint16_t sp,
                         std::uint16_t dp, std::size_t ip_bytes,
                         bool df) { return eth.ipv4(s, d, {.ttl = ttl, .df = df}).udp(sp, dp).filler(ip_bytes - 28); };
  const Packet to_small = packet().eth("02:00:00:00:03:05", kSmallMac).vlan(kSmallVlan);
  const Packet from_small = packet().eth(kSmallMac, "02:00:00:00:03:05").vlan(kSmallVlan);
  add(cases, "a packet as large as the MTU of its way out passes, a larger one does not, whatever DF says; both ways")
      .in(sized(from_client(), kClient, "203.0.113.40", 64, port, 80, 576, true))
      .out(sized(to_small, kClient, "10.2.0.5", 63, port, 8080, 576, true))
      .in(sized(from_client(), kClient, "203.0.113.40", 64, port, 80, 577, true))
      .drops(DropReason::kMtu)
      .in(sized(from_client(), kClient, "203.0.113.40", 64, port, 80, 577, false))
      .drops(DropReason::kMtu)
      .in(sized(from_small, "10.2.0.5", kClient, 64, 8080, port, 1500, false))
      .out(sized(to_client(), "203.0.113.40", kClient, 63, 80, port, 1500, false))
      .in(sized(from_small, "10.2.0.5", kClient, 64, 8080, port, 1501, false))
      .drops(DropReason::kMtu);
  const auto big = fresh_port();
  add(cases, "the trailer of a frame does not count for the MTU")
      .in(sized(from_client(), kClient, "203.0.113.40", 64, big, 80, 576, true).trailer(20))
      .out(sized(to_small, kClient, "10.2.0.5", 63, big, 8080, 576, true));
}

}  // namespace

Cases service_cases() {
  Cases cases;
  add_ports(cases);
  add_shared(cases);
  add_hairpins(cases);
  add_ways(cases);
  return cases;
}

}  // namespace weir::test
