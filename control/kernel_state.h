// The kernel's network as messages build it up, one at a time and cheaply; network() takes a value of it.
//
// Routes lie densely in one array with an index beside it, so that taking a value of 100,000 of them is one copy of
// 5 MB and not a walk over as many nodes. Control thread.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <unordered_map>
#include <vector>

#include "control/kernel_message.h"
#include "control/kernel_network.h"

namespace weir::control {

class KernelState {
 public:
  /// What a message changed. kUnsure: the kernel has changed more than it says (routes of a link that went down vanish
  /// without a message each, of two routes to one prefix one was removed), so all must be read again.
  enum class Effect : std::uint8_t { kNothing, kNeighbor, kNetwork, kUnsure };

  /// `twins`: device and interface of each; nothing else is followed.
  explicit KernelState(const std::map<LinkIndex, std::string>& twins);

  /// `is_dump`: it is part of a full reading, in which a second route to a prefix is an alternative and no news.
  Effect apply(const KernelMessage& message, bool is_dump);

  [[nodiscard]] KernelNetwork network() const;
  /// Null if the kernel has no entry.
  [[nodiscard]] const KernelNeighbor* neighbor(LinkIndex link, const lb::Address& address) const;
  [[nodiscard]] std::size_t route_count() const noexcept { return routes_.size(); }
  [[nodiscard]] const auto& neighbors() const noexcept { return neighbors_; }
  [[nodiscard]] const std::map<LinkIndex, KernelLink>& links() const noexcept { return links_; }
  [[nodiscard]] const std::vector<KernelAddress>& addresses() const noexcept { return addresses_; }

 private:
  struct RouteKey {
    lb::Prefix to;
    std::uint32_t metric;
    bool operator==(const RouteKey&) const noexcept = default;
  };
  struct NeighborKey {
    LinkIndex link;
    lb::Address address;
    bool operator==(const NeighborKey&) const noexcept = default;
  };
  struct Hash {
    std::size_t operator()(const RouteKey& k) const noexcept {
      return std::hash<lb::Address>()(k.to.address) * 31 + k.to.length + (std::size_t{k.metric} << 8);
    }
    std::size_t operator()(const NeighborKey& k) const noexcept {
      return std::hash<lb::Address>()(k.address) * 31 + static_cast<std::size_t>(k.link);
    }
  };

  Effect take(const LinkMessage& m, bool is_dump);
  Effect take(const AddressMessage& m, bool is_dump);
  Effect take(const RouteMessage& m, bool is_dump);
  Effect take(const NeighborMessage& m, bool is_dump);
  void remove_route(const RouteKey& key);

  std::map<LinkIndex, KernelLink> links_;
  std::vector<KernelAddress> addresses_;
  std::vector<KernelRoute> routes_;
  std::unordered_map<RouteKey, std::uint32_t, Hash> route_at_;  // place in routes_
  std::unordered_map<NeighborKey, KernelNeighbor, Hash> neighbors_;
};

}  // namespace weir::control
