// Addresses, prefixes and MAC addresses, with their text forms.
//
// An Address is always 16 bytes: IPv6 as it is, IPv4 in the mapped form ::ffff:a.b.c.d (RFC 4291 2.5.5.2). One
// form makes one key type and one comparison; a mapped address never arrives as IPv6 from outside, because the
// packet path drops it as a martian and the configuration refuses it.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <cstring>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "lb/byte_order.h"

namespace weir::lb {

enum class Family : std::uint8_t { kIpv4 = 4, kIpv6 = 6 };

[[nodiscard]] constexpr std::string_view name(Family f) noexcept {
  return f == Family::kIpv4 ? "IPv4" : "IPv6";
}

/// IANA protocol numbers of what Weir reads.
enum class Protocol : std::uint8_t { kIcmp = 1, kTcp = 6, kUdp = 17, kIcmp6 = 58 };

/// "tcp", "udp", "icmp", "icmp6".
[[nodiscard]] std::string_view name(Protocol p) noexcept;

struct Address {
  std::array<std::uint8_t, 16> bytes{};

  [[nodiscard]] static constexpr Address v4(be32 a) noexcept {
    const std::uint32_t h = a.host();
    return Address{{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, std::uint8_t(h >> 24), std::uint8_t(h >> 16),
                    std::uint8_t(h >> 8), std::uint8_t(h)}};
  }
  /// `p` points at 16 readable bytes in network order.
  [[nodiscard]] static Address v6(const void* p) noexcept {
    Address a;
    std::memcpy(a.bytes.data(), p, 16);
    return a;
  }

  [[nodiscard]] constexpr bool is_v4() const noexcept {
    for (int i = 0; i < 10; ++i)
      if (bytes[static_cast<std::size_t>(i)] != 0) return false;
    return bytes[10] == 0xff && bytes[11] == 0xff;
  }
  [[nodiscard]] constexpr Family family() const noexcept { return is_v4() ? Family::kIpv4 : Family::kIpv6; }
  /// The IPv4 address; meaningful only if is_v4().
  [[nodiscard]] constexpr be32 to_v4() const noexcept {
    return be32::from_host(std::uint32_t{bytes[12]} << 24 | std::uint32_t{bytes[13]} << 16 |
                           std::uint32_t{bytes[14]} << 8 | bytes[15]);
  }
  /// 0.0.0.0 or ::
  [[nodiscard]] bool is_unspecified() const noexcept;
  [[nodiscard]] bool is_loopback() const noexcept;
  /// 224.0.0.0/4 or ff00::/8.
  [[nodiscard]] bool is_multicast() const noexcept;
  /// fe80::/10; false for IPv4.
  [[nodiscard]] bool is_link_local_v6() const noexcept;

  constexpr auto operator<=>(const Address&) const noexcept = default;
};

/// Accepts dotted quads (no leading zeros, four parts) and RFC 4291 text; refuses IPv4-mapped IPv6 text and zones.
[[nodiscard]] std::optional<Address> parse_address(std::string_view text);
[[nodiscard]] std::string to_string(const Address& a);
/// "10.0.0.5:8080" or "[fd00::5]:8080".
[[nodiscard]] std::string to_string(const Address& a, std::uint16_t port);

struct SocketAddress {
  Address address;
  std::uint16_t port = 0;  // host order
  constexpr bool operator==(const SocketAddress&) const noexcept = default;
};

/// "192.0.2.7:40000" or "[2001:db8::7]:40000": the port is required, 1 to 65535; IPv6 stands in brackets.
[[nodiscard]] std::optional<SocketAddress> parse_socket_address(std::string_view text);

/// An address with a length in bits: 0 to 32 for IPv4, 0 to 128 for IPv6. Host bits may be set (an interface's
/// own address with its subnet); network() clears them.
struct Prefix {
  Address address;
  std::uint8_t length = 0;

  [[nodiscard]] Address network() const noexcept;
  [[nodiscard]] bool contains(const Address& a) const noexcept;
  constexpr auto operator<=>(const Prefix&) const noexcept = default;
};

/// "10.0.0.0/8"; the length is required.
[[nodiscard]] std::optional<Prefix> parse_prefix(std::string_view text);
[[nodiscard]] std::string to_string(const Prefix& p);

struct MacAddress {
  std::array<std::uint8_t, 6> bytes{};

  [[nodiscard]] constexpr bool is_group() const noexcept { return (bytes[0] & 1) != 0; }
  [[nodiscard]] constexpr bool is_zero() const noexcept { return *this == MacAddress{}; }
  [[nodiscard]] static constexpr MacAddress broadcast() noexcept { return {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}}; }
  constexpr auto operator<=>(const MacAddress&) const noexcept = default;
};

/// Six pairs of hex digits joined by colons.
[[nodiscard]] std::optional<MacAddress> parse_mac(std::string_view text);
[[nodiscard]] std::string to_string(const MacAddress& m);

}  // namespace weir::lb

template <>
struct std::hash<weir::lb::Address> {
  std::size_t operator()(const weir::lb::Address& a) const noexcept {
    std::uint64_t w[2];
    std::memcpy(w, a.bytes.data(), 16);
    return static_cast<std::size_t>((w[0] ^ (w[1] * 0x9e3779b97f4a7c15ULL)) * 0xff51afd7ed558ccdULL >> 7);
  }
};
