// What one Compiler::prepare() works on; between compile.cc and compile_kernel.cc alone.
#pragma once

#include "config/prefix_map.h"
#include "control/compile.h"

namespace weir::control {

struct Compiler::Build {
  const config::Model& model;
  const Overlay& overlay;
  std::shared_ptr<lb::Snapshot> snapshot;
  lb::ChunkedBuilder<lb::VipEntry> vips;
  lb::ChunkedBuilder<lb::EndpointEntry> endpoints;
  lb::ChunkedBuilder<lb::AddressEntry> addresses;
  Compiled out;

  std::unordered_set<std::uint32_t> live_vips, live_endpoints, live_addresses, live_next_hops;
  std::unordered_set<std::uint32_t> own_next_hops;  // of the live ones, those that are more than a neighbour's route
  std::unordered_map<LinkIndex, lb::InterfaceId> twins;
  std::unordered_map<NextHopKey, lb::NextHopId> neighbor_routes;  // becomes neighbor_routes_
  std::unordered_map<std::uint32_t, lb::EndpointEntry> endpoint_entries;
  std::unordered_map<std::uint32_t, unsigned> vips_of_endpoint;
  std::unordered_map<lb::Address, lb::AddressEntry> address_entries;
  std::unordered_map<NextHopKey, lb::MacAddress> neighbors;  // the file's
  std::vector<std::pair<lb::Prefix, NextHopKey>> routes;     // connected and static, longest first
  config::PrefixMap<NextHopKey> ways;                        // they and the neighbours, as the LPM will answer
  std::map<std::pair<std::string, lb::Family>, CachedSet> sets;
  std::unordered_set<std::uint32_t> left;  // becomes left_
};

}  // namespace weir::control
