// The configuration's last step before the workers: a checked model, and the overlay beside it, become a snapshot, the
// contents of the tables beside it, and the next-hop words.
//
// A Compiler remembers what the last generation was, because three things live longer than one file: ids (of VIPs,
// endpoints, addresses, interfaces, next hops), Maglev tables of services that did not change, and endpoints that
// are no longer configured but still have flows. Those stay in the tables as *retired* until collect() finds that
// no worker counts a flow for them.
//
// Used by the compile thread, one call at a time.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "config/model.h"
#include "config/prefix_map.h"
#include "control/overlay.h"
#include "lb/id_registry.h"
#include "lb/next_hops.h"
#include "lb/plain_tables.h"
#include "lb/result.h"
#include "lb/snapshot.h"
#include "lb/table_changes.h"

namespace weir::control {

/// What a VIP's id stands for.
struct VipKey {
  lb::Address address;
  lb::Protocol protocol{};
  std::uint16_t first_port = 0;
  std::uint16_t last_port = 0;
  constexpr bool operator==(const VipKey&) const noexcept = default;
};
/// What a next hop's id stands for. An unspecified address: "somewhere on that interface", never resolved.
struct NextHopKey {
  lb::InterfaceId interface{};
  lb::Address address;
  constexpr bool operator==(const NextHopKey&) const noexcept = default;
};

}  // namespace weir::control

template <>
struct std::hash<weir::control::VipKey> {
  std::size_t operator()(const weir::control::VipKey& k) const noexcept {
    return std::hash<weir::lb::Address>()(k.address) ^
           (std::size_t{k.first_port} << 24 | std::size_t{k.last_port} << 8 | static_cast<std::size_t>(k.protocol)) *
               0x9e3779b97f4a7c15ULL;
  }
};
template <>
struct std::hash<weir::control::NextHopKey> {
  std::size_t operator()(const weir::control::NextHopKey& k) const noexcept {
    return std::hash<weir::lb::Address>()(k.address) * 31 + static_cast<std::size_t>(k.interface);
  }
};

namespace weir::control {

/// Of a next hop that runs, for the control thread.
struct NextHopInfo {
  lb::NextHopId id{};
  bool is_static = false;    // the file has its MAC, and what the kernel says does not count
  bool is_followed = false;  // its word is written by control as it hears from the kernel
  bool is_kept = false;      // a gateway or a backend: the kernel is asked to keep it resolved
};
struct NextHopIndex {
  std::unordered_map<NextHopKey, NextHopInfo> by_key;
  std::unordered_map<std::uint32_t, NextHopKey> by_id;  // of those with an address
  [[nodiscard]] const NextHopInfo* find(const NextHopKey& key) const {
    const auto it = by_key.find(key);
    return it == by_key.end() ? nullptr : &it->second;
  }
};

/// The length of a prefix that holds this address alone.
[[nodiscard]] inline std::uint8_t host_length(const lb::Address& a) noexcept {
  return a.is_v4() ? 32 : 128;
}

/// One generation, ready to be published. A value; nothing in it points into the compiler.
struct Compiled {
  std::shared_ptr<const lb::Snapshot> snapshot;
  lb::TableContents contents;
  lb::TableChanges changes;                                          // from the generation before to these contents
  std::vector<std::pair<lb::NextHopId, lb::NextHopWord>> next_hops;  // every word but the followed ones
  std::vector<std::pair<NextHopKey, lb::NextHopId>> new_followed;    // whose words control has yet to write
  std::vector<NextHopKey> kept, released;                            // the kernel is to keep resolved, or no longer
  std::shared_ptr<const NextHopIndex> next_hop_index;                // null: nothing is followed
  std::size_t routes_left_out = 0;                                   // of the kernel's, for want of room
  std::size_t neighbors_left_out = 0;                                // likewise
  std::unordered_map<VipKey, lb::VipId> vip_ids;                     // of the model's VIPs, for those who show them
};

/// Host routes to neighbours that the kernel found, beside a generation: what changes in the tables, and the next hops.
struct NeighborRoutes {
  lb::TableChanges changes;  // of routes alone
  std::vector<std::pair<NextHopKey, lb::NextHopId>> added;
  std::vector<NextHopKey> removed;
  std::size_t left_out = 0;  // for want of room
};

class Compiler {
 public:
  static constexpr std::size_t kMaxNextHops = std::size_t{1} << 20;
  /// Of the kernel's routes more than these, the longest prefixes first left out, stay with the kernel.
  static constexpr std::size_t kMaxKernelRoutes4 = 100'000, kMaxKernelRoutes6 = 25'000;

  /// `port_macs`: the devices' own, in the order of the model's ports, for interfaces that give none.
  explicit Compiler(std::vector<lb::MacAddress> port_macs) : port_macs_(std::move(port_macs)) {}

  /// How many routes the tables hold of each family. Of neighbours more than what the kernel's and twice the file's
  /// routes leave of it, so that both can change, get no host route. Without this call there is no limit.
  void set_table_room(std::size_t v4, std::size_t v6) { table_room_ = {v4, v6}; }

  /// Refuses, changing nothing, only when ids run out (which retired endpoints can cause). On success the caller tries
  /// to publish the result, and says by accept() or reject() what became of it before anything else is asked.
  [[nodiscard]] lb::Result<Compiled> prepare(const config::Model& model, const Overlay& overlay,
                                             std::uint64_t generation);
  /// It runs; the next generation builds on it.
  void accept();
  /// It does not; as if prepare() had not been called.
  void reject();
  /// prepare() and accept(), for those whose publication cannot fail.
  [[nodiscard]] lb::Result<Compiled> compile(const config::Model& model, std::uint64_t generation,
                                             const Overlay& overlay = {});

