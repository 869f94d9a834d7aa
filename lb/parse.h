// From bytes to a Packet: every length is checked here, once, and nowhere later.
//
// parse_link() reads Ethernet and at most one 802.1Q tag; parse_ip() reads IPv4 (with options) or IPv6 (with
// extension headers) and the ports of TCP and UDP. What they refuse, they refuse with the drop reason. They read
// the frame and change nothing. Checks that concern a single header come in the order of RFC 1812 5.2.2, so that
// the reason named is the first thing wrong from the front of the frame.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "lb/address.h"
#include "lb/drop_reason.h"
#include "lb/headers.h"

namespace weir::lb {

/// IPv6 extension headers accepted in front of the upper layer.
inline constexpr int kMaxExtensionHeaders = 8;

struct Link {
  MacAddress destination;
  MacAddress source;
  std::uint16_t type = 0;   // of what follows the tag, host order
  std::uint16_t vlan = 0;   // 0: untagged or priority-tagged
  std::uint8_t length = 0;  // bytes in front of the network header: 14 or 18
};

/// What the packet path knows of one packet. Offsets count from the frame's first byte.
struct Packet {
  Address source;
  Address destination;
  be16 source_port;  // TCP and UDP; else 0
  be16 destination_port;
  std::uint16_t ip_offset = 0;
  std::uint16_t l4_offset = 0;
  std::uint16_t frame_length = 0;    // up to the end of the IP packet; what lies behind is a trailer
  std::uint16_t payload_length = 0;  // bytes behind the TCP or UDP header
  Protocol protocol = Protocol::kTcp;
  std::uint8_t ttl = 0;
  std::uint8_t tcp_flags = 0;
  bool is_v4 = true;

  [[nodiscard]] constexpr std::uint16_t ip_length() const noexcept {
    return static_cast<std::uint16_t>(frame_length - ip_offset);
  }
  [[nodiscard]] constexpr bool has_ports() const noexcept {
    return protocol == Protocol::kTcp || protocol == Protocol::kUdp;
  }
};

/// nullopt: `link` is filled in. A service tag, or a second tag inside the first (QinQ), is vlan_unknown.
[[nodiscard]] std::optional<DropReason> parse_link(std::span<const std::uint8_t> frame, Link& link) noexcept;

/// nullopt: `packet` is filled in; for kIpFrag and kProto its addresses, lengths, TTL and protocol are. `link.type` is
/// kEtherIpv4 or kEtherIpv6; link.length <= frame.size().
[[nodiscard]] std::optional<DropReason> parse_ip(std::span<const std::uint8_t> frame, const Link& link,
                                                 Packet& packet) noexcept;

/// RFC 1812 5.3.7, RFC 4291 2.7 and 2.5: a source that no packet from a network can have. Does not know our own
/// addresses; the packet path checks those.
[[nodiscard]] bool is_martian_source(const Address& a) noexcept;
/// Multicast, broadcast, loopback, unspecified: no unicast flow goes there.
[[nodiscard]] bool is_martian_destination(const Address& a) noexcept;

}  // namespace weir::lb
