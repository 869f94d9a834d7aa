// Reads one value of the tree as what its key wants: text, a number, a duration, one of some words, a list, a mapping.
// Each function returns none after reporting what is wrong with the value; a refused node (an alias) is passed over,
// because yaml.cc has reported it.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "config/outline.h"
#include "config/problems.h"
#include "config/yaml.h"

namespace weir::config {

/// A key of a mapping. kLater: a key of the whole design that this version refuses instead of ignoring.
struct Key {
  std::string_view name;
  enum Need : std::uint8_t { kOptional, kRequired, kLater } need = kOptional;
};

/// A word a value may be. A kLater word is refused with "not in this version".
struct Word {
  std::string_view name;
  bool is_later = false;
};

class Values {
 public:
  /// With an outline (config/outline.h) it tells there what would be read, and reads nothing.
  explicit Values(Problems& problems, Outline* outline = nullptr) : problems_(problems), outline_(outline) {}

  /// Text that is text for certain: quoted, or nothing any YAML reader takes for something else. `expected` completes
  /// "name: expected ...". What `is_shape` accepts passes even so: a MAC address may be all digits and colons.
  std::optional<std::string_view> text(const Node& node, std::string_view key, std::string_view expected,
                                       bool (*is_shape)(std::string_view) = nullptr);

  std::optional<std::uint64_t> number(const Node& node, std::string_view key, std::uint64_t least, std::uint64_t most);
  template <class T>
  bool number_into(T& out, const Node& node, std::string_view key, std::uint64_t least, std::uint64_t most) {
    const auto n = number(node, key, least, most);
    if (n) out = static_cast<T>(*n);
    return n.has_value();
  }

  std::optional<bool> boolean(const Node& node, std::string_view key);

  /// `example` shows how this one is written: "60s".
  std::optional<std::chrono::milliseconds> duration(const Node& node, std::string_view key, std::string_view example);

  /// Index into `words`; none also for a word that is not in this version.
  std::optional<std::size_t> word(const Node& node, std::string_view key, std::span<const Word> words);

  /// Calls `each(item)` for every item of a list; false if it is none.
  template <class F>
  bool items(const Node& list, std::string_view key, F&& each) {
    if (outline_ != nullptr) return outline_items(each);
    if (!is_a(list, NodeKind::kSequence, key, "a list")) return false;
    for (const Node* item = list.first_child(); item != list.end(); item = item->next()) each(*item);
    return true;
  }

  /// Calls `each(key, value)` for every known key of a mapping, once; reports unknown, repeated, missing and later
  /// keys. `what` names the mapping: "a backend".
  template <class F>
  bool fields(const Node& map, std::string_view what, std::span<const Key> keys, F&& each) {
    if (outline_ != nullptr) return outline_fields(keys, each);
    if (!is_a(map, NodeKind::kMap, what, "a mapping (key: value)")) return false;
    Seen seen{};
    for (const Node* key = map.first_child(); key != map.end();) {
      const Node* value = key->next();
      if (const Key* known = known_key(*key, what, keys, seen)) each(known->name, *value);
      key = value->next();
    }
    report_missing(map, what, keys, seen);
    return true;
  }

  Problems& problems() noexcept { return problems_; }

 private:
  // Readers that take more than one shape look at the node first: they are shown a scalar and something else.
  template <class Walk>
  void outline_each_shape(Outline& at, Walk&& walk) {
    static constexpr Node kShapes[] = {{.kind = NodeKind::kScalar}, {.kind = NodeKind::kSequence}};
    Outline* const outer = std::exchange(outline_, &at);
    for (const Node& shape : kShapes) walk(shape);
    outline_ = outer;
  }
  template <class F>
  bool outline_items(F&& each) {
    if (outline_->item == nullptr) outline_->item = std::make_unique<Outline>();
    outline_each_shape(*outline_->item, [&](const Node& shape) { each(shape); });
    return false;
  }
  template <class F>
  bool outline_fields(std::span<const Key> keys, F&& each) {
    outline_->is_map = true;
    for (const Key& key : keys)
      if (key.need != Key::kLater)
        outline_each_shape(outline_->field(key.name, key.need == Key::kRequired).value,
                           [&](const Node& shape) { each(key.name, shape); });
    return false;
  }

  static constexpr std::size_t kMostKeys = 32;
  using Seen = std::array<Where, kMostKeys>;  // where each known key stood; {0, 0}: not yet

  /// A scalar's text, with what is no scalar or empty reported.
  std::optional<std::string_view> scalar(const Node& node, std::string_view key, std::string_view expected);
  bool is_a(const Node& node, NodeKind kind, std::string_view what, std::string_view expected);
  const Key* known_key(const Node& key, std::string_view what, std::span<const Key> keys, Seen& seen);
  void report_missing(const Node& map, std::string_view what, std::span<const Key> keys, const Seen& seen);

  Problems& problems_;
  Outline* outline_;  // of the value being read; none: reading is for real
};

/// "a list", "the number 5", "the text 'x'": for "expected ..., found ...".
[[nodiscard]] std::string describe(const Node& node);

}  // namespace weir::config
