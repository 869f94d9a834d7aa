// Completion scripts for `weir`, made from the lists of commands and nouns themselves.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace weir::control {

/// `shell`: "bash" or "zsh". `commands`: those a user may type.
[[nodiscard]] std::string completion_script(std::string_view shell, const std::vector<std::string>& commands);

}  // namespace weir::control
