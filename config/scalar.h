// What an unquoted scalar is in YAML, which ones are refused because readers differ on them, and how durations are
// written.
#pragma once

#include <chrono>
#include <cstdint>
#include <expected>
#include <optional>
#include <string_view>

namespace weir::config {

enum class PlainKind : std::uint8_t {
  kText,
  kInteger,    // decimal, no leading zero
  kFloat,      // 1.5; 1.10 is one too, though a version was meant
  kBool,       // true or false
  kAmbiguous,  // YAML 1.1, YAML 1.2 and people disagree
};

struct Plain {
  PlainKind kind;
  std::string_view why;  // kAmbiguous: completes "some YAML readers take it for ..."
};

/// Refused as ambiguous, whatever is expected: yes, no, on, off, y, n, ~, null, 010, 0x10, 80:80, 1_000, 1e3, dates.
[[nodiscard]] Plain classify_plain(std::string_view text) noexcept;

enum class DurationFault : std::uint8_t { kNotANumber, kNoUnit, kUnknownUnit, kTooLong };

/// One number and ms, s, m, h or d: "300s".
[[nodiscard]] std::expected<std::chrono::milliseconds, DurationFault> parse_duration(std::string_view text) noexcept;

/// All of `text` as a decimal number; none if it is anything else or does not fit.
[[nodiscard]] std::optional<std::uint64_t> parse_decimal(std::string_view text) noexcept;

}  // namespace weir::config
