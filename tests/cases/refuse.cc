// Refusals: closed ports and services without backends, by RST, by ICMP, in silence.
#include <fmt/format.h>

#include "tests/cases/lab.h"
#include "tests/cases/words.h"

namespace weir::test {

namespace {

using lb::DropReason;
using lb::Event;

// RFC 9293 3.10.7.1: what has an ACK is refused with its acknowledgment as sequence and no ACK; what has none, with
// sequence 0 and everything it sent acknowledged.
struct Segment {
  std::uint8_t flags;
  std::size_t data = 0;
  std::uint8_t rst_flags;
  std::uint32_t seq, ack;
};
const Segment kSegments[] = {
    {kSyn, 0, kRst | kAck, 0, 5001},
    {kSyn, 10, kRst | kAck, 0, 5011},
    {kAck, 0, kRst, 7000, 0},
    {kPsh | kAck, 100, kRst, 7000, 0},
    {kFin | kAck, 0, kRst, 7000, 0},
    {kSyn | kAck, 0, kRst, 7000, 0},
    {kSyn | kUrg | kPsh, 3, kRst | kAck, 0, 5004},
};

void add_resets(Cases& cases) {
  for (const Segment& s : kSegments) {
    const auto port = fresh_port();
    const TcpFields asked{.seq = 5000, .ack = (s.flags & kAck) != 0 ? 7000u : 0u, .window = 100};
    const TcpFields reset{.seq = s.seq, .ack = s.ack, .window = 0};
    const auto counted = {Event::kRefusedRst};
    add(cases, fmt::format("a closed port answers flags 0x{:02x} with {} bytes by a RST from the VIP, both families",
                           s.flags, s.data))
        .in(from_client()
                .ipv4(kClient, kWeb, {.ttl = 33, .tos = 4, .id = 99})
                .tcp(port, 81, s.flags, asked)
                .filler(s.data))
        .out(to_client().ipv4(kWeb, kClient, {.df = true}).tcp(81, port, s.rst_flags, reset))
        .drops(DropReason::kNoVip)
        .counts(counted)
        .in(from_client()
                .ipv6(kClient6, kWeb6, {.hop_limit = 33, .traffic_class = 4, .flow_label = 99})
                .tcp(port, 81, s.flags, asked)
                .filler(s.data))
        .out(to_client().ipv6(kWeb6, kClient6).tcp(81, port, s.rst_flags, reset))
        .drops(DropReason::kNoVip)
        .counts(counted);
  }
  const auto port = fresh_port();
  const TcpFields to_syn{.seq = 0, .ack = 2, .window = 0};
  add(cases, "a service without backends refuses by RST, both families; so does one whose backends all drain")
      .in(from_client().ipv4(kClient, "203.0.113.30").tcp(port, 80, kSyn))
      .out(to_client().ipv4("203.0.113.30", kClient, {.df = true}).tcp(80, port, kRst | kAck, to_syn))
      .drops(DropReason::kNoBackend)
      .counts({Event::kRefusedRst})
      .in(from_client().ipv6(kClient6, "2001:db8:100::30").tcp(port, 80, kSyn))
      .out(to_client().ipv6("2001:db8:100::30", kClient6).tcp(80, port, kRst | kAck, to_syn))
      .drops(DropReason::kNoBackend)
      .in(from_client().ipv4(kClient, "203.0.113.31").tcp(port, 80, kSyn))
      .out(to_client().ipv4("203.0.113.31", kClient, {.df = true}).tcp(80, port, kRst | kAck, to_syn))
      .drops(DropReason::kNoBackend);
  add(cases, "a RST is made from what IP options, extension headers, TCP options and trailers leave")
      .in(from_client()
              .ipv4(kClient, kWeb, {.options = Bytes(8, 1)})
              .tcp(port, 81, kSyn, {.options = mss_option(1460)})
              .trailer(9))
      .out(to_client().ipv4(kWeb, kClient, {.df = true}).tcp(81, port, kRst | kAck, to_syn))
      .drops(DropReason::kNoVip)
      .in(from_client()
              .ipv6(kClient6, kWeb6)
              .extension(0)
              .extension(60)
              .tcp(port, 81, kSyn, {.options = mss_option(1440)})
              .trailer(9))
      .out(to_client().ipv6(kWeb6, kClient6).tcp(81, port, kRst | kAck, to_syn))
      .drops(DropReason::kNoVip);
  add(cases, "a RST is never answered: closed port, no backend, both families")
      .in(from_client().ipv4(kClient, kWeb).tcp(port, 81, kRst))
      .drops(DropReason::kNoVip)
      .counts({Event::kRefusedSilently})
      .in(from_client().ipv4(kClient, kWeb).tcp(port, 81, kRst | kAck))
      .drops(DropReason::kNoVip)
      .counts({Event::kRefusedSilently})
      .in(from_client().ipv6(kClient6, kWeb6).tcp(port, 81, kRst))
      .drops(DropReason::kNoVip)
      .counts({Event::kRefusedSilently})
      .in(from_client().ipv4(kClient, "203.0.113.30").tcp(port, 80, kRst))
      .drops(DropReason::kNoBackend)
      .counts({Event::kRefusedSilently})
      .in(from_client().ipv4(kClient, "203.0.113.32").tcp(port, 80, kRst))
      .drops(DropReason::kNoBackend)
      .counts({Event::kRefusedSilently});
  add(cases, "a refusal goes back where it came from: a server's VLAN, a priority tag")
      .in(from_server(6).ipv4("10.0.0.6", kWeb).tcp(port, 81, kSyn))
      .out(to_server(6).ipv4(kWeb, "10.0.0.6", {.df = true}).tcp(81, port, kRst | kAck, to_syn))
      .drops(DropReason::kNoVip)
      .in(from_client().vlan(0, 3).ipv4(kClient, kWeb).tcp(port, 81, kSyn))
      .out(to_client().ipv4(kWeb, kClient, {.df = true}).tcp(81, port, kRst | kAck, to_syn))
      .drops(DropReason::kNoVip);
  add(cases, "a closed port has no flows: the port beside a range is refused as well")
      .in(from_client().ipv4(kClient, "203.0.113.12").tcp(port, 4999, kSyn))
      .out(to_client().ipv4("203.0.113.12", kClient, {.df = true}).tcp(4999, port, kRst | kAck, to_syn))
      .drops(DropReason::kNoVip)
      .in(from_client().ipv4(kClient, "203.0.113.12").tcp(port, 6000, kSyn))
      .out(to_client().ipv4("203.0.113.12", kClient, {.df = true}).tcp(6000, port, kRst | kAck, to_syn))
      .drops(DropReason::kNoVip);
}

// What an error quotes: the packet as received from its IP header on, at most `most` bytes.
Bytes quote(const Packet& p, std::size_t most, std::size_t trailer = 0) {
  const Bytes frame = p.bytes();
  return {frame.begin() + kUntagged,
          frame.begin() + static_cast<std::ptrdiff_t>(std::min(kUntagged + most, frame.size() - trailer))};
}
constexpr std::size_t kQuote4 = 576 - 28, kQuote6 = 1280 - 48;

void add_unreachables(Cases& cases) {
  const auto port = fresh_port();
  // Data that makes the quoted packet reach the limit, pass it, and fill the frame.
  for (const std::size_t data : {0u, 1u, 33u, 519u, 520u, 521u, 1203u, 1184u, 1185u, 1452u}) {
    const Packet p = from_client().ipv4(kClient, kWeb, {.ttl = 3, .id = 5}).udp(port, 9999).filler(data);
    const Packet p6 = from_client().ipv6(kClient6, kWeb6, {.hop_limit = 3}).udp(port, 9999).filler(data);
    add(cases, fmt::format("a closed UDP port answers {} bytes by port unreachable, quoting the packet as it came, at "
                           "most 576 (1,280) bytes in all",
                           data))
        .in(p)
        .out(to_client().ipv4(kWeb, kClient, {.df = true}).icmp(3, 3).payload(quote(p, kQuote4)))
        .drops(DropReason::kNoVip)
        .counts({Event::kRefusedIcmp})
        .in(p6)
        .out(to_client().ipv6(kWeb6, kClient6).icmp6(1, 4).payload(quote(p6, kQuote6)))
        .drops(DropReason::kNoVip)
        .counts({Event::kRefusedIcmp});
  }
  const Packet p = from_client().ipv4(kClient, "203.0.113.30").udp(port, 53).payload("query");
  const Packet p6 = from_client().ipv6(kClient6, "2001:db8:100::30").udp(port, 53).payload("query");
  add(cases, "a UDP service without backends refuses by port unreachable, both families")
      .in(p)
      .out(to_client().ipv4("203.0.113.30", kClient, {.df = true}).icmp(3, 3).payload(quote(p, kQuote4)))
      .drops(DropReason::kNoBackend)
      .counts({Event::kRefusedIcmp})
      .in(p6)
      .out(to_client().ipv6("2001:db8:100::30", kClient6).icmp6(1, 4).payload(quote(p6, kQuote6)))
      .drops(DropReason::kNoBackend);
  const Packet t = from_client().ipv4(kClient, "203.0.113.32").tcp(port, 80, kSyn);
  const Packet t6 = from_client().ipv6(kClient6, "2001:db8:100::32").tcp(port, 80, kSyn);
  const Packet closed = from_client().ipv4(kClient, "203.0.113.32").tcp(port, 81, kAck);
  add(cases, "reject: icmp says so for TCP too, without a backend and on a closed port")
      .in(t)
      .out(to_client().ipv4("203.0.113.32", kClient, {.df = true}).icmp(3, 3).payload(quote(t, kQuote4)))
      .drops(DropReason::kNoBackend)
      .counts({Event::kRefusedIcmp})
      .in(t6)
      .out(to_client().ipv6("2001:db8:100::32", kClient6).icmp6(1, 4).payload(quote(t6, kQuote6)))
      .drops(DropReason::kNoBackend)
      .in(closed)
      .out(to_client().ipv4("203.0.113.32", kClient, {.df = true}).icmp(3, 3).payload(quote(closed, kQuote4)))
      .drops(DropReason::kNoVip);
  const Packet trailed = from_client().ipv4(kClient, kWeb).udp(port, 9999).payload("hi").trailer(16, 0xee);
  const Packet options = from_client().ipv4(kClient, kWeb, {.options = Bytes(40, 1)}).udp(port, 9999).payload("hi");
  const Packet no_checksum = from_client().ipv4(kClient, kWeb).udp(port, 9999).checksum(0);
  add(cases, "an error quotes IP options, a missing and a wrong UDP checksum, and no trailer")
      .in(trailed)
      .out(to_client().ipv4(kWeb, kClient, {.df = true}).icmp(3, 3).payload(quote(trailed, kQuote4, 16)))
      .drops(DropReason::kNoVip)
      .in(options)
      .out(to_client().ipv4(kWeb, kClient, {.df = true}).icmp(3, 3).payload(quote(options, kQuote4)))
      .drops(DropReason::kNoVip)
      .in(no_checksum)
      .out(to_client().ipv4(kWeb, kClient, {.df = true}).icmp(3, 3).payload(quote(no_checksum, kQuote4)))
      .drops(DropReason::kNoVip);
  const Packet tcp_only = from_client().ipv4(kClient, "203.0.113.11").udp(port, 443).payload("quic");
  add(cases, "a VIP of TCP alone refuses the same port over UDP")
      .in(tcp_only)
      .out(to_client().ipv4("203.0.113.11", kClient, {.df = true}).icmp(3, 3).payload(quote(tcp_only, kQuote4)))
      .drops(DropReason::kNoVip);
}

void add_silence(Cases& cases) {
  const auto port = fresh_port();
  add(cases, "reject: drop says nothing, without a backend and on closed ports")
      .in(from_client().ipv4(kClient, "203.0.113.33").tcp(port, 80, kSyn))
      .drops(DropReason::kNoBackend)
      .counts({Event::kRefusedSilently})
      .in(from_client().ipv4(kClient, "203.0.113.33").tcp(port, 81, kSyn))
      .drops(DropReason::kNoVip)
      .counts({Event::kRefusedSilently})
      .in(from_client().ipv4(kClient, "203.0.113.33").udp(port, 80))
      .drops(DropReason::kNoVip)
      .counts({Event::kRefusedSilently});
  add(cases, "closed ports of an address say no more than its least talkative service")
      .in(from_client().ipv4(kClient, "203.0.113.34").tcp(port, 82, kSyn))
      .drops(DropReason::kNoVip)
      .counts({Event::kRefusedSilently});

  using std::chrono::seconds;
  const Packet syn = from_client().ipv4(kClient, kWeb).tcp(port, 81, kSyn);
  const Packet reset =
      to_client().ipv4(kWeb, kClient, {.df = true}).tcp(81, port, kRst | kAck, {.seq = 0, .ack = 2, .window = 0});
  const Packet datagram = from_client().ipv4(kClient, kWeb).udp(port, 9999);
  const Packet error = to_client().ipv4(kWeb, kClient, {.df = true}).icmp(3, 3).payload(quote(datagram, kQuote4));
  add(cases,
      "refusals: 1,000 of a kind at once, then 1,000 a second; the rest is refused in silence, under the same name")
      .in(syn)
      .out(reset)
      .drops(DropReason::kNoVip)
      .times(1000)
      .in(syn)
      .drops(DropReason::kNoVip)
      .counts({Event::kRefusedSilently})
      .times(20)
      .in(datagram)
      .out(error)
      .drops(DropReason::kNoVip)
      .times(1000)
      .in(datagram)
      .drops(DropReason::kNoVip)
      .counts({Event::kRefusedSilently})
      .passes(seconds(1))
      .in(syn)
      .out(reset)
      .drops(DropReason::kNoVip)
      .times(1000)
      .in(syn)
      .drops(DropReason::kNoVip)
      .counts({Event::kRefusedSilently});
}

}  // namespace

Cases refuse_cases() {
  Cases cases;
  add_resets(cases);
  add_unreachables(cases);
  add_silence(cases);
  return cases;
}

}  // namespace weir::test
