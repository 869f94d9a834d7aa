// The compiler's part about interfaces that have a twin: what the kernel knows joins what the file says.
//
// The file comes first: its addresses, routes and neighbours stay as they are, and the kernel's fill what it leaves
// open. Neighbours come in two ways. As a next hop's MAC they are no business of a generation: control writes the word
// when it hears of one. As hosts of a connected subnet (a client, say) each needs a host route and an id, which
// prepare_neighbors() gives it without compiling anything else.
#include <algorithm>

#include "control/compile_build.h"

namespace weir::control {

namespace {

using lb::InterfaceId;
using lb::NextHopId;
using lb::Prefix;

bool is_on_link(const config::PrefixMap<NextHopKey>& ways, const NextHopKey& neighbor) {
  // A host route of that very address says more than the subnet does.
  const NextHopKey* way = ways.find(neighbor.address);
  return way != nullptr && way->address.is_unspecified() && way->interface == neighbor.interface &&
         !neighbor.address.is_link_local_v6();
}

void add_broadcast(std::vector<lb::be32>& all, const Prefix& own) {
  if (!own.address.is_v4() || own.length > 30) return;  // RFC 3021: a /31 has none, and a /32 neither
  const auto last = lb::be32::from_host(own.address.to_v4().host() | 0xffff'ffffu >> own.length);
  if (std::ranges::find(all, last) == all.end()) all.push_back(last);
}

}  // namespace

// The kernel's MTU counts where it is the smaller.
void Compiler::add_kernel_links(Build& b) {
  if (b.overlay.kernel == nullptr) return;
  for (const KernelLink& link : b.overlay.kernel->links) {
    const InterfaceId id{static_cast<std::uint16_t>(interfaces_.find(link.interface))};
    if (id == InterfaceId::kNone || index(id) >= b.snapshot->interfaces.size()) continue;
    lb::InterfaceEntry& entry = b.snapshot->interfaces[index(id)];
    if (!entry.has_twin || link.name.empty()) continue;
    b.twins[link.index] = id;
    if (link.mtu != 0) entry.mtu = std::min(entry.mtu, link.mtu);
  }
}

// A VIP that stands on a twin stays a VIP, and is nobody's own.
void Compiler::add_kernel_addresses(Build& b) {
  if (b.overlay.kernel == nullptr) return;
  for (const KernelAddress& own : b.overlay.kernel->addresses) {
    const auto twin = b.twins.find(own.link);
    if (twin == b.twins.end()) continue;
    add_broadcast(b.snapshot->interfaces[index(twin->second)].broadcasts, own.prefix);
    lb::AddressEntry& entry = b.address_entries[own.prefix.address];
    if (entry.is_vip || entry.is_own_on(twin->second)) continue;
    entry.own_on.push_back(twin->second);
  }
}

lb::Result<void> Compiler::add_kernel_routes(Build& b) {
  if (b.overlay.kernel == nullptr) return {};
  std::vector<KernelRoute> routes = b.overlay.kernel->routes;
  // Of routes to one prefix the lowest metric first; and short prefixes before long ones, should there be too many.
  std::ranges::sort(routes, {}, [](const KernelRoute& r) { return std::tuple(r.to.length, r.to.address, r.metric); });
  std::size_t room[2] = {kMaxKernelRoutes4, kMaxKernelRoutes6};
  for (const KernelRoute& r : routes) {
    NextHopKey key{InterfaceId::kNone, {}};
    if (r.link != LinkIndex::kNone) {
      const auto twin = b.twins.find(r.link);
      if (twin == b.twins.end()) continue;
      key = {twin->second, r.via};
    }
    std::size_t& left = room[!r.to.address.is_v4()];
    if (left == 0) {
      ++b.out.routes_left_out;
      continue;
    }
    if (!b.ways.add(r.to, key).second) continue;  // the file's, or one of a lower metric
    --left;
    auto id = NextHopId::kNone;  // which the path drops as no_route
    if (key.interface != InterfaceId::kNone) {
      const auto hop = next_hop(b, key);
      if (!hop) return std::unexpected(hop.error());
      id = *hop;
    }
    b.out.contents.routes.emplace_back(r.to, id);
  }
  return {};
}

// When only the file's routes are in the contents. Additions come before removals, so all of the file's may change.
void Compiler::find_neighbor_room(Build& b) {
  const std::size_t kernels[] = {kMaxKernelRoutes4, kMaxKernelRoutes6};
  for (const bool is_v6 : {false, true}) {
    if (table_room_[is_v6] == kNoLimit) continue;
    const auto of_file = static_cast<std::size_t>(std::ranges::count_if(
        b.out.contents.routes, [&](const auto& route) { return route.first.address.is_v4() != is_v6; }));
    const std::size_t taken = kernels[is_v6] + 2 * of_file + 2;  // a default route is two
    b.neighbor_room[is_v6] = table_room_[is_v6] - std::min(table_room_[is_v6], taken);
  }
}

void Compiler::add_neighbor_routes(Build& b) {
  const auto& interfaces = b.snapshot->interfaces;
  ByFamily left = b.neighbor_room;
  const auto add = [&](const NextHopKey& key) {
    if (index(key.interface) >= interfaces.size() || !interfaces[index(key.interface)].has_twin) return;
    if (!is_on_link(b.ways, key)) return;
    std::size_t& room = left[!key.address.is_v4()];
    const auto id = room == 0 ? std::nullopt : next_hops_.acquire(key);
    if (!id) return static_cast<void>(++b.out.neighbors_left_out);  // these go by way of the kernel
    --room;
    b.live_next_hops.insert(*id);
    b.neighbor_routes.emplace(key, NextHopId(*id));
  };
  // Those that have a route first: where room is short, nobody is to lose one to another.
  for (const auto& [key, id] : neighbor_routes_)
    if (neighbors_.contains(key)) add(key);
  for (const NextHopKey& key : neighbors_)
    if (!neighbor_routes_.contains(key)) add(key);
}

bool Compiler::is_followed(const Build& b, const NextHopKey& key) {
  return b.overlay.kernel != nullptr && !key.address.is_unspecified() && key.interface != InterfaceId::kNone &&
         b.snapshot->interfaces[index(key.interface)].has_twin && !b.neighbors.contains(key);
}

void Compiler::index_next_hops(Build& b) {
  if (b.overlay.kernel == nullptr) return;
  auto all = std::make_shared<NextHopIndex>();
  b.live_next_hops.for_each([&](std::uint32_t id) {
    const NextHopKey& key = *next_hops_.key_of(id);
    const bool followed = is_followed(b, key);
    const bool kept = followed && b.own_next_hops.contains(id);
    all->by_key.emplace(key, NextHopInfo{NextHopId(id), b.neighbors.contains(key), followed, kept});
    if (!key.address.is_unspecified()) all->by_id.emplace(id, key);
    if (followed && !was_kept(key) && !neighbor_routes_.contains(key))
      b.out.new_followed.emplace_back(key, NextHopId(id));
    if (kept && !was_kept(key)) b.out.kept.push_back(key);
  });
  if (index_ != nullptr)
    for (const auto& [key, before] : index_->by_key)
      if (const NextHopInfo* now = all->find(key); before.is_kept && (now == nullptr || !now->is_kept))
        b.out.released.push_back(key);
  b.out.next_hop_index = std::move(all);
}

// As a gateway or backend of the last generation. (Its other next hops may have gone since, the short way.)
bool Compiler::was_kept(const NextHopKey& key) const {
  const NextHopInfo* before = index_ == nullptr ? nullptr : index_->find(key);
  return before != nullptr && before->is_kept;
}

// ---- neighbours, the short way ----

NeighborRoutes Compiler::prepare_neighbors(const std::vector<std::pair<NextHopKey, bool>>& is_there) {
  NeighborRoutes out;
  auto routes = neighbor_routes_;
  ByFamily held{};
  for (const auto& [key, id] : routes) ++held[!key.address.is_v4()];
  // What came and went within one batch ends in what it was last; both would put and remove the same prefix.
  std::unordered_map<NextHopKey, bool> last;
  for (const auto& [key, there] : is_there) last[key] = there;
  for (const auto& [key, there] : last) {
    there ? static_cast<void>(neighbors_.insert(key)) : static_cast<void>(neighbors_.erase(key));
    const Prefix host{key.address, host_length(key.address)};
    if (!there) {
      if (routes.erase(key) == 0) continue;  // its place in the table is free only after this batch's additions
      // Over a host route of the kernel's own (on-link, or else it were no neighbour of ours), which is back then.
      const NextHopKey* own = ways_.find_exact(host);
      if (const auto id = own == nullptr ? lb::index(NextHopId::kNone) : next_hops_.find(*own); id != 0) {
        out.changes.routes.put.emplace_back(host, NextHopId(id));
      } else {
        out.changes.routes.removed.push_back(host);
      }
      if (!was_kept(key)) next_hops_.retire(key), out.removed.push_back(key);
      continue;
    }
    if (routes.contains(key) || !is_on_link(ways_, key)) continue;
    std::size_t& taken = held[!key.address.is_v4()];
    const auto id = taken >= neighbor_room_[!key.address.is_v4()] ? std::nullopt : next_hops_.acquire(key);
    if (!id) {
      ++out.left_out;
      continue;
    }
    ++taken;
    routes.emplace(key, NextHopId(*id));
    out.changes.routes.put.emplace_back(host, NextHopId(*id));
    if (ways_.find_exact(host) == nullptr) ++out.changes.routes.added;
    out.added.emplace_back(key, NextHopId(*id));
  }
  pending_.neighbor_routes = std::move(routes);
  return out;
}

void Compiler::accept_neighbors() {
  next_hops_.commit();
  neighbor_routes_ = std::move(pending_.neighbor_routes);
  pending_ = {};
}

}  // namespace weir::control
