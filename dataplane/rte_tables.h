// The workers' tables: rte_hash for VIPs, endpoints and addresses, rte_lpm and rte_lpm6 for routes.
//
// They are edited in place by control while workers read. The order keeps every reader right:
//   1. add()      everything that the next snapshot names          before the publish
//   2. remove()   what only the old snapshot named                 after a grace period
//   3. reclaim()  the places of removed entries can be used again  after one more
// and the next add() comes after reclaim(). In between, a reader may meet an id that its snapshot does not have; that
// is a miss. rte_lpm6 knows no RCU of its own: the rule that no add() follows a remove() within one grace period is
// what keeps a reader from walking into a tbl8 that means something else by now. rte_lpm is used in the same way.
#pragma once

#include <rte_hash.h>
#include <rte_lpm.h>
#include <rte_lpm6.h>

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <vector>

#include "lb/result.h"
#include "lb/table_changes.h"

namespace weir::dataplane {

class RteTables {
 public:
  /// How much the tables can ever hold; given at start, since they do not grow. EAL must be up.
  struct Size {
    std::uint32_t vips = 16'384;
    std::uint32_t endpoints = 65'536;
    std::uint32_t addresses = 32'768;
    std::uint32_t routes = 16'384;   // of IPv4, neighbours included
    std::uint32_t routes6 = 16'384;  // of IPv6
  };
  [[nodiscard]] static lb::Result<RteTables> create(const Size& size, int socket);
  /// EAL memory that create() takes, in bytes, roughly and rather too much.
  [[nodiscard]] static std::size_t memory(const Size& size) noexcept;

  // ---- control's side; one thread ----
  /// Adds and changes entries; removals wait for remove(). Refuses, changing nothing, what does not fit.
  [[nodiscard]] lb::Result<void> add(const lb::TableChanges& changes);
  /// add() in parts of at most `routes` routes, for one that must not take long: rte_lpm goes through all routes of a
  /// length for each that it adds, 100 us at 100,000. True: all is added. On error all parts are undone.
  [[nodiscard]] lb::Result<bool> add_some(const lb::TableChanges& changes, std::size_t routes);
  /// In such parts too; true: all is removed.
  bool remove_some(const lb::TableChanges& changes, std::size_t routes);
  void remove(const lb::TableChanges& changes) {
    while (!remove_some(changes, changes.routes.removed.size() + 1)) {
    }
  }
  void reclaim();

  /// Routes of IPv4 and of IPv6 that the tables can hold, neighbours and those about to be removed included.
  [[nodiscard]] std::size_t route_capacity4() const noexcept { return route_capacity_[0]; }
  [[nodiscard]] std::size_t route_capacity6() const noexcept { return route_capacity_[1]; }

  // ---- the workers' side: as lb::PlainTables; at most 64 keys ----
  void find_vips(std::span<const lb::ServiceKey* const> keys, std::span<lb::VipId> ids) const noexcept {
    find_bulk(vips_.table.get(), keys, ids);
  }
  void find_endpoints(std::span<const lb::ServiceKey* const> keys, std::span<lb::EndpointId> ids) const noexcept {
    find_bulk(endpoints_.table.get(), keys, ids);
  }
  [[nodiscard]] lb::AddressId find_address(const lb::Address& a) const noexcept {
    void* data = nullptr;
    if (rte_hash_lookup_data(addresses_.table.get(), &a, &data) < 0) return lb::AddressId::kNone;
    return lb::AddressId(reinterpret_cast<std::uintptr_t>(data));
  }
  [[nodiscard]] lb::NextHopId find_route(const lb::Address& a) const noexcept {
    std::uint32_t id = 0;
    const bool found = a.is_v4() ? rte_lpm_lookup(lpm_.get(), a.to_v4().host(), &id) == 0
                                 : rte_lpm6_lookup(lpm6_.get(), a.bytes.data(), &id) == 0;
    return lb::NextHopId(found ? id : 0);
  }

 private:
  struct FreeHash {
    void operator()(rte_hash* h) const noexcept { rte_hash_free(h); }
  };
  struct FreeLpm {
    void operator()(rte_lpm* l) const noexcept { rte_lpm_free(l); }
    void operator()(rte_lpm6* l) const noexcept { rte_lpm6_free(l); }
  };
  struct Hash {
    std::unique_ptr<rte_hash, FreeHash> table;
    std::uint32_t capacity = 0;
    std::size_t held = 0;               // keys, those about to be removed included
    std::vector<std::int32_t> removed;  // places for reclaim()
  };

  RteTables() = default;
  [[nodiscard]] static lb::Result<Hash> create_hash(const char* what, std::uint32_t entries, std::uint32_t key_bytes,
                                                    int socket);
  [[nodiscard]] lb::Result<void> check(const lb::TableChanges& changes) const;
  void undo_routes();
  [[nodiscard]] int add_route(const lb::Prefix& prefix, lb::NextHopId id);
  void remove_route(const lb::Prefix& prefix);

  template <class Id>
  static void find_bulk(const rte_hash* table, std::span<const lb::ServiceKey* const> keys,
                        std::span<Id> ids) noexcept {
    if (keys.empty()) return;
    // The array of pointers is rte_hash's own interface: const void**.
    auto** raw = const_cast<const void**>(reinterpret_cast<const void* const*>(keys.data()));
    std::uint64_t hits = 0;
    void* data[RTE_HASH_LOOKUP_BULK_MAX];
    rte_hash_lookup_bulk_data(table, raw, static_cast<std::uint32_t>(keys.size()), &hits, data);
    for (std::size_t i = 0; i < keys.size(); ++i)
      ids[i] = (hits >> i & 1) != 0 ? Id(reinterpret_cast<std::uintptr_t>(data[i])) : Id::kNone;
  }

  Hash vips_, endpoints_, addresses_;
  std::unique_ptr<rte_lpm, FreeLpm> lpm_;
  std::unique_ptr<rte_lpm6, FreeLpm> lpm6_;
  std::uint32_t route_capacity_[2] = {};                      // IPv4 and IPv6
  std::size_t done_ = 0;                                      // routes of the change under way
  std::vector<std::pair<lb::Prefix, lb::NextHopId>> before_;  // what they were
  std::vector<bool> is_new_;                                  // of them, those that were not there
  std::map<lb::Prefix, lb::NextHopId> routes_;                // what the LPMs hold
  std::size_t routes_held_[2] = {};                           // of them, IPv4 and IPv6
};

}  // namespace weir::dataplane
