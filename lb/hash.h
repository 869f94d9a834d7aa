// The keyed hashes. SipHash-1-3 (Aumasson, Bernstein 2012) with a 128-bit key: an outsider who does not know the
// key cannot choose flows that fall into one bucket or on one backend. CRC32 is not an option: 65,536 client
// sockets collide with any chosen one under every seed.
//
// Two keys exist, and they are never the same. The *selection key* is `hash_key` of weir.yaml and equal on all
// boxes of a group; it decides which backend a flow gets. The *table key* is random, made at start, and decides
// which bucket a flow lies in.
#pragma once

#include <bit>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string_view>

namespace weir::lb {

/// 128 bits of key, as two little-endian words.
struct HashKey {
  std::uint64_t k0 = 0;
  std::uint64_t k1 = 0;
  constexpr bool operator==(const HashKey&) const noexcept = default;
};

/// Used when weir.yaml has no hash_key. Public, so anyone can aim flows at one backend: `weir run` warns.
inline constexpr HashKey kPublicHashKey{0x5765697220646566ULL, 0x61756c74206b6579ULL};

/// 32 hex digits, as `weir keygen` prints them; none if it is anything else.
[[nodiscard]] std::optional<HashKey> parse_hash_key(std::string_view hex);

namespace detail {

struct SipState {
  std::uint64_t v0, v1, v2, v3;

  constexpr explicit SipState(const HashKey& k) noexcept
      : v0(k.k0 ^ 0x736f6d6570736575ULL),
        v1(k.k1 ^ 0x646f72616e646f6dULL),
        v2(k.k0 ^ 0x6c7967656e657261ULL),
        v3(k.k1 ^ 0x7465646279746573ULL) {}

  constexpr void round() noexcept {
    v0 += v1, v1 = std::rotl(v1, 13), v1 ^= v0, v0 = std::rotl(v0, 32);
    v2 += v3, v3 = std::rotl(v3, 16), v3 ^= v2;
    v0 += v3, v3 = std::rotl(v3, 21), v3 ^= v0;
    v2 += v1, v1 = std::rotl(v1, 17), v1 ^= v2, v2 = std::rotl(v2, 32);
  }
  constexpr void absorb(std::uint64_t m) noexcept { v3 ^= m, round(), v0 ^= m; }
  constexpr std::uint64_t finish() noexcept {
    v2 ^= 0xff;
    round(), round(), round();
    return v0 ^ v1 ^ v2 ^ v3;
  }
};

}  // namespace detail

/// SipHash-1-3 of one, two or more 64-bit words. Equal to SipHash-1-3 over the words' little-endian bytes: the
/// last block carries the length, as in the paper, section 2.2.
template <class... Words>
[[nodiscard]] constexpr std::uint64_t sip_hash(const HashKey& key, Words... words) noexcept {
  detail::SipState s(key);
  (s.absorb(words), ...);
  s.absorb(std::uint64_t{sizeof...(Words) * 8} << 56);
  return s.finish();
}

/// Maps a hash to [0, n) by multiply-shift: no division, any n (Lemire, "Fast random integer generation", 2019).
[[nodiscard]] constexpr std::uint32_t reduce(std::uint64_t hash, std::uint32_t n) noexcept {
  return static_cast<std::uint32_t>((hash >> 32) * n >> 32);
}

}  // namespace weir::lb
