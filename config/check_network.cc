#include <algorithm>
#include <map>
#include <unordered_map>

#include "config/check.h"
#include "config/names.h"
#include "config/prefix_map.h"
#include "config/suggest.h"

namespace weir::config {

namespace {

using Ports = std::unordered_map<std::string_view, const Port*>;
using Interfaces = std::unordered_map<std::string_view, const Interface*>;

constexpr std::uint32_t kFrameOverhead = 18;        // Ethernet header and one 802.1Q tag
constexpr std::uint32_t kHeadroom = 128;            // RTE_PKTMBUF_HEADROOM
constexpr std::uint16_t kLeastMtuWithIpv6 = 1'280;  // RFC 8200 section 5

template <class Index>
std::string hint(std::string_view name, const Index& index) {
  std::vector<std::string_view> names;
  for (const auto& [known, item] : index) names.push_back(known);
  std::ranges::sort(names);
  return did_you_mean(name, names);
}

void check_devices_differ(const std::vector<Port>& ports, Problems& problems) {
  std::unordered_map<std::string_view, const Port*> devices;
  for (const Port& port : ports) {
    if (port.device.empty()) continue;
    const std::string_view device = std::string_view(port.device).substr(0, port.device.find(','));
    const auto [first, is_new] = devices.try_emplace(device, &port);
    if (!is_new)
      problems.error(port.where, "port {}: device {} is already that of port {} at {}; name another device",
                     show(port.name), show(device), show(first->second->name), first->second->where);
  }
}

void check_interfaces_stand_on_ports(const Draft& draft, const Ports& ports, Problems& problems) {
  std::map<std::pair<std::string_view, std::uint16_t>, const Interface*> taken;
  for (const Interface& i : draft.model.interfaces) {
    if (i.port.empty()) continue;
    if (!ports.contains(i.port)) {
      if (draft.ports_whole)
        problems.error(i.where, "interface {}: there is no port {}; add it under 'ports' or name one of those{}",
                       show(i.name), show(i.port), hint(i.port, ports));
      continue;
    }
    if (!draft.interfaces_whole) continue;  // its vlan may be what could not be read
    const auto [first, is_new] = taken.try_emplace({i.port, i.vlan}, &i);
    if (!is_new)
      problems.error(i.where,
                     "interface {}: port {} with vlan {} already belongs to interface {} at {}; give it another vlan",
                     show(i.name), show(i.port), i.vlan, show(first->second->name), first->second->where);
  }
}

void check_mtu(const Interface& i, const Draft& draft, Problems& problems) {
  const bool has_ipv6 = std::ranges::any_of(i.addresses, [](const lb::Prefix& p) { return !p.address.is_v4(); });
  if (has_ipv6 && i.mtu < kLeastMtuWithIpv6)
    problems.error(i.where, "interface {}: mtu {} is too small for its IPv6 address; write {} or more", show(i.name),
                   i.mtu, kLeastMtuWithIpv6);
  const std::uint32_t needed = i.mtu + kFrameOverhead + kHeadroom;
  if (draft.memory_whole && needed > draft.model.memory.mbuf_bytes)
    problems.error(i.where,
                   "interface {}: mtu {} needs memory.mbuf_bytes of {} or more ({} for headers, {} headroom), and that "
                   "is {}; change one",
                   show(i.name), i.mtu, needed, kFrameOverhead, kHeadroom, draft.model.memory.mbuf_bytes);
}

struct Subnet {
  const Interface* interface;
};

/// Every address once; a subnet on one interface only, because its connected route can lead to one only.
PrefixMap<Subnet> check_addresses(const std::vector<Interface>& interfaces, Problems& problems) {
  std::unordered_map<lb::Address, const Interface*> own;
  PrefixMap<Subnet> subnets;
  for (const Interface& i : interfaces) {
    for (const lb::Prefix& p : i.addresses) {
      if (p.address.is_link_local_v6()) continue;  // each link has its own fe80::/10
      const auto [first, is_new] = own.try_emplace(p.address, &i);
      const auto [subnet, is_new_subnet] = subnets.add(p, {&i});
      if (!is_new) {
        problems.error(i.where, "interface {}: address {} is already that of interface {} at {}; remove one",
                       show(i.name), to_string(p.address), show(first->second->name), first->second->where);
      } else if (!is_new_subnet && subnet->interface != &i) {
        problems.error(i.where, "interface {}: subnet {}/{} is already on interface {} at {}; use another subnet",
                       show(i.name), to_string(p.network()), p.length, show(subnet->interface->name),
                       subnet->interface->where);
      }
    }
  }
  return subnets;
}

/// Without a twin no VIP would ever be announced. One is enough: the other interfaces may lead to routers.
void check_announce_on_twin(const Draft& draft, Problems& problems) {
  const Announce& a = draft.model.announce;
  if (a.segment != AnnounceSegment::kWhenOnTwin || !draft.interfaces_whole) return;
  const auto is_named = [&](const Interface& i) {
    return !a.interfaces || std::ranges::find(*a.interfaces, i.name) != a.interfaces->end();
  };
  if (std::ranges::none_of(draft.model.interfaces, [&](const Interface& i) { return i.twin && is_named(i); }))
    problems.error(
        draft.announce_segment_at,
        "announce: when_on_twin asks for VIPs on a twin, and none of the interfaces {} has one; write 'twin: "
        "true' at one of them",
        a.interfaces ? "named here" : "of this file");
}

void check_announce(const Draft& draft, const Interfaces& interfaces, Problems& problems) {
  check_announce_on_twin(draft, problems);
  if (!draft.model.announce.interfaces) return;
  std::unordered_map<std::string_view, Where> seen;
  for (std::size_t n = 0; n < draft.announce_interfaces_at.size(); ++n) {
    const std::string& name = (*draft.model.announce.interfaces)[n];
    const Where where = draft.announce_interfaces_at[n];
    const auto [first, is_new] = seen.try_emplace(name, where);
    if (!is_new)
      problems.error(where, "announce: interface {} is listed twice, first at {}; remove one", show(name),
                     first->second);
    if (!interfaces.contains(name) && draft.interfaces_whole)
      problems.error(where, "announce: there is no interface {}; name one under 'interfaces'{}", show(name),
                     hint(name, interfaces));
  }
}

/// Routes and neighbors both give an address on some interface's link, and may name the interface.
class Links {
 public:
  Links(const Interfaces& interfaces, const PrefixMap<Subnet>& subnets, Problems& problems)
      : interfaces_(interfaces), subnets_(subnets), problems_(problems) {}

