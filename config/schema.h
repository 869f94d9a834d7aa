// JSON Schema (draft 2020-12) of weir.yaml, for editors and for checks before a file reaches a box.
//
// Keys, required keys, ranges, words and shapes are the reader's own (config/outline.h); what each key means, its
// default and the form of its text are notes in schema.cc. A new key wants one line there: tests/config/schema_test.cc
// names the key that has none, and the note whose key is gone. What takes two values to judge stays `weir check`'s.
#pragma once

#include <boost/json/object.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace weir::config {

[[nodiscard]] boost::json::object schema();

/// As text of many lines, two spaces a level.
[[nodiscard]] std::string schema_text();

/// The paths that have a note: "interfaces[].mtu". For the test.
[[nodiscard]] std::vector<std::string_view> noted_paths();
/// The paths of every key that the reader takes, and of the items of lists.
[[nodiscard]] std::vector<std::string> key_paths();

}  // namespace weir::config
