#include "lb/address.h"

#include <arpa/inet.h>

#include <charconv>
#include <cstdio>

namespace weir::lb {

namespace {

constexpr std::size_t kLongestText = 45;  // INET6_ADDRSTRLEN without its NUL

/// Bit length of the family's addresses, and where they begin in Address::bytes.
struct Extent {
  std::uint8_t bits;
  std::size_t first_byte;
};

Extent extent(const Address& a) {
  return a.is_v4() ? Extent{32, 12} : Extent{128, 0};
}

}  // namespace

std::string_view name(Protocol p) noexcept {
  switch (p) {
    case Protocol::kIcmp: return "icmp";
    case Protocol::kTcp: return "tcp";
    case Protocol::kUdp: return "udp";
    case Protocol::kIcmp6: return "icmp6";
  }
  return "unknown";
}

bool Address::is_unspecified() const noexcept {
  return is_v4() ? to_v4().raw() == 0 : *this == Address{};
}

bool Address::is_loopback() const noexcept {
  if (is_v4()) return bytes[12] == 127;
  Address one;
  one.bytes[15] = 1;
  return *this == one;
}

bool Address::is_multicast() const noexcept {
  return is_v4() ? (bytes[12] & 0xf0) == 0xe0 : bytes[0] == 0xff;
}

bool Address::is_link_local_v6() const noexcept {
  return bytes[0] == 0xfe && (bytes[1] & 0xc0) == 0x80;
}

std::optional<Address> parse_address(std::string_view text) {
  if (text.empty() || text.size() > kLongestText) return std::nullopt;
  const std::string s(text);
  if (s.size() != std::strlen(s.c_str())) return std::nullopt;  // an embedded NUL
  std::uint32_t raw4 = 0;
  if (inet_pton(AF_INET, s.c_str(), &raw4) == 1) return Address::v4(be32::from_raw(raw4));
  Address a;
  if (inet_pton(AF_INET6, s.c_str(), a.bytes.data()) != 1 || a.is_v4()) return std::nullopt;
  return a;
}

std::string to_string(const Address& a) {
  char text[INET6_ADDRSTRLEN];
  if (a.is_v4()) {
    inet_ntop(AF_INET, a.bytes.data() + 12, text, sizeof text);
  } else {
    inet_ntop(AF_INET6, a.bytes.data(), text, sizeof text);
  }
  return text;
}

std::string to_string(const Address& a, std::uint16_t port) {
  const std::string p = std::to_string(port);
  return a.is_v4() ? to_string(a) + ":" + p : "[" + to_string(a) + "]:" + p;
}

std::optional<SocketAddress> parse_socket_address(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  std::string_view host = text.substr(0, colon);
  const bool is_bracketed = host.size() >= 2 && host.front() == '[' && host.back() == ']';
  if (is_bracketed) host = host.substr(1, host.size() - 2);
  const auto address = parse_address(host);
  if (!address || address->is_v4() == is_bracketed) return std::nullopt;

  const std::string_view digits = text.substr(colon + 1);
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (error != std::errc{} || end != digits.data() + digits.size() || port == 0) return std::nullopt;
  return SocketAddress{*address, port};
}

Address Prefix::network() const noexcept {
  Address n = address;
  const auto [bits, first] = extent(address);
  for (std::size_t i = first; i < 16; ++i) {
    const int kept = int{length} - static_cast<int>((i - first) * 8);
    if (kept >= 8) continue;
    n.bytes[i] = kept <= 0 ? std::uint8_t{0} : static_cast<std::uint8_t>(n.bytes[i] & (0xff << (8 - kept)));
  }
  return n;
}

bool Prefix::contains(const Address& a) const noexcept {
  return a.is_v4() == address.is_v4() && Prefix{a, length}.network() == network();
}

std::optional<Prefix> parse_prefix(std::string_view text) {
  const auto slash = text.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const auto address = parse_address(text.substr(0, slash));
  const std::string_view digits = text.substr(slash + 1);
  unsigned length = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), length);
  if (!address || error != std::errc{} || end != digits.data() + digits.size() || digits.size() > 3)
    return std::nullopt;
  if (length > extent(*address).bits) return std::nullopt;
  return Prefix{*address, static_cast<std::uint8_t>(length)};
}

std::string to_string(const Prefix& p) {
  return to_string(p.address) + "/" + std::to_string(p.length);
}

std::optional<MacAddress> parse_mac(std::string_view text) {
  if (text.size() != 17) return std::nullopt;
  MacAddress m;
  for (std::size_t i = 0; i < 6; ++i) {
    const char* at = text.data() + i * 3;
    const auto [end, error] = std::from_chars(at, at + 2, m.bytes[i], 16);
    if (error != std::errc{} || end != at + 2 || (i < 5 && at[2] != ':')) return std::nullopt;
  }
  return m;
}

std::string to_string(const MacAddress& m) {
  char text[18];
  std::snprintf(text, sizeof text, "%02x:%02x:%02x:%02x:%02x:%02x", m.bytes[0], m.bytes[1], m.bytes[2], m.bytes[3],
                m.bytes[4], m.bytes[5]);
  return text;
}

}  // namespace weir::lb
