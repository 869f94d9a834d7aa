// Maglev tables (Eisenbud et al., "Maglev: A Fast and Reliable Software Network Load Balancer", NSDI 2016, §3.4),
// with weights.
//
// A table maps a flow's hash to a backend by one load, and two boxes that know the same backends build the same
// table. Each member owns a permutation of the entries and takes turns to claim the next entry on it that is still
// free. Both parts depend on nothing but the members themselves:
//   permutation  (address, port), hashed under a fixed key. Not the weight: nudging it would move everything. Not
//                the name or the place in the file.
//   turns        turn k = 1, 2, ... of a member of weight w comes at time k/w; equal times go by (address, port).
//                No normaliser: dividing by the greatest weight instead moves 0.2 to 0.8 % of the entries whenever
//                a nudge makes a new greatest weight; here a nudge by 1 or 2 % moves 0.04 to 0.16 % of 65,537.
// A member so light that its share is under one entry may get none.
//
// The size decides every entry, so it must change rarely: it follows the number of *listed* backends, in three
// steps far apart, never their health or weights.
#pragma once

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "lb/address.h"
#include "lb/hash.h"

namespace weir::lb {

struct MaglevMember {
  Address address;
  std::uint16_t port = 0;
  std::uint16_t weight = 1;  // 0: draining, takes no entry
  constexpr bool operator==(const MaglevMember&) const noexcept = default;
};

/// Immutable once built; shared between snapshots for as long as its members stay.
class MaglevTable {
 public:
  MaglevTable() = default;
  /// Each entry is a position among the members that the table was built from.
  explicit MaglevTable(std::vector<std::uint16_t> entries) : entries_(std::move(entries)) {}

  /// True if no member had a weight; then there is nothing to look up.
  [[nodiscard]] bool empty() const noexcept { return entries_.empty(); }
  [[nodiscard]] std::uint32_t size() const noexcept { return static_cast<std::uint32_t>(entries_.size()); }
  [[nodiscard]] std::span<const std::uint16_t> entries() const noexcept { return entries_; }

  /// The member's position for a flow's hash under the selection key. Not on an empty table.
  [[nodiscard]] std::uint16_t lookup(std::uint64_t hash) const noexcept { return entries_[reduce(hash, size())]; }

  bool operator==(const MaglevTable&) const noexcept = default;

 private:
  std::vector<std::uint16_t> entries_;
};

/// Most members of one table: entries are 16 bits.
inline constexpr std::size_t kMaxMaglevMembers = 65536;

/// Builds the table of `size` entries, a prime (config/check.h refuses others: a member's steps would not reach
/// every entry). No two members share address and port. Empty if no member has a weight.
/// 65,537 entries and 100 members: 1.3 ms, mixed weights 1.5 ms (bench/lb/maglev_bench.cc, x86-64-v3, g++ 12).
[[nodiscard]] MaglevTable build_maglev(std::span<const MaglevMember> members, std::uint32_t size);

/// 4,099 up to 40 listed backends, 65,537 up to 650, 655,373 above: at least 100 entries each, so that shares are
/// within 1 %, up to 6,500 backends.
[[nodiscard]] constexpr std::uint32_t default_maglev_size(std::size_t listed_backends) noexcept {
  return listed_backends <= 40 ? 4'099 : listed_backends <= 650 ? 65'537 : 655'373;
}

[[nodiscard]] constexpr bool is_prime(std::uint32_t n) noexcept {
  for (std::uint32_t d = 2; std::uint64_t{d} * d <= n; ++d)
    if (n % d == 0) return false;
  return n >= 2;
}
static_assert(is_prime(default_maglev_size(1)) && is_prime(default_maglev_size(41)) &&
              is_prime(default_maglev_size(651)));

}  // namespace weir::lb
