// A difference of two configurations as `weir diff` prints it.
#pragma once

#include <boost/json/object.hpp>
#include <string>

#include "config/diff.h"

namespace weir::control {

/// "no changes", or a line a change, then what moves, then what a reload would say.
[[nodiscard]] std::string diff_text(const config::Difference& d);
/// {"changes": [...], "moved": [...], "needs_restart": [...]}; docs/operate.md.
[[nodiscard]] boost::json::object diff_json(const config::Difference& d);

}  // namespace weir::control
