// Destination NAT, both ways: what changes (address, port, TTL, checksums), and what does not.
#include <fmt/format.h>

#include "tests/cases/lab.h"
#include "tests/cases/words.h"

namespace weir::test {

namespace {

void add_both_ways(Cases& cases) {
  add(cases, "a TCP SYN to the VIP leaves for the backend's address and port, one hop older, tagged for its network")
      .in(packet().eth(kUplinkMac, kRouterMac).ipv4("192.0.2.7", "203.0.113.10").tcp(20000, 80, kSyn))
      .out(packet()
               .eth("02:00:00:00:00:05", kServersMac)
               .vlan(100)
               .ipv4("192.0.2.7", "10.0.0.5", {.ttl = 63})
               .tcp(20000, 8080, kSyn))
      .counts({lb::Event::kFlowNew});
  // So that no builder stands between the sentence and the wire. Checksums by a few lines of Python, of all words.
  add(cases, "the same, byte by byte")
      .in(from_hex("02 00 00 00 01 00 02 00 00 00 01 fe 08 00 45 00 00 28 00 07 00 00 40 06 7c b7 c0 00"
                   "02 07 cb 00 71 0a 4e 1f 00 50 00 00 03 e8 00 00 00 00 50 02 20 00 3f 79 00 00"))
      .out(from_hex("02 00 00 00 00 05 02 00 00 00 02 00 81 00 00 64 08 00 45 00 00 28 00 07 00 00 3f 06"
                    "af bd c0 00 02 07 0a 00 00 05 4e 1f 1f 90 00 00 03 e8 00 00 00 00 50 02 20 00 52 3f 00 00"));

  using lb::Event;
  for (const auto& [name, talk] : {std::pair("TCP over IPv4", web()), std::pair("TCP over IPv6", web6())}) {
    Case& c = add(cases, fmt::format("{}: a whole conversation is translated both ways", name));
    ask(c, talk, kSyn).counts({Event::kFlowNew});
    tell(c, talk, kSyn | kAck).counts({});
    ask(c, talk, kAck).counts({Event::kFlowConfirmed});
    ask(c, talk, kPsh | kAck, "GET / HTTP/1.0\r\n\r\n").counts({});
    tell(c, talk, kPsh | kAck, "HTTP/1.0 200 OK\r\n\r\nhello").counts({});
    tell(c, talk, kFin | kAck), ask(c, talk, kFin | kAck), tell(c, talk, kAck).counts({});
  }
  for (const auto& [name, talk] : {std::pair("UDP over IPv4", dns()), std::pair("UDP over IPv6", dns6())}) {
    Case& c = add(cases, fmt::format("{}: question and answer are translated both ways", name));
    ask(c, talk, 0, "question").counts({Event::kFlowNew});
    tell(c, talk, 0, "the answer").counts({});
    ask(c, talk, 0, "one more").counts({Event::kFlowConfirmed});
    tell(c, talk, 0, "and its answer").counts({});
  }
}

void add_untouched(Cases& cases) {
  const auto port = fresh_port();
  add(cases, "TOS, ECN, id, DF, sequence numbers, window, urgent pointer and TCP options stay as they are")
      .in(from_client()
              .ipv4("192.0.2.7", kWeb, {.ttl = 200, .tos = 0xb9, .id = 0xbeef, .df = true})
              .tcp(port, 80, kSyn | kUrg | 0xc0,
                   {.seq = 0xfedcba98, .ack = 0x01234567, .window = 513, .urgent = 9, .options = mss_option(1460)}))
      .out(to_server()
               .ipv4("192.0.2.7", "10.0.0.5", {.ttl = 199, .tos = 0xb9, .id = 0xbeef, .df = true})
               .tcp(port, 8080, kSyn | kUrg | 0xc0,
                    {.seq = 0xfedcba98, .ack = 0x01234567, .window = 513, .urgent = 9, .options = mss_option(1460)}));
  add(cases, "traffic class and flow label stay as they are")
      .in(from_client()
              .ipv6(kClient6, kWeb6, {.hop_limit = 255, .traffic_class = 0xb9, .flow_label = 0xabcde})
              .tcp(port, 80, kSyn))
      .out(to_server()
               .ipv6(kClient6, "fd00::5", {.hop_limit = 254, .traffic_class = 0xb9, .flow_label = 0xabcde})
               .tcp(port, 8080, kSyn));

  for (const std::size_t size : {1u, 2u, 3u, 511u, 1460u}) {
    const auto p = fresh_port();
    add(cases, fmt::format("{} bytes of payload arrive as they were sent", size))
        .in(from_client().ipv4(kClient, kWeb).tcp(p, 80, kAck).filler(size))
        .out(to_server().ipv4(kClient, "10.0.0.5", {.ttl = 63}).tcp(p, 8080, kAck).filler(size));
  }

  const auto dns_port = fresh_port();
  add(cases, "a UDP datagram shorter than its IP packet is forwarded with all that the IP packet holds")
      .in(from_client().ipv4(kClient, kWeb).udp(dns_port, 53, {.length = 10, .checksum = 0}).payload("abcdef"))
      .out(to_server()
               .ipv4(kClient, "10.0.0.5", {.ttl = 63})
               .udp(dns_port, 5353, {.length = 10, .checksum = 0})
               .payload("abcdef"));
  const auto empty = dns();
  Case& c = add(cases, "a UDP datagram without payload is carried");
  ask(c, empty, 0), tell(c, empty, 0);
}

void add_trailers(Cases& cases) {
  const auto trailed = [](Packet p, std::size_t count) { return p.trailer(count, 0xee); };
  const auto t4 = web();
  const auto t6 = dns6();
  add(cases, "a trailer behind the IPv4 length is cut off, both ways")
      .in(trailed(t4.asked(kSyn), 6))
      .out(t4.asked_on(kSyn))
      .in(trailed(t4.told(kSyn | kAck), 42))
      .out(t4.told_on(kSyn | kAck));
  add(cases, "a trailer behind the IPv6 length is cut off, both ways")
      .in(trailed(t6.asked(0, "hi"), 1))
      .out(t6.asked_on(0, "hi"))
      .in(trailed(t6.told(0, "ho"), 300))
      .out(t6.told_on(0, "ho"));
}

// ---- checksums ----

// A word of payload that makes the L4 checksum of `p` compute to 0: with payload 0 the sum lacks just the checksum.
Bytes zeroing_word(Packet p, std::size_t checksum_at) {
  return word(word_at(p.payload(word(0)).bytes(), checksum_at));
}

void add_udp_checksums(Cases& cases) {
  const auto none = dns();
  add(cases, "UDP over IPv4 without a checksum goes on without one, both ways")
      .in(none.asked(0, "q").checksum(0))
      .out(none.asked_on(0, "q").checksum(0))
      .in(none.told(0, "a").checksum(0))
      .out(none.told_on(0, "a").checksum(0));
  const auto none6 = dns6();
  Case& c = add(cases, "UDP over IPv6 without a checksum is dropped, both ways");
  c.in(none6.asked(0, "q").checksum(0)).drops(lb::DropReason::kL4Csum);
  ask(c, none6, 0, "q");
  c.in(none6.told(0, "a").checksum(0)).drops(lb::DropReason::kL4Csum);

  for (const auto& [talk, at] : {std::pair(dns(), kUdpChecksumV4), std::pair(dns6(), kUdpChecksumV6)}) {
    const Bytes to_zero = zeroing_word(talk.asked_on(0), kTagged + at);
    const Bytes back_to_zero = zeroing_word(talk.told_on(0), kUntagged + at);
    add(cases, fmt::format("a UDP checksum that computes to 0 leaves as 0xffff, both ways ({})", talk.vip))
        .in(talk.asked(0).payload(to_zero))
        .out(talk.asked_on(0).payload(to_zero).checksum(0xffff))
        .in(talk.told(0).payload(back_to_zero))
        .out(talk.told_on(0).payload(back_to_zero).checksum(0xffff));
    const Bytes from_zero = zeroing_word(talk.asked(0), kUntagged + at);
    add(cases, fmt::format("a UDP checksum of 0xffff comes in as any other ({})", talk.vip))
        .in(talk.asked(0).payload(from_zero).checksum(0xffff))
        .out(talk.asked_on(0).payload(from_zero));
  }
}

void add_tcp_checksums(Cases& cases) {
  for (const auto& [talk, at] : {std::pair(web(), kTcpChecksumV4), std::pair(web6(), kTcpChecksumV6)}) {
    const Bytes to_zero = zeroing_word(talk.asked_on(kAck), kTagged + at);
    add(cases, fmt::format("a TCP checksum that computes to 0 is 0 ({})", talk.vip))
        .in(talk.asked(kAck).payload(to_zero))
        .out(talk.asked_on(kAck).payload(to_zero).checksum(0));
  }
}

// Right + (wrong - right), in one's complement: as wrong behind Weir as in front of it.
Packet as_wrong(Packet right_out, std::size_t out_at, const Packet& right_in, const Packet& wrong_in,
                std::size_t in_at) {
  const unsigned error = ones_subtract(word_at(wrong_in.bytes(), in_at), word_at(right_in.bytes(), in_at));
  return right_out.checksum(ones_add(word_at(right_out.bytes(), out_at), error));
}

// The last header must be the transport's, hence no payload.
void add_wrong_checksums(Cases& cases) {
  struct Kind {
    const char* name;
    Talk talk;
    std::uint8_t flags;
    std::size_t at;
  };
  for (const Kind& k :
       {Kind{"TCP over IPv4", web(), kAck, kTcpChecksumV4}, Kind{"TCP over IPv6", web6(), kAck, kTcpChecksumV6},
        Kind{"UDP over IPv4", dns(), 0, kUdpChecksumV4}, Kind{"UDP over IPv6", dns6(), 0, kUdpChecksumV6}}) {
    Case& c = add(cases, fmt::format("{}: a wrong checksum stays wrong by the same amount, both ways", k.name));
    for (const unsigned wrong_bits : {0x0001u, 0x0100u, 0x8000u, 0x5a5au}) {
      const auto bits = static_cast<std::uint16_t>(wrong_bits);
      const Packet asked = k.talk.asked(k.flags);
      const Packet wrong = Packet(asked).spoil_checksum(bits);
      c.in(wrong).out(as_wrong(k.talk.asked_on(k.flags), kTagged + k.at, asked, wrong, kUntagged + k.at));
      const Packet told = k.talk.told(k.flags);
      const Packet wrong_told = Packet(told).spoil_checksum(bits);
      c.in(wrong_told).out(as_wrong(k.talk.told_on(k.flags), kUntagged + k.at, told, wrong_told, kTagged + k.at));
    }
  }
}

void add_ip_checksum_edges(Cases& cases) {
  const auto port = fresh_port();
  const auto leaving = [&](std::uint16_t id) {
    return to_server().ipv4(kClient, "10.0.0.5", {.ttl = 63, .id = id}).tcp(port, 8080, kSyn);
  };
  // The id that completes the header's sum, as zeroing_word() does for a payload.
  const std::uint16_t id = word_at(leaving(0).bytes(), kTagged + kIpv4Checksum);
  add(cases, "an IPv4 header checksum that computes to 0 is 0")
      .in(from_client().ipv4(kClient, kWeb, {.id = id}).tcp(port, 80, kSyn))
      .out(leaving(id));

  Case& c = add(cases, "the IPv4 header checksum is right for every TTL");
  for (unsigned ttl = 2; ttl < 256; ++ttl) {
    const auto t = static_cast<std::uint8_t>(ttl);
    c.in(from_client().ipv4(kClient, kWeb, {.ttl = t, .id = 0xfffe}).tcp(port, 80, kAck))
        .out(to_server()
                 .ipv4(kClient, "10.0.0.5", {.ttl = static_cast<std::uint8_t>(ttl - 1), .id = 0xfffe})
                 .tcp(port, 8080, kAck));
  }
}

}  // namespace

Cases dnat_cases() {
  Cases cases;
  add_both_ways(cases);
  add_untouched(cases);
  add_trailers(cases);
  add_udp_checksums(cases);
  add_tcp_checksums(cases);
  add_wrong_checksums(cases);
  add_ip_checksum_edges(cases);
  return cases;
}

}  // namespace weir::test
