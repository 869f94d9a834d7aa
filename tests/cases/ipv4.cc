// The IPv4 header: lengths, version, checksum, options, fragments, TTL, addresses that cannot be.
#include <fmt/format.h>

#include "tests/cases/lab.h"
#include "tests/cases/words.h"

namespace weir::test {

namespace {

using lb::DropReason;
using lb::Event;

void add_ends(Cases& cases) {
  struct Kind {
    const char* name;
    Packet whole;
    std::size_t link;
    std::size_t header;
  };
  const Kind kinds[] = {
      {"TCP", web().asked(kSyn, "hello"), kUntagged, 20},
      {"UDP", dns().asked(0, "hello"), kUntagged, 20},
      {"TCP behind IP options",
       from_client().ipv4(kClient, kWeb, {.options = Bytes(12, 1)}).tcp(fresh_port(), 80, kSyn), kUntagged, 32},
      {"TCP in a VLAN",
       packet().eth(kServersMac, kRouterMac).vlan(kServersVlan).ipv4(kClient, kWeb).tcp(fresh_port(), 80, kSyn),
       kTagged, 20},
      {"echo", from_client().ipv4(kClient, kWeb).icmp_echo(1, 1).payload("data"), kUntagged, 20},
  };
  for (const Kind& k : kinds) {
    Case& c = add(cases, fmt::format("{}: cut off at every byte behind the Ethernet header", k.name));
    const std::size_t size = k.whole.bytes().size();
    for (std::size_t n = k.link; n < size; ++n)
      c.in(Packet(k.whole).cut(n)).drops(n < k.link + k.header ? DropReason::kIpHdrlen : DropReason::kIpTotlen);
  }
}

void add_lies(Cases& cases) {
  const auto port = fresh_port();
  Case& versions = add(cases, "every IP version but 4 under ethertype 0800");
  for (unsigned v = 0; v < 16; ++v)
    if (v != 4)
      versions
          .in(from_client()
                  .ipv4(kClient, kWeb, {.version_ihl = static_cast<std::uint8_t>(v << 4 | 5)})
                  .tcp(port, 80, kSyn))
          .drops(DropReason::kIpVersion);
  Case& small = add(cases, "a header length under 20 bytes");
  for (unsigned ihl = 0; ihl < 5; ++ihl)
    small
        .in(from_client()
                .ipv4(kClient, kWeb, {.version_ihl = static_cast<std::uint8_t>(0x40 | ihl)})
                .tcp(port, 80, kSyn))
        .drops(DropReason::kIpHdrlen);
  Case& large = add(cases, "a header length larger than the frame, or than the packet");
  for (unsigned ihl = 6; ihl < 16; ++ihl) {
    const Packet p =
        from_client().ipv4(kClient, kWeb, {.protocol = 6, .version_ihl = static_cast<std::uint8_t>(0x40 | ihl)});
    large.in(p).drops(DropReason::kIpHdrlen);
    large.in(Packet(p).trailer(60)).drops(DropReason::kIpTotlen);
  }
  Case& total = add(cases, "a total length smaller than the header, or larger than the frame");
  for (const std::uint16_t length : Words{0, 1, 19, 46, 1500, 65535})
    total.in(from_client().ipv4(kClient, kWeb, {.total_length = length}).tcp(port, 80, kSyn).payload("12345"))
        .drops(DropReason::kIpTotlen);
  add(cases, "a total length one larger than the frame")
      .in(from_client().ipv4(kClient, kWeb, {.total_length = 46}).tcp(port, 80, kSyn).payload("12345"))
      .drops(DropReason::kIpTotlen);
}

void add_checksums(Cases& cases) {
  const Packet right = from_client().ipv4(kClient, kWeb, {.id = 77}).tcp(fresh_port(), 80, kSyn);
  const std::size_t at = kUntagged + kIpv4Checksum;
  const std::uint16_t sum = word_at(right.bytes(), at);
  Case& c = add(cases, "a wrong header checksum: each bit, 0, 0xffff, bytes swapped");
  const auto with = [&](unsigned value) {
    Bytes bytes = right.bytes();
    set_word(bytes, at, value);
    return bytes;
  };
  for (unsigned bit = 0; bit < 16; ++bit) c.in(with(sum ^ 1u << bit)).drops(DropReason::kIpCsum);
  for (const unsigned value : {0u, 0xffffu, unsigned{sum} << 8 | unsigned{sum} >> 8})
    c.in(with(value & 0xffff)).drops(DropReason::kIpCsum);
  Case& reply = add(cases, "a wrong header checksum in a backend's packet");
  const Talk t = web();
  ask(reply, t, kSyn);
  reply.in(from_server().ipv4("10.0.0.5", kClient, {.checksum = 0x1234}).tcp(8080, t.client_port, kSyn | kAck))
      .drops(DropReason::kIpCsum);
}

void add_options(Cases& cases) {
  const auto with = [](Packet eth, std::string_view to, std::uint8_t ttl, std::uint16_t port, std::uint16_t to_port,
                       const Bytes& options) {
    return eth.ipv4(kClient, to, {.ttl = ttl, .options = options}).tcp(port, to_port, kSyn);
  };
  struct Kind {
    const char* name;
    Bytes options;
  };
  const Kind good[] = {
      {"four NOPs", {1, 1, 1, 1}},
      {"forty NOPs", Bytes(40, 1)},
      {"an end of list, and anything behind it", {0, 131, 1, 7}},
      {"record route", {7, 7, 4, 0, 0, 0, 0}},
      {"a timestamp", {68, 12, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0}},
      {"router alert", {148, 4, 0, 0}},
      {"an unknown option", {222, 6, 1, 2, 3, 4}},
  };
  for (const Kind& k : good) {
    const auto port = fresh_port();
    add(cases, fmt::format("IPv4 options pass untouched: {}", k.name))
        .in(with(from_client(), kWeb, 64, port, 80, k.options))
        .out(with(to_server(), "10.0.0.5", 63, port, 8080, k.options));
  }
  const Kind bad[] = {
      {"a loose source route", {131, 7, 4, 10, 0, 0, 9}},
      {"a strict source route", {137, 7, 4, 10, 0, 0, 9}},
      {"a source route behind a NOP", {1, 131, 7, 4, 10, 0, 0, 9}},
      {"a source route in the last byte", {1, 1, 1, 131}},
      {"an option of length 0", {7, 0, 1, 1}},
      {"an option of length 1", {7, 1, 1, 1}},
      {"an option that ends behind the header", {7, 5, 4, 0}},
      {"an option without its length byte", {1, 1, 1, 7}},
  };
  for (const Kind& k : bad)
    add(cases, fmt::format("IPv4 options refused: {}", k.name))
        .in(with(from_client(), kWeb, 64, fresh_port(), 80, k.options))
        .drops(DropReason::kIpOptions);
}

void add_fragments(Cases& cases) {
  const auto port = fresh_port();
  const auto fragment = [&](std::uint16_t offset, bool more, bool df) {
    return from_client()
        .ipv4(kClient, kWeb, {.id = 9, .df = df, .mf = more, .fragment_offset = offset})
        .udp(port, 53)
        .filler(64);
  };
  add(cases, "IPv4 fragments, first, middle and last, with DF or without; and one that ends behind 65,535")
      .in(fragment(0, true, false))
      .drops(DropReason::kIpFrag)
      .in(fragment(72, true, false))
      .drops(DropReason::kIpFrag)
      .in(fragment(144, false, false))
      .drops(DropReason::kIpFrag)
      .in(fragment(0, true, true))
      .drops(DropReason::kIpFrag)
      .in(fragment(8, false, false))
      .drops(DropReason::kIpFrag)
      .in(fragment(65528, false, false))
      .drops(DropReason::kIpFrag);
  add(cases, "a fragment with one byte of data, and a first fragment that ends inside its TCP header")
      .in(from_client().ipv4(kClient, kWeb, {.fragment_offset = 64, .protocol = 6}).payload("x"))
      .drops(DropReason::kIpFrag)
      .in(from_client().ipv4(kClient, kWeb, {.mf = true, .protocol = 6}).payload("12345678"))
      .drops(DropReason::kIpFrag);
  add(cases, "a backend's fragment")
      .in(from_server().ipv4("10.0.0.5", kClient, {.mf = true}).udp(5353, port).filler(8))
      .drops(DropReason::kIpFrag);
}

void add_ttls(Cases& cases) {
  const Talk t = web();
  Case& c = add(cases, "TTL 0 and 1 go no further and open no flow; 2 is enough; both ways");
  const auto ask_with = [&](std::uint8_t ttl) {
    return from_client().ipv4(kClient, kWeb, {.ttl = ttl}).tcp(t.client_port, 80, kSyn);
  };
  const auto tell_with = [&](std::uint8_t ttl) {
    return from_server().ipv4("10.0.0.5", kClient, {.ttl = ttl}).tcp(8080, t.client_port, kSyn | kAck);
  };
  c.in(ask_with(0)).drops(DropReason::kIpTtl).counts({});
  c.in(ask_with(1)).drops(DropReason::kIpTtl).counts({});
  c.in(tell_with(64)).drops(DropReason::kNoFlow);
  c.in(ask_with(2)).out(to_server().ipv4(kClient, "10.0.0.5", {.ttl = 1}).tcp(t.client_port, 8080, kSyn));
  c.in(tell_with(0)).drops(DropReason::kIpTtl);
  c.in(tell_with(1)).drops(DropReason::kIpTtl);
  c.in(tell_with(2)).out(to_client().ipv4(kWeb, kClient, {.ttl = 1}).tcp(80, t.client_port, kSyn | kAck));
}

void add_martians(Cases& cases) {
  for (const char* source : {"0.0.0.0", "0.1.2.3", "127.0.0.1", "127.255.255.255", "224.0.0.1", "239.1.2.3",
                             "240.0.0.1", "255.255.255.255"}) {
    const auto port = fresh_port();
    add(cases, fmt::format("from {}: dropped, to an open port, a closed one, without a backend and as an echo", source))
        .in(from_client().ipv4(source, kWeb).tcp(port, 80, kSyn))
        .drops(DropReason::kIpMartianSrc)
        .counts({})
        .in(from_client().ipv4(source, kWeb).tcp(port, 80, kAck))
        .drops(DropReason::kIpMartianSrc)
        .counts({})
        .in(from_client().ipv4(source, kWeb).udp(port, 53))
        .drops(DropReason::kIpMartianSrc)
        .counts({})
        .in(from_client().ipv4(source, kWeb).udp(port, 9999))
        .drops(DropReason::kIpMartianSrc)
        .counts({})
        .in(from_client().ipv4(source, "203.0.113.30").tcp(port, 80, kSyn))
        .drops(DropReason::kIpMartianSrc)
        .counts({})
        .in(from_client().ipv4(source, kWeb).icmp_echo(1, 1))
        .drops(DropReason::kIpMartianSrc)
        .counts({});
  }
  for (const auto& [source, what] :
       {std::pair("203.0.113.10", "the VIP itself (LAND)"), std::pair("203.0.113.14", "another VIP"),
        std::pair("198.51.100.1", "Weir's own address"), std::pair("10.0.0.1", "Weir's address on the other side")}) {
    add(cases, fmt::format("from {}: dropped, to an open port, a closed one and as an echo", what))
        .in(from_client().ipv4(source, kWeb).tcp(80, 80, kSyn))
        .drops(DropReason::kIpMartianSrc)
        .counts({})
        .in(from_client().ipv4(source, kWeb).udp(53, 53))
        .drops(DropReason::kIpMartianSrc)
        .counts({})
        .in(from_client().ipv4(source, kWeb).tcp(81, 81, kSyn))
        .drops(DropReason::kIpMartianSrc)
        .counts({})
        .in(from_client().ipv4(source, kWeb).icmp_echo(1, 1))
        .drops(DropReason::kIpMartianSrc)
        .counts({})
        .in(from_client().ipv4(source, kUplinkAddress).tcp(80, 80, kSyn))
        .drops(DropReason::kIpMartianSrc)
        .counts({});
  }
  const auto port = fresh_port();
  for (const char* destination :
       {"255.255.255.255", "224.0.0.5", "239.255.255.250", "127.0.0.1", "0.0.0.0", "240.0.0.1"})
    add(cases, fmt::format("to {}: nobody's unicast, in a unicast frame and in a broadcast one", destination))
        .in(from_client().ipv4(kClient, destination).tcp(port, 80, kSyn))
        .drops(DropReason::kIpMartianDst)
        .in(from_client().ipv4(kClient, destination).udp(port, 53))
        .drops(DropReason::kIpMartianDst)
        .in(from_client().ipv4(kClient, destination).icmp_echo(1, 1))
        .drops(DropReason::kIpMartianDst)
        .in(packet().eth(kBroadcastMac, kRouterMac).ipv4(kClient, destination).udp(port, 53))
        .drops(DropReason::kIpMartianDst)
        .in(packet().eth(kBroadcastMac, kRouterMac).ipv4(kClient, destination).icmp_echo(1, 1))
        .drops(DropReason::kIpMartianDst)
        .in(from_server().ipv4("10.0.0.5", destination).udp(5353, port))
        .drops(DropReason::kIpMartianDst);
  add(cases, "to a subnet's broadcast address: nobody here has it")
      .in(from_client().ipv4(kClient, "198.51.100.255").udp(port, 53))
      .drops(DropReason::kNoVip)
      .in(from_client().ipv4(kClient, "198.51.100.255").icmp_echo(1, 1))
      .drops(DropReason::kNoVip)
      .in(packet().eth(kBroadcastMac, kRouterMac).ipv4(kClient, "198.51.100.255").udp(port, 53))
      .drops(DropReason::kL2NotUs);
  add(cases, "DHCP in a broadcast frame makes no difference to anyone")
      .in(packet().eth(kBroadcastMac, "02:00:00:00:00:77").ipv4("0.0.0.0", "255.255.255.255").udp(68, 67).filler(240))
      .drops(DropReason::kIpMartianDst);
}

void add_others(Cases& cases) {
  const auto port = fresh_port();
  add(cases, "for an address that is nobody's here: not carried further")
      .in(from_client().ipv4(kClient, "203.0.113.99").tcp(port, 80, kSyn))
      .drops(DropReason::kNoVip)
      .in(from_client().ipv4(kClient, "8.8.8.8").udp(port, 53))
      .drops(DropReason::kNoVip)
      .in(from_client().ipv4(kClient, "10.0.0.5").tcp(port, 8080, kSyn))
      .drops(DropReason::kNoVip)
      .in(from_client().ipv4(kClient, "203.0.113.99").icmp_echo(1, 1))
      .drops(DropReason::kNoVip);
  add(cases, "for Weir's own addresses: there is no twin to take it")
      .in(from_client().ipv4(kClient, kUplinkAddress).tcp(port, 22, kSyn))
      .drops(DropReason::kNoTwin)
      .in(from_client().ipv4(kClient, kUplinkAddress).udp(port, 161))
      .drops(DropReason::kNoTwin)
      .in(from_server().ipv4("10.0.0.5", "10.0.0.1").tcp(8080, 22, kSyn))
      .drops(DropReason::kNoTwin)
      .in(from_server().ipv4("10.0.0.99", "10.0.0.1").tcp(port, 22, kSyn))
      .drops(DropReason::kNoTwin);
  for (const auto& [name, protocol] :
       {std::pair("GRE", 47), std::pair("SCTP", 132), std::pair("ESP", 50), std::pair("AH", 51),
        std::pair("IPv4 in IPv4", 4), std::pair("IPv6 in IPv4", 41), std::pair("UDP-Lite", 136), std::pair("IGMP", 2),
        std::pair("OSPF", 89), std::pair("ICMPv6 over IPv4", 58), std::pair("protocol 0", 0),
        std::pair("protocol 255", 255)})
    add(cases, fmt::format("{} to a VIP", name))
        .in(from_client().ipv4(kClient, kWeb, {.protocol = static_cast<std::uint8_t>(protocol)}).filler(40))
        .drops(DropReason::kProto);
}

}  // namespace

Cases ipv4_cases() {
  Cases cases;
  add_ends(cases);
  add_lies(cases);
  add_checksums(cases);
  add_options(cases);
  add_fragments(cases);
  add_ttls(cases);
  add_martians(cases);
  add_others(cases);
  return cases;
}

}  // namespace weir::test
