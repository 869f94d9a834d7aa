// The Internet checksum (RFC 1071), from scratch and by difference (RFC 1624).
//
// A one's-complement sum does not mind the byte order it is taken in (RFC 1071 2(B)): we add words as the machine
// loads them, never swap, and what comes out lies in network order. Nor does it mind the word size: since 2^16 = 1
// modulo 0xffff, 32- and 64-bit words add up to the same once folded. The full sum takes 8 bytes a step.
//
// A balancer changes an address, a port, a TTL. It then updates the checksum by that difference and never computes
// it anew: a payload that arrived damaged must leave with a checksum that still says so.
//
// Zero has two faces here, 0x0000 and 0xffff. Equation 3 (not 1141's) keeps the face that a fresh computation
// gives; for UDP, where 0x0000 means "none", see ChecksumDelta::apply_udp().
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "lb/address.h"
#include "lb/byte_order.h"

namespace weir::lb {

namespace detail {

constexpr std::uint16_t fold_sum(std::uint64_t sum) noexcept {
  sum = (sum & 0xffffffff) + (sum >> 32);  // at most 33 bits
  sum = (sum & 0xffff) + (sum >> 16);      // at most 18
  sum = (sum & 0xffff) + (sum >> 16);      // at most 17
  return static_cast<std::uint16_t>((sum & 0xffff) + (sum >> 16));
}

/// Adds with the carry brought round.
constexpr std::uint64_t add_sums(std::uint64_t a, std::uint64_t b) noexcept {
  const std::uint64_t sum = a + b;
  return sum + (sum < b ? 1 : 0);
}

template <class T>
constexpr T load_raw(const std::uint8_t* p) noexcept {
  T v = 0;
  if consteval {
    for (std::size_t i = 0; i < sizeof(T); ++i) v = static_cast<T>(v | T{p[i]} << (8 * i));
  } else {
    std::memcpy(&v, p, sizeof v);
  }
  return v;
}

}  // namespace detail

/// A running one's-complement sum, for what is checksummed in parts (a pseudo-header, then a segment).
class InternetSum {
 public:
  /// Any length and alignment. Bytes are paired from the start of *this* span: only the last part may be odd.
  constexpr InternetSum& add(std::span<const std::uint8_t> bytes) noexcept {
    const std::uint8_t* p = bytes.data();
    std::size_t left = bytes.size();
    std::uint64_t other = 0;  // two chains of carries run side by side
    for (; left >= 16; left -= 16, p += 16) {
      sum_ = detail::add_sums(sum_, detail::load_raw<std::uint64_t>(p));
      other = detail::add_sums(other, detail::load_raw<std::uint64_t>(p + 8));
    }
    sum_ = detail::add_sums(sum_, other);
    if (left >= 8) add_raw(detail::load_raw<std::uint64_t>(p)), left -= 8, p += 8;
    if (left >= 4) add_raw(detail::load_raw<std::uint32_t>(p)), left -= 4, p += 4;
    if (left >= 2) add_raw(detail::load_raw<std::uint16_t>(p)), left -= 2, p += 2;
    if (left == 1) add_raw(*p);  // RFC 1071: padded with a zero on the right, which is the high byte as loaded
    return *this;
  }
  constexpr InternetSum& add(be16 word) noexcept { return add_raw(word.raw()); }
  constexpr InternetSum& add(be32 word) noexcept { return add_raw(word.raw()); }
  /// 4 bytes of an IPv4 address, 16 of an IPv6 one.
  constexpr InternetSum& add(const Address& a) noexcept {
    return a.is_v4() ? add(a.to_v4()) : add(std::span<const std::uint8_t>(a.bytes));
  }

  /// The value to send: the complement of the sum. 0 means that what was added is intact, if its own checksum
  /// field was among it.
  [[nodiscard]] constexpr be16 checksum() const noexcept {
    return be16::from_raw(static_cast<std::uint16_t>(~detail::fold_sum(sum_)));
  }

 private:
  constexpr InternetSum& add_raw(std::uint64_t word) noexcept {
    sum_ = detail::add_sums(sum_, word);
    return *this;
  }

