// Why a packet died, and what happened to packets that lived. Each list stands here once; the enumerators, the
// names in `weir show drops` and the manual's text all come from it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace weir::lb {

// Names follow the fault catalogue where one fits. A new reason needs a test that makes it happen
// (tests/dataplane/every_drop_reason_test.cc fails otherwise).
#define LB_DROP_REASONS(X)                                                                             \
  X(kL2Short, "l2_short", "the frame ends inside its Ethernet or VLAN header")                         \
  X(kL2NotUs, "l2_notus", "the frame is for another MAC, or a unicast packet in a group frame")        \
  X(kVlanUnknown, "vlan_unknown", "no interface of this port has the frame's VLAN")                    \
  X(kEthertype, "ethertype", "neither IPv4, IPv6 nor ARP")                                             \
  X(kArpBad, "arp_bad", "malformed ARP")                                                               \
  X(kArpIgnored, "arp_ignored", "ARP that asks for none of our addresses, or no request")              \
  X(kIpVersion, "ip_version", "the IP version does not match the ethertype")                           \
  X(kIpHdrlen, "ip_hdrlen", "the frame ends inside its IP header, or the header length is under 20")   \
  X(kIpTotlen, "ip_totlen", "the IP length is larger than the frame or smaller than the header")       \
  X(kIpCsum, "ip_csum", "wrong IPv4 header checksum")                                                  \
  X(kIpOptions, "ip_options", "malformed IPv4 options, or a source route")                             \
  X(kIpTtl, "ip_ttl", "TTL or hop limit of 0 or 1")                                                    \
  X(kIpMartianSrc, "ip_martian_src", "a source that cannot be: loopback, group, ours, a VIP")          \
  X(kIpMartianDst, "ip_martian_dst", "a multicast, broadcast, loopback or unspecified destination")    \
  X(kIpFrag, "ip_frag", "an IP fragment; they follow their flow in a later version")                   \
  X(kIp6Ext, "ip6_ext", "IPv6 extension headers that are malformed, too many or routing type 0")       \
  X(kL4Short, "l4_short", "the packet ends inside its TCP, UDP or ICMP header, or their length lies")  \
  X(kL4Csum, "l4_csum", "UDP over IPv6 without a checksum")                                            \
  X(kPortZero, "port_zero", "source or destination port 0")                                            \
  X(kTcpFlags, "tcp_flags", "SYN with FIN or RST, or none of SYN, ACK, RST")                           \
  X(kProto, "proto", "a protocol that Weir does not balance")                                          \
  X(kIcmpBad, "icmp_bad", "malformed ICMP or neighbour discovery")                                     \
  X(kIcmpError, "icmp_error", "an ICMP error; they follow their flow in a later version")              \
  X(kIcmpIgnored, "icmp_ignored", "ICMP or neighbour discovery that Weir neither answers nor carries") \
  X(kNoTwin, "no_twin", "for this box itself, and the interface has no twin")                          \
  X(kNoVip, "no_vip", "no VIP has this destination address, protocol and port")                        \
  X(kNoBackend, "no_backend", "the VIP has no backend that may take new flows")                        \
  X(kNoFlow, "no_flow", "from an endpoint, but of no known flow")                                      \
  X(kHairpin, "hairpin", "a backend reached itself through its VIP; needs source NAT")                 \
  X(kTupleClash, "tuple_clash", "same client port and same endpoint through two VIPs")                 \
  X(kRateLimit, "ratelimit", "an answer of Weir's own, over its token bucket")                         \
  X(kNoRoute, "no_route", "no route to the destination")                                               \
  X(kNeighUnresolved, "neigh_unresolved", "the next hop has no neighbour entry")                       \
  X(kMtu, "mtu", "larger than the MTU of the interface it leaves by")                                  \
  X(kTxFull, "tx_full", "the port took fewer packets than offered")                                    \
  X(kHandoverFull, "handover_full", "the ring to the worker it was to be handed over to was full")     \
  X(kPuntRouting, "punt_routing", "for the kernel as a routing protocol's, over that class's limit")   \
  X(kPuntBgp, "punt_bgp", "for the kernel as a BGP session's, over that class's limit")                \
  X(kPuntBgpNew, "punt_bgp_new", "for the kernel as a new BGP connection's, over that class's limit")  \
  X(kPuntNeighbor, "punt_neighbor", "for the kernel as a neighbour's answer, over that class's limit") \
  X(kPuntSolicit, "punt_solicit", "for the kernel as a question on the link, over that class's limit") \
  X(kPuntOwn, "punt_own", "for the kernel as an own address's, over that class's limit")               \
  X(kPuntTransit, "punt_transit", "for the kernel as transit, over that class's limit")                \
  X(kTwinFull, "twin_full", "the ring to the kernel was full: its side is behind")                     \
  X(kMbufAlloc, "mbuf_alloc", "no packet buffer left for a frame of the kernel's or of Weir's own")    \
  X(kInjectBad, "inject_bad", "a frame of the kernel's that is too short, too long, or of no interface")

