#include <algorithm>
#include <tuple>
#include <unordered_map>
#include <unordered_set>

#include "config/check.h"
#include "config/names.h"

namespace weir::config {

namespace {

// Sizes of ids in a flow's record (design, conntrack): VIP 16 bits with 0 for none, endpoint 20 with 0 for none.
constexpr std::size_t kMostVips = 65'535;
constexpr std::size_t kMostEndpoints = 1'048'575;
constexpr std::size_t kMostBackends = 65'535;  // of a service: Maglev's entries have 16 bits

/// Addresses that something other than a backend has, and who.
struct Holder {
  std::string_view what;  // "an address of interface", "a VIP of service", "the next hop of a route"
  std::string_view name;
  Where where;
};
using Holders = std::unordered_map<lb::Address, Holder>;

Holders hold_network(const Model& model) {
  Holders holders;
  for (const Interface& i : model.interfaces)
    for (const lb::Prefix& p : i.addresses)
      holders.try_emplace(p.address, Holder{"an address of interface", i.name, i.where});
  for (const Route& r : model.routes) holders.try_emplace(r.via, Holder{"the next hop of a route", "", r.where});
  return holders;
}

void hold_vips(const Model& model, Holders& holders) {
  for (const Service& s : model.services)
    for (const Vip& v : s.vips)
      holders.try_emplace(v.address, Holder{s.name.empty() ? "a VIP of a service without a name" : "a VIP of service",
                                            s.name, v.where});
}

/// Its missing or broken name has been reported; "service ''" would read like another problem.
std::string describe(const Service& s) {
  return s.name.empty() ? "a service without a name" : "service " + show(s.name);
}

std::string describe(const Holder& h) {
  return h.name.empty() ? fmt::format("{} at {}", h.what, h.where)
                        : fmt::format("{} {} at {}", h.what, show(h.name), h.where);
}

std::string describe(const PortRange& p) {
  if (p.all) return "all ports";
  return p.is_single() ? fmt::format("port {}", p.first) : fmt::format("ports {}-{}", p.first, p.last);
}

// --- VIPs that overlap ------------------------------------------------------------------------------------------

/// A VIP as the data path finds it. Only entries of one address, protocol and class can clash: an exact port inside
/// a range inside all ports is fine, the more specific one wins.
struct Claim {
  lb::Address address;
  lb::Protocol protocol;
  std::uint8_t rank;  // 0: one port, 1: a range, 2: all ports
  PortRange ports;
  Where where;
  const Service* service;

