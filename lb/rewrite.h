// DNAT: one address and one port of a packet replaced, TTL decremented, checksums updated by the difference.
#pragma once

#include <cstdint>
#include <cstring>

#include "lb/checksum.h"
#include "lb/flow_state.h"
#include "lb/headers.h"
#include "lb/parse.h"

namespace weir::lb {

/// Translates the packet at `frame` (its first byte), which `p` was parsed from: forward, the destination becomes
/// (to, to_port); reply, the source does. `to` is of the packet's family; p.ttl >= 2. TTL goes down by one, as by a
/// router. The L4 checksum is updated by RFC 1624, neither verified nor repaired; UDP's "none" stays none.
template <Direction kDirection>
inline void translate(std::uint8_t* frame, const Packet& p, const Address& to, be16 to_port) noexcept {
  constexpr bool kForward = kDirection == Direction::kForward;
  const Address& from = kForward ? p.destination : p.source;
  const be16 from_port = kForward ? p.destination_port : p.source_port;

  ChecksumDelta l4;
  if (p.is_v4) {
    auto* ip = reinterpret_cast<Ipv4Header*>(frame + p.ip_offset);
    const be32 from4 = from.to_v4();
    const be32 to4 = to.to_v4();
    // TTL and protocol make one 16-bit word of the header; only its high byte changes.
    const auto word = [&](std::uint8_t ttl) {
      return be16::from_host(static_cast<std::uint16_t>(ttl << 8 | ip->protocol));
    };
    ChecksumDelta header;
    header.change(from4, to4).change(word(ip->ttl), word(static_cast<std::uint8_t>(ip->ttl - 1)));
    ip->ttl = static_cast<std::uint8_t>(ip->ttl - 1);
    ip->checksum = header.apply(ip->checksum);
    (kForward ? ip->destination : ip->source) = to4;
    l4.change(from4, to4);
  } else {
    auto* ip = reinterpret_cast<Ipv6Header*>(frame + p.ip_offset);
    ip->hop_limit = static_cast<std::uint8_t>(ip->hop_limit - 1);
    std::memcpy(kForward ? ip->destination : ip->source, to.bytes.data(), 16);
    l4.change(from, to);
  }
  l4.change(from_port, to_port);

  if (p.protocol == Protocol::kTcp) {
    auto* tcp = reinterpret_cast<TcpHeader*>(frame + p.l4_offset);
    (kForward ? tcp->destination_port : tcp->source_port) = to_port;
    tcp->checksum = l4.apply(tcp->checksum);
  } else {
    auto* udp = reinterpret_cast<UdpHeader*>(frame + p.l4_offset);
    (kForward ? udp->destination_port : udp->source_port) = to_port;
    udp->checksum = l4.apply_udp(udp->checksum);
  }
}

/// Bytes of Ethernet header in front of the network header.
[[nodiscard]] constexpr std::uint16_t link_length(std::uint16_t vlan) noexcept {
  return vlan == 0 ? sizeof(EthernetHeader) : sizeof(EthernetHeader) + sizeof(VlanTag);
}

/// Writes link_length(vlan) bytes at `at`. Priority bits of a tag are 0.
inline void write_link(std::uint8_t* at, const MacAddress& destination, const MacAddress& source, std::uint16_t vlan,
                       std::uint16_t type) noexcept {
  auto* ethernet = reinterpret_cast<EthernetHeader*>(at);
  ethernet->destination = destination;
  ethernet->source = source;
  ethernet->type = be16::from_host(vlan == 0 ? type : kEtherVlan);
  if (vlan != 0)
    *reinterpret_cast<VlanTag*>(at + sizeof(EthernetHeader)) = {be16::from_host(vlan), be16::from_host(type)};
}

}  // namespace weir::lb