// Not drops: what is worth counting besides.
#define LB_EVENTS(X)                                                                                             \
  X(kFlowNew, "flow_new", "flows opened by a client's first packet")                                             \
  X(kFlowAdopted, "flow_adopted", "flows adopted in mid-stream, from either side")                               \
  X(kFlowConfirmed, "flow_confirmed", "flows that both sides have taken part in")                                \
  X(kFlowExpired, "flow_expired", "flows forgotten after their idle time")                                       \
  X(kFlowOverwritten, "flow_overwritten", "unconfirmed flows overwritten in a full bucket")                      \
  X(kUntracked, "untracked", "packets forwarded by hash alone, because the flow table had no room")              \
  X(kAnsweredArp, "answered_arp", "ARP requests answered")                                                       \
  X(kAnsweredNd, "answered_nd", "neighbour solicitations answered")                                              \
  X(kAnsweredEcho, "answered_echo", "ICMP echo requests answered")                                               \
  X(kVipConflict, "vip_conflict", "ARP and neighbour advertisements by which others claim a VIP announced here") \
  X(kRefusedRst, "refused_rst", "packets refused with a TCP RST")                                                \
  X(kRefusedIcmp, "refused_icmp", "packets refused with an ICMP unreachable")                                    \
  X(kRefusedSilently, "refused_silently", "refusals not sent: `reject: drop`, a RST, or the token bucket")       \
  X(kHandedOver, "handed_over", "packets handed over to the worker that owns their flow")                        \
  X(kTakenOver, "taken_over", "packets that the worker took over from those that received them")                 \
  X(kHandedToSend, "handed_to_send", "finished packets handed to a worker with a transmit queue")                \
  X(kSteeringRefuted, "steering_refuted", "ports whose hardware hash a worker found wrong")                      \
  X(kPuntedRouting, "punted_routing", "packets of routing protocols and BFD given to the kernel")                \
  X(kPuntedBgp, "punted_bgp", "packets of BGP sessions given to the kernel")                                     \
  X(kPuntedBgpNew, "punted_bgp_new", "packets of new BGP connections given to the kernel")                       \
  X(kPuntedNeighbor, "punted_neighbor", "ARP replies and neighbour advertisements given to the kernel")          \
  X(kPuntedSolicit, "punted_solicit", "ARP requests, solicitations and the like given to the kernel")            \
  X(kPuntedOwn, "punted_own", "other packets for own addresses given to the kernel")                             \
  X(kPuntedTransit, "punted_transit", "packets for nobody here given to the kernel (`transit: kernel`)")         \
  X(kHeldSent, "held_sent", "packets sent after they had waited for a neighbour")

namespace detail {
struct Named {
  std::string_view name;
  std::string_view help;
};
}  // namespace detail

#define LB_ENUMERATOR(symbol, name, help) symbol,
#define LB_NAMED(symbol, name, help) {name, help},

enum class DropReason : std::uint8_t { LB_DROP_REASONS(LB_ENUMERATOR) };
inline constexpr auto kDropReasons = std::to_array<detail::Named>({LB_DROP_REASONS(LB_NAMED)});

enum class Event : std::uint8_t { LB_EVENTS(LB_ENUMERATOR) };
inline constexpr auto kEvents = std::to_array<detail::Named>({LB_EVENTS(LB_NAMED)});

#undef LB_ENUMERATOR
#undef LB_NAMED

[[nodiscard]] constexpr std::string_view name(DropReason r) noexcept {
  return kDropReasons[static_cast<std::size_t>(r)].name;
}
[[nodiscard]] constexpr std::string_view name(Event e) noexcept {
  return kEvents[static_cast<std::size_t>(e)].name;
}

}  // namespace weir::lb