  [[nodiscard]] auto group() const { return std::tuple(address, protocol, rank); }
};

std::vector<Claim> claims(const Draft& draft) {
  std::vector<Claim> all;
  for (std::size_t i = 0; i < draft.services.size(); ++i) {
    const Service& s = draft.model.services[i];
    if (!draft.services[i].protocol) continue;
    for (const Vip& v : s.vips) {
      const std::uint8_t rank = v.ports.all ? 2 : v.ports.is_single() ? 0 : 1;
      all.push_back({v.address, s.protocol, rank, v.ports, v.where, &s});
    }
  }
  return all;
}

void report_overlap(const Claim& a, const Claim& b, Problems& problems) {
  const auto place = [](const Claim& c) { return std::tuple(c.where.line, c.where.column); };
  const Claim& first = place(a) <= place(b) ? a : b;
  const Claim& second = &first == &a ? b : a;
  const std::string vip =
      fmt::format("VIP {} {} {}", to_string(second.address), lb::name(second.protocol), describe(second.ports));
  if (first.ports == second.ports) {
    problems.error(second.where, "{} is already in {} at {}; remove one", vip, describe(*first.service), first.where);
  } else {
    problems.error(second.where, "{} overlaps {} of {} at {}; make them disjoint", vip, describe(first.ports),
                   describe(*first.service), first.where);
  }
}

/// Sorted by where ranges begin, a range meets an earlier one exactly if it begins before the farthest end so far.
void check_overlaps(const Draft& draft, Problems& problems) {
  std::vector<Claim> all = claims(draft);
  std::ranges::stable_sort(all, {}, [](const Claim& c) { return std::tuple(c.group(), c.ports.first); });
  const Claim* farthest = nullptr;
  for (const Claim& c : all) {
    if (farthest == nullptr || farthest->group() != c.group()) {
      farthest = &c;
      continue;
    }
    if (c.ports.first <= farthest->ports.last) report_overlap(*farthest, c, problems);
    if (c.ports.last > farthest->ports.last) farthest = &c;
  }
}

// --- one service ------------------------------------------------------------------------------------------------

void check_vips(const Service& s, const Holders& others, Problems& problems) {
  for (const Vip& v : s.vips)
    if (const auto at = others.find(v.address); at != others.end())
      problems.error(v.where, "VIP {} is {}; give the VIP an address of its own", to_string(v.address),
                     describe(at->second));
}

void check_backends(const Service& s, const Holders& holders, Problems& problems) {
  for (const Backend& b : s.backends)
    if (const auto at = holders.find(b.address); at != holders.end())
      problems.error(b.where, "backend {} is {}; a backend is a server", to_string(b.address), describe(at->second));

  std::vector<const Backend*> sorted;
  for (const Backend& b : s.backends) sorted.push_back(&b);
  const auto identity = [](const Backend* b) { return std::tuple(b->address, b->port); };
  std::ranges::stable_sort(sorted, {}, identity);
  for (std::size_t i = 1, first = 0; i < sorted.size(); ++i) {
    if (identity(sorted[i]) != identity(sorted[first])) {
      first = i;
      continue;
    }
    const Backend& b = *sorted[i];
    const std::string name = b.port == 0 ? to_string(b.address) : to_string(b.address, b.port);
    problems.error(b.where, "backend {} is already in this service at {}; remove one, or give it more weight", name,
                   sorted[first]->where);
  }
}

/// Mode dnat keeps the address family.
void check_families(const Service& s, Problems& problems) {
  bool has_backend[2] = {}, has_vip[2] = {};
  const auto index = [](const lb::Address& a) { return a.is_v4() ? 0 : 1; };
  for (const Backend& b : s.backends) has_backend[index(b.address)] = true;
  for (const Vip& v : s.vips) has_vip[index(v.address)] = true;
  if (s.backends.empty()) return;
  for (const Vip& v : s.vips)
    if (!has_backend[index(v.address)])
      problems.error(v.where,
                     "VIP {} is {}, but {} has no {} backend, and mode dnat cannot change the family; add one "
                     "or remove the VIP",
                     to_string(v.address), lb::name(v.address.family()), describe(s), lb::name(v.address.family()));
  for (const Backend& b : s.backends)
    if (!s.vips.empty() && !has_vip[index(b.address)])
      problems.warn(b.where, "backend {} is {}, but {} has no {} VIP: it gets no traffic", to_string(b.address),
                    lb::name(b.address.family()), describe(s), lb::name(b.address.family()));
}

void check_backend_numbers(const Service& s, Problems& problems) {
  if (s.backends.size() > kMostBackends)
    problems.error(s.backends[kMostBackends].where, "{} has {} backends; at most {} are possible", describe(s),
                   s.backends.size(), kMostBackends);
  if (s.maglev_size && s.backends.size() >= *s.maglev_size)
    problems.error(s.where, "{}: maglev_size {} is too small for {} backends; write a prime above that", describe(s),
                   *s.maglev_size, s.backends.size());
  if (s.backends.empty()) {
    problems.warn(s.where, "{} has no backends: new flows are refused", describe(s));
  } else if (std::ranges::all_of(s.backends, [](const Backend& b) { return b.weight == 0; })) {
    problems.warn(s.where, "{} has no backend with a weight above 0: new flows are refused", describe(s));
  }
}

// --- the whole file ---------------------------------------------------------------------------------------------

void check_vip_number(const Model& model, Problems& problems) {
  std::size_t n = 0;
  for (const Service& s : model.services) n += s.vips.size();
  if (n <= kMostVips) return;
  std::size_t left = kMostVips;
  for (const Service& s : model.services) {
    if (left < s.vips.size()) {
      problems.error(s.vips[left].where, "the file has {} VIPs; at most {} are possible", n, kMostVips);
      return;
    }
    left -= s.vips.size();
  }
}

struct Endpoint {
  lb::Address address;
  lb::Protocol protocol;
  std::uint16_t port;
  bool operator==(const Endpoint&) const noexcept = default;
};

struct EndpointHash {
  std::size_t operator()(const Endpoint& e) const noexcept {
    return std::hash<lb::Address>{}(e.address) * 31 + e.port * 2654435761U + static_cast<std::size_t>(e.protocol);
  }
};

void check_endpoint_number(const Model& model, Problems& problems) {
  std::size_t n = 0;
  for (const Service& s : model.services) n += s.backends.size();
  if (n <= kMostEndpoints) return;  // the usual case: no need to look which are equal
  std::unordered_set<Endpoint, EndpointHash> distinct;
  distinct.reserve(n);
  Where first_over;
  for (const Service& s : model.services)
    for (const Backend& b : s.backends)
      if (distinct.insert({b.address, s.protocol, b.port}).second && distinct.size() == kMostEndpoints + 1)
        first_over = b.where;
  if (distinct.size() > kMostEndpoints)
    problems.error(first_over,
                   "the file has {} endpoints (address, protocol and port of backends); at most {} are possible",
                   distinct.size(), kMostEndpoints);
}

}  // namespace

void check_services(const Draft& draft, Problems& problems) {
  const Model& model = draft.model;
  static_cast<void>(index_by_name(model.services, "service", problems));
  check_vip_number(model, problems);
  check_endpoint_number(model, problems);
  check_overlaps(draft, problems);

  const Holders others = hold_network(model);
  Holders holders = others;
  hold_vips(model, holders);
  for (std::size_t i = 0; i < model.services.size(); ++i) {
    const Service& s = model.services[i];
    const Draft::Whole& whole = draft.services[i];
    check_vips(s, others, problems);
    check_backends(s, holders, problems);
    if (whole.vips && s.vips.empty()) problems.error(s.where, "{} has no VIPs; add one", describe(s));
    if (whole.vips && whole.backends) check_families(s, problems);
    if (whole.backends) check_backend_numbers(s, problems);
  }
}

}  // namespace weir::config
