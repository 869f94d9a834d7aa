#include "config/text.h"

#include <algorithm>

namespace weir::config {

namespace {

constexpr std::size_t kMostReported = 10;  // a binary file would fill the screen

bool is_continuation(char c) {
  return (static_cast<unsigned char>(c) & 0xc0) == 0x80;
}

/// The lead bytes with a narrower second byte keep out overlong forms, surrogates and what lies beyond U+10FFFF.
bool is_second(unsigned char lead, unsigned char second) {
  switch (lead) {
    case 0xe0: return second >= 0xa0 && second <= 0xbf;
    case 0xed: return second >= 0x80 && second <= 0x9f;
    case 0xf0: return second >= 0x90 && second <= 0xbf;
    case 0xf4: return second >= 0x80 && second <= 0x8f;
    default: return second >= 0x80 && second <= 0xbf;
  }
}

}  // namespace

std::size_t utf8_length(std::string_view text) noexcept {
  if (text.empty()) return 0;
  const auto lead = static_cast<unsigned char>(text[0]);
  if (lead < 0x80) return 1;
  const std::size_t length = lead >= 0xc2 && lead <= 0xdf   ? 2
                             : (lead & 0xf0) == 0xe0        ? 3
                             : lead >= 0xf0 && lead <= 0xf4 ? 4
                                                            : 0;
  if (length == 0 || text.size() < length || !is_second(lead, static_cast<unsigned char>(text[1]))) return 0;
  return std::all_of(text.begin() + 2, text.begin() + static_cast<std::ptrdiff_t>(length), is_continuation) ? length
                                                                                                            : 0;
}

bool has_control_character(std::string_view text) noexcept {
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c < 0x20 || c == 0x7f) return true;
    if (c == 0xc2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xa0) return true;
  }
  return false;
}

std::size_t count_characters(std::string_view text) noexcept {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) { return !is_continuation(c); }));
}

bool check_text(std::string_view text, Problems& problems) {
  const std::size_t before = problems.error_count();
  Where here{1, 1};
  for (std::size_t i = 0; i < text.size() && problems.error_count() - before < kMostReported; ++here.column) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c == '%' && here.column == 1)
      problems.error(here, "directives (lines that begin with %) are not supported; remove the line");
    if (c == '\n') {
      here = {here.line + 1, 0};
      ++i;
      continue;
    }
    if ((c >= 0x20 && c < 0x7f) || c == '\t' || (c == '\r' && text.substr(i + 1, 1) == "\n")) {
      ++i;
      continue;
    }
    const std::size_t length = utf8_length(text.substr(i));
    const bool is_c1_control = c == 0xc2 && length == 2 && static_cast<unsigned char>(text[i + 1]) < 0xa0;
    if (length == 0) {
      problems.error(here, "byte 0x{:02x} is not valid UTF-8; save the file as UTF-8", c);
    } else if (c == '\r') {
      problems.error(here, "a carriage return without a line feed; save the file with Unix line ends");
    } else if (length == 1 || is_c1_control) {
      problems.error(here, "control character U+{:04X}; remove it",
                     length == 1 ? c : static_cast<unsigned char>(text[i + 1]));
    }
    i += std::max<std::size_t>(length, 1);
  }
  return problems.error_count() == before;
}

}  // namespace weir::config
