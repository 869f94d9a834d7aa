// What goes to the kernel, and as what: the questions about a packet that is for this box itself. The packet path
// (packet_path.h) knows that it is; which addresses are ours is the snapshot's business.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <span>

#include "lb/answer.h"
#include "lb/drop_reason.h"
#include "lb/headers.h"
#include "lb/parse.h"
#include "lb/punt_class.h"
#include "lb/token_bucket.h"

namespace weir::dataplane {

/// A worker's token buckets, one a class.
class PuntBuckets {
 public:
  [[nodiscard]] bool take(lb::PuntClass c, std::uint64_t now_ns) noexcept {
    return buckets_[static_cast<std::size_t>(c)].take(now_ns);
  }

 private:
  // A quarter of a second's at once. The ring to the twin does not hold all of that: see gives_way().
#define WEIR_BUCKET(symbol, name, rate, help) lb::TokenBucket(rate, (rate) / 4),
  std::array<lb::TokenBucket, lb::kPuntClasses.size()> buckets_{LB_PUNT_CLASSES(WEIR_BUCKET)};
#undef WEIR_BUCKET
};

/// Takes no more than half of the ring to the twin, so that a burst of it leaves room for BFD and ARP: the classes
/// whose buckets hold more bytes than the ring, and which anyone can fill.
[[nodiscard]] constexpr bool gives_way(lb::PuntClass c) noexcept {
  return c == lb::PuntClass::kOwn || c == lb::PuntClass::kTransit;
}

/// How a packet of this class is counted: sent to the kernel, or over the bucket.
[[nodiscard]] constexpr lb::Event punted_event(lb::PuntClass c) noexcept {
  return static_cast<lb::Event>(static_cast<int>(lb::Event::kPuntedRouting) + static_cast<int>(c));
}
[[nodiscard]] constexpr lb::DropReason over_limit(lb::PuntClass c) noexcept {
  return static_cast<lb::DropReason>(static_cast<int>(lb::DropReason::kPuntRouting) + static_cast<int>(c));
}
static_assert(punted_event(lb::PuntClass::kTransit) == lb::Event::kPuntedTransit);
static_assert(over_limit(lb::PuntClass::kTransit) == lb::DropReason::kPuntTransit);

// IP protocols and ports by which a kernel's routing daemons speak; https://www.iana.org/assignments/protocol-numbers.
inline constexpr std::uint8_t kProtocolIgmp = 2;
inline constexpr std::uint8_t kProtocolOspf = 89;
inline constexpr std::uint8_t kProtocolPim = 103;
inline constexpr std::uint8_t kProtocolVrrp = 112;
inline constexpr std::uint16_t kPortBgp = 179;
inline constexpr std::uint16_t kPortBfd = 3784;  // RFC 5881; multihop (RFC 5883) comes from anywhere, and is kOwn
inline constexpr std::uint16_t kPortMdns = 5353;
inline constexpr std::uint16_t kPortLlmnr = 5355;

/// Groups that stay on the link, which a host may have joined without asking a router: 224.0.0.0/24 and ff02::/16.
[[nodiscard]] inline bool is_link_group(const lb::Address& a) noexcept {
  if (a.is_v4()) return (a.to_v4().host() & 0xffff'ff00u) == 0xe000'0000u;
  return a.bytes[0] == 0xff && a.bytes[1] == 0x02;
}

/// The limited broadcast, or one of these.
[[nodiscard]] inline bool is_broadcast(const lb::Address& a, std::span<const lb::be32> of_subnets) noexcept {
  if (!a.is_v4()) return false;
  return a.to_v4().host() == 0xffff'ffffu || std::ranges::find(of_subnets, a.to_v4()) != of_subnets.end();
}

/// Router and neighbour discovery, redirects: RFC 4861.
[[nodiscard]] constexpr bool is_discovery(std::uint8_t icmp6_type) noexcept {
  return icmp6_type >= 133 && icmp6_type <= 137;
}
/// Group membership: RFC 2710, RFC 3810.
[[nodiscard]] constexpr bool is_membership(std::uint8_t icmp6_type) noexcept {
  return (icmp6_type >= 130 && icmp6_type <= 132) || icmp6_type == 143;
}

/// Not of a fragment, which has no ports. kBgp where the kernel has spoken on it (spoken_sessions.h), else kBgpNew.
[[nodiscard]] inline bool is_bgp(const lb::Packet& p) noexcept {
  return p.protocol == lb::Protocol::kTcp &&
         (p.source_port.host() == kPortBgp || p.destination_port.host() == kPortBgp);
}

/// What no router has passed on: each would have taken one off (RFC 4861 11.2, RFC 5881 5, RFC 5798 5.1.1.3).
inline constexpr std::uint8_t kTtlOfNeighbor = 255;

/// Of an ICMPv6 message. From beyond the link the kernel takes no discovery, and nobody is to use up its bucket.
[[nodiscard]] inline lb::PuntClass class_of_icmp6(const lb::Packet& p, std::uint8_t type) noexcept {
  using lb::PuntClass;
  if (is_membership(type)) return is_link_group(p.destination) ? PuntClass::kSolicit : PuntClass::kOwn;
  if (!is_discovery(type) || p.ttl != kTtlOfNeighbor) return PuntClass::kOwn;
  return type == lb::kIcmp6NeighborAdvert ? PuntClass::kNeighbor : PuntClass::kSolicit;
}

/// Of a datagram that is no BGP's.
[[nodiscard]] inline lb::PuntClass class_of_ports(const lb::Packet& p) noexcept {
  using lb::PuntClass;
  const std::uint16_t to = p.destination_port.host();
  if (p.protocol == lb::Protocol::kUdp && to == kPortBfd)
    return p.ttl == kTtlOfNeighbor ? PuntClass::kRouting : PuntClass::kOwn;
  if (to == kPortMdns || to == kPortLlmnr) return PuntClass::kOwn;  // chatter of hosts, though to a link's group
  return is_link_group(p.destination) ? PuntClass::kRouting : PuntClass::kOwn;
}

/// The class of an IP packet that is for this box: to an own address, a broadcast or a link's group. `frame` holds
/// the packet's headers. A fragment has no ports and says nothing of its protocol's header. Classes other than kOwn are
/// for what comes from the link, BGP apart: else a stranger far away could use up the neighbours' buckets.
[[nodiscard]] inline lb::PuntClass class_of_own(const lb::Packet& p, std::span<const std::uint8_t> frame,
                                                bool is_fragment) noexcept {
  using lb::PuntClass;
  if (p.has_ports() && !is_fragment) return is_bgp(p) ? PuntClass::kBgpNew : class_of_ports(p);
  const bool is_group = is_link_group(p.destination);
  switch (static_cast<std::uint8_t>(p.protocol)) {
    case kProtocolIgmp: return is_group ? PuntClass::kSolicit : PuntClass::kOwn;
    case kProtocolOspf:
    case kProtocolPim: return is_group || p.ttl == 1 ? PuntClass::kRouting : PuntClass::kOwn;
    case kProtocolVrrp: return p.ttl == kTtlOfNeighbor ? PuntClass::kRouting : PuntClass::kOwn;
    case static_cast<std::uint8_t>(lb::Protocol::kIcmp6):
      if (is_fragment || p.is_v4 || frame.size() <= p.l4_offset) return PuntClass::kOwn;
      return class_of_icmp6(p, frame[p.l4_offset]);
    default: return PuntClass::kOwn;
  }
}

/// ARP that a kernel behind this interface has use for, `arp` being well-formed: a reply to it, or an announcement by
/// which it corrects what it knows. Requests are the packet path's business.
[[nodiscard]] inline std::optional<lb::PuntClass> class_of_arp(const lb::ArpPacket& arp, bool is_unicast) noexcept {
  if (arp.sender_address == arp.target_address) return lb::PuntClass::kSolicit;
  if (arp.operation.host() == lb::kArpReply) return is_unicast ? lb::PuntClass::kNeighbor : lb::PuntClass::kSolicit;
  return std::nullopt;
}

/// A frame that is neither ARP nor IP: LLDP, LACP and whatever else a daemon behind the twin may speak. Type field
/// 1,500 and less is a length (IEEE 802.3): LLC, which carries IS-IS.
[[nodiscard]] constexpr lb::PuntClass class_of_ethertype(std::uint16_t type) noexcept {
  return type <= 1'500 ? lb::PuntClass::kRouting : lb::PuntClass::kOwn;
}

}  // namespace weir::dataplane
