// The list that reading and checking add to.
//
// Nothing stops at the first problem: an operator should see all of them in one go.
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/diagnostic.h"

namespace weir::config {

class Problems {
 public:
  /// More than this many of a kind are counted, not kept: a broken 64 MiB file must not need gigabytes.
  static constexpr std::size_t kMostListed = 10'000;

  template <class... Args>
  void error(Where where, fmt::format_string<Args...> text, Args&&... args) {
    if (++error_count_ <= kMostListed) errors_.push_back({where, fmt::format(text, std::forward<Args>(args)...)});
  }
  template <class... Args>
  void warn(Where where, fmt::format_string<Args...> text, Args&&... args) {
    if (++warning_count_ <= kMostListed) warnings_.push_back({where, fmt::format(text, std::forward<Args>(args)...)});
  }

  /// Errors so far. Equal before and after reading something: that something is whole.
  [[nodiscard]] std::size_t error_count() const noexcept { return error_count_; }

  /// What was found, sorted by place; the list is empty afterwards.
  [[nodiscard]] std::vector<Diagnostic> take_errors() { return take(errors_, error_count_, "problems"); }
  [[nodiscard]] std::vector<Diagnostic> take_warnings() { return take(warnings_, warning_count_, "warnings"); }

 private:
  static std::vector<Diagnostic> take(std::vector<Diagnostic>& list, std::size_t& count, std::string_view noun);

  std::vector<Diagnostic> errors_;
  std::vector<Diagnostic> warnings_;
  std::size_t error_count_ = 0;
  std::size_t warning_count_ = 0;
};

/// `text` in single quotes for a message: cut to 64 bytes, and what a terminal or a log would obey is escaped.
[[nodiscard]] std::string show(std::string_view text);
/// As show(), without quotes and uncut.
[[nodiscard]] std::string escape(std::string_view text);

}  // namespace weir::config

/// "12:7"
template <>
struct fmt::formatter<weir::config::Where> : fmt::formatter<std::string_view> {
  template <class Context>
  auto format(weir::config::Where w, Context& context) const {
    return fmt::format_to(context.out(), "{}:{}", w.line, w.column);
  }
};
