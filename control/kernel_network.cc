#include "control/kernel_network.h"

#include <algorithm>
#include <array>

namespace weir::control {

namespace {

// To workers: where packets go, if anywhere. Ages and the steps between REACHABLE and PROBE are for people.
bool leads_elsewhere(const KernelNeighbor& a, const KernelNeighbor& b) {
  return a.is_usable() != b.is_usable() || (a.is_usable() && a.mac != b.mac);
}

}  // namespace

std::string_view name(NeighborState s) noexcept {
  constexpr std::array<std::string_view, 9> kNames = {"none",  "incomplete", "reachable", "stale",    "delay",
                                                      "probe", "failed",     "noarp",     "permanent"};
  return kNames[static_cast<std::size_t>(s)];
}

bool KernelNeighbor::is_usable() const noexcept {
  switch (state) {
    case NeighborState::kReachable:
    case NeighborState::kStale:
    case NeighborState::kDelay:
    case NeighborState::kProbe:
    case NeighborState::kNoArp:
    case NeighborState::kPermanent: return !mac.is_zero() && !mac.is_group();
    default: return false;
  }
}

const KernelLink* KernelNetwork::link(LinkIndex index) const noexcept {
  const auto it = std::ranges::find(links, index, &KernelLink::index);
  return it == links.end() ? nullptr : &*it;
}

KernelNetwork sorted(KernelNetwork network) {
  std::ranges::sort(network.links);
  std::ranges::sort(network.addresses);
  std::ranges::sort(network.routes);
  std::ranges::sort(network.neighbors, {}, &KernelNeighbor::key);
  return network;
}

KernelChanges difference(const KernelNetwork& from, const KernelNetwork& to) {
  KernelChanges changes{.in_links = from.links != to.links,
                        .in_addresses = from.addresses != to.addresses,
                        .in_routes = from.routes != to.routes,
                        .neighbors = {}};
  const auto gone = [&](const KernelNeighbor& n) {
    if (n.is_usable()) changes.neighbors.push_back({.link = n.link, .address = n.address});
  };
  auto before = from.neighbors.begin();
  for (const KernelNeighbor& now : to.neighbors) {
    for (; before != from.neighbors.end() && before->key() < now.key(); ++before) gone(*before);
    const bool was_there = before != from.neighbors.end() && before->key() == now.key();
    if (was_there ? leads_elsewhere(*before, now) : now.is_usable()) changes.neighbors.push_back(now);
    if (was_there) ++before;
  }
  std::for_each(before, from.neighbors.end(), gone);
  return changes;
}

}  // namespace weir::control
