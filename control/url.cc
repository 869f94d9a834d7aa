#include "control/url.h"

#include <charconv>

namespace weir::control {

namespace {

std::optional<std::string> decode(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    unsigned char c = static_cast<unsigned char>(text[i]);
    if (c == '%') {
      if (text.size() - i < 3) return std::nullopt;
      const char* digits = text.data() + i + 1;
      const auto [end, error] = std::from_chars(digits, digits + 2, c, 16);
      if (error != std::errc{} || end != digits + 2) return std::nullopt;
      i += 2;
    }
    if (c == 0) return std::nullopt;
    out.push_back(static_cast<char>(c));
  }
  return out;
}

constexpr bool is_unreserved(char c) {  // RFC 3986 2.3
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
         c == '_' || c == '~';
}

void append_encoded(std::string& out, std::string_view text) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  for (const char c : text) {
    if (is_unreserved(c)) {
      out.push_back(c);
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    out.push_back('%');
    out.push_back(kHex[byte >> 4]);
    out.push_back(kHex[byte & 15]);
  }
}

}  // namespace

std::optional<Target> parse_target(std::string_view target) {
  if (target.empty() || target.front() != '/') return std::nullopt;
  const std::size_t mark = target.find('?');
  auto path = decode(target.substr(0, mark));
  if (!path) return std::nullopt;
  Target out{std::move(*path), {}};
  std::string_view rest = mark == std::string_view::npos ? std::string_view{} : target.substr(mark + 1);
  while (!rest.empty()) {
    const std::size_t end = rest.find('&');
    const std::string_view item = rest.substr(0, end);
    rest = end == std::string_view::npos ? std::string_view{} : rest.substr(end + 1);
    if (item.empty()) continue;
    const std::size_t equals = item.find('=');
    auto key = decode(item.substr(0, equals));
    auto value = decode(equals == std::string_view::npos ? std::string_view{} : item.substr(equals + 1));
    if (!key || !value || !out.query.emplace(std::move(*key), std::move(*value)).second) return std::nullopt;
  }
  return out;
}

std::string format_target(std::string_view path, const Query& query) {
  std::string out(path);
  char before = '?';
  for (const auto& [key, value] : query) {
    out.push_back(before);
    append_encoded(out, key);
    out.push_back('=');
    append_encoded(out, value);
    before = '&';
  }
  return out;
}

}  // namespace weir::control
