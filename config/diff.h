// What differs between two checked configurations, in the operator's words: what `weir diff` lists, and what a reload
// refuses because only a restart can change it. A pure function of two models; order in a file is no difference.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/model.h"

namespace weir::config {

enum class ChangeKind : std::uint8_t { kAdded, kRemoved, kChanged };
[[nodiscard]] std::string_view name(ChangeKind kind) noexcept;

struct Change {
  ChangeKind kind;
  std::string what;     // "service", "vip", "backend", "port", "interface", "address", "route", "neighbor", "setting"
  std::string service;  // whose VIP or backend it is; else empty
  std::string name;     // "web", "10.0.0.5:8080", "uplink"; of a setting its path, "conntrack.timeouts.udp"
  std::string key;      // kChanged: "weight"; a setting has none
  std::string before, after;  // as they would be written; empty where there is none
  std::string effect;         // what it does to traffic, where that is not plain
};

/// New flows of one service and family that another backend would get than gets them now.
struct Moved {
  std::string service;
  lb::Family family;
  std::optional<double> share;  // 0 to 1; none: not estimated, the tables are too large for a quick answer
  std::string why;              // where it is more than the changed backends: "hash_key", "maglev size 4099 to 65537"
};

struct Difference {
  std::vector<Change> changes;
  std::vector<Moved> moved;                // flows under way stay where they are
  std::vector<std::string> needs_restart;  // keys; a reload that touches them is refused as a whole
};

/// Builds Maglev tables of at most `most_entries` in all to estimate `moved`: 20 ns each.
[[nodiscard]] Difference diff(const Model& now, const Model& next, std::size_t most_entries = 16'000'000);

/// Keys that only a restart can change and that differ: "workers", "interfaces.mtu".
[[nodiscard]] std::vector<std::string> changes_that_need_restart(const Model& now, const Model& next);

}  // namespace weir::config
