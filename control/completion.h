// Shell completion. The scripts are thin: at each Tab they hand the words of the line to `weir complete -- WORD...`,
// which knows the commands and options because it is the parser that will read them, and asks the daemon for the names
// of services and backends.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace CLI {
class App;
}

namespace weir::control {

/// `shell`: "bash", "zsh" or "fish".
[[nodiscard]] std::string completion_script(std::string_view shell);

/// Names that the daemon at `socket` has: `noun` is "services" or "backends", the latter of `service` where that is
/// not empty. None without a daemon.
using AskNames = std::function<std::vector<std::string>(std::string_view noun, const std::string& socket,
                                                        const std::string& service)>;

/// The line instead of names where a file is wanted.
inline constexpr std::string_view kFilesWanted = ":files";

/// What the last of `words` (those after "weir") may become. It may be empty: anything.
[[nodiscard]] std::vector<std::string> complete(const CLI::App& app, std::span<const std::string> words,
                                                const AskNames& ask);

}  // namespace weir::control
