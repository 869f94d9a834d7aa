#include "lb/table_changes.h"

#include <map>

namespace weir::lb {

namespace {

template <class Map>
auto difference_of(const Map& from, const Map& to) {
  TableChanges::Of<typename Map::key_type, typename Map::mapped_type> changes;
  for (const auto& [key, id] : to) {
    const auto held = from.find(key);
    if (held != from.end() && held->second == id) continue;
    changes.put.emplace_back(key, id);
    if (held == from.end()) ++changes.added;
  }
  for (const auto& [key, id] : from)
    if (!to.contains(key)) changes.removed.push_back(key);
  return changes;
}

// A default route stands for its two halves, where those are not routes of their own.
std::map<Prefix, NextHopId> without_default(const TableContents& contents) {
  std::map<Prefix, NextHopId> routes;
  for (const auto& [prefix, id] : contents.routes) routes.insert_or_assign(prefix, id);
  for (const Address& all : {Address::v4({}), Address{}}) {
    const auto whole = routes.extract({all, 0});
    if (whole.empty()) continue;
    Address upper = all;
    upper.bytes[all.is_v4() ? 12 : 0] = 0x80;
    routes.try_emplace({all, 1}, whole.mapped());
    routes.try_emplace({upper, 1}, whole.mapped());
  }
  return routes;
}

}  // namespace

TableChanges difference(const TableContents& from, const TableContents& to) {
  return {difference_of(from.vips, to.vips), difference_of(from.endpoints, to.endpoints),
          difference_of(from.addresses, to.addresses), difference_of(without_default(from), without_default(to))};
}

}  // namespace weir::lb
