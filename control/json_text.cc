#include "control/json_text.h"

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "config/text.h"

namespace weir::control {

namespace {

constexpr std::string_view kReplacement = "\xef\xbf\xbd";  // U+FFFD

}  // namespace

// A sentence may quote what a client sent, and that may be any bytes.
std::string as_utf8(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const std::size_t length = config::utf8_length(text);
    out += length == 0 ? kReplacement : text.substr(0, length);
    text.remove_prefix(length == 0 ? 1 : length);
  }
  return out;
}

std::string error_json(std::string_view sentence) {
  return boost::json::serialize(boost::json::object{{"error", as_utf8(sentence)}});
}

}  // namespace weir::control
