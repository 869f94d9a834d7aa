// What one Compiler::prepare() works on; between compile.cc and compile_kernel.cc alone.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "config/prefix_map.h"
#include "control/compile.h"

namespace weir::control {

// Ids are small and dense: a bit for each, and no hashing (of 100,000 endpoints, a fifth of a compilation's time).
class IdSet {
 public:
  void insert(std::uint32_t id) {
    if (id >= bits_.size()) bits_.resize(std::max<std::size_t>(id + 1, bits_.size() * 2));
    bits_[id] = true;
  }
  [[nodiscard]] bool contains(std::uint32_t id) const { return id < bits_.size() && bits_[id]; }
  template <class See>
  void for_each(See&& see) const {
    for (std::uint32_t id = 0; id < bits_.size(); ++id)
      if (bits_[id]) see(id);
  }

 private:
  std::vector<bool> bits_;
};

// By id, T{} where nothing was written.
template <class T>
class ById {
 public:
  [[nodiscard]] T& operator[](std::uint32_t id) {
    if (id >= values_.size()) values_.resize(std::max<std::size_t>(id + 1, values_.size() * 2));
    return values_[id];
  }
  [[nodiscard]] std::size_t size() const { return values_.size(); }

 private:
  std::vector<T> values_;
};

struct Compiler::Build {
  const config::Model& model;
  const Overlay& overlay;
  std::shared_ptr<lb::Snapshot> snapshot;
  lb::ChunkedBuilder<lb::VipEntry> vips;
  lb::ChunkedBuilder<lb::EndpointEntry> endpoints;
  lb::ChunkedBuilder<lb::AddressEntry> addresses;
  Compiled out;

  IdSet live_vips, live_endpoints, live_addresses, live_next_hops;
  std::unordered_set<std::uint32_t> own_next_hops;  // of the live ones, those that are more than a neighbour's route
  std::unordered_map<LinkIndex, lb::InterfaceId> twins;
  std::unordered_map<NextHopKey, lb::NextHopId> neighbor_routes;  // becomes neighbor_routes_
  ByFamily neighbor_room{kNoLimit, kNoLimit};                     // becomes neighbor_room_
  ById<lb::EndpointEntry> endpoint_entries;                       // is_live: of this generation, retired ones included
  ById<unsigned> vips_of_endpoint;
  std::unordered_map<lb::Address, lb::AddressEntry> address_entries;
  std::unordered_map<NextHopKey, lb::MacAddress> neighbors;  // the file's
  std::vector<std::pair<lb::Prefix, NextHopKey>> routes;     // connected and static, longest first
  config::PrefixMap<NextHopKey> ways;                        // they and the neighbours, as the LPM will answer
  std::map<std::pair<std::string, lb::Family>, CachedSet> sets;
  std::unordered_set<std::uint32_t> left;  // becomes left_
};

}  // namespace weir::control
