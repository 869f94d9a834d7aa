// `weir check --host`: what this machine lacks to run Weir well, and the command that mends it.
//
// Everything is read from files, /proc, /sys and /dev below one root, and nothing is changed: tests give it a tree of
// their own. FAIL is what a start would fail by; warn is what costs speed or surprises later.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "config/model.h"

namespace weir::control {

enum class HostLevel : std::uint8_t { kOk, kWarn, kFail };

struct Finding {
  HostLevel level;
  std::string subject;  // "huge pages", "port uplink"
  std::string says;
  std::string remedy;  // a command, or what to write where; empty for kOk
};

struct HostNeeds {
  bool avx2 = false;  // what this program was built for
};
[[nodiscard]] HostNeeds built_for() noexcept;

/// `root`: "" for this machine. `model`: the file's, null without one: then every network card is listed.
[[nodiscard]] std::vector<Finding> check_host(const std::string& root, const config::Model* model,
                                              const HostNeeds& needs);

/// One line each: "warn  clock source: ...; mend: ...".
[[nodiscard]] std::string host_text(const std::vector<Finding>& findings);
[[nodiscard]] bool has_failure(const std::vector<Finding>& findings) noexcept;

}  // namespace weir::control
