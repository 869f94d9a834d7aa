// JSON texts that more than one place makes, for those who need no JSON library otherwise.
#pragma once

#include <string>
#include <string_view>

namespace weir::control {

/// {"error": "sentence"}, the body of every refusal. Always UTF-8: bytes that are not become U+FFFD.
[[nodiscard]] std::string error_json(std::string_view sentence);

/// The same text, bytes that are no UTF-8 replaced by U+FFFD.
[[nodiscard]] std::string as_utf8(std::string_view text);

}  // namespace weir::control