  std::uint64_t sum_ = 0;
};

/// The checksum of `bytes`, whose checksum field is 0; or 0 if the field is filled in and right.
[[nodiscard]] constexpr be16 internet_checksum(std::span<const std::uint8_t> bytes) noexcept {
  return InternetSum().add(bytes).checksum();
}

/// RFC 9293 3.1 (IPv4). `l4_bytes` is the length of the L4 header and its payload.
[[nodiscard]] constexpr InternetSum pseudo_header_sum(be32 source, be32 destination, Protocol protocol,
                                                      std::uint16_t l4_bytes) noexcept {
  return InternetSum()
      .add(source)
      .add(destination)
      .add(be16::from_host(static_cast<std::uint16_t>(protocol)))
      .add(be16::from_host(l4_bytes));
}

/// RFC 8200 8.1 for IPv6, RFC 9293 3.1 for IPv4; both addresses are of one family. With routing headers the
/// destination is the last one.
[[nodiscard]] constexpr InternetSum pseudo_header_sum(const Address& source, const Address& destination,
                                                      Protocol protocol, std::uint32_t l4_bytes) noexcept {
  return InternetSum()
      .add(source)
      .add(destination)
      .add(be16::from_host(static_cast<std::uint16_t>(protocol)))
      .add(be32::from_host(l4_bytes));
}

/// What a set of field changes does to a checksum, gathered once and applied to as many as carry it (a DNAT rewrite
/// changes the address for the IP header, and address and port for TCP).
/// A field changes at an even offset from where its checksum starts to count; all fields we rewrite do.
class ChecksumDelta {
 public:
  constexpr ChecksumDelta& change(be16 from, be16 to) noexcept {
    sum_ += std::uint64_t{static_cast<std::uint16_t>(~from.raw())} + to.raw();
    return *this;
  }
  constexpr ChecksumDelta& change(be32 from, be32 to) noexcept {
    sum_ += std::uint64_t{~from.raw()} + to.raw();
    return *this;
  }
  /// 4 bytes between IPv4 addresses, 16 between IPv6 ones; both are of one family.
  constexpr ChecksumDelta& change(const Address& from, const Address& to) noexcept {
    // The mapped prefix of IPv4 is the same on both sides and cancels out: no branch on the family.
    for (std::size_t i = 0; i < 16; i += 4)
      sum_ += std::uint64_t{~detail::load_raw<std::uint32_t>(&from.bytes[i])} +
              detail::load_raw<std::uint32_t>(&to.bytes[i]);
    return *this;
  }

  /// RFC 1624 eq. 3: HC' = ~(~HC + ~m + m'). For IPv4 headers, TCP and ICMP.
  [[nodiscard]] constexpr be16 apply(be16 checksum) const noexcept {
    const std::uint64_t sum = sum_ + static_cast<std::uint16_t>(~checksum.raw());
    return be16::from_raw(static_cast<std::uint16_t>(~detail::fold_sum(sum)));
  }
  /// RFC 768: 0 means that the sender computed none, and stays; a sum that comes to 0 is sent as 0xffff.
  [[nodiscard]] constexpr be16 apply_udp(be16 checksum) const noexcept {
    if (checksum.raw() == 0) return checksum;
    const be16 updated = apply(checksum);
    return updated.raw() == 0 ? be16::from_raw(0xffff) : updated;
  }

 private:
  std::uint64_t sum_ = 0;  // cannot overflow: a change adds at most 2^35
};

/// One field's change. All arguments are as they lie on the wire. RFC 1624 eq. 3; not for UDP, see ChecksumDelta.
[[nodiscard]] constexpr be16 checksum_update(be16 old_sum, be16 old_field, be16 new_field) noexcept {
  return ChecksumDelta().change(old_field, new_field).apply(old_sum);
}
[[nodiscard]] constexpr be16 checksum_update(be16 old_sum, be32 old_field, be32 new_field) noexcept {
  return ChecksumDelta().change(old_field, new_field).apply(old_sum);
}
[[nodiscard]] constexpr be16 checksum_update(be16 old_sum, const Address& old_field,
                                             const Address& new_field) noexcept {
  return ChecksumDelta().change(old_field, new_field).apply(old_sum);
}

}  // namespace weir::lb
