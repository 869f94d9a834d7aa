#include "control/kernel_state.h"

#include <algorithm>

namespace weir::control {

KernelState::KernelState(const std::map<LinkIndex, std::string>& twins) {
  for (const auto& [index, interface] : twins) links_[index] = {.index = index, .interface = interface};
}

KernelState::Effect KernelState::apply(const KernelMessage& message, bool is_dump) {
  return std::visit([&](const auto& m) { return take(m, is_dump); }, message);
}

KernelState::Effect KernelState::take(const LinkMessage& m, bool is_dump) {
  const auto it = links_.find(m.link.index);
  if (it == links_.end()) return Effect::kNothing;
  KernelLink next = m.is_gone ? KernelLink{.index = m.link.index} : m.link;
  next.interface = it->second.interface;
  if (next == it->second) return Effect::kNothing;
  const bool goes_or_comes = next.is_up != it->second.is_up || next.has_carrier != it->second.has_carrier || m.is_gone;
  it->second = std::move(next);
  return goes_or_comes && !is_dump ? Effect::kUnsure : Effect::kNetwork;
}

KernelState::Effect KernelState::take(const AddressMessage& m, bool is_dump) {
  const auto it = std::ranges::find(addresses_, m.address);
  if (m.is_gone == (it == addresses_.end())) return Effect::kNothing;
  if (m.is_gone) {
    addresses_.erase(it);
    return is_dump ? Effect::kNetwork : Effect::kUnsure;  // routes with this source went with it, silently
  }
  addresses_.push_back(m.address);
  return Effect::kNetwork;
}

// What the kernel has under one prefix and metric is one route as far as messages tell. Where it has several (`ip route
// append`), the first is what it uses, and only reading again shows which one remains.
KernelState::Effect KernelState::take(const RouteMessage& m, bool is_dump) {
  const RouteKey key{m.route.to, m.route.metric};
  const auto it = route_at_.find(key);
  const bool is_known = it != route_at_.end();
  if (m.is_gone) {
    if (!is_known) return Effect::kNothing;
    if (routes_[it->second].is_partial && !m.route.is_partial) return Effect::kUnsure;
    remove_route(key);
    return Effect::kNetwork;
  }
  if (is_known && is_dump) {
    routes_[it->second].is_partial = true;
    return Effect::kNothing;
  }
  if (is_known && !m.replaces) return Effect::kUnsure;
  if (m.is_elsewhere) {
    if (!is_known) return Effect::kNothing;
    remove_route(key);
    return Effect::kNetwork;
  }
  if (is_known) {
    if (routes_[it->second] == m.route) return Effect::kNothing;
    routes_[it->second] = m.route;
  } else {
    route_at_.emplace(key, static_cast<std::uint32_t>(routes_.size()));
    routes_.push_back(m.route);
  }
  return Effect::kNetwork;
}

void KernelState::remove_route(const RouteKey& key) {
  const auto it = route_at_.find(key);
  const std::uint32_t place = it->second;
  route_at_.erase(it);
  if (place + 1 != routes_.size()) {
    routes_[place] = routes_.back();
    route_at_[{routes_[place].to, routes_[place].metric}] = place;
  }
  routes_.pop_back();
}

KernelState::Effect KernelState::take(const NeighborMessage& m, bool) {
  const NeighborKey key{m.neighbor.link, m.neighbor.address};
  const auto it = neighbors_.find(key);
  const bool was_usable = it != neighbors_.end() && it->second.is_usable();
  const lb::MacAddress mac = it == neighbors_.end() ? lb::MacAddress{} : it->second.mac;
  if (m.is_gone) {
    // Of one that had failed too: its host route goes only now, and a gateway must be asked for again.
    return neighbors_.erase(key) != 0 ? Effect::kNeighbor : Effect::kNothing;
  }
  neighbors_[key] = m.neighbor;
  const bool is_usable = m.neighbor.is_usable();
  return was_usable != is_usable || (is_usable && mac != m.neighbor.mac) ? Effect::kNeighbor : Effect::kNothing;
}

KernelNetwork KernelState::network() const {
  KernelNetwork n{.links = {}, .addresses = addresses_, .routes = routes_, .neighbors = {}};
  for (const auto& [index, link] : links_) n.links.push_back(link);
  n.neighbors.reserve(neighbors_.size());
  for (const auto& [key, neighbor] : neighbors_) n.neighbors.push_back(neighbor);
  return n;
}

const KernelNeighbor* KernelState::neighbor(LinkIndex link, const lb::Address& address) const {
  const auto it = neighbors_.find({link, address});
  return it == neighbors_.end() ? nullptr : &it->second;
}

}  // namespace weir::control
