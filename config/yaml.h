// The file as a tree of nodes, each with its place. The only file that knows yaml-cpp is yaml.cc.
//
// yaml-cpp is read through its events, not through YAML::Load, which drops a second document silently, lets broken
// UTF-8 pass, expands aliases (300 bytes become gigabytes), and takes 438 MB where this takes 28 for 100,000 backends.
// The nodes of a tree lie in one array in the order of the text: a node's first child is the next element, and its
// `size` leads over its whole subtree to its sibling. Scalars are views into the text wherever they stand there as
// they are.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/problems.h"

namespace weir::config {

enum class NodeKind : std::uint8_t {
  kScalar,
  kMap,       // children: key, value, key, value ...
  kSequence,  // children: the items
  kEmpty,     // nothing, ~ or null
  kRefused,   // an alias or a tagged or anchored node; already reported, readers pass over it
};

struct Node {
  Where where;
  std::string_view text;   // kScalar: after unquoting. kEmpty: as written, "" if nothing was
  std::uint32_t size = 1;  // nodes in this subtree, this one included
  NodeKind kind = NodeKind::kScalar;
  bool quoted = false;  // or a block scalar: text for certain

  [[nodiscard]] const Node* first_child() const noexcept { return this + 1; }
  [[nodiscard]] const Node* end() const noexcept { return this + size; }
  [[nodiscard]] const Node* next() const noexcept { return end(); }
};

/// Never empty. Node addresses and views hold while this and the text it was parsed from live; moving it is fine.
struct Tree {
  std::vector<Node> nodes;
  std::deque<std::string> unquoted;  // scalars that do not stand in the text as they are
  [[nodiscard]] const Node& root() const { return nodes.front(); }
};

inline constexpr std::size_t kMostBytes = std::size_t{64} << 20;
inline constexpr std::size_t kMostDepth = 64;
inline constexpr std::size_t kMostNodes = std::size_t{1} << 24;  // 512 MiB of them; a million backends have 7 million

/// None, with errors in `problems`, if there is no tree to look at. There may be errors and a tree (aliases, tags).
[[nodiscard]] std::optional<Tree> parse_yaml(std::string_view text, Problems& problems);

}  // namespace weir::config
