#include "control/compile.h"

#include <fmt/format.h>

#include <algorithm>

#include "control/compile_build.h"
#include "lb/maglev.h"

namespace weir::control {

namespace {

using lb::Address;
using lb::AddressEntry;
using lb::be16;
using lb::EndpointEntry;
using lb::EndpointId;
using lb::Family;
using lb::InterfaceId;
using lb::NextHopId;
using lb::NextHopWord;
using lb::PortIndex;
using lb::Prefix;
using lb::ServiceKey;
using lb::VipEntry;
using lb::VipId;

lb::Timeouts to_lb(const config::Timeouts& t) {
  const auto ticks = [](std::chrono::seconds s) { return static_cast<lb::Tick>(s.count()); };
  return {ticks(t.tcp_new), ticks(t.tcp_established), ticks(t.tcp_closing), ticks(t.udp_new), ticks(t.udp)};
}

// RFC 3021: a /31 has none, and a /32 neither.
std::vector<lb::be32> broadcasts_of(const std::vector<Prefix>& addresses) {
  std::vector<lb::be32> all;
  for (const Prefix& own : addresses) {
    if (!own.address.is_v4() || own.length > 30) continue;
    const std::uint32_t hosts = 0xffff'ffffu >> own.length;
    all.push_back(lb::be32::from_host(own.address.to_v4().host() | hosts));
  }
  return all;
}

// The quietest of two ways to refuse: a closed port of an address says no more than its least talkative service.
lb::Reject quieter(lb::Reject a, lb::Reject b) {
  return std::max(a, b);
}

bool same(const VipEntry& a, const VipEntry& b) {
  return a.address == b.address && a.set == b.set && a.first_port == b.first_port && a.last_port == b.last_port &&
         a.protocol == b.protocol && a.reject == b.reject && a.service == b.service;
}
bool same(const EndpointEntry& a, const EndpointEntry& b) {
  return a.address == b.address && a.port == b.port && a.protocol == b.protocol && a.is_live == b.is_live &&
         a.has_left == b.has_left && a.sole_vip == b.sole_vip && a.next_hop == b.next_hop &&
         a.any_port_sibling == b.any_port_sibling;
}
bool same(const std::vector<AddressEntry::PortSpan>& a, const std::vector<AddressEntry::PortSpan>& b) {
  return std::ranges::equal(
      a, b, [](const auto& x, const auto& y) { return x.first == y.first && x.last == y.last && x.vip == y.vip; });
}
bool same(const AddressEntry& a, const AddressEntry& b) {
  return a.is_vip == b.is_vip && a.is_kept_on_twins == b.is_kept_on_twins && a.on_twin_of == b.on_twin_of &&
         a.own_on == b.own_on && a.reject == b.reject && same(a.tcp_spans, b.tcp_spans) &&
         same(a.udp_spans, b.udp_spans);
}

// Touches the chunk only if the element really changes, so that it stays shared otherwise.
template <class T>
void put(lb::ChunkedBuilder<T>& array, std::size_t i, T value) {
  if (i >= array.size() || !same(array[i], value)) array.set(i, std::move(value));
}

}  // namespace

lb::Result<Compiled> Compiler::prepare(const config::Model& model, const Overlay& overlay, std::uint64_t generation) {
  Build b{.model = model, .overlay = overlay, .snapshot = std::make_shared<lb::Snapshot>(), .left = left_};
  if (last_ != nullptr) {
    b.vips = lb::ChunkedBuilder<VipEntry>(last_->vips);
    b.endpoints = lb::ChunkedBuilder<EndpointEntry>(last_->endpoints);
    b.addresses = lb::ChunkedBuilder<AddressEntry>(last_->addresses);
  }
  b.snapshot->generation = generation;
  b.snapshot->selection_key = model.hash_key.value_or(lb::kPublicHashKey);
  b.snapshot->timeouts = to_lb(model.conntrack.timeouts);
  b.snapshot->transit_to_kernel = model.transit == config::Transit::kKernel;
  b.snapshot->is_withdrawn = overlay.is_withdrawn;

  auto compiled = build_all(b);
  if (!compiled) {
    reject();
    return compiled;
  }
  pending_ = {.sets = std::move(b.sets),
              .left = std::move(b.left),
              .last = compiled->snapshot,
              .contents = compiled->contents,
              .ways = std::move(b.ways),
              .neighbor_routes = std::move(b.neighbor_routes),
              .index = compiled->next_hop_index,
              .neighbor_room = b.neighbor_room};
  const auto with_neighbors = [](lb::TableContents& contents, const auto& routes) {
    for (const auto& [key, id] : routes)
      contents.routes.emplace_back(Prefix{key.address, host_length(key.address)}, id);
  };
  with_neighbors(last_contents_, neighbor_routes_);
  with_neighbors(compiled->contents, pending_.neighbor_routes);
  compiled->changes = lb::difference(last_contents_, compiled->contents);
  last_contents_.routes.resize(last_contents_.routes.size() - neighbor_routes_.size());
  return compiled;
}

void Compiler::accept() {
  vips_.commit(), endpoints_.commit(), addresses_.commit(), interfaces_.commit(), next_hops_.commit();
  sets_ = std::move(pending_.sets);
  left_ = std::move(pending_.left);
  last_ = std::move(pending_.last);
  last_contents_ = std::move(pending_.contents);
  ways_ = std::move(pending_.ways);
  neighbor_routes_ = std::move(pending_.neighbor_routes);
  index_ = std::move(pending_.index);
  neighbor_room_ = pending_.neighbor_room;
  pending_ = {};
}

void Compiler::reject() {
  vips_.rollback(), endpoints_.rollback(), addresses_.rollback(), interfaces_.rollback(), next_hops_.rollback();
  pending_ = {};
}

lb::Result<Compiled> Compiler::compile(const config::Model& model, std::uint64_t generation, const Overlay& overlay) {
  auto compiled = prepare(model, overlay, generation);
  if (compiled) accept();
  return compiled;
}

lb::Result<Compiled> Compiler::build_all(Build& b) {
  if (auto done = add_interfaces(b); !done) return std::unexpected(done.error());
  add_kernel_links(b);
  if (auto done = add_routes(b); !done) return std::unexpected(done.error());
  find_neighbor_room(b);
  if (auto done = add_kernel_routes(b); !done) return std::unexpected(done.error());
  if (auto done = add_services(b); !done) return std::unexpected(done.error());
  find_on_twins(b);
  add_kernel_addresses(b);
  add_neighbor_routes(b);
  retire_missing(b);
  write_endpoints(b);
  write_addresses(b);
  b.snapshot->vips = b.vips.freeze();
  b.snapshot->endpoints = b.endpoints.freeze();
  b.snapshot->addresses = b.addresses.freeze();

  index_next_hops(b);
  b.live_next_hops.for_each([&](std::uint32_t id) {
    const NextHopKey& key = *next_hops_.key_of(id);
    if (is_followed(b, key)) return;  // control writes its word, as it hears from the kernel
    const auto neighbor = b.neighbors.find(key);
    b.out.next_hops.emplace_back(NextHopId(id), neighbor == b.neighbors.end()
                                                    ? NextHopWord::unresolved(key.interface)
                                                    : NextHopWord(key.interface, neighbor->second));
  });
  b.out.snapshot = std::move(b.snapshot);
  return std::move(b.out);
}

// ---- interfaces, neighbours, routes ----

lb::Result<void> Compiler::add_interfaces(Build& b) {
  const config::Model& m = b.model;
  lb::Snapshot& s = *b.snapshot;
  s.by_port_vlan.assign(m.ports.size(), std::vector<InterfaceId>(4096, InterfaceId::kNone));
  s.interfaces.resize(1);
  for (const config::Interface& i : m.interfaces) {
    const auto id = interfaces_.acquire(i.name);
    if (!id) return lb::fail("too many interfaces over the life of this process; restart weir");
    const auto port =
        static_cast<std::size_t>(std::ranges::find(m.ports, i.port, &config::Port::name) - m.ports.begin());
    const auto& names = m.announce.interfaces;
    const bool announces = m.announce.segment != config::AnnounceSegment::kNever &&
                           (!names || std::ranges::find(*names, i.name) != names->end());
    if (s.interfaces.size() <= *id) s.interfaces.resize(*id + 1);
    s.interfaces[*id] = {.name = i.name,
                         .port = PortIndex(port),
                         .vlan = i.vlan,
                         .mtu = i.mtu,
                         .mac = i.mac.value_or(port < port_macs_.size() ? port_macs_[port] : lb::MacAddress{}),
                         .announces_vips = announces,
                         .has_twin = i.twin,
                         .broadcasts = broadcasts_of(i.addresses)};
    s.by_port_vlan[port][i.vlan] = InterfaceId(*id);
    for (const Prefix& own : i.addresses) {
      b.address_entries[own.address].own_on.push_back(InterfaceId(*id));
      b.routes.emplace_back(Prefix{own.network(), own.length}, NextHopKey{InterfaceId(*id), {}});
    }
  }
  return {};
}

lb::Result<void> Compiler::add_routes(Build& b) {
  const auto interface_id = [&](const std::string& name) { return InterfaceId(interfaces_.find(name)); };
  for (const config::Neighbor& n : b.model.neighbors) b.neighbors[{interface_id(n.interface), n.address}] = n.mac;
  for (const config::Route& r : b.model.routes)
    b.routes.emplace_back(r.to, NextHopKey{interface_id(r.interface), r.via});
  // Longest first; of equal ones the static route, which someone wrote, wins over the connected one.
  std::ranges::stable_sort(b.routes, [](const auto& x, const auto& y) {
    const bool x_static = !x.second.address.is_unspecified();
    const bool y_static = !y.second.address.is_unspecified();
    return std::pair(x.first.length, x_static) > std::pair(y.first.length, y_static);
  });

  b.out.contents.routes.reserve(b.routes.size() + b.neighbors.size());
  const auto add = [&](const Prefix& prefix, const NextHopKey& key) -> lb::Result<void> {
    if (!b.ways.add(prefix, key).second) return {};  // the first of equals stays
    const auto id = next_hop(b, key);
    if (!id) return std::unexpected(id.error());
    b.out.contents.routes.emplace_back(prefix, *id);
    return {};
  };
  for (const auto& [prefix, key] : b.routes)
    if (auto done = add(prefix, key); !done) return done;
  // A neighbour is a host route through itself. Link-local ones are only ever next hops.
  for (const auto& [key, mac] : b.neighbors)
    if (!key.address.is_link_local_v6())
      if (auto done = add({key.address, host_length(key.address)}, key); !done) return done;
  return {};
}

lb::Result<NextHopId> Compiler::next_hop(Build& b, const NextHopKey& key) {
  const auto id = next_hops_.acquire(key);
  if (!id) return lb::fail("more than 1,048,575 next hops; use fewer backends or neighbors");
  b.live_next_hops.insert(*id);
  b.own_next_hops.insert(*id);
  return NextHopId(*id);
}

// As the LPM answers: a host route someone wrote, a neighbour, then the longest prefix.
lb::Result<NextHopId> Compiler::next_hop_towards(Build& b, const Address& destination) {
  const NextHopKey* key = b.ways.find(destination);
  if (key == nullptr || key->interface == InterfaceId::kNone) return NextHopId::kNone;  // the latter: unreachable
  return next_hop(b, key->address.is_unspecified() ? NextHopKey{key->interface, destination} : *key);
}

// ---- services ----

lb::Result<void> Compiler::add_services(Build& b) {
  auto names = std::make_shared<std::vector<std::string>>();
  for (const config::Service& service : b.model.services) {
    const auto position = static_cast<std::uint32_t>(names->size());
    names->push_back(service.name);
    std::shared_ptr<const lb::BackendSet> sets[2];
    for (const Family family : {Family::kIpv4, Family::kIpv6}) {
      const bool is_needed =
          std::ranges::any_of(service.vips, [&](const config::Vip& v) { return v.address.family() == family; });
      if (!is_needed) continue;
      auto set = set_of(b, service, family);
      if (!set) return std::unexpected(set.error());
      sets[family == Family::kIpv6] = std::move(*set);
    }
    for (const config::Vip& vip : service.vips) {
      auto added = add_vip(b, position, vip, sets[!vip.address.is_v4()]);
      if (!added) return added;
    }
  }
  b.snapshot->service_names = std::move(names);
  return {};
}

// The service's backends of one family, and their Maglev table. Both are last time's if nothing changed.
lb::Result<std::shared_ptr<const lb::BackendSet>> Compiler::set_of(Build& b, const config::Service& service,
                                                                   Family family) {
  CachedSet next;
  for (const config::Backend& backend : service.backends) {
    if (backend.address.family() != family) continue;
    const auto id = endpoints_.acquire({backend.address, service.protocol, be16::from_host(backend.port)});
    if (!id) {
      return lb::fail(fmt::format(
          "service {}: no endpoint id left for backend {}; {} removed endpoints still have flows, try again when "
          "those have ended",
          service.name, lb::to_string(backend.address, backend.port), endpoints_.retired().size()));
    }
    const auto hop = next_hop_towards(b, backend.address);
    if (!hop) return std::unexpected(hop.error());
    b.live_endpoints.insert(*id);
    EndpointEntry& entry = b.endpoint_entries[*id];
    entry.address = backend.address;
    entry.port = be16::from_host(backend.port);
    entry.protocol = service.protocol;
    entry.is_live = true;
    entry.next_hop = *hop;
    const bool is_drained = b.overlay.drain_of(service.name, backend) != nullptr;
    next.members.push_back({backend.address, backend.port, is_drained ? std::uint16_t{0} : backend.weight});
    next.ids.push_back(EndpointId(*id));
  }
  next.size = service.maglev_size.value_or(lb::default_maglev_size(next.members.size()));

  const std::pair name(service.name, family);
  if (const auto last = sets_.find(name); last != sets_.end() && last->second.members == next.members &&
                                          last->second.ids == next.ids && last->second.size == next.size) {
    return (b.sets[name] = last->second).set;
  }
  auto set = std::make_shared<lb::BackendSet>();
  set->members = next.ids;
  set->sorted_members = next.ids;
  std::ranges::sort(set->sorted_members);
  set->table = lb::build_maglev(next.members, next.size);
  next.set = std::move(set);
  return (b.sets[name] = std::move(next)).set;
}

lb::Result<void> Compiler::add_vip(Build& b, std::uint32_t position, const config::Vip& vip,
                                   std::shared_ptr<const lb::BackendSet> set) {
  const config::Service& service = b.model.services[position];
  const auto id = vips_.acquire({vip.address, service.protocol, vip.ports.first, vip.ports.last});
  if (!id) {
    return lb::fail(
        fmt::format("service {}: no VIP id left; {} removed VIPs still have flows, try again when those "
                    "have ended",
                    service.name, vips_.retired().size()));
  }
  b.live_vips.insert(*id);
  b.out.vip_ids[{vip.address, service.protocol, vip.ports.first, vip.ports.last}] = VipId(*id);
  for (const EndpointId e : set->members) {
    EndpointEntry& entry = b.endpoint_entries[static_cast<std::uint32_t>(e)];
    const unsigned serves = ++b.vips_of_endpoint[static_cast<std::uint32_t>(e)];
    entry.sole_vip = serves == 1 ? VipId(*id) : VipId::kNone;
  }

  AddressEntry& address = b.address_entries[vip.address];
  address.reject = address.is_vip ? quieter(address.reject, service.reject) : service.reject;
  address.is_vip = true;
  address.is_kept_on_twins = b.model.announce.segment == config::AnnounceSegment::kWhenOnTwin;
  if (vip.ports.is_single()) {
    b.out.contents.vips[{vip.address, service.protocol, be16::from_host(vip.ports.first)}] = VipId(*id);
  } else {
    b.snapshot->has_port_spans = true;
    auto& spans = service.protocol == lb::Protocol::kTcp ? address.tcp_spans : address.udp_spans;
    spans.push_back({vip.ports.first, vip.ports.last, VipId(*id)});
  }

  // An endpoint that the VIP had and no longer has: its UDP flows move, and a new SYN chooses anew.
  if (last_ != nullptr && *id < last_->vips.size()) {
    const VipEntry& before = last_->vips[*id];
    if (before.is_live() && before.set != set)
      std::ranges::for_each(before.set->sorted_members, [&](EndpointId e) {
        if (!set->contains(e)) b.left.insert(static_cast<std::uint32_t>(e));
      });
  }
  put(b.vips, *id,
      VipEntry{.address = vip.address,
               .set = std::move(set),
               .first_port = vip.ports.first,
               .last_port = vip.ports.last,
               .protocol = service.protocol,
               .reject = service.reject,
               .service = position});
  return {};
}

// VIPs that stand on twins: for those that are ours only so, which twins have which.
void Compiler::find_on_twins(Build& b) {
  if (b.overlay.kernel == nullptr) return;
  for (const KernelAddress& k : b.overlay.kernel->addresses) {
    const auto entry = b.address_entries.find(k.prefix.address);
    if (entry == b.address_entries.end() || !entry->second.is_vip) continue;
    entry->second.own_on.clear();  // a VIP is answered for as one, not as an address of the box
    if (!entry->second.is_kept_on_twins) continue;
    const KernelLink* link = b.overlay.kernel->link(k.link);
    const std::uint32_t id = link == nullptr ? 0 : interfaces_.find(link->interface);
    if (id != 0) entry->second.on_twin_of.push_back(InterfaceId(id));
  }
}

// ---- what is no longer there, and writing the arrays ----

void Compiler::retire_missing(Build& b) {
  const auto retire = [](auto& registry, const IdSet& live, auto&& gone) {
    registry.for_each_live([&](std::uint32_t id, const auto& key) {
      if (live.contains(id)) return;
      gone(id);
      registry.retire(key);
    });
  };
  retire(vips_, b.live_vips, [&](std::uint32_t id) {
    // Should the VIP come back with other backends before its flows are forgotten, those have left.
    for (const EndpointId e : b.vips[id].set->members) b.left.insert(static_cast<std::uint32_t>(e));
    put(b.vips, id, VipEntry{});
  });
  retire(endpoints_, b.live_endpoints, [&](std::uint32_t id) { b.left.insert(id); });
  retire(next_hops_, b.live_next_hops, [](std::uint32_t) {});
}

void Compiler::write_endpoints(Build& b) {
  // Retired ones keep their entry, next hop included, so that their flows go on.
  for (const std::uint32_t id : endpoints_.retired()) {
    const ServiceKey& key = *endpoints_.key_of(id);
    EndpointEntry& entry = b.endpoint_entries[id];
    entry = {.address = key.address, .port = key.port, .protocol = key.protocol, .is_live = true};
    if (const auto hop = next_hop_towards(b, key.address)) entry.next_hop = *hop;
  }
  b.out.contents.endpoints.reserve(b.endpoint_entries.size());
  for (std::uint32_t id = 1; id < b.endpoint_entries.size(); ++id) {
    EndpointEntry& entry = b.endpoint_entries[id];
    if (!entry.is_live) continue;
    entry.has_left = b.left.contains(id);
    if (entry.port != be16{}) entry.any_port_sibling = EndpointId(endpoints_.find({entry.address, entry.protocol, {}}));
    b.out.contents.endpoints[{entry.address, entry.protocol, entry.port}] = EndpointId(id);
    put(b.endpoints, id, entry);
  }
  // Collected since the last time.
  for (std::uint32_t id = 1; id < b.endpoints.size(); ++id)
    if (id >= b.endpoint_entries.size() || !b.endpoint_entries[id].is_live) put(b.endpoints, id, EndpointEntry{});
}

void Compiler::write_addresses(Build& b) {
  for (auto& [address, entry] : b.address_entries) {
    const auto by_first_all_last = [](const auto& x, const auto& y) {
      const bool x_all = x.first == 1 && x.last == 65535;
      const bool y_all = y.first == 1 && y.last == 65535;
      return std::pair(x_all, x.first) < std::pair(y_all, y.first);
    };
    std::ranges::sort(entry.tcp_spans, by_first_all_last);
    std::ranges::sort(entry.udp_spans, by_first_all_last);
    // As many as VIPs and interface addresses, which the check bounds well below this registry's size.
    const auto id = addresses_.acquire(address);
    if (!id) continue;
    b.live_addresses.insert(*id);
    b.out.contents.addresses[address] = lb::AddressId(*id);
    put(b.addresses, *id, entry);
  }
  addresses_.for_each_live([&](std::uint32_t id, const Address& address) {
    if (b.live_addresses.contains(id)) return;
    put(b.addresses, id, AddressEntry{});
    addresses_.retire(address);
  });
}

bool Compiler::collect(const FlowCounts& flows, Freed* freed) {
  vips_.collect([&](std::uint32_t id) {
    if (flows.vip(VipId(id)) != 0) return false;
    if (freed != nullptr) freed->vips.push_back(VipId(id));
    return true;
  });
  addresses_.collect([](std::uint32_t) { return true; });
  next_hops_.collect([](std::uint32_t) { return true; });
  std::erase_if(left_, [&](std::uint32_t id) { return endpoints_.is_live(id) && flows.endpoint(EndpointId(id)) == 0; });
  return endpoints_.collect([&](std::uint32_t id) {
    if (flows.endpoint(EndpointId(id)) != 0) return false;
    left_.erase(id);
    if (freed != nullptr) freed->endpoints.push_back(EndpointId(id));
    return true;
  }) > 0;
}

}  // namespace weir::control
