// May a port's hardware bring packets to the owner of their flow (lb/owner.h), and how is it asked to?
//
// Asked for: Toeplitz by the owners' key over the client's address and port alone, for TCP and UDP: the source on ports
// where clients are, the destination on ports where servers are. A one-arm port would need both. Entry i of the
// indirection table becomes a queue of worker lane[i mod 128], so its size must be a multiple of 128. The port must
// tell the hash with each packet, since it is trusted only after proof (dataplane/steering.h).
#pragma once

#include <rte_ethdev.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lb/owner.h"

namespace weir::dataplane {

/// Who is behind a port, as the configuration has it.
enum class PortSide : std::uint8_t { kClients, kServers, kBoth };

struct RssRequest {
  unsigned workers = 1;
  PortSide side = PortSide::kBoth;
  lb::ToeplitzKey key{};
};

/// The RSS hash types to ask for; `side` is not kBoth.
[[nodiscard]] constexpr std::uint64_t rss_types(PortSide side) noexcept {
  constexpr std::uint64_t kPackets = RTE_ETH_RSS_NONFRAG_IPV4_TCP | RTE_ETH_RSS_NONFRAG_IPV4_UDP |
                                     RTE_ETH_RSS_NONFRAG_IPV6_TCP | RTE_ETH_RSS_NONFRAG_IPV6_UDP;
  return kPackets | (side == PortSide::kClients ? RTE_ETH_RSS_L3_SRC_ONLY | RTE_ETH_RSS_L4_SRC_ONLY
                                                : RTE_ETH_RSS_L3_DST_ONLY | RTE_ETH_RSS_L4_DST_ONLY);
}

/// Why the hardware cannot be asked, as the end of a sentence that begins with "software: "; none if it can.
[[nodiscard]] inline std::optional<std::string> why_no_rss(const RssRequest& request, const rte_eth_dev_info& info,
                                                           unsigned rx_queues) {
  constexpr unsigned kLeastKeyBytes = lb::kToeplitzInputBytes + 4;  // a window of 32 bits at the last bit of input
  if (info.hash_key_size == 0 || info.reta_size == 0) return "the device does not hash packets";
  if (rx_queues < request.workers)
    return std::to_string(rx_queues) + (rx_queues == 1 ? " queue for " : " queues for ") +
           std::to_string(request.workers) + " workers";
  if (request.side == PortSide::kBoth) return "clients and servers are on this port";
  if ((rss_types(request.side) & ~info.flow_type_rss_offloads) != 0)
    return std::string("the device cannot hash by ") + (request.side == PortSide::kClients ? "source" : "destination") +
           " alone";
  if (info.hash_key_size < kLeastKeyBytes || info.hash_key_size > lb::kToeplitzKeyBytes)
    return "the device's hash key has " + std::to_string(info.hash_key_size) + " bytes";
  if (info.reta_size % lb::kLanes != 0)
    return "the device's indirection table has " + std::to_string(info.reta_size) + " entries, no multiple of 128";
  if ((info.rx_offload_capa & RTE_ETH_RX_OFFLOAD_RSS_HASH) == 0) return "the device does not tell its hash";
  return std::nullopt;
}

/// The indirection table: for each entry a queue of its lane's worker. `queues` by worker, none empty; a worker's
/// queues take turns.
[[nodiscard]] inline std::vector<rte_eth_rss_reta_entry64> reta(const lb::Owners& owners, std::size_t entries,
                                                                const std::vector<std::vector<std::uint16_t>>& queues) {
  std::vector<rte_eth_rss_reta_entry64> table((entries + RTE_ETH_RETA_GROUP_SIZE - 1) / RTE_ETH_RETA_GROUP_SIZE);
  std::vector<std::size_t> turns(queues.size());
  for (std::size_t i = 0; i < entries; ++i) {
    const lb::WorkerIndex owner = owners.lanes()[i % lb::kLanes];
    rte_eth_rss_reta_entry64& group = table[i / RTE_ETH_RETA_GROUP_SIZE];
    group.mask |= std::uint64_t{1} << i % RTE_ETH_RETA_GROUP_SIZE;
    group.reta[i % RTE_ETH_RETA_GROUP_SIZE] = queues[owner][turns[owner]++ % queues[owner].size()];
  }
  return table;
}

}  // namespace weir::dataplane
