// `weir check`: reads files as `weir run` and a reload would, and touches nothing.
#pragma once

#include <iosfwd>
#include <string>
#include <vector>

namespace weir::control {

/// Every problem of every file to `err` as file:line:column: message, warnings as file:line:column: warning: message;
/// one line to `out` for each file that would be taken. True if all would.
[[nodiscard]] bool check_files(const std::vector<std::string>& files, std::ostream& out, std::ostream& err);

}  // namespace weir::control