  /// The short way for neighbours: on-link ones get a host route each, so that packets to them need no next hop of the
  /// file's. `is_there`: the kernel has it; else it is gone. Costs what the changes cost. Then accept_neighbors() or
  /// reject().
  [[nodiscard]] NeighborRoutes prepare_neighbors(const std::vector<std::pair<NextHopKey, bool>>& is_there);
  void accept_neighbors();

  /// After the grace period of the last published generation: frees retired ids that have no flows, as `flows` says
  /// (summed over workers), and adds them to `freed`. True if the tables should shrink: compile the same model again.
  struct FlowCounts {
    std::function<std::uint64_t(lb::VipId)> vip;
    std::function<std::uint64_t(lb::EndpointId)> endpoint;
  };
  struct Freed {
    std::vector<lb::VipId> vips;
    std::vector<lb::EndpointId> endpoints;
  };
  [[nodiscard]] bool collect(const FlowCounts& flows, Freed* freed = nullptr);

  [[nodiscard]] lb::VipId vip_id(const VipKey& key) const { return lb::VipId(vips_.find(key)); }
  [[nodiscard]] lb::EndpointId endpoint_id(const lb::ServiceKey& key) const {
    return lb::EndpointId(endpoints_.find(key));
  }
  [[nodiscard]] std::size_t retired_count() const {
    return vips_.retired().size() + endpoints_.retired().size() + addresses_.retired().size() +
           next_hops_.retired().size();
  }

 private:
  struct Build;  // one compile() call's working state
  struct CachedSet {
    std::vector<lb::MaglevMember> members;
    std::vector<lb::EndpointId> ids;
    std::uint32_t size = 0;
    std::shared_ptr<const lb::BackendSet> set;
  };

  [[nodiscard]] lb::Result<Compiled> build_all(Build& b);
  [[nodiscard]] lb::Result<void> add_interfaces(Build& b);
  [[nodiscard]] lb::Result<void> add_routes(Build& b);
  [[nodiscard]] lb::Result<void> add_services(Build& b);
  [[nodiscard]] lb::Result<std::shared_ptr<const lb::BackendSet>> set_of(Build& b, const config::Service& service,
                                                                         lb::Family family);
  [[nodiscard]] lb::Result<void> add_vip(Build& b, std::uint32_t position, const config::Vip& vip,
                                         std::shared_ptr<const lb::BackendSet> set);
  void find_on_twins(Build& b);
  void add_kernel_links(Build& b);
  void add_kernel_addresses(Build& b);
  [[nodiscard]] lb::Result<void> add_kernel_routes(Build& b);
  void add_neighbor_routes(Build& b);
  void find_neighbor_room(Build& b);
  void index_next_hops(Build& b);
  [[nodiscard]] bool was_kept(const NextHopKey& key) const;
  [[nodiscard]] static bool is_followed(const Build& b, const NextHopKey& key);
  void retire_missing(Build& b);
  void write_endpoints(Build& b);
  void write_addresses(Build& b);
  [[nodiscard]] lb::Result<lb::NextHopId> next_hop(Build& b, const NextHopKey& key);
  [[nodiscard]] lb::Result<lb::NextHopId> next_hop_towards(Build& b, const lb::Address& destination);

  std::vector<lb::MacAddress> port_macs_;
  lb::IdRegistry<VipKey, lb::kVipIdBits> vips_;
  lb::IdRegistry<lb::ServiceKey, lb::kEndpointIdBits> endpoints_;
  lb::IdRegistry<lb::Address, 17> addresses_;
  lb::IdRegistry<std::string, 12> interfaces_;
  lb::IdRegistry<NextHopKey, 20> next_hops_;
  std::map<std::pair<std::string, lb::Family>, CachedSet> sets_;  // by service name
  std::unordered_set<std::uint32_t> left_;  // endpoint ids that some VIP has lost while flows may remain
  std::shared_ptr<const lb::Snapshot> last_;
  lb::TableContents last_contents_;                                // without the neighbours' routes
  config::PrefixMap<NextHopKey> ways_;                             // of the last generation, without them
  std::unordered_set<NextHopKey> neighbors_;                       // all that the kernel has
  std::unordered_map<NextHopKey, lb::NextHopId> neighbor_routes_;  // those of them that have a host route
  std::shared_ptr<const NextHopIndex> index_;
  using ByFamily = std::array<std::size_t, 2>;  // IPv4, IPv6
  static constexpr std::size_t kNoLimit = ~std::size_t{0};
  ByFamily table_room_{kNoLimit, kNoLimit};
  ByFamily neighbor_room_{kNoLimit, kNoLimit};  // beside the last generation

  struct Pending {  // between prepare() and accept(): what becomes of those above
    std::map<std::pair<std::string, lb::Family>, CachedSet> sets;
    std::unordered_set<std::uint32_t> left;
    std::shared_ptr<const lb::Snapshot> last;
    lb::TableContents contents;
    config::PrefixMap<NextHopKey> ways;
    std::unordered_map<NextHopKey, lb::NextHopId> neighbor_routes;
    std::shared_ptr<const NextHopIndex> index;
    ByFamily neighbor_room{};
  };
  Pending pending_;
};

}  // namespace weir::control
