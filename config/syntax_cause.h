// Where a syntax error began. A parser notices an open quote or bracket where the text stops making sense, often many
// lines below; an operator wants the line to mend.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

namespace weir::config {

struct SyntaxCause {
  std::size_t position;   // in the text, in bytes
  std::string_view what;  // "the quote opened here is not closed on its line"
};

/// Looks for the likely cause of an error that the parser noticed at `noticed`: on a line above it, or a tab in its own
/// line's indentation; none if the error's own place is the best there is. Reads YAML by its looks only: good enough to
/// point, not to judge.
[[nodiscard]] std::optional<SyntaxCause> find_syntax_cause(std::string_view text, std::size_t noticed);

/// The place of the quote that closes the one at `open`, past \" or ''; none if the text ends first.
[[nodiscard]] std::optional<std::size_t> find_closing_quote(std::string_view text, std::size_t open);

}  // namespace weir::config
