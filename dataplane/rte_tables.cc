#include "dataplane/rte_tables.h"

#include <rte_errno.h>
#include <rte_hash_crc.h>

#include <algorithm>
#include <string>

namespace weir::dataplane {

namespace {

// A route deeper than /24 takes a group of 256 entries, and one more for each further byte in IPv6. Hosts of a subnet
// share most of them; a quarter of the worst case, and never few.
std::uint32_t tbl8_groups(std::uint32_t routes) { return std::clamp(routes, 2048u, 65'536u); }
std::uint32_t tbl8_groups6(std::uint32_t routes) { return std::clamp(routes * 3, 8192u, 262'144u); }

std::string unique_name(const char* what) {
  static std::uint32_t count = 0;  // rte_ tables have names; start-up only
  return std::string("weir_") + what + "_" + std::to_string(count++);
}

lb::Result<void> fits(const char* what, std::size_t wanted, std::size_t capacity) {
  if (wanted <= capacity) return {};
  return lb::fail(std::to_string(wanted) + " " + what + " do not fit the tables, which were made for " +
                  std::to_string(capacity) + " at start; restart weir to serve this file");
}

}  // namespace

std::size_t RteTables::memory(const Size& size) noexcept {
  const std::size_t hashes = (std::size_t{size.vips} + size.endpoints + size.addresses) * 160;
  const std::size_t lpm = (std::size_t{64} << 20) + std::size_t{tbl8_groups(size.routes)} * 1024 + size.routes * 16;
  const std::size_t lpm6 = (std::size_t{64} << 20) + std::size_t{tbl8_groups6(size.routes)} * 1088 + size.routes * 192;
  return hashes + lpm + lpm6;
}

lb::Result<RteTables> RteTables::create(const Size& size, int socket) {
  RteTables t;
  const struct {
    Hash& hash;
    const char* what;
    std::uint32_t entries;
    std::uint32_t key_bytes;
  } hashes[] = {{t.vips_, "vips", size.vips, sizeof(lb::ServiceKey)},
                {t.endpoints_, "endpoints", size.endpoints, sizeof(lb::ServiceKey)},
                {t.addresses_, "addresses", size.addresses, sizeof(lb::Address)}};
  for (const auto& h : hashes) {
    auto made = create_hash(h.what, h.entries, h.key_bytes, socket);
    if (!made) return std::unexpected(made.error());
    h.hash = std::move(*made);
  }

  t.route_capacity_ = size.routes;
  const rte_lpm_config config4{.max_rules = size.routes, .number_tbl8s = tbl8_groups(size.routes), .flags = 0};
  t.lpm_.reset(rte_lpm_create(unique_name("lpm").c_str(), socket, &config4));
  const rte_lpm6_config config6{.max_rules = size.routes, .number_tbl8s = tbl8_groups6(size.routes), .flags = 0};
  t.lpm6_.reset(rte_lpm6_create(unique_name("lpm6").c_str(), socket, &config6));
  if (!t.lpm_ || !t.lpm6_)
    return lb::fail(std::string("no EAL memory for the route tables: ") + rte_strerror(rte_errno));
  return t;
}

lb::Result<RteTables::Hash> RteTables::create_hash(const char* what, std::uint32_t entries, std::uint32_t key_bytes,
                                                   int socket) {
  rte_hash_parameters p{};
  const std::string name = unique_name(what);
  p.name = name.c_str();
  p.entries = entries;
  p.key_len = key_bytes;
  p.hash_func = rte_hash_crc;  // keys are the operator's, not an attacker's
  p.socket_id = socket;
  p.extra_flag = RTE_HASH_EXTRA_FLAGS_RW_CONCURRENCY_LF | RTE_HASH_EXTRA_FLAGS_EXT_TABLE;
  Hash h;
  h.capacity = entries;
  h.table.reset(rte_hash_create(&p));
  if (!h.table) {
    return lb::fail(std::string("no EAL memory for the table of ") + what + " (" + std::to_string(entries) +
                    " entries): " + rte_strerror(rte_errno));
  }
  return h;
}

// ---- editing ----

lb::Result<void> RteTables::check(const lb::TableContents& next) const {
  // Until remove(), old and new entries stand side by side.
  const auto both = [](const auto& current, const auto& wanted) {
    std::size_t n = current.size();
    for (const auto& [key, id] : wanted) n += current.contains(key) ? 0 : 1;
    return n;
  };
  if (auto ok = fits("VIPs", both(current_.vips, next.vips), vips_.capacity); !ok) return ok;
  if (auto ok = fits("endpoints", both(current_.endpoints, next.endpoints), endpoints_.capacity); !ok) return ok;
  if (auto ok = fits("addresses", both(current_.addresses, next.addresses), addresses_.capacity); !ok) return ok;
  return fits("routes and neighbours", routes_.size() + next.routes.size(), route_capacity_);
}

lb::Result<void> RteTables::add(const lb::TableContents& next) {
  if (auto done = add_all(vips_, current_.vips, next.vips); !done) return done;
  if (auto done = add_all(endpoints_, current_.endpoints, next.endpoints); !done) return done;
  if (auto done = add_all(addresses_, current_.addresses, next.addresses); !done) return done;
  for (const auto& [prefix, id] : routes_of(next)) {
    const auto held = routes_.find(prefix);
    if (held != routes_.end() && held->second == id) continue;
    if (const int error = add_route(prefix, id); error < 0)
      return lb::fail("no room for the route " + lb::to_string(prefix) + ": " + rte_strerror(-error));
    routes_[prefix] = id;
  }
  return {};
}

template <class Map>
lb::Result<void> RteTables::add_all(Hash& hash, const Map& current, const Map& next) {
  for (const auto& [key, id] : next) {
    const auto held = current.find(key);
    if (held != current.end() && held->second == id) continue;
    const int error = rte_hash_add_key_data(hash.table.get(), &key, reinterpret_cast<void*>(lb::index(id)));
    if (error < 0) return lb::fail(std::string("a table is full: ") + rte_strerror(-error));
  }
  return {};
}

void RteTables::remove(const lb::TableContents& next) {
  remove_all(vips_, current_.vips, next.vips);
  remove_all(endpoints_, current_.endpoints, next.endpoints);
  remove_all(addresses_, current_.addresses, next.addresses);
  current_ = next;
  const Routes wanted = routes_of(next);
  std::erase_if(routes_, [&](const auto& held) {
    if (wanted.contains(held.first)) return false;
    remove_route(held.first);
    return true;
  });
}

template <class Map>
void RteTables::remove_all(Hash& hash, const Map& current, const Map& next) {
  for (const auto& [key, id] : current) {
    if (next.contains(key)) continue;
    const std::int32_t place = rte_hash_del_key(hash.table.get(), &key);
    if (place >= 0) hash.removed.push_back(place);
  }
}

void RteTables::reclaim() {
  for (Hash* hash : {&vips_, &endpoints_, &addresses_}) {
    for (const std::int32_t place : hash->removed) rte_hash_free_key_with_position(hash->table.get(), place);
    hash->removed.clear();
  }
}

// ---- routes ----

// rte_lpm has no /0 (its rules begin at depth 1): a default route is its two halves, where those are not routes of
// their own.
RteTables::Routes RteTables::routes_of(const lb::TableContents& contents) {
  Routes routes(contents.routes.begin(), contents.routes.end());
  for (const lb::Address& all : {lb::Address::v4({}), lb::Address{}}) {
    const auto whole = routes.extract({all, 0});
    if (whole.empty()) continue;
    lb::Address upper = all;
    upper.bytes[all.is_v4() ? 12 : 0] = 0x80;
    routes.try_emplace({all, 1}, whole.mapped());
    routes.try_emplace({upper, 1}, whole.mapped());
  }
  return routes;
}

int RteTables::add_route(const lb::Prefix& p, lb::NextHopId id) {
  const auto next_hop = static_cast<std::uint32_t>(id);
  if (p.address.is_v4()) return rte_lpm_add(lpm_.get(), p.address.to_v4().host(), p.length, next_hop);
  return rte_lpm6_add(lpm6_.get(), p.address.bytes.data(), p.length, next_hop);
}

void RteTables::remove_route(const lb::Prefix& p) {
  if (p.address.is_v4()) {
    rte_lpm_delete(lpm_.get(), p.address.to_v4().host(), p.length);
  } else {
    rte_lpm6_delete(lpm6_.get(), p.address.bytes.data(), p.length);
  }
}

}  // namespace weir::dataplane
