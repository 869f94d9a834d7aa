#include "config/problems.h"

#include <algorithm>
#include <tuple>

namespace weir::config {

std::vector<Diagnostic> Problems::take(std::vector<Diagnostic>& list, std::size_t& count, std::string_view noun) {
  std::ranges::stable_sort(list, {}, [](const Diagnostic& d) { return std::tuple(d.where.line, d.where.column); });
  if (count > list.size())
    list.push_back(
        {list.back().where, fmt::format("{} more {} are not listed; mend these first", count - list.size(), noun)});
  count = 0;
  return std::exchange(list, {});
}

std::string escape(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    const auto after = i + 1 < text.size() ? static_cast<unsigned char>(text[i + 1]) : 0;
    const bool is_c1_control = c == 0xc2 && after >= 0x80 && after <= 0x9f;  // U+0080 to U+009F
    if (c >= 0x20 && c != 0x7f && !is_c1_control) {
      out += text[i];
    } else if (c == '\n') {
      out += "\\n";
    } else if (is_c1_control) {
      out += fmt::format("\\x{:02x}", after);
      ++i;
    } else {
      out += fmt::format("\\x{:02x}", c);
    }
  }
  return out;
}

std::string show(std::string_view text) {
  constexpr std::size_t kLongest = 64;
  if (text.size() <= kLongest) return "'" + escape(text) + "'";
  std::size_t cut = kLongest;
  while (cut > 0 && (static_cast<unsigned char>(text[cut]) & 0xc0) == 0x80) --cut;  // not inside a character
  return "'" + escape(text.substr(0, cut)) + "...'";
}

}  // namespace weir::config
