#include "tests/support/packet.h"

#include <arpa/inet.h>

#include <cstdio>
#include <ostream>
#include <stdexcept>
#include <string>

namespace weir::test {

namespace {

void put8(Bytes& out, unsigned v) {
  out.push_back(static_cast<std::uint8_t>(v));
}
void put16(Bytes& out, unsigned v) {
  put8(out, v >> 8), put8(out, v);
}
void put32(Bytes& out, std::uint32_t v) {
  put16(out, v >> 16), put16(out, v & 0xffff);
}
void put(Bytes& out, const Bytes& bytes) {
  out.insert(out.end(), bytes.begin(), bytes.end());
}

void set16(Bytes& out, std::size_t at, unsigned v) {
  out[at] = static_cast<std::uint8_t>(v >> 8);
  out[at + 1] = static_cast<std::uint8_t>(v);
}

Bytes padded(Bytes bytes, std::size_t multiple) {
  while (bytes.size() % multiple != 0) bytes.push_back(0);
  return bytes;
}

// A test that misspells an address must not pass by accident, hence the exceptions.

Bytes mac_bytes(std::string_view text) {
  unsigned b[6];
  char behind = 0;
  if (std::sscanf(std::string(text).c_str(), "%2x:%2x:%2x:%2x:%2x:%2x%c", &b[0], &b[1], &b[2], &b[3], &b[4], &b[5],
                  &behind) != 6)
    throw std::invalid_argument("not a MAC address: " + std::string(text));
  Bytes out;
  for (const unsigned v : b) put8(out, v);
  return out;
}

Bytes address_bytes(int family, std::string_view text) {
  Bytes out(family == AF_INET ? 4 : 16);
  if (inet_pton(family, std::string(text).c_str(), out.data()) != 1)
    throw std::invalid_argument("not an address of this family: " + std::string(text));
  return out;
}

std::uint32_t sum_words(const Bytes& bytes, std::size_t begin, std::size_t end, std::uint32_t sum) {
  for (std::size_t i = begin; i < end; i += 2) {
    sum += static_cast<std::uint32_t>(bytes[i] << 8 | (i + 1 < end ? bytes[i + 1] : 0));
    if (sum > 0xffff) sum -= 0xffff;
  }
  return sum;
}

}  // namespace

/// Starts a header: writes its type into the one before it.
void Packet::begin(Kind kind, std::uint16_t ethertype, std::uint8_t protocol) {
  if (type_bytes_ == 2) set16(bytes_, type_at_, ethertype);
  if (type_bytes_ == 1) bytes_[type_at_] = protocol;
  type_bytes_ = 0;
  headers_.push_back({kind, bytes_.size()});
}

Packet& Packet::eth(std::string_view destination, std::string_view source, std::optional<std::uint16_t> type) {
  begin(Kind::kOther, 0, 0);
  put(bytes_, mac_bytes(destination));
  put(bytes_, mac_bytes(source));
  type_at_ = bytes_.size();
  type_bytes_ = type ? 0 : 2;
  put16(bytes_, type.value_or(0));
  return *this;
}

Packet& Packet::vlan(std::uint16_t id, std::uint8_t priority, std::uint16_t tpid) {
  begin(Kind::kOther, tpid, 0);
  put16(bytes_, static_cast<unsigned>(priority << 13 | id));
  type_at_ = bytes_.size();
  type_bytes_ = 2;
  put16(bytes_, 0);
  return *this;
}

Packet& Packet::ipv4(std::string_view source, std::string_view destination, const Ipv4Fields& f) {
  begin(Kind::kIpv4, 0x0800, 4);
  const std::size_t at = bytes_.size();
  const Bytes options = padded(f.options, 4);
  put8(bytes_, f.version_ihl.value_or(static_cast<std::uint8_t>(0x45 + options.size() / 4)));
  put8(bytes_, f.tos);
  put16(bytes_, 0);
  put16(bytes_, f.id);
  put16(bytes_, (f.df ? 0x4000u : 0u) | (f.mf ? 0x2000u : 0u) | f.fragment_offset / 8u);
  put8(bytes_, f.ttl);
  put8(bytes_, f.protocol.value_or(0));
  put16(bytes_, 0);
  put(bytes_, address_bytes(AF_INET, source));
  put(bytes_, address_bytes(AF_INET, destination));
  put(bytes_, options);
  headers_.back().own_bytes = 20 + options.size();
  headers_.back().length = f.total_length;
  headers_.back().checksum = f.checksum;
  type_at_ = at + 9;
  type_bytes_ = f.protocol ? 0 : 1;
  return *this;
}

Packet& Packet::ipv6(std::string_view source, std::string_view destination, const Ipv6Fields& f) {
  begin(Kind::kIpv6, 0x86dd, 41);
  const std::size_t at = bytes_.size();
  put32(bytes_, std::uint32_t{f.version.value_or(6)} << 28 | std::uint32_t{f.traffic_class} << 20 | f.flow_label);
  put16(bytes_, 0);
  put8(bytes_, f.next_header.value_or(59));  // RFC 8200 4.7: no next header
  put8(bytes_, f.hop_limit);
  put(bytes_, address_bytes(AF_INET6, source));
  put(bytes_, address_bytes(AF_INET6, destination));
  headers_.back().length = f.payload_length;
  type_at_ = at + 6;
  type_bytes_ = f.next_header ? 0 : 1;
  return *this;
}

Packet& Packet::extension(std::uint8_t kind, const Bytes& body, std::optional<std::uint8_t> length) {
  begin(Kind::kOther, 0, kind);
  type_at_ = bytes_.size();
  type_bytes_ = 1;
  Bytes header{59, 0};
  put(header, body);
  if (const std::size_t gap = (8 - header.size() % 8) % 8; gap == 1) {
    put8(header, 0);  // Pad1
  } else if (gap > 1) {
    put8(header, 1), put8(header, static_cast<unsigned>(gap - 2));  // PadN
    header = padded(header, 8);
  }
  header[1] = length.value_or(static_cast<std::uint8_t>(header.size() / 8 - 1));
  put(bytes_, header);
  return *this;
}

Packet& Packet::fragment(std::uint16_t offset, bool more, std::uint32_t id, std::optional<std::uint8_t> next) {
  begin(Kind::kOther, 0, 44);
  type_at_ = bytes_.size();
  type_bytes_ = next ? 0 : 1;
  put16(bytes_, next.value_or(59) << 8u);
  put16(bytes_, (offset & 0xfff8u) | (more ? 1u : 0u));
  put32(bytes_, id);
  return *this;
}

Packet& Packet::tcp(std::uint16_t source, std::uint16_t destination, std::uint8_t flags, const TcpFields& f) {
  begin(Kind::kTcp, 0, 6);
  const Bytes options = padded(f.options, 4);
  put16(bytes_, source);
  put16(bytes_, destination);
  put32(bytes_, f.seq);
  put32(bytes_, f.ack);
  put8(bytes_, static_cast<unsigned>(f.data_offset.value_or(static_cast<std::uint8_t>(5 + options.size() / 4)) << 4));
  put8(bytes_, flags);
  put16(bytes_, f.window);
  put16(bytes_, 0);
  put16(bytes_, f.urgent);
  put(bytes_, options);
  headers_.back().checksum = f.checksum;
  return *this;
}

Packet& Packet::udp(std::uint16_t source, std::uint16_t destination, const UdpFields& f) {
  begin(Kind::kUdp, 0, 17);
  put16(bytes_, source);
  put16(bytes_, destination);
  put32(bytes_, 0);
  headers_.back().length = f.length;
  headers_.back().checksum = f.checksum;
  return *this;
}

Packet& Packet::icmp(std::uint8_t type, std::uint8_t code, std::uint32_t rest) {
  begin(Kind::kIcmp, 0, 1);
  put8(bytes_, type), put8(bytes_, code), put16(bytes_, 0), put32(bytes_, rest);
  return *this;
}

Packet& Packet::icmp6(std::uint8_t type, std::uint8_t code, std::uint32_t rest) {
  begin(Kind::kIcmp6, 0, 58);
  put8(bytes_, type), put8(bytes_, code), put16(bytes_, 0), put32(bytes_, rest);
  return *this;
}

Packet& Packet::icmp_echo(std::uint16_t id, std::uint16_t sequence) {
  return icmp(8, 0, std::uint32_t{id} << 16 | sequence);
}
Packet& Packet::icmp_echo_reply(std::uint16_t id, std::uint16_t sequence) {
  return icmp(0, 0, std::uint32_t{id} << 16 | sequence);
}
Packet& Packet::icmp6_echo(std::uint16_t id, std::uint16_t sequence) {
  return icmp6(128, 0, std::uint32_t{id} << 16 | sequence);
}
Packet& Packet::icmp6_echo_reply(std::uint16_t id, std::uint16_t sequence) {
  return icmp6(129, 0, std::uint32_t{id} << 16 | sequence);
}

Packet& Packet::arp(std::uint16_t operation, std::string_view sender_mac, std::string_view sender,
                    std::string_view target_mac, std::string_view target, const ArpFields& f) {
  begin(Kind::kOther, 0x0806, 0);
  put16(bytes_, f.hardware), put16(bytes_, f.protocol);
  put8(bytes_, f.hardware_bytes), put8(bytes_, f.protocol_bytes);
  put16(bytes_, operation);
  put(bytes_, mac_bytes(sender_mac)), put(bytes_, address_bytes(AF_INET, sender));
  put(bytes_, mac_bytes(target_mac)), put(bytes_, address_bytes(AF_INET, target));
  return *this;
}

Packet& Packet::arp_request(std::string_view sender_mac, std::string_view sender, std::string_view target) {
  return arp(1, sender_mac, sender, "00:00:00:00:00:00", target);
}

Packet& Packet::arp_reply(std::string_view sender_mac, std::string_view sender, std::string_view target_mac,
                          std::string_view target) {
  return arp(2, sender_mac, sender, target_mac, target);
}

Packet& Packet::neighbor_solicitation(std::string_view target, const Bytes& options) {
  return icmp6(135, 0).payload(address_bytes(AF_INET6, target)).payload(options);
}

Packet& Packet::neighbor_advertisement(std::string_view target, std::uint8_t flags, const Bytes& options) {
  return icmp6(136, 0, std::uint32_t{flags} << 24).payload(address_bytes(AF_INET6, target)).payload(options);
}

Packet& Packet::payload(std::string_view text) {
  bytes_.insert(bytes_.end(), text.begin(), text.end());
  return *this;
}

Packet& Packet::payload(const Bytes& bytes) {
  put(bytes_, bytes);
  return *this;
}

Packet& Packet::filler(std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) put8(bytes_, static_cast<unsigned>(i * 7 + i / 256));
  return *this;
}

