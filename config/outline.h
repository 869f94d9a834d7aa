// What the readers accept, as the readers themselves tell it: `weir schema` is made from this (config/schema.cc).
//
// Values (config/values.h) built with an Outline reads nothing: each call says what its key would have wanted, and
// mappings and lists walk into everything they know. So a key, a range or a word that a reader learns is in the
// schema the moment it is in the reader, and cannot be in one and not in the other.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace weir::config {

/// One value: all the shapes it may have.
struct Outline {
  struct Field;
  bool is_text = false;
  bool is_bool = false;
  bool is_duration = false;
  std::optional<std::pair<std::uint64_t, std::uint64_t>> number;  // least, most
  std::vector<std::string> words;                                 // those of this version
  std::unique_ptr<Outline> item;                                  // of a list
  bool is_map = false;
  std::vector<Field> fields;  // in the reader's order; without the keys of later versions

  Outline() = default;
  [[nodiscard]] Field& field(std::string_view name, bool is_required);
};

struct Outline::Field {
  std::string name;
  bool is_required = false;
  Outline value;
};

inline Outline::Field& Outline::field(std::string_view name, bool is_required) {
  for (Field& f : fields)
    if (f.name == name) return f;
  fields.push_back({std::string(name), is_required, {}});
  return fields.back();
}

/// Of the whole file.
[[nodiscard]] Outline outline_file();

}  // namespace weir::config
