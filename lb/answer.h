// The packets Weir makes itself, each from the packet that asked for it: ARP and ND replies, echo replies, TCP RST,
// ICMP port unreachable. All write in place, over the frame that came in; who calls makes room first (the sizes are
// given) and sends the frame back to the MAC it came from.
//
// Rates are the caller's business (lb/token_bucket.h), and so is whether to answer at all.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "lb/headers.h"
#include "lb/parse.h"

namespace weir::lb {

/// TTL or hop limit of what Weir makes; ND uses 255 (RFC 4861 7.1).
inline constexpr std::uint8_t kOwnTtl = 64;

/// An ICMP error is at most this long in all, from its IP header on (RFC 1812 4.3.2.3; RFC 4443 2.4(c)).
inline constexpr std::size_t kMaxIcmpError = 576;
inline constexpr std::size_t kMaxIcmp6Error = 1280;

/// What an ARP packet is (RFC 826). `arp` runs to the end of the frame; `target` is set for a request.
enum class ArpKind : std::uint8_t { kRequest, kOther, kBad };
[[nodiscard]] ArpKind read_arp(std::span<const std::uint8_t> arp, Address& target) noexcept;

/// What somebody says of an address, asked or not.
struct Claim {
  Address address;
  MacAddress mac;
};
/// The sender of an ARP packet that read_arp() does not call bad. None: a probe, which claims nothing (RFC 5227 2.1.1).
[[nodiscard]] std::optional<Claim> read_arp_claim(std::span<const std::uint8_t> arp) noexcept;

/// Turns a request into the reply "target is at mac". `arp` points at the ArpPacket.
void write_arp_reply(std::uint8_t* arp, const MacAddress& mac) noexcept;

/// A neighbour solicitation that passes every check of RFC 4861 7.1.1.
struct Solicitation {
  Address target;
  bool is_dad = false;  // from the unspecified address: duplicate address detection
};
[[nodiscard]] std::optional<Solicitation> read_solicitation(std::span<const std::uint8_t> frame,
                                                            const Packet& packet) noexcept;

/// The target of a neighbour advertisement that passes every check of RFC 4861 7.1.2. `sender`, the frame's, is its
/// MAC where the advertisement gives none.
[[nodiscard]] std::optional<Claim> read_advertisement(std::span<const std::uint8_t> frame, const Packet& packet,
                                                      const MacAddress& sender) noexcept;

/// Length of an advertisement from its IPv6 header on.
inline constexpr std::size_t kAdvertisementLength =
    sizeof(Ipv6Header) + sizeof(NeighborMessage) + sizeof(LinkLayerOption);
/// Writes kAdvertisementLength bytes at `ip` (RFC 4861 7.2.4): from `s.target`, to the asker, or to all nodes if it
/// was duplicate address detection.
void write_advertisement(std::uint8_t* ip, const Solicitation& s, const Address& asker, const MacAddress& mac) noexcept;
/// The MAC to send it to in that last case (RFC 2464 7).
inline constexpr MacAddress kAllNodesMac{{0x33, 0x33, 0, 0, 0, 1}};

/// Turns an echo request into its reply, data and length unchanged; RFC 792, RFC 4443 4.2.
void write_echo_reply(std::uint8_t* frame, const Packet& packet) noexcept;

/// Length of a RST from its IP header on.
[[nodiscard]] constexpr std::size_t rst_length(bool is_v4) noexcept {
  return (is_v4 ? sizeof(Ipv4Header) : sizeof(Ipv6Header)) + sizeof(TcpHeader);
}
/// Writes rst_length() bytes at the packet's IP header; sequence numbers by RFC 9293 3.10.7.1. Never in answer to a
/// RST. Fits: no TCP packet is shorter.
void write_rst(std::uint8_t* frame, const Packet& packet) noexcept;

/// Bytes that an unreachable error puts in front of the packet it quotes.
[[nodiscard]] constexpr std::size_t unreachable_overhead(bool is_v4) noexcept {
  return (is_v4 ? sizeof(Ipv4Header) : sizeof(Ipv6Header)) + sizeof(IcmpHeader);
}
/// Length of the error from its IP header on, quoting as much of the packet as may be and as fits `mtu`.
[[nodiscard]] std::size_t unreachable_length(const Packet& packet, std::size_t mtu) noexcept;
/// Writes the headers of a port-unreachable error in the unreachable_overhead() bytes at `ip`, behind which the
/// quoted packet already stands: from the quoted destination (the VIP) to its source. `length`: unreachable_length().
void write_port_unreachable(std::uint8_t* ip, const Packet& packet, std::size_t length) noexcept;

}  // namespace weir::lb
