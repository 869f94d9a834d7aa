// The IPv6 header, extension headers, fragments, addresses that cannot be.
#include <fmt/format.h>

#include "tests/cases/lab.h"
#include "tests/cases/words.h"

namespace weir::test {

namespace {

using lb::DropReason;

void add_ends(Cases& cases) {
  struct Kind {
    const char* name;
    Packet whole;
    std::size_t link;
  };
  const Kind kinds[] = {
      {"TCP", web6().asked(kSyn, "hello"), kUntagged},
      {"UDP", dns6().asked(0, "hello"), kUntagged},
      {"TCP behind destination options", from_client().ipv6(kClient6, kWeb6).extension(60).tcp(fresh_port(), 80, kSyn),
       kUntagged},
      {"TCP in a VLAN",
       packet().eth(kServersMac, kRouterMac).vlan(kServersVlan).ipv6(kClient6, kWeb6).tcp(fresh_port(), 80, kSyn),
       kTagged},
      {"echo", from_client().ipv6(kClient6, kWeb6).icmp6_echo(1, 1).payload("data"), kUntagged},
  };
  for (const Kind& k : kinds) {
    Case& c = add(cases, fmt::format("{} over IPv6: cut off at every byte behind the Ethernet header", k.name));
    const std::size_t size = k.whole.bytes().size();
    for (std::size_t n = k.link; n < size; ++n)
      c.in(Packet(k.whole).cut(n)).drops(n < k.link + 40 ? DropReason::kIpHdrlen : DropReason::kIpTotlen);
  }
}

void add_lies(Cases& cases) {
  const auto port = fresh_port();
  Case& versions = add(cases, "every IP version but 6 under ethertype 86dd");
  for (unsigned v = 0; v < 16; ++v)
    if (v != 6)
      versions.in(from_client().ipv6(kClient6, kWeb6, {.version = static_cast<std::uint8_t>(v)}).tcp(port, 80, kSyn))
          .drops(DropReason::kIpVersion);
  Case& lengths = add(cases, "a payload length of 0, also of a jumbogram, or larger than the frame");
  for (const std::uint16_t length : Words{0, 26, 1500, 65535})
    lengths.in(from_client().ipv6(kClient6, kWeb6, {.payload_length = length}).tcp(port, 80, kSyn).payload("12345"))
        .drops(DropReason::kIpTotlen);
  lengths
      .in(from_client()
              .ipv6(kClient6, kWeb6, {.payload_length = 0})
              .extension(0, {0xc2, 4, 0, 1, 0, 0})
              .tcp(port, 80, kSyn))
      .drops(DropReason::kIpTotlen);
}

void add_extensions(Cases& cases) {
  struct Kind {
    std::uint8_t type;
    Bytes body{};
    std::optional<std::uint8_t> length{};
  };
  const auto with = [](Packet p, const std::vector<Kind>& chain) {
    for (const Kind& k : chain) p.extension(k.type, k.body, k.length);
    return p;
  };
  const Kind hop_by_hop{0}, options{60}, long_options{60, Bytes(62, 0)}, authentication{51, Bytes(14, 7), 2};
  const Kind routing2{43, {2, 0, 0, 0, 0, 0}}, segments{43, {4, 0, 0, 0, 0, 0}};
  struct Chain {
    const char* name;
    std::vector<Kind> kinds;
  };
  const Chain good[] = {
      {"hop-by-hop", {hop_by_hop}},
      {"router alert in hop-by-hop", {{0, {5, 2, 0, 0}}}},
      {"destination options", {options}},
      {"long destination options", {long_options}},
      {"hop-by-hop and destination options", {hop_by_hop, options}},
      {"an authentication header", {authentication}},
      {"a routing header of type 2 without segments left", {routing2}},
      {"a segment routing header without segments left", {segments}},
      {"eight of them", {hop_by_hop, options, options, authentication, options, routing2, options, options}},
  };
  for (const Chain& chain : good) {
    const auto port = fresh_port();
    add(cases, fmt::format("IPv6 extension headers pass untouched, and ports are found behind them: {}", chain.name))
        .in(with(from_client().ipv6(kClient6, kWeb6), chain.kinds).tcp(port, 80, kSyn))
        .out(with(to_server().ipv6(kClient6, "fd00::5", {.hop_limit = 63}), chain.kinds).tcp(port, 8080, kSyn))
        .in(with(from_server().ipv6("fd00::5", kClient6), chain.kinds).tcp(8080, port, kSyn | kAck))
        .out(with(to_client().ipv6(kWeb6, kClient6, {.hop_limit = 63}), chain.kinds).tcp(80, port, kSyn | kAck));
  }
  const Chain bad[] = {
      {"nine of them", {hop_by_hop, options, options, options, options, options, options, options, options}},
      {"hop-by-hop behind another", {options, hop_by_hop}},
      {"hop-by-hop twice", {hop_by_hop, hop_by_hop}},
      {"a routing header of type 0", {{43, {0, 0, 0, 0, 0, 0}}}},
      {"a routing header of type 0 with segments left", {{43, {0, 1, 0, 0, 0, 0}}}},
      {"a routing header of type 2 with segments left", {{43, {2, 1, 0, 0, 0, 0}}}},
      {"a segment routing header with segments left", {{43, {4, 3, 0, 0, 0, 0}}}},
      {"a length behind the packet's end", {{60, {}, 200}}},
      {"an authentication header with a length behind the packet's end", {{51, Bytes(14, 0), 250}}},
  };
  for (const Chain& chain : bad)
    add(cases, fmt::format("IPv6 extension headers refused: {}", chain.name))
        .in(with(from_client().ipv6(kClient6, kWeb6), chain.kinds).tcp(fresh_port(), 80, kSyn))
        .drops(DropReason::kIp6Ext);
  Case& deep = add(cases, "chains of 10 to 64 extension headers are refused as well");
  for (std::size_t n = 10; n <= 64; ++n)
    deep.in(with(from_client().ipv6(kClient6, kWeb6), std::vector<Kind>(n, options)).tcp(1, 80, kSyn))
        .drops(DropReason::kIp6Ext);
  Case& ends = add(cases, "a packet that ends inside an extension header");
  for (const std::uint8_t type : Bytes{0, 43, 44, 51, 60})
    for (std::size_t n = 1; n < 8; ++n)
      ends.in(from_client().ipv6(kClient6, kWeb6, {.next_header = type}).payload(Bytes(n, 0)))
          .drops(DropReason::kIp6Ext);
  Case& nothing = add(cases, "an extension header that announces one more, and nothing behind it");
  for (const std::uint8_t next : Bytes{43, 44, 51, 60})
    nothing.in(from_client().ipv6(kClient6, kWeb6, {.next_header = 60}).payload(Bytes{next, 0, 1, 4, 0, 0, 0, 0}))
        .drops(DropReason::kIp6Ext);
  for (const auto& [name, protocol] :
       {std::pair("no next header", 59), std::pair("ESP", 50), std::pair("GRE", 47), std::pair("SCTP", 132),
        std::pair("ICMPv4 over IPv6", 1), std::pair("an experiment", 253), std::pair("IPv4 in IPv6", 4)})
    add(cases, fmt::format("{} to a VIP, alone and behind an extension header", name))
        .in(from_client().ipv6(kClient6, kWeb6, {.next_header = static_cast<std::uint8_t>(protocol)}).filler(40))
        .drops(DropReason::kProto)
        .in(from_client()
                .ipv6(kClient6, kWeb6, {.next_header = 60})
                .payload(Bytes{static_cast<std::uint8_t>(protocol), 0, 1, 4, 0, 0, 0, 0})
                .filler(40))
        .drops(DropReason::kProto);
}

void add_fragments(Cases& cases) {
  const auto port = fresh_port();
  add(cases, "an atomic IPv6 fragment is a whole packet")
      .in(from_client().ipv6(kClient6, kWeb6).fragment(0, false, 0x1234).tcp(port, 80, kSyn))
      .out(to_server().ipv6(kClient6, "fd00::5", {.hop_limit = 63}).fragment(0, false, 0x1234).tcp(port, 8080, kSyn));
  add(cases, "IPv6 fragments: first, middle, last, overlapping")
      .in(from_client().ipv6(kClient6, kWeb6).fragment(0, true, 7).udp(port, 53).filler(64))
      .drops(DropReason::kIpFrag)
      .in(from_client().ipv6(kClient6, kWeb6).fragment(72, true, 7, 17).filler(64))
      .drops(DropReason::kIpFrag)
      .in(from_client().ipv6(kClient6, kWeb6).fragment(64, true, 7, 17).filler(64))
      .drops(DropReason::kIpFrag)
      .in(from_client().ipv6(kClient6, kWeb6).fragment(136, false, 7, 17).filler(3))
      .drops(DropReason::kIpFrag)
      .in(from_client().ipv6(kClient6, kWeb6).fragment(65528, false, 7, 17).filler(64))
      .drops(DropReason::kIpFrag);
  add(cases, "an IPv6 first fragment that ends before its transport header")
      .in(from_client().ipv6(kClient6, kWeb6).fragment(0, true, 7, 60).payload(Bytes{6, 0, 1, 4, 0, 0, 0, 0}))
      .drops(DropReason::kIpFrag)
      .in(from_client().ipv6(kClient6, kWeb6).fragment(0, true, 7, 6))
      .drops(DropReason::kIpFrag);
  add(cases, "an atomic fragment with nothing in it")
      .in(from_client().ipv6(kClient6, kWeb6).fragment(0, false, 7, 6))
      .drops(DropReason::kL4Short);
}

void add_hop_limits(Cases& cases) {
  const Talk t = web6();
  Case& c = add(cases, "hop limit 0 and 1 go no further and open no flow; 2 is enough; both ways");
  c.in(from_client().ipv6(kClient6, kWeb6, {.hop_limit = 0}).tcp(t.client_port, 80, kSyn))
      .drops(DropReason::kIpTtl)
      .counts({});
  c.in(from_client().ipv6(kClient6, kWeb6, {.hop_limit = 1}).tcp(t.client_port, 80, kSyn))
      .drops(DropReason::kIpTtl)
      .counts({});
  c.in(t.told(kSyn | kAck)).drops(DropReason::kNoFlow);
  c.in(from_client().ipv6(kClient6, kWeb6, {.hop_limit = 2}).tcp(t.client_port, 80, kSyn))
      .out(to_server().ipv6(kClient6, "fd00::5", {.hop_limit = 1}).tcp(t.client_port, 8080, kSyn));
  c.in(from_server().ipv6("fd00::5", kClient6, {.hop_limit = 0}).tcp(8080, t.client_port, kAck))
      .drops(DropReason::kIpTtl);
  c.in(from_server().ipv6("fd00::5", kClient6, {.hop_limit = 1}).tcp(8080, t.client_port, kAck))
      .drops(DropReason::kIpTtl);
  c.in(from_server().ipv6("fd00::5", kClient6, {.hop_limit = 2}).tcp(8080, t.client_port, kSyn | kAck))
      .out(to_client().ipv6(kWeb6, kClient6, {.hop_limit = 1}).tcp(80, t.client_port, kSyn | kAck));
}

void add_martians(Cases& cases) {
  const auto port = fresh_port();
  for (const char* source :
       {"::", "::1", "ff02::1", "ff0e::9", "::ffff:192.0.2.7", "2001:db8:100::10", "2001:db8:1::1"})
    add(cases, fmt::format("from {}: dropped, to an open port, a closed one, without a backend and as an echo", source))
        .in(from_client().ipv6(source, kWeb6).tcp(port, 80, kSyn))
        .drops(DropReason::kIpMartianSrc)
        .counts({})
        .in(from_client().ipv6(source, kWeb6).udp(port, 53))
        .drops(DropReason::kIpMartianSrc)
        .counts({})
        .in(from_client().ipv6(source, kWeb6).udp(port, 9999))
        .drops(DropReason::kIpMartianSrc)
        .counts({})
        .in(from_client().ipv6(source, "2001:db8:100::30").tcp(port, 80, kSyn))
        .drops(DropReason::kIpMartianSrc)
        .counts({})
        .in(from_client().ipv6(source, kWeb6).icmp6_echo(1, 1))
        .drops(DropReason::kIpMartianSrc)
        .counts({});
  add(cases, "a link-local client is on the link and goes no further (RFC 4291 2.5.6), but may ping")
      .in(from_client().ipv6("fe80::7", kWeb6).tcp(port, 80, kSyn))
      .drops(DropReason::kIpMartianSrc)
      .counts({})
      .in(from_client().ipv6("fe80::7", kWeb6).udp(port, 53))
      .drops(DropReason::kIpMartianSrc)
      .counts({})
      .in(from_client().ipv6("fe80::7", kWeb6).icmp6_echo(1, 1))
      .out(to_client().ipv6(kWeb6, "fe80::7").icmp6_echo_reply(1, 1));
  for (const char* destination : {"::", "::1", "ff02::1", "ff0e::9", "::ffff:203.0.113.10"})
    add(cases, fmt::format("to {}: nobody's unicast, in a unicast frame and in a group one", destination))
        .in(from_client().ipv6(kClient6, destination).tcp(port, 80, kSyn))
        .drops(DropReason::kIpMartianDst)
        .in(from_client().ipv6(kClient6, destination).udp(port, 53))
        .drops(DropReason::kIpMartianDst)
        .in(from_client().ipv6(kClient6, destination).icmp6_echo(1, 1))
        .drops(DropReason::kIpMartianDst)
        .in(packet().eth("33:33:00:00:00:01", kRouterMac).ipv6(kClient6, destination).udp(port, 53))
        .drops(DropReason::kIpMartianDst)
        .in(from_server().ipv6("fd00::5", destination).udp(5353, port))
        .drops(DropReason::kIpMartianDst);
  add(cases, "over IPv6, for nobody here and for Weir itself")
      .in(from_client().ipv6(kClient6, "2001:db8:100::99").tcp(port, 80, kSyn))
      .drops(DropReason::kNoVip)
      .in(from_client().ipv6(kClient6, "fd00::5").tcp(port, 8080, kSyn))
      .drops(DropReason::kNoVip)
      .in(from_client().ipv6(kClient6, "2001:db8:100::99").icmp6_echo(1, 1))
      .drops(DropReason::kNoVip)
      .in(from_client().ipv6(kClient6, kUplinkAddress6).tcp(port, 22, kSyn))
      .drops(DropReason::kNoTwin);
}

}  // namespace

Cases ipv6_cases() {
  Cases cases;
  add_ends(cases);
  add_lies(cases);
  add_extensions(cases);
  add_fragments(cases);
  add_hop_limits(cases);
  add_martians(cases);
  return cases;
}

}  // namespace weir::test
