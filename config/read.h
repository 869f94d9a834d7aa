// The tree as a model, field by field: types, ranges, words and shapes of single values. What needs two values to
// judge is in check.h. Defaults are those of model.h.
#pragma once

#include <optional>
#include <vector>

#include "config/model.h"
#include "config/values.h"
#include "config/yaml.h"

namespace weir::config {

/// A model in the making. What could not be read is left out of `model`, and the flags tell the checks not to draw
/// conclusions from its absence: one mistake, one message.
struct Draft {
  struct Whole {
    bool protocol = true;
    bool vips = false;  // until the key was read
    bool backends = false;
  };
  Model model;
  Where root;
  bool has_hash_key = false;  // a broken one too
  bool memory_whole = true;
  bool ports_whole = true;
  bool interfaces_whole = true;
  bool routes_whole = true;     // and neighbors
  std::vector<Whole> services;  // parallel to model.services
  Where announce_segment_at;
  std::vector<Where> announce_interfaces_at;  // parallel to model.announce.interfaces
};

[[nodiscard]] Draft read_model(const Tree& tree, Problems& problems);

/// One item of `services:`; read_services.cc.
void read_service(const Node& node, Values& values, Draft& draft);

/// Shapes shared by the readers. Each reports and gives none if the value is not one.
[[nodiscard]] std::optional<lb::Address> read_address(const Node& node, std::string_view key, Values& values);
[[nodiscard]] std::optional<lb::Prefix> read_prefix(const Node& node, std::string_view key, Values& values);
/// 1 to 64 of A-Z a-z 0-9 _ . - ; `longest` may be less.
[[nodiscard]] std::optional<std::string> read_name(const Node& node, std::string_view key, std::size_t longest,
                                                   Values& values);
[[nodiscard]] bool is_unusable(const lb::Address& a, std::string_view& why) noexcept;

}  // namespace weir::config
