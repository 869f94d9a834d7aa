// What it takes to turn one generation's tables into the next one's, so that the thread that edits them does no more
// than that, however large they are.
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

#include "lb/plain_tables.h"

namespace weir::lb {

struct TableChanges {
  template <class Key, class Id>
  struct Of {
    std::vector<std::pair<Key, Id>> put;  // new keys, and keys whose id is another now
    std::vector<Key> removed;
    std::size_t added = 0;  // of `put`, the new keys
  };
  Of<ServiceKey, VipId> vips;
  Of<ServiceKey, EndpointId> endpoints;
  Of<Address, AddressId> addresses;
  Of<Prefix, NextHopId> routes;  // a default route as its two halves: rte_lpm has no /0
};

[[nodiscard]] TableChanges difference(const TableContents& from, const TableContents& to);

}  // namespace weir::lb
