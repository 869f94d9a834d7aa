// Names that must differ, and names that must exist.
#pragma once

#include <string_view>
#include <unordered_map>

#include "config/problems.h"

namespace weir::config {

/// Items by name; an item whose name an earlier one has is reported. Nameless items were reported when they were read.
/// The views hold while `items` stays as it is.
template <class Item>
[[nodiscard]] std::unordered_map<std::string_view, const Item*> index_by_name(const std::vector<Item>& items,
                                                                              std::string_view noun,
                                                                              Problems& problems) {
  std::unordered_map<std::string_view, const Item*> index;
  index.reserve(items.size());
  for (const Item& item : items) {
    if (item.name.empty()) continue;
    const auto [first, is_new] = index.try_emplace(item.name, &item);
    if (!is_new)
      problems.error(item.where, "{} {} is already at {}; give one of them another name", noun, show(item.name),
                     first->second->where);
  }
  return index;
}

}  // namespace weir::config
