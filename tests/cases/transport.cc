// TCP, UDP and ICMP headers: lengths that lie, flags that cannot be, ports that are none.
#include <fmt/format.h>

#include "tests/cases/lab.h"
#include "tests/cases/words.h"

namespace weir::test {

namespace {

using lb::DropReason;
using lb::Event;

// The IP header says that the packet is over after `n` bytes of `transport`.
Packet short_v4(std::uint8_t protocol, std::size_t n) {
  return from_client().ipv4(kClient, kWeb, {.protocol = protocol}).payload(Bytes(n, 0x50)).trailer(60 - n);
}
Packet short_v6(std::uint8_t protocol, std::size_t n) {
  return from_client().ipv6(kClient6, kWeb6, {.next_header = protocol}).payload(Bytes(n, 0x50)).trailer(60 - n);
}

void add_short(Cases& cases) {
  for (const auto& [name, v4, v6, length] :
       {std::tuple("TCP", 6, 6, 20u), std::tuple("UDP", 17, 17, 8u), std::tuple("ICMP", 1, 58, 8u)}) {
    Case& c =
        add(cases, fmt::format("an IP packet that ends inside its {} header, at every byte, both families", name));
    for (std::size_t n = 0; n < length; ++n) {
      c.in(short_v4(static_cast<std::uint8_t>(v4), n)).drops(DropReason::kL4Short);
      // An IPv6 payload of 0 bytes is refused before.
      c.in(short_v6(static_cast<std::uint8_t>(v6), n)).drops(n == 0 ? DropReason::kIpTotlen : DropReason::kL4Short);
    }
  }
  const auto port = fresh_port();
  Case& offset = add(cases, "a TCP data offset under 5, or behind the packet's end");
  for (const std::uint8_t words : Bytes{0, 1, 2, 3, 4, 7, 15}) {
    offset.in(from_client().ipv4(kClient, kWeb).tcp(port, 80, kSyn, {.data_offset = words}).payload("four"))
        .drops(DropReason::kL4Short);
    offset.in(from_client().ipv6(kClient6, kWeb6).tcp(port, 80, kSyn, {.data_offset = words}).payload("four"))
        .drops(DropReason::kL4Short);
  }
  Case& udp = add(cases, "a UDP length under 8, or behind the packet's end");
  for (const std::uint16_t length : Words{0, 1, 7, 13, 1500, 65535}) {
    udp.in(from_client().ipv4(kClient, kWeb).udp(port, 53, {.length = length}).payload("four"))
        .drops(DropReason::kL4Short);
    udp.in(from_client().ipv6(kClient6, kWeb6).udp(port, 53, {.length = length}).payload("four"))
        .drops(DropReason::kL4Short);
  }
}

void add_tcp_options(Cases& cases) {
  struct Kind {
    const char* name;
    Bytes options;
  };
  for (const Kind& k :
       {Kind{"length 0", {2, 0, 0, 0}}, Kind{"length 1", {2, 1, 0, 0}}, Kind{"past the end", {2, 40, 5, 180}},
        Kind{"forty bytes of NOP", Bytes(40, 1)}, Kind{"end of list first", {0, 2, 4, 5}},
        Kind{"MSS twice", {2, 4, 5, 180, 2, 4, 1, 1}}, Kind{"MSS 0", {2, 4, 0, 0}}}) {
    const auto port = fresh_port();
    add(cases, fmt::format("TCP options are the ends' business: {}", k.name))
        .in(from_client().ipv4(kClient, kWeb).tcp(port, 80, kSyn, {.options = k.options}))
        .out(to_server().ipv4(kClient, "10.0.0.5", {.ttl = 63}).tcp(port, 8080, kSyn, {.options = k.options}));
  }
}

bool is_illegal(unsigned flags) {
  const bool syn = (flags & kSyn) != 0;
  return (syn && (flags & (kFin | kRst)) != 0) || (flags & (kSyn | kAck | kRst)) == 0;
}

// The ninth flag lies beside the data offset, where the builder has none.
Bytes with_ninth_flag(const Packet& p, std::size_t tcp_at) {
  Bytes bytes = p.bytes();
  bytes.at(tcp_at + 12) |= 1;
  set_word(bytes, tcp_at + 16, ones_subtract(word_at(bytes, tcp_at + 16), 0x0100));
  return bytes;
}

void add_flag_sweeps(Cases& cases) {
  Case& fresh =
      add(cases,
          "all 512 sets of TCP flags on fresh tuples: SYN opens, ACK and FIN-ACK adopt, RST passes and leaves nothing, "
          "SYN-ACK has no flow, the rest is illegal");
  const std::string client = "192.0.2.8";
  for (unsigned set = 0; set < 512; ++set) {
    const auto flags = static_cast<std::uint8_t>(set);
    Talk t{.client = client, .client_port = static_cast<std::uint16_t>(30'000 + set)};
    const bool ninth = set >= 256;
    fresh.in(ninth ? with_ninth_flag(t.asked(flags), 34) : t.asked(flags).bytes());
    if (is_illegal(flags)) {
      fresh.drops(DropReason::kTcpFlags).counts({});
    } else if ((flags & kSyn) != 0 && (flags & kAck) != 0) {
      fresh.drops(DropReason::kNoFlow).counts({});
    } else {
      fresh.out(ninth ? with_ninth_flag(t.asked_on(flags), 38) : t.asked_on(flags).bytes());
      if ((flags & kRst) != 0) {
        fresh.counts({});
      } else {
        fresh.counts({(flags & kSyn) != 0 ? Event::kFlowNew : Event::kFlowAdopted});
      }
    }
  }
  // RST and FIN first, so that the flow is never closing when a SYN comes: that would choose anew.
  Case& known =
      add(cases, "all 256 sets of TCP flags on a known flow: the legal ones pass, both ways, and none opens another");
  const Talk t = web();
  open(known, t);
  for (unsigned set = 0; set < 256; ++set) {
    const auto flags = static_cast<std::uint8_t>(set);
    for (const bool forward : {true, false}) {
      known.in(forward ? t.asked(flags) : t.told(flags));
      if (is_illegal(flags)) {
        known.drops(DropReason::kTcpFlags).counts({});
      } else {
        known.out(forward ? t.asked_on(flags) : t.told_on(flags)).counts({});
      }
      // Takes back what a FIN or RST did.
      ask(known, t, kAck, "x"), tell(known, t, kAck, "y");
    }
  }
}

void add_ports(Cases& cases) {
  const auto port = fresh_port();
  Case& c = add(cases, "port 0 is no port, on either side, TCP and UDP, both families and both ways");
  for (const auto& [source, destination] : {std::pair<std::uint16_t, std::uint16_t>(0, 80), {port, 0}, {0, 0}}) {
    c.in(from_client().ipv4(kClient, kWeb).tcp(source, destination, kSyn)).drops(DropReason::kPortZero);
    c.in(from_client().ipv4(kClient, "203.0.113.13").tcp(source, destination, kSyn)).drops(DropReason::kPortZero);
    c.in(from_client().ipv4(kClient, kWeb).udp(source, destination)).drops(DropReason::kPortZero);
    c.in(from_client().ipv6(kClient6, kWeb6).tcp(source, destination, kSyn)).drops(DropReason::kPortZero);
    c.in(from_client().ipv6(kClient6, kWeb6).udp(source, destination)).drops(DropReason::kPortZero);
    c.in(from_server().ipv4("10.0.0.5", kClient).tcp(destination, source, kAck)).drops(DropReason::kPortZero);
  }
}

void add_icmp(Cases& cases) {
  const Talk t = web();
  const Talk t6 = web6();
  const Bytes quoted = [&] {
    const Bytes b = t.told_on(kAck).bytes();
    return Bytes(b.begin() + 14, b.end());
  }();
  const Bytes quoted6 = [&] {
    const Bytes b = t6.told_on(kAck).bytes();
    return Bytes(b.begin() + 14, b.end());
  }();
  Case& errors = add(cases, "ICMP errors about a live flow are counted drops for now, and the flow lives on");
  open(errors, t);
  for (const std::uint8_t type : Bytes{3, 4, 11, 12})
    errors.in(from_client().ipv4("192.0.2.254", kWeb).icmp(type, type == 3 ? 4 : 0).payload(quoted))
        .drops(DropReason::kIcmpError)
        .counts({});
  ask(errors, t, kAck, "on");
  Case& errors6 = add(cases, "ICMPv6 errors about a live flow are counted drops for now, and the flow lives on");
  open(errors6, t6);
  for (const std::uint8_t type : Bytes{1, 2, 3, 4, 100, 127})
    errors6.in(from_client().ipv6("2001:db8:2::fe", kWeb6).icmp6(type, 0).payload(quoted6))
        .drops(DropReason::kIcmpError)
        .counts({});
  ask(errors6, t6, kAck, "on");
  add(cases, "an ICMP error from a backend, or about nothing")
      .in(from_server().ipv4("10.0.0.5", kClient).icmp(3, 3).payload(quoted))
      .drops(DropReason::kIcmpError)
      .in(from_client().ipv4("192.0.2.254", kWeb).icmp(3, 3))
      .drops(DropReason::kIcmpError)
      .in(from_client().ipv4("192.0.2.254", kUplinkAddress).icmp(11, 0).payload("??"))
      .drops(DropReason::kIcmpError);
  add(cases, "ICMP that Weir neither answers nor carries: redirect, timestamp, mask, echo replies, router discovery")
      .in(from_client().ipv4(kClient, kWeb).icmp(5, 1, 0x0a000009).payload(quoted))
      .drops(DropReason::kIcmpIgnored)
      .in(from_client().ipv4(kClient, kUplinkAddress).icmp(5, 1, 0x0a000009).payload(quoted))
      .drops(DropReason::kIcmpIgnored)
      .in(from_client().ipv4(kClient, kWeb).icmp(13, 0).filler(12))
      .drops(DropReason::kIcmpIgnored)
      .in(from_client().ipv4(kClient, kWeb).icmp(17, 0).filler(4))
      .drops(DropReason::kIcmpIgnored)
      .in(from_client().ipv4(kClient, kWeb).icmp(9, 0))
      .drops(DropReason::kIcmpIgnored)
      .in(from_client().ipv4(kClient, kWeb).icmp_echo_reply(1, 1))
      .drops(DropReason::kIcmpIgnored)
      .in(from_client().ipv6(kClient6, kWeb6).icmp6_echo_reply(1, 1))
      .drops(DropReason::kIcmpIgnored)
      .in(from_client().ipv6("fe80::fe", kUplinkAddress6, {.hop_limit = 255}).icmp6(134, 0).filler(8))
      .drops(DropReason::kIcmpIgnored)
      .in(from_client().ipv6("fe80::fe", kUplinkAddress6, {.hop_limit = 255}).icmp6(137, 0).filler(32))
      .drops(DropReason::kIcmpIgnored)
      .in(from_client()
              .ipv6(kClient6, kUplinkAddress6, {.hop_limit = 255})
              .neighbor_advertisement("2001:db8:1::77", 0x60))
      .drops(DropReason::kIcmpIgnored)
      .in(packet()
              .eth("33:33:00:00:00:01", kRouterMac)
              .ipv6("fe80::fe", "ff02::1", {.hop_limit = 255})
              .icmp6(134, 0)
              .filler(8))
      .drops(DropReason::kIpMartianDst);
}

}  // namespace

Cases transport_cases() {
  Cases cases;
  add_short(cases);
  add_tcp_options(cases);
  add_flag_sweeps(cases);
  add_ports(cases);
  add_icmp(cases);
  return cases;
}

}  // namespace weir::test
