#include "lb/answer.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "lb/checksum.h"

namespace weir::lb {

namespace {

// Flags of an advertisement, RFC 4861 4.4.
constexpr std::uint32_t kSolicited = 0x40000000;
constexpr std::uint32_t kOverride = 0x20000000;

void write_ipv4(std::uint8_t* at, const Address& source, const Address& destination, Protocol protocol,
                std::size_t length) noexcept {
  auto* ip = reinterpret_cast<Ipv4Header*>(at);
  *ip = {.version_ihl = 0x45,
         .tos = 0,
         .total_length = be16::from_host(static_cast<std::uint16_t>(length)),
         .id = {},
         .fragment = be16::from_host(kIpv4DontFragment),  // id 0 is allowed only so (RFC 6864 4.1)
         .ttl = kOwnTtl,
         .protocol = static_cast<std::uint8_t>(protocol),
         .checksum = {},
         .source = source.to_v4(),
         .destination = destination.to_v4()};
  ip->checksum = internet_checksum({at, sizeof *ip});
}

void write_ipv6(std::uint8_t* at, const Address& source, const Address& destination, Protocol protocol,
                std::size_t length, std::uint8_t hop_limit) noexcept {
  auto* ip = reinterpret_cast<Ipv6Header*>(at);
  ip->version_class_flow = be32::from_host(0x60000000);
  ip->payload_length = be16::from_host(static_cast<std::uint16_t>(length - sizeof *ip));
  ip->next_header = static_cast<std::uint8_t>(protocol);
  ip->hop_limit = hop_limit;
  std::memcpy(ip->source, source.bytes.data(), 16);
  std::memcpy(ip->destination, destination.bytes.data(), 16);
}

be16 upper_layer_checksum(const Address& source, const Address& destination, Protocol protocol,
                          std::span<const std::uint8_t> bytes) noexcept {
  const auto length = static_cast<std::uint32_t>(bytes.size());
  if (source.is_v4()) {
    return pseudo_header_sum(source.to_v4(), destination.to_v4(), protocol, static_cast<std::uint16_t>(length))
        .add(bytes)
        .checksum();
  }
  return pseudo_header_sum(source, destination, protocol, length).add(bytes).checksum();
}

// RFC 4291 2.7.1: ff02::1:ff00:0/104 with the target's last 24 bits.
bool is_solicited_node(const Address& group, const Address& target) noexcept {
  static constexpr std::uint8_t kPrefix[13] = {0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff};
  return std::memcmp(group.bytes.data(), kPrefix, 13) == 0 &&
         std::memcmp(group.bytes.data() + 13, target.bytes.data() + 13, 3) == 0;
}

// What RFC 4861 7.1.1 and 7.1.2 ask of solicitations and advertisements alike; null where it does not hold. Each option
// goes to `see`, whole and at least 8 bytes long.
template <class See>
const NeighborMessage* read_neighbor_message(std::span<const std::uint8_t> frame, const Packet& packet,
                                             See&& see) noexcept {
  const auto icmp = frame.subspan(packet.l4_offset, std::size_t{packet.frame_length} - packet.l4_offset);
  if (packet.ttl != 255 || icmp.size() < sizeof(NeighborMessage)) return nullptr;
  const auto& message = *reinterpret_cast<const NeighborMessage*>(icmp.data());
  if (message.icmp.code != 0 || Address::v6(message.target).is_multicast()) return nullptr;
  if (upper_layer_checksum(packet.source, packet.destination, Protocol::kIcmp6, icmp) != be16{}) return nullptr;
  for (auto options = icmp.subspan(sizeof(NeighborMessage)); !options.empty();) {
    if (options.size() < 2 || options[1] == 0) return nullptr;
    const std::size_t length = std::size_t{options[1]} * 8;
    if (length > options.size()) return nullptr;
    see(options.first(length));
    options = options.subspan(length);
  }
  return &message;
}

}  // namespace

ArpKind read_arp(std::span<const std::uint8_t> arp, Address& target) noexcept {
  if (arp.size() < sizeof(ArpPacket)) return ArpKind::kBad;
  const auto& a = *reinterpret_cast<const ArpPacket*>(arp.data());
  if (a.hardware_type.host() != 1 || a.protocol_type.host() != kEtherIpv4) return ArpKind::kBad;
  if (a.hardware_length != 6 || a.protocol_length != 4) return ArpKind::kBad;
  if (a.sender_mac.is_group() || a.sender_mac.is_zero()) return ArpKind::kBad;
  if (a.operation.host() != kArpRequest) return ArpKind::kOther;
  target = Address::v4(a.target_address);
  return a.target_address == a.sender_address ? ArpKind::kOther : ArpKind::kRequest;  // an announcement asks nothing
}

void write_arp_reply(std::uint8_t* arp, const MacAddress& mac) noexcept {
  auto& a = *reinterpret_cast<ArpPacket*>(arp);
  const be32 target = a.target_address;
  a.operation = be16::from_host(kArpReply);
  a.target_mac = a.sender_mac;
  a.target_address = a.sender_address;
  a.sender_mac = mac;
  a.sender_address = target;
}

std::optional<Claim> read_arp_claim(std::span<const std::uint8_t> arp) noexcept {
  const auto& a = *reinterpret_cast<const ArpPacket*>(arp.data());
  if (a.sender_address == be32{}) return std::nullopt;
  return Claim{Address::v4(a.sender_address), a.sender_mac};
}

std::optional<Solicitation> read_solicitation(std::span<const std::uint8_t> frame, const Packet& packet) noexcept {
  bool has_source_mac = false;
  const auto* message = read_neighbor_message(
      frame, packet, [&](std::span<const std::uint8_t> option) { has_source_mac |= option[0] == kSourceLinkLayer; });
  if (message == nullptr) return std::nullopt;
  const Solicitation s{Address::v6(message->target), packet.source.is_unspecified()};
  if (s.is_dad && has_source_mac) return std::nullopt;
  const bool to_group = is_solicited_node(packet.destination, s.target);
  if (!to_group && (s.is_dad || packet.destination != s.target)) return std::nullopt;
  return s;
}

std::optional<Claim> read_advertisement(std::span<const std::uint8_t> frame, const Packet& packet,
                                        const MacAddress& sender) noexcept {
  Claim claim{.address = {}, .mac = sender};
  const auto* message = read_neighbor_message(frame, packet, [&](std::span<const std::uint8_t> option) {
    if (option[0] == kTargetLinkLayer) claim.mac = reinterpret_cast<const LinkLayerOption*>(option.data())->mac;
  });
  if (message == nullptr) return std::nullopt;
  if (packet.destination.is_multicast() && (message->icmp.rest.host() & kSolicited) != 0) return std::nullopt;
  claim.address = Address::v6(message->target);
  return claim;
}

void write_advertisement(std::uint8_t* ip, const Solicitation& s, const Address& asker,
                         const MacAddress& mac) noexcept {
  Address all_nodes;
  all_nodes.bytes = {0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
  const Address to = s.is_dad ? all_nodes : asker;
  write_ipv6(ip, s.target, to, Protocol::kIcmp6, kAdvertisementLength, 255);
  auto* message = reinterpret_cast<NeighborMessage*>(ip + sizeof(Ipv6Header));
  message->icmp = {kIcmp6NeighborAdvert, 0, {}, be32::from_host(kOverride | (s.is_dad ? 0 : kSolicited))};
  std::memcpy(message->target, s.target.bytes.data(), 16);
  *reinterpret_cast<LinkLayerOption*>(message + 1) = {kTargetLinkLayer, 1, mac};
  message->icmp.checksum = upper_layer_checksum(s.target, to, Protocol::kIcmp6,
                                                {ip + sizeof(Ipv6Header), kAdvertisementLength - sizeof(Ipv6Header)});
}

void write_echo_reply(std::uint8_t* frame, const Packet& packet) noexcept {
  auto* icmp = reinterpret_cast<IcmpHeader*>(frame + packet.l4_offset);
  const auto word = [&](std::uint8_t type) {
    return be16::from_host(static_cast<std::uint16_t>(type << 8 | icmp->code));
  };
  const std::uint8_t reply = packet.is_v4 ? kIcmpEchoReply : kIcmp6EchoReply;
  icmp->checksum = checksum_update(icmp->checksum, word(icmp->type), word(reply));
  icmp->type = reply;
  // RFC 1624 3: the update gives 0 where the sum is 0 of either sign. Positive zero, of nothing but zeroes, can only
  // be an IPv4 reply of id 0, sequence 0 and zeroes; its checksum is all ones.
  if (packet.is_v4 && icmp->checksum == be16{}) {
    const std::span<const std::uint8_t> message(frame + packet.l4_offset, packet.frame_length - packet.l4_offset);
    if (internet_checksum(message) == be16::from_host(0xffff)) icmp->checksum = be16::from_host(0xffff);
  }
  // Swapping the addresses changes no sum.
  if (packet.is_v4) {
    auto* ip = reinterpret_cast<Ipv4Header*>(frame + packet.ip_offset);
    const auto ttl_word = [&](std::uint8_t ttl) {
      return be16::from_host(static_cast<std::uint16_t>(ttl << 8 | ip->protocol));
    };
    ip->checksum = checksum_update(ip->checksum, ttl_word(ip->ttl), ttl_word(kOwnTtl));
    ip->ttl = kOwnTtl;
    const be32 source = ip->source;
    ip->source = ip->destination;
    ip->destination = source;
  } else {
    auto* ip = reinterpret_cast<Ipv6Header*>(frame + packet.ip_offset);
    ip->hop_limit = kOwnTtl;
    std::memcpy(ip->source, packet.destination.bytes.data(), 16);
    std::memcpy(ip->destination, packet.source.bytes.data(), 16);
  }
}

void write_rst(std::uint8_t* frame, const Packet& packet) noexcept {
  const TcpHeader in = *reinterpret_cast<const TcpHeader*>(frame + packet.l4_offset);
  TcpHeader out{};
  out.source_port = in.destination_port;
  out.destination_port = in.source_port;
  out.data_offset = sizeof(TcpHeader) / 4 << 4;
  if ((in.flags & kTcpAck) != 0) {
    out.sequence = in.acknowledgment;
    out.flags = kTcpRst;
  } else {
    const std::uint32_t segment_length =
        packet.payload_length + ((in.flags & kTcpSyn) != 0 ? 1u : 0u) + ((in.flags & kTcpFin) != 0 ? 1u : 0u);
    out.acknowledgment = be32::from_host(in.sequence.host() + segment_length);
    out.flags = kTcpRst | kTcpAck;
  }

  std::uint8_t* ip = frame + packet.ip_offset;
  const std::size_t length = rst_length(packet.is_v4);
  if (packet.is_v4) {
    write_ipv4(ip, packet.destination, packet.source, Protocol::kTcp, length);
  } else {
    write_ipv6(ip, packet.destination, packet.source, Protocol::kTcp, length, kOwnTtl);
  }
  std::uint8_t* tcp = ip + length - sizeof out;
  std::memcpy(tcp, &out, sizeof out);
  reinterpret_cast<TcpHeader*>(tcp)->checksum =
      upper_layer_checksum(packet.destination, packet.source, Protocol::kTcp, {tcp, sizeof out});
}

std::size_t unreachable_length(const Packet& packet, std::size_t mtu) noexcept {
  const std::size_t whole = unreachable_overhead(packet.is_v4) + packet.ip_length();
  return std::min({whole, mtu, packet.is_v4 ? kMaxIcmpError : kMaxIcmp6Error});
}

void write_port_unreachable(std::uint8_t* ip, const Packet& packet, std::size_t length) noexcept {
  const std::size_t ip_length = packet.is_v4 ? sizeof(Ipv4Header) : sizeof(Ipv6Header);
  auto* icmp = reinterpret_cast<IcmpHeader*>(ip + ip_length);
  if (packet.is_v4) {
    write_ipv4(ip, packet.destination, packet.source, Protocol::kIcmp, length);
    *icmp = {kIcmpUnreachable, kIcmpPortUnreachable, {}, {}};
    icmp->checksum = internet_checksum({ip + ip_length, length - ip_length});
  } else {
    write_ipv6(ip, packet.destination, packet.source, Protocol::kIcmp6, length, kOwnTtl);
    *icmp = {kIcmp6Unreachable, kIcmp6PortUnreachable, {}, {}};
    icmp->checksum =
        upper_layer_checksum(packet.destination, packet.source, Protocol::kIcmp6, {ip + ip_length, length - ip_length});
  }
}

}  // namespace weir::lb