  /// Fills in `interface`, or checks it. `what` is "route 10.0.0.0/8: next hop" or "neighbor".
  bool resolve(const lb::Address& address, std::string& interface, Where where, const std::string& what) {
    const Subnet* subnet = address.is_link_local_v6() ? nullptr : subnets_.find(address);
    if (interface.empty()) {
      if (subnet != nullptr) return interface = subnet->interface->name, true;
      const std::string_view why = address.is_link_local_v6() ? "is link-local" : "is in no interface's subnet";
      problems_.error(where, "{} {} {}; add 'interface: NAME', or an address of that subnet to an interface", what,
                      to_string(address), why);
      return false;
    }
    const auto named = interfaces_.find(interface);
    if (named == interfaces_.end()) {
      problems_.error(where, "{} {}: there is no interface {}; name one under 'interfaces'{}", what, to_string(address),
                      show(interface), hint(interface, interfaces_));
      return false;
    }
    const auto holds = [&](const lb::Prefix& p) { return p.contains(address); };
    if (subnet != nullptr && subnet->interface != named->second &&
        std::ranges::none_of(named->second->addresses, holds)) {
      problems_.error(where, "{} {} is in the subnet of interface {}, not of {}; name that one", what,
                      to_string(address), show(subnet->interface->name), show(interface));
      return false;
    }
    return true;
  }

 private:
  const Interfaces& interfaces_;
  const PrefixMap<Subnet>& subnets_;
  Problems& problems_;
};

/// "the unspecified address", "an address of interface 'uplink'": why `a` is nobody else's; empty if it may be.
std::string not_a_neighbor(const lb::Address& a, const std::unordered_map<lb::Address, const Interface*>& own) {
  std::string_view why;
  if (is_unusable(a, why)) return std::string(why);
  const auto at = own.find(a);
  return at == own.end() ? "" : "an address of interface " + show(at->second->name);
}

/// The interface that has `to` as a subnet.
const Interface* connected(const lb::Prefix& to, const PrefixMap<Subnet>& subnets) {
  const Subnet* subnet = subnets.find_exact(to);
  return subnet == nullptr ? nullptr : subnet->interface;
}

}  // namespace

void check_network(Draft& draft, Problems& problems) {
  Model& model = draft.model;
  const auto ports = index_by_name(model.ports, "port", problems);
  const auto interfaces = index_by_name(model.interfaces, "interface", problems);
  check_devices_differ(model.ports, problems);
  check_interfaces_stand_on_ports(draft, ports, problems);
  for (const Interface& i : model.interfaces) check_mtu(i, draft, problems);
  const auto subnets = check_addresses(model.interfaces, problems);
  check_announce(draft, interfaces, problems);

  std::unordered_map<lb::Address, const Interface*> own;
  for (const Interface& i : model.interfaces)
    for (const lb::Prefix& p : i.addresses) own.try_emplace(p.address, &i);
  Links links(interfaces, subnets, problems);

  PrefixMap<Where> destinations;
  for (Route& r : model.routes) {
    const std::string name = "route " + to_string(r.to);
    const auto [first, is_new] = destinations.add(r.to, r.where);
    if (r.to.network() != r.to.address) {
      problems.error(r.where, "{} has host bits set; write {}/{}", name, to_string(r.to.network()), r.to.length);
    } else if (!is_new) {
      problems.error(r.where, "{} is already at {}; remove one", name, *first);
    }
    if (const Interface* i = connected(r.to, subnets))
      problems.error(r.where, "{} is the subnet of interface {} at {}, which leads there already; remove the route",
                     name, show(i->name), i->where);
    if (r.via.family() != r.to.address.family()) {
      problems.error(r.where, "{}: next hop {} is {}; write an {} address", name, to_string(r.via),
                     lb::name(r.via.family()), lb::name(r.to.address.family()));
    } else if (const std::string why = not_a_neighbor(r.via, own); !why.empty()) {
      problems.error(r.where, "{}: next hop {} is {}; write the router's address", name, to_string(r.via), why);
    } else if (draft.interfaces_whole) {
      links.resolve(r.via, r.interface, r.where, name + ": next hop");
    }
  }

  std::map<std::pair<lb::Address, std::string_view>, Where> seen;
  for (Neighbor& n : model.neighbors) {
    if (const std::string why = not_a_neighbor(n.address, own); !why.empty()) {
      problems.error(n.where, "neighbor {} is {}; write a neighbor's address", to_string(n.address), why);
      continue;
    }
    if (!draft.interfaces_whole || !links.resolve(n.address, n.interface, n.where, "neighbor")) continue;
    const auto [first, is_new] = seen.try_emplace({n.address, n.interface}, n.where);
    if (!is_new)
      problems.error(n.where, "neighbor {} on interface {} is already at {}; remove one", to_string(n.address),
                     show(n.interface), first->second);
  }
}

}  // namespace weir::config
