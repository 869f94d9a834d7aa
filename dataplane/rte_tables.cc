#include "dataplane/rte_tables.h"

#include <rte_errno.h>
#include <rte_hash_crc.h>

#include <algorithm>
#include <cstring>
#include <string>

namespace weir::dataplane {

namespace {

// A route deeper than /24 takes a group of 256 entries, and one more for each further byte in IPv6. Hosts of a subnet
// share most of them; a quarter of the worst case, and never few.
std::uint32_t tbl8_groups(std::uint32_t routes) {
  return std::clamp(routes, 2048u, 65'536u);
}
std::uint32_t tbl8_groups6(std::uint32_t routes) {
  return std::clamp(routes * 3, 8192u, 262'144u);
}

// CRC, for keys are the operator's, not an attacker's. rte_hash_crc() reads words of 8 bytes where the key lies, and an
// Address lies anywhere.
std::uint32_t hash_key(const void* key, std::uint32_t length, std::uint32_t seed) {
  alignas(8) std::uint8_t aligned[sizeof(lb::ServiceKey)];
  std::memcpy(aligned, key, length);
  return rte_hash_crc(aligned, length, seed);
}

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
  const std::size_t lpm6 =
      (std::size_t{64} << 20) + std::size_t{tbl8_groups6(size.routes6)} * 1088 + size.routes6 * 192;
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

  t.route_capacity_[0] = size.routes;
  t.route_capacity_[1] = size.routes6;
  const rte_lpm_config config4{.max_rules = size.routes, .number_tbl8s = tbl8_groups(size.routes), .flags = 0};
  t.lpm_.reset(rte_lpm_create(unique_name("lpm").c_str(), socket, &config4));
  const rte_lpm6_config config6{.max_rules = size.routes6, .number_tbl8s = tbl8_groups6(size.routes6), .flags = 0};
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
  p.hash_func = hash_key;
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

lb::Result<void> RteTables::check(const lb::TableChanges& changes) const {
  if (auto ok = fits("VIPs", vips_.held + changes.vips.added, vips_.capacity); !ok) return ok;
  if (auto ok = fits("endpoints", endpoints_.held + changes.endpoints.added, endpoints_.capacity); !ok) return ok;
  if (auto ok = fits("addresses", addresses_.held + changes.addresses.added, addresses_.capacity); !ok) return ok;
  std::size_t v4 = routes_held_[0], v6 = routes_held_[1];
  for (const auto& [prefix, id] : changes.routes.put)
    if (!routes_.contains(prefix)) ++(prefix.address.is_v4() ? v4 : v6);
  if (auto ok = fits("IPv4 routes and neighbours", v4, route_capacity_[0]); !ok) return ok;
  return fits("IPv6 routes and neighbours", v6, route_capacity_[1]);
}

namespace {

// Cannot fail for want of room: check() has counted, and the table extends full buckets.
template <class Hash, class Of>
void put_all(Hash& hash, const Of& changes) {
  for (const auto& [key, id] : changes.put)
    rte_hash_add_key_data(hash.table.get(), &key, reinterpret_cast<void*>(lb::index(id)));
  hash.held += changes.added;
}

template <class Hash, class Of>
void remove_all(Hash& hash, const Of& changes) {
  for (const auto& key : changes.removed) {
    const std::int32_t place = rte_hash_del_key(hash.table.get(), &key);
    if (place >= 0) hash.removed.push_back(place);
  }
  hash.held -= changes.removed.size();
}

}  // namespace

lb::Result<void> RteTables::add(const lb::TableChanges& changes) {
  const auto added = add_some(changes, changes.routes.put.size() + 1);
  return added ? lb::Result<void>() : std::unexpected(added.error());
}

// How many tbl8 groups a set of routes takes is only known by adding them; so what was added is taken back if they
// run out.
lb::Result<bool> RteTables::add_some(const lb::TableChanges& changes, std::size_t routes) {
  const auto& put = changes.routes.put;
  if (done_ == 0)
    if (auto ok = check(changes); !ok) return std::unexpected(ok.error());
  for (const std::size_t end = std::min(put.size(), done_ + routes); done_ < end; ++done_) {
    const auto& [prefix, id] = put[done_];
    if (const int error = add_route(prefix, id); error < 0) {
      undo_routes();
      return lb::fail("no room for the route " + lb::to_string(prefix) + ": " + rte_strerror(-error) +
                      "; restart weir to serve this file");
    }
    const auto [at, is_new] = routes_.try_emplace(prefix, id);
    before_.emplace_back(prefix, is_new ? lb::NextHopId::kNone : at->second);
    at->second = id;
    if (is_new) ++routes_held_[!prefix.address.is_v4()];
    is_new_.push_back(is_new);
  }
  if (done_ < put.size()) return false;
  done_ = 0, before_.clear(), is_new_.clear();
  put_all(vips_, changes.vips);
  put_all(endpoints_, changes.endpoints);
  put_all(addresses_, changes.addresses);
  return true;
}

void RteTables::undo_routes() {
  for (std::size_t i = before_.size(); i-- > 0;) {
    const auto& [prefix, id] = before_[i];
    if (is_new_[i]) {
      remove_route(prefix);
      routes_.erase(prefix);
      --routes_held_[!prefix.address.is_v4()];
    } else {
      static_cast<void>(add_route(prefix, id));
      routes_[prefix] = id;
    }
  }
  done_ = 0, before_.clear(), is_new_.clear();
}

bool RteTables::remove_some(const lb::TableChanges& changes, std::size_t routes) {
  const auto& removed = changes.routes.removed;
  if (done_ == 0) {
    remove_all(vips_, changes.vips);
    remove_all(endpoints_, changes.endpoints);
    remove_all(addresses_, changes.addresses);
  }
  for (const std::size_t end = std::min(removed.size(), done_ + routes); done_ < end; ++done_) {
    remove_route(removed[done_]);
    routes_held_[!removed[done_].address.is_v4()] -= routes_.erase(removed[done_]);
  }
  if (done_ < removed.size()) return false;
  done_ = 0;
  return true;
}

void RteTables::reclaim() {
  for (Hash* hash : {&vips_, &endpoints_, &addresses_}) {
    for (const std::int32_t place : hash->removed) rte_hash_free_key_with_position(hash->table.get(), place);
    hash->removed.clear();
  }
}

// ---- routes ----

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
