// What the admin API answers, as text for people. The shapes are docs/api.md's; a field that is missing shows as "-".
#pragma once

#include <array>
#include <boost/json/value.hpp>
#include <span>
#include <string>
#include <string_view>

namespace weir::control {

/// A thing that `weir show` lists.
struct Noun {
  std::string_view name;  // "flows": the command, the path /v1/flows and the key of the list
  std::string_view help;
  std::string_view example;
  std::span<const std::string_view> filters;  // options without their dashes, and keys of the query
};

[[nodiscard]] std::span<const Noun> nouns() noexcept;

/// The answer to GET /v1/<noun> as a table; a sentence where there is nothing to list.
[[nodiscard]] std::string show_text(std::string_view noun, const boost::json::value& answer);

/// The answer to GET /v1/trace: its steps, one a line, then the verdict.
[[nodiscard]] std::string trace_text(const boost::json::value& answer);

}  // namespace weir::control
