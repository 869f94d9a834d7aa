// What a worker shares with the threads beside it: rings of copies, single producer and single consumer each, so that
// nobody ever waits for a worker and no worker for anybody.
//
//   to_twin       worker -> twin     frames for the kernel, without VLAN tag
//   from_twin     twin -> worker     the kernel's frames, to be sent as they are on the interface's port
//   from_control  control -> worker  frames that control has made (announcements), to be sent likewise
//   wanted        worker -> control  next hops that a packet waits for
//   claims        worker -> control  who else says that a VIP is theirs
#pragma once

#include <cstdint>
#include <memory>
#include <utility>

#include "dataplane/frame_ring.h"
#include "lb/address.h"
#include "lb/ids.h"

namespace weir::dataplane {

/// The interface that the frame came in on, or that it leaves by.
struct FrameOf {
  lb::InterfaceId interface{};
};
using InterfaceRing = FrameRing<FrameOf>;

/// Somebody has a packet for this next hop, which has no MAC. If the next hop has no address (it stands for a whole
/// connected subnet), `destination` is the neighbour to be resolved; else it is what lies behind the next hop.
struct Wanted {
  lb::NextHopId next_hop{};
  lb::InterfaceId interface{};
  lb::Address destination;
};
/// Its frames are empty.
using WantedRing = FrameRing<Wanted>;

/// Somebody else says that a VIP announced on this interface is theirs.
struct VipClaim {
  lb::Address address;
  lb::InterfaceId interface{};
  lb::MacAddress mac;
};
/// Its frames are empty.
using ClaimRing = FrameRing<VipClaim>;

struct SideRings {
  std::unique_ptr<InterfaceRing> to_twin, from_twin, from_control;
  std::unique_ptr<WantedRing> wanted;
  std::unique_ptr<ClaimRing> claims;

  /// Pages are committed on touch, so that rings which nobody uses cost nothing.
  [[nodiscard]] static lb::Result<SideRings> create() {
    // 1 MiB: a thousand small frames for each millisecond that the other side may be late by, ten times over.
    constexpr std::size_t kFrames = std::size_t{1} << 20;
    constexpr std::size_t kWanted = std::size_t{1} << 16;
    SideRings rings;
    for (auto* ring : {&rings.to_twin, &rings.from_twin, &rings.from_control}) {
      auto made = InterfaceRing::create(kFrames, "a ring between a worker and the kernel");
      if (!made) return std::unexpected(made.error());
      *ring = std::move(*made);
    }
    auto wanted = WantedRing::create(kWanted, "a ring of next hops to resolve");
    if (!wanted) return std::unexpected(wanted.error());
    rings.wanted = std::move(*wanted);
    auto claims = ClaimRing::create(kWanted, "a ring of claims to VIPs");
    if (!claims) return std::unexpected(claims.error());
    rings.claims = std::move(*claims);
    return rings;
  }
};

}  // namespace weir::dataplane
