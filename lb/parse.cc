#include "lb/parse.h"

#include <algorithm>

#include "lb/checksum.h"

namespace weir::lb {

namespace {

using Bytes = std::span<const std::uint8_t>;
using Refusal = std::optional<DropReason>;

// The one place where bytes become a header: nullptr where they do not reach.
template <class Header>
const Header* header_at(Bytes frame, std::size_t offset) noexcept {
  if (frame.size() < offset + sizeof(Header)) return nullptr;
  return reinterpret_cast<const Header*>(frame.data() + offset);
}

// IPv6 next-header values, https://www.iana.org/assignments/ipv6-parameters.
constexpr std::uint8_t kHopByHop = 0;
constexpr std::uint8_t kRouting = 43;
constexpr std::uint8_t kFragment = 44;
constexpr std::uint8_t kAuthentication = 51;
constexpr std::uint8_t kDestinationOptions = 60;

// IPv4 option kinds, RFC 791 3.1.
constexpr std::uint8_t kOptionEnd = 0;
constexpr std::uint8_t kOptionNop = 1;
constexpr std::uint8_t kOptionLooseRoute = 131;
constexpr std::uint8_t kOptionStrictRoute = 137;

Refusal parse_ipv4(Bytes frame, Packet& p) noexcept;
Refusal check_ipv4_options(Bytes options) noexcept;
Refusal parse_ipv6(Bytes frame, Packet& p) noexcept;
Refusal skip_extension_headers(Bytes packet, std::uint8_t next_header, Packet& p) noexcept;
Refusal parse_upper_layer(Bytes packet, std::uint8_t protocol, Packet& p) noexcept;
Refusal parse_tcp(Bytes packet, Packet& p) noexcept;
Refusal parse_udp(Bytes packet, Packet& p) noexcept;

}  // namespace

std::optional<DropReason> parse_link(Bytes frame, Link& link) noexcept {
  const auto* ethernet = header_at<EthernetHeader>(frame, 0);
  if (ethernet == nullptr) return DropReason::kL2Short;
  link = {ethernet->destination, ethernet->source, ethernet->type.host(), 0, sizeof(EthernetHeader)};
  if (link.type == kEtherServiceVlan) return DropReason::kVlanUnknown;
  if (link.type != kEtherVlan) return std::nullopt;

  const auto* tag = header_at<VlanTag>(frame, sizeof(EthernetHeader));
  if (tag == nullptr) return DropReason::kL2Short;
  link.type = tag->type.host();
  link.vlan = tag->control.host() & 0x0fff;
  link.length = sizeof(EthernetHeader) + sizeof(VlanTag);
  if (link.type == kEtherVlan) return DropReason::kVlanUnknown;
  return std::nullopt;
}

std::optional<DropReason> parse_ip(Bytes frame, const Link& link, Packet& packet) noexcept {
  packet.ip_offset = link.length;
  return link.type == kEtherIpv4 ? parse_ipv4(frame, packet) : parse_ipv6(frame, packet);
}

bool is_martian_source(const Address& a) noexcept {
  if (a.is_v4()) {
    const std::uint8_t first = a.bytes[12];
    return first == 0 || first == 127 || first >= 224;  // 0/8, 127/8, 224/4, 240/4 with broadcast
  }
  return a.is_unspecified() || a.is_loopback() || a.is_multicast();
}

bool is_martian_destination(const Address& a) noexcept {
  return is_martian_source(a);
}

namespace {

Refusal parse_ipv4(Bytes frame, Packet& p) noexcept {
  const auto* ip = header_at<Ipv4Header>(frame, p.ip_offset);
  // The version stands in the first byte, so it can be judged before the header is whole.
  if (frame.size() > p.ip_offset && frame[p.ip_offset] >> 4 != 4) return DropReason::kIpVersion;
  if (ip == nullptr) return DropReason::kIpHdrlen;

  const std::size_t header_length = std::size_t{ip->version_ihl & 0x0fu} * 4;
  if (header_length < sizeof(Ipv4Header) || frame.size() < p.ip_offset + header_length) return DropReason::kIpHdrlen;
  const std::size_t total_length = ip->total_length.host();
  if (total_length < header_length || frame.size() < p.ip_offset + total_length) return DropReason::kIpTotlen;
  if (internet_checksum(frame.subspan(p.ip_offset, header_length)) != be16{}) return DropReason::kIpCsum;
  if (header_length > sizeof(Ipv4Header)) {
    const auto options = frame.subspan(p.ip_offset + sizeof(Ipv4Header), header_length - sizeof(Ipv4Header));
    if (const Refusal refusal = check_ipv4_options(options)) return refusal;
  }

  p.is_v4 = true;
  p.source = Address::v4(ip->source);
  p.destination = Address::v4(ip->destination);
  p.ttl = ip->ttl;
  p.l4_offset = static_cast<std::uint16_t>(p.ip_offset + header_length);
  p.frame_length = static_cast<std::uint16_t>(p.ip_offset + total_length);
  p.protocol = static_cast<Protocol>(ip->protocol);
  if ((ip->fragment.host() & (kIpv4MoreFragments | kIpv4OffsetMask)) != 0) return DropReason::kIpFrag;
  if (ip->protocol == static_cast<std::uint8_t>(Protocol::kIcmp6)) return DropReason::kProto;
  return parse_upper_layer(frame.first(p.frame_length), ip->protocol, p);
}

Refusal check_ipv4_options(Bytes options) noexcept {
  for (std::size_t at = 0; at < options.size();) {
    const std::uint8_t kind = options[at];
    if (kind == kOptionEnd) return std::nullopt;
    if (kind == kOptionNop) {
      ++at;
      continue;
    }
    if (kind == kOptionLooseRoute || kind == kOptionStrictRoute) return DropReason::kIpOptions;
    if (at + 1 >= options.size()) return DropReason::kIpOptions;
    const std::size_t length = options[at + 1];
    if (length < 2 || at + length > options.size()) return DropReason::kIpOptions;
    at += length;
  }
  return std::nullopt;
}

Refusal parse_ipv6(Bytes frame, Packet& p) noexcept {
  const auto* ip = header_at<Ipv6Header>(frame, p.ip_offset);
  if (frame.size() > p.ip_offset && frame[p.ip_offset] >> 4 != 6) return DropReason::kIpVersion;
  if (ip == nullptr) return DropReason::kIpHdrlen;

  const std::size_t payload_length = ip->payload_length.host();  // 0 would be a jumbogram (RFC 2675)
  if (payload_length == 0 || frame.size() < p.ip_offset + sizeof(Ipv6Header) + payload_length)
    return DropReason::kIpTotlen;

  p.is_v4 = false;
  p.source = Address::v6(ip->source);
  p.destination = Address::v6(ip->destination);
  p.ttl = ip->hop_limit;
  p.l4_offset = static_cast<std::uint16_t>(p.ip_offset + sizeof(Ipv6Header));
  p.frame_length = static_cast<std::uint16_t>(p.l4_offset + payload_length);
  // ::ffff:0:0/96 on the wire is nobody's address (RFC 4038 4.2), and inside Weir it means IPv4.
  if (p.source.is_v4()) return DropReason::kIpMartianSrc;
  if (p.destination.is_v4()) return DropReason::kIpMartianDst;
  return skip_extension_headers(frame.first(p.frame_length), ip->next_header, p);
}

// RFC 8200 4.1: hop-by-hop options only at the front; the others in any order and number, here at most eight.
Refusal skip_extension_headers(Bytes packet, std::uint8_t next_header, Packet& p) noexcept {
  for (int count = 0;; ++count) {
    const bool is_extension = next_header == kHopByHop || next_header == kRouting || next_header == kFragment ||
                              next_header == kAuthentication || next_header == kDestinationOptions;
    if (!is_extension) break;
    if (count == kMaxExtensionHeaders || (next_header == kHopByHop && count > 0)) return DropReason::kIp6Ext;
    if (packet.size() < std::size_t{p.l4_offset} + 8) return DropReason::kIp6Ext;
    const std::uint8_t* header = packet.data() + p.l4_offset;

    std::size_t length = (std::size_t{header[1]} + 1) * 8;
    if (next_header == kAuthentication) length = (std::size_t{header[1]} + 2) * 4;  // RFC 4302 2.2
    if (next_header == kRouting && (header[2] == 0 || header[3] != 0)) {
      // Type 0 is forbidden (RFC 5095); with segments left we are not the last stop, and routers we are not.
      return DropReason::kIp6Ext;
    }
    if (next_header == kFragment) {
      length = 8;
      const bool is_atomic = header[2] == 0 && (header[3] & 0xf9) == 0;  // RFC 6946: offset 0, no more to come
      p.protocol = static_cast<Protocol>(next_header);
      if (!is_atomic) return DropReason::kIpFrag;
    }
    if (packet.size() < p.l4_offset + length) return DropReason::kIp6Ext;
    next_header = header[0];
    p.l4_offset = static_cast<std::uint16_t>(p.l4_offset + length);
  }
  p.protocol = static_cast<Protocol>(next_header);
  if (p.protocol == Protocol::kIcmp) return DropReason::kProto;
  return parse_upper_layer(packet, next_header, p);
}

Refusal parse_upper_layer(Bytes packet, std::uint8_t protocol, Packet& p) noexcept {
  p.source_port = p.destination_port = be16{};
  p.tcp_flags = 0;
  p.payload_length = 0;
  p.protocol = static_cast<Protocol>(protocol);
  switch (p.protocol) {
    case Protocol::kTcp: return parse_tcp(packet, p);
    case Protocol::kUdp: return parse_udp(packet, p);
    case Protocol::kIcmp:
    case Protocol::kIcmp6:
      return header_at<IcmpHeader>(packet, p.l4_offset) == nullptr ? Refusal(DropReason::kL4Short) : std::nullopt;
  }
  return DropReason::kProto;
}

Refusal parse_tcp(Bytes packet, Packet& p) noexcept {
  const auto* tcp = header_at<TcpHeader>(packet, p.l4_offset);
  if (tcp == nullptr) return DropReason::kL4Short;
  const std::size_t header_length = std::size_t{tcp->data_offset} / 16 * 4;
  if (header_length < sizeof(TcpHeader) || packet.size() < p.l4_offset + header_length) return DropReason::kL4Short;
  p.source_port = tcp->source_port;
  p.destination_port = tcp->destination_port;
  p.tcp_flags = tcp->flags;
  p.payload_length = static_cast<std::uint16_t>(packet.size() - p.l4_offset - header_length);
  if (p.source_port == be16{} || p.destination_port == be16{}) return DropReason::kPortZero;

  const bool syn = (tcp->flags & kTcpSyn) != 0;
  if (syn && (tcp->flags & (kTcpFin | kTcpRst)) != 0) return DropReason::kTcpFlags;
  if ((tcp->flags & (kTcpSyn | kTcpAck | kTcpRst)) == 0) return DropReason::kTcpFlags;
  return std::nullopt;
}

Refusal parse_udp(Bytes packet, Packet& p) noexcept {
  const auto* udp = header_at<UdpHeader>(packet, p.l4_offset);
  if (udp == nullptr) return DropReason::kL4Short;
  const std::size_t length = udp->length.host();
  if (length < sizeof(UdpHeader) || length > packet.size() - p.l4_offset) return DropReason::kL4Short;
  p.source_port = udp->source_port;
  p.destination_port = udp->destination_port;
  p.payload_length = static_cast<std::uint16_t>(length - sizeof(UdpHeader));
  if (p.source_port == be16{} || p.destination_port == be16{}) return DropReason::kPortZero;
  // RFC 8200 8.1. Zero would also turn into a wrong but non-zero sum by the incremental update.
  if (!p.is_v4 && udp->checksum == be16{}) return DropReason::kL4Csum;
  return std::nullopt;
}

}  // namespace

}  // namespace weir::lb