Packet& Packet::checksum(std::uint16_t value) {
  headers_.back().checksum = value;
  return *this;
}

Packet& Packet::spoil_checksum(std::uint16_t bits) {
  headers_.back().spoilt = bits;
  return *this;
}

Packet& Packet::trailer(std::size_t count, std::uint8_t value) {
  trailer_bytes_ = count;
  trailer_value_ = value;
  return *this;
}

Packet& Packet::cut(std::size_t count) {
  cut_ = count;
  return *this;
}

Bytes Packet::bytes() const {
  Bytes out = bytes_;
  // The innermost first: an outer checksum covers the inner ones.
  for (std::size_t i = headers_.size(); i-- > 0;) finish(out, i);
  out.resize(out.size() + trailer_bytes_, trailer_value_);
  if (cut_ && *cut_ < out.size()) out.resize(*cut_);
  return out;
}

void Packet::finish(Bytes& out, std::size_t header) const {
  const Header& h = headers_[header];
  const auto length = static_cast<unsigned>(out.size() - h.at);
  switch (h.kind) {
    case Kind::kOther: break;
    case Kind::kIpv4:
      set16(out, h.at + 2, h.length.value_or(static_cast<std::uint16_t>(length)));
      finish_checksum(out, header, h.at + 10);
      break;
    case Kind::kIpv6: set16(out, h.at + 4, h.length.value_or(static_cast<std::uint16_t>(length - 40))); break;
    case Kind::kTcp: finish_checksum(out, header, h.at + 16); break;
    case Kind::kUdp:
      set16(out, h.at + 4, h.length.value_or(static_cast<std::uint16_t>(length)));
      finish_checksum(out, header, h.at + 6);
      break;
    case Kind::kIcmp:
    case Kind::kIcmp6: finish_checksum(out, header, h.at + 2); break;
  }
}

