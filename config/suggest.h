// "did you mean 'backends'?": the known word nearest to an unknown one.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace weir::config {

/// Insertions, deletions, replacements and swaps of neighbours that turn `a` into `b`, letter case ignored.
/// (Optimal string alignment, the restricted Damerau-Levenshtein distance.)
[[nodiscard]] std::size_t edit_distance(std::string_view a, std::string_view b);

/// The nearest of `known` if it is near enough to be what was meant (a third of its letters wrong, at least one
/// allowed); empty if none is.
[[nodiscard]] std::string_view nearest(std::string_view word, std::span<const std::string_view> known);

/// "; did you mean 'x'?" or nothing.
[[nodiscard]] std::string did_you_mean(std::string_view word, std::span<const std::string_view> known);

}  // namespace weir::config
