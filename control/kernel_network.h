// What the kernel knows about the interfaces that have a twin: their links, addresses, routes and neighbours.
//
// A value, with no netlink in it: control/kernel_state.h keeps the next one as messages arrive, and what is here goes
// into the compiler beside the file (control/overlay.h), to `weir show` and to `weir trace`.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "lb/address.h"

namespace weir::control {

/// The kernel's number of a twin's TAP device; a rename leaves it as it is.
enum class LinkIndex : std::uint32_t { kNone = 0 };

struct KernelLink {
  LinkIndex index{};
  std::string interface;  // in weir.yaml, which is also the twin's name unless somebody renamed that
  std::string name;       // what `ip link` says; empty: the twin is gone
  std::uint16_t mtu = 0;
  bool is_up = false;  // by `ip link set up`
  bool has_carrier = false;
  auto operator<=>(const KernelLink&) const noexcept = default;
};

struct KernelAddress {
  LinkIndex link{};
  lb::Prefix prefix;  // own address with its subnet's length
  constexpr auto operator<=>(const KernelAddress&) const noexcept = default;
};

struct KernelRoute {
  lb::Prefix to;
  std::uint32_t metric = 0;   // of routes to the same prefix the lowest counts
  LinkIndex link{};           // none: the kernel refuses what goes there (blackhole, unreachable, prohibit)
  lb::Address via;            // unspecified: on-link
  std::uint8_t protocol = 0;  // RTPROT_*: who made it
  bool is_partial = false;    // one of several ways that the kernel has
  constexpr auto operator<=>(const KernelRoute&) const noexcept = default;
};

/// The kernel's NUD states; those of one bit each, since no neighbour has two.
enum class NeighborState : std::uint8_t {
  kNone,
  kIncomplete,
  kReachable,
  kStale,
  kDelay,
  kProbe,
  kFailed,
  kNoArp,
  kPermanent
};
[[nodiscard]] std::string_view name(NeighborState s) noexcept;

struct KernelNeighbor {
  LinkIndex link{};
  lb::Address address;
  lb::MacAddress mac;  // zero: unknown
  NeighborState state{};
  std::chrono::steady_clock::time_point confirmed;  // when it last proved to be there; compared by nobody

  /// Packets may go there. STALE counts, as it does for the kernel, which asks again while using it.
  [[nodiscard]] bool is_usable() const noexcept;
  [[nodiscard]] std::pair<LinkIndex, lb::Address> key() const noexcept { return {link, address}; }
};

/// Sorted by what is named first in each, when it comes from sorted().
struct KernelNetwork {
  std::vector<KernelLink> links;
  std::vector<KernelAddress> addresses;
  std::vector<KernelRoute> routes;        // several to one prefix stand in the order of their metrics
  std::vector<KernelNeighbor> neighbors;  // of every state

  /// Null if it is no twin's.
  [[nodiscard]] const KernelLink* link(LinkIndex index) const noexcept;
};

/// The same, in order, so that equal networks are equal values. For a thread that has 10 ms: 100,000 routes take that.
[[nodiscard]] KernelNetwork sorted(KernelNetwork network);

/// What differs between two sorted networks, by what it takes to follow it: links, addresses and routes take a new
/// generation, a neighbour's MAC a store.
struct KernelChanges {
  bool in_links = false;
  bool in_addresses = false;
  bool in_routes = false;
  std::vector<KernelNeighbor> neighbors;  // new, or another MAC or usability; one that is gone is in state kNone

  [[nodiscard]] bool need_generation() const noexcept { return in_links || in_addresses || in_routes; }
};
[[nodiscard]] KernelChanges difference(const KernelNetwork& from, const KernelNetwork& to);

}  // namespace weir::control
