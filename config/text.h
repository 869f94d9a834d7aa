// What a file must be before it is worth parsing: UTF-8 without control characters.
#pragma once

#include <string_view>

#include "config/problems.h"

namespace weir::config {

/// Reports bytes that are not UTF-8 and control characters, the first few of them. Tab, line feed and carriage return
/// with line feed pass. yaml-cpp lets all of this through, takes 0x04 for the end of the file, and passes over a line
/// that begins with '%' wherever it stands.
[[nodiscard]] bool check_text(std::string_view text, Problems& problems);

/// Length in bytes of the well-formed UTF-8 sequence (Unicode 15, table 3-7) at the front of `text`; 0 if there is
/// none.
[[nodiscard]] std::size_t utf8_length(std::string_view text) noexcept;

/// U+0000 to U+001F, U+007F to U+009F; they can come out of escapes in double quotes.
[[nodiscard]] bool has_control_character(std::string_view text) noexcept;

/// Characters (not bytes) in UTF-8 `text`.
[[nodiscard]] std::size_t count_characters(std::string_view text) noexcept;

}  // namespace weir::config
