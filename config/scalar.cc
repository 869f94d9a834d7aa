#include "config/scalar.h"

#include <algorithm>
#include <array>
#include <charconv>

namespace weir::config {

namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_hex_digit(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}
bool all_digits(std::string_view t) {
  return !t.empty() && std::ranges::all_of(t, is_digit);
}

bool equals_ignoring_case(std::string_view text, std::string_view lower) {
  return std::ranges::equal(text, lower, {},
                            [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
}
template <std::size_t N>
bool is_one_of(std::string_view text, const std::array<std::string_view, N>& words) {
  return std::ranges::any_of(words, [&](std::string_view w) { return equals_ignoring_case(text, w); });
}

/// The rest of `text` behind as many digits (and underscores) as it begins with.
std::string_view skip_digits(std::string_view text) {
  const auto end = std::ranges::find_if_not(text, [](char c) { return is_digit(c) || c == '_'; });
  return text.substr(static_cast<std::size_t>(end - text.begin()));
}

/// 80:80, 1:30:00, 190:20:30.15: numbers to the base 60 in YAML 1.1.
bool is_base_60(std::string_view t) {
  int groups = 0;
  while (!t.empty() && is_digit(t.front())) {
    t = skip_digits(t);
    ++groups;
    if (!t.starts_with(':')) break;
    t.remove_prefix(1);
    if (t.empty()) return false;
  }
  return groups >= 2 && (t.empty() || (t.front() == '.' && skip_digits(t.substr(1)).empty()));
}

/// 2026-11-20, and with a time behind it. 5000-5999 is none.
bool is_date(std::string_view t) {
  if (t.size() < 8 || !all_digits(t.substr(0, 4)) || t[4] != '-') return false;
  t.remove_prefix(5);
  const auto take_one_or_two_digits = [&t] {
    std::size_t n = 0;
    while (n < 2 && n < t.size() && is_digit(t[n])) ++n;
    t.remove_prefix(n);
    return n > 0;
  };
  if (!take_one_or_two_digits() || !t.starts_with('-')) return false;
  t.remove_prefix(1);
  return take_one_or_two_digits() && (t.empty() || std::string_view("Tt \t").contains(t.front()));
}

/// What follows the digits of a number with an exponent: e3, E+3, .5e-3.
bool is_exponent(std::string_view t) {
  if (t.empty() || (t.front() != 'e' && t.front() != 'E')) return false;
  t.remove_prefix(1);
  if (t.starts_with('+') || t.starts_with('-')) t.remove_prefix(1);
  return all_digits(t);
}

Plain classify_number(std::string_view text) {
  std::string_view t = text;  // without its sign
  if (t.starts_with('+') || t.starts_with('-')) t.remove_prefix(1);
  if (is_one_of(t, std::array<std::string_view, 2>{".inf", ".nan"})) return {PlainKind::kAmbiguous, "a number"};
  if (t.empty() || (!is_digit(t.front()) && t.front() != '.')) return {PlainKind::kText, {}};

  if (all_digits(t)) {
    if (t.size() > 1 && t.front() == '0') return {PlainKind::kAmbiguous, "an octal number"};
    return {PlainKind::kInteger, {}};
  }
  if (t.size() > 2 && t.front() == '0') {
    const std::string_view digits = t.substr(2);
    if ((t[1] == 'x' || t[1] == 'X') && std::ranges::all_of(digits, [](char c) { return is_hex_digit(c) || c == '_'; }))
      return {PlainKind::kAmbiguous, "a hexadecimal number"};
    if ((t[1] == 'o' || t[1] == 'O') && skip_digits(digits).empty()) return {PlainKind::kAmbiguous, "an octal number"};
    if ((t[1] == 'b' || t[1] == 'B') && skip_digits(digits).empty()) return {PlainKind::kAmbiguous, "a binary number"};
  }
  if (is_base_60(t)) return {PlainKind::kAmbiguous, "a number to the base 60"};
  if (is_date(text)) return {PlainKind::kAmbiguous, "a date"};

  std::string_view rest = skip_digits(t);
  const bool has_digits = is_digit(t.front()) || (t.size() > 1 && is_digit(t[1]));
  if (rest.empty()) return {PlainKind::kAmbiguous, "a number"};  // digits and underscores
  const bool has_point = rest.front() == '.';
  if (has_point) rest = skip_digits(rest.substr(1));
  if (!has_digits) return {PlainKind::kText, {}};
  if (rest.empty()) return t.contains('_') ? Plain{PlainKind::kAmbiguous, "a number"} : Plain{PlainKind::kFloat, {}};
  if (is_exponent(rest)) return {PlainKind::kAmbiguous, "a number"};
  return {PlainKind::kText, {}};
}

}  // namespace

Plain classify_plain(std::string_view text) noexcept {
  static constexpr std::array<std::string_view, 6> kTruths{"yes", "no", "on", "off", "y", "n"};
  static constexpr std::array<std::string_view, 2> kBools{"true", "false"};
  static constexpr std::array<std::string_view, 2> kNulls{"~", "null"};
  if (is_one_of(text, kTruths)) return {PlainKind::kAmbiguous, "true or false"};
  if (is_one_of(text, kNulls)) return {PlainKind::kAmbiguous, "nothing"};
  if (is_one_of(text, kBools)) return {PlainKind::kBool, {}};
  return classify_number(text);
}

std::expected<std::chrono::milliseconds, DurationFault> parse_duration(std::string_view text) noexcept {
  struct Unit {
    std::string_view name;
    std::uint64_t ms;
  };
  static constexpr Unit kUnits[] = {{"ms", 1}, {"s", 1000}, {"m", 60'000}, {"h", 3'600'000}, {"d", 86'400'000}};
  static constexpr std::uint64_t kLongest_ms = 36'500ULL * 86'400'000;  // 100 years

  const auto digits = static_cast<std::size_t>(std::ranges::find_if_not(text, is_digit) - text.begin());
  if (digits == 0) return std::unexpected(DurationFault::kNotANumber);
  const std::string_view unit_name = text.substr(digits);
  if (unit_name.empty()) return std::unexpected(DurationFault::kNoUnit);
  const auto unit = std::ranges::find(kUnits, unit_name, &Unit::name);
  if (unit == std::end(kUnits)) return std::unexpected(DurationFault::kUnknownUnit);
  const auto number = parse_decimal(text.substr(0, digits));
  if (!number || *number > kLongest_ms / unit->ms) return std::unexpected(DurationFault::kTooLong);
  return std::chrono::milliseconds(*number * unit->ms);
}

std::optional<std::uint64_t> parse_decimal(std::string_view text) noexcept {
  std::uint64_t value = 0;
  const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (fault != std::errc{} || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return value;
}

}  // namespace weir::config