void Packet::finish_checksum(Bytes& out, std::size_t header, std::size_t field) const {
  const Header& h = headers_[header];
  const bool with_pseudo_header = h.kind != Kind::kIpv4 && h.kind != Kind::kIcmp;
  std::uint32_t sum = 0;
  for (std::size_t i = header; with_pseudo_header && i-- > 0;) {
    const Header& ip = headers_[i];
    if (ip.kind != Kind::kIpv4 && ip.kind != Kind::kIpv6) continue;
    sum = ip.kind == Kind::kIpv4 ? sum_words(out, ip.at + 12, ip.at + 20, 0) : sum_words(out, ip.at + 8, ip.at + 40, 0);
    const unsigned protocol = h.kind == Kind::kTcp ? 6 : h.kind == Kind::kUdp ? 17 : 58;
    Bytes rest;
    put32(rest, static_cast<std::uint32_t>(out.size() - h.at)), put32(rest, protocol);
    sum = sum_words(rest, 0, 8, sum);
    break;
  }
  set16(out, field, 0);
  sum = sum_words(out, h.at, h.own_bytes != 0 ? h.at + h.own_bytes : out.size(), sum);
  std::uint32_t checksum = ~sum & 0xffff;
  if (h.kind == Kind::kUdp && checksum == 0) checksum = 0xffff;  // RFC 768
  set16(out, field, h.checksum.value_or(static_cast<std::uint16_t>(checksum ^ h.spoilt)));
}

void PrintTo(const Packet& p, std::ostream* out) {
  *out << dump(p.bytes());
}

Bytes link_layer_option(std::uint8_t type, std::string_view mac) {
  Bytes out{type, 1};
  put(out, mac_bytes(mac));
  return out;
}

Bytes mss_option(std::uint16_t mss) {
  Bytes out{2, 4};
  put16(out, mss);
  return out;
}

}  // namespace weir::test
