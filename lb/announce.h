// Announcements: frames that tell a segment where an address is, without having been asked.
//
// IPv4: an ARP announcement as RFC 5227 2.3 has it: a request by broadcast whose sender and target are the address.
// The request form alone: every host must look at requests (RFC 5227 section 3), and it is the form of VRRP too (RFC
// 5798 6.4.1), so that whatever heeds a router's fail-over heeds ours.
// IPv6: an unsolicited neighbour advertisement to all nodes with the override flag (RFC 4861 7.2.6).
//
// Neither makes an entry where there was none; both correct one that is wrong.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "lb/address.h"
#include "lb/answer.h"
#include "lb/headers.h"

namespace weir::lb {

/// A whole frame, from its Ethernet header on, without VLAN tag: who sends it on an interface puts that in.
struct Announcement {
  static constexpr std::size_t kMaxLength = sizeof(EthernetHeader) + kAdvertisementLength;
  std::array<std::uint8_t, kMaxLength> bytes{};
  std::size_t length = 0;

  [[nodiscard]] std::span<const std::uint8_t> frame() const noexcept { return {bytes.data(), length}; }
};
/// "`address` is at `mac`".
[[nodiscard]] Announcement announce(const Address& address, const MacAddress& mac) noexcept;

}  // namespace weir::lb
