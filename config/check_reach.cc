#include <set>
#include <string_view>
#include <unordered_set>

#include "config/check.h"
#include "config/prefix_map.h"

namespace weir::config {

namespace {

/// Neighbors by address and interface: an address may stand on two links.
using Neighbors = std::set<std::pair<lb::Address, std::string_view>>;

/// Behind these the kernel knows and resolves what the file does not.
std::unordered_set<std::string_view> twins(const Model& model) {
  std::unordered_set<std::string_view> names;
  for (const Interface& i : model.interfaces)
    if (i.twin) names.insert(i.name);
  return names;
}

/// Where a prefix leads: straight to the address (no route), or to the route's next hop.
struct Way {
  std::string_view interface;
  const Route* route = nullptr;
};

PrefixMap<Way> ways(const Model& model) {
  PrefixMap<Way> all;
  for (const Interface& i : model.interfaces)
    for (const lb::Prefix& p : i.addresses) all.add(p, {i.name});
  for (const Route& r : model.routes) all.add(r.to, {r.interface, &r});
  return all;
}

void warn_of_routes(const Model& model, const Neighbors& neighbors, Problems& problems) {
  const auto resolved_by_kernel = twins(model);
  for (const Route& r : model.routes)
    if (!neighbors.contains({r.via, r.interface}) && !resolved_by_kernel.contains(r.interface))
      problems.warn(
          r.where,
          "route {}: next hop {} has no entry under 'neighbors': packets to it are dropped as neigh_unresolved",
          to_string(r.to), to_string(r.via));
}

void warn_of_backend(const Backend& b, const PrefixMap<Way>& ways, const Neighbors& neighbors,
                     const std::unordered_set<std::string_view>& twins, Problems& problems) {
  const Way* way = ways.find(b.address);
  if (way == nullptr) {
    if (!twins.empty()) return;  // by a route of the kernel's, perhaps
    problems.warn(b.where,
                  "backend {} is in no interface's subnet and behind no route: packets to it are dropped as no_route",
                  to_string(b.address));
  } else if (way->route == nullptr && !neighbors.contains({b.address, way->interface}) &&
             !twins.contains(way->interface)) {
    problems.warn(b.where, "backend {} has no entry under 'neighbors': packets to it are dropped as neigh_unresolved",
                  to_string(b.address));
  }
}

}  // namespace

void check_reach(const Draft& draft, Problems& problems) {
  const Model& model = draft.model;
  if (!draft.interfaces_whole || !draft.routes_whole) return;
  if (model.interfaces.empty()) {
    problems.warn(draft.root, "the file has no interfaces: no packet comes in; add 'ports' and 'interfaces'");
    return;
  }
  Neighbors neighbors;
  for (const Neighbor& n : model.neighbors) neighbors.insert({n.address, n.interface});
  warn_of_routes(model, neighbors, problems);

  const auto all_ways = ways(model);
  const auto all_twins = twins(model);
  std::unordered_set<lb::Address> seen;  // an endpoint of many services is one warning
  for (const Service& s : model.services)
    for (const Backend& b : s.backends)
      if (seen.insert(b.address).second) warn_of_backend(b, all_ways, neighbors, all_twins, problems);
}

}  // namespace weir::config
