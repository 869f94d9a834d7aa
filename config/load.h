// From a file to a checked Model: the one way in. `weir check`, a start and a reload all come through here, so they
// cannot disagree about a file.
#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "config/diagnostic.h"
#include "config/model.h"

namespace weir::config {

struct Loaded {
  Model model;
  std::vector<Diagnostic> warnings;  // sorted by place
  std::string text;                  // what was read
};

struct Refused {
  std::vector<Diagnostic> errors;  // sorted by place; all of them, not the first
  std::vector<Diagnostic> warnings;
};

/// `path` "-": standard input. Never waits on a fifo or a device, and reads no more than 64 MiB (yaml.h).
[[nodiscard]] std::expected<Loaded, Refused> load_file(const std::string& path);

/// As load_file(), of text that is already there. `file_name` goes to Model::file.
[[nodiscard]] std::expected<Loaded, Refused> load_text(std::string_view text, std::string_view file_name);

/// "weir.yaml:12:7: weight: 70000 is out of range; write 0 to 65535". Without a place: "weir.yaml: ...".
[[nodiscard]] std::string format(std::string_view file, const Diagnostic& error);
/// "weir.yaml:1:1: warning: ..."
[[nodiscard]] std::string format_warning(std::string_view file, const Diagnostic& warning);

}  // namespace weir::config
