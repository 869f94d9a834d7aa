// What the path looks things up in, said twice: TableContents is what the tables must hold; PlainTables is the
// simple way to hold it, for `weir trace`, tests and fuzzers, without DPDK. The workers' way is
// dataplane/rte_tables.h; tests/dataplane/tables_test.cc shows that both answer alike.
#pragma once

#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

#include "lb/address.h"
#include "lb/ids.h"
#include "lb/service_key.h"

namespace weir::lb {

struct TableContents {
  std::unordered_map<ServiceKey, VipId> vips;            // single-port VIPs
  std::unordered_map<ServiceKey, EndpointId> endpoints;  // port 0: as it arrived
  std::unordered_map<Address, AddressId> addresses;      // VIP addresses and own addresses
  std::vector<std::pair<Prefix, NextHopId>> routes;  // longest match wins, of equals the last; host routes: neighbours
};

class PlainTables {
 public:
  explicit PlainTables(const TableContents& contents) : contents_(contents) {}

  void find_vips(std::span<const ServiceKey* const> keys, std::span<VipId> ids) const noexcept {
    for (std::size_t i = 0; i < keys.size(); ++i) ids[i] = find(contents_.vips, *keys[i]);
  }
  void find_endpoints(std::span<const ServiceKey* const> keys, std::span<EndpointId> ids) const noexcept {
    for (std::size_t i = 0; i < keys.size(); ++i) ids[i] = find(contents_.endpoints, *keys[i]);
  }
  [[nodiscard]] AddressId find_address(const Address& a) const noexcept { return find(contents_.addresses, a); }
  [[nodiscard]] NextHopId find_route(const Address& a) const noexcept {
    const std::pair<Prefix, NextHopId>* best = nullptr;
    for (const auto& route : contents_.routes)
      if (route.first.contains(a) && (best == nullptr || route.first.length >= best->first.length)) best = &route;
    return best == nullptr ? NextHopId::kNone : best->second;
  }

 private:
  template <class Map>
  [[nodiscard]] static typename Map::mapped_type find(const Map& map, const typename Map::key_type& key) noexcept {
    const auto it = map.find(key);
    return it == map.end() ? Map::mapped_type::kNone : it->second;
  }

  const TableContents& contents_;
};

}  // namespace weir::lb
