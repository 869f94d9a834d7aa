// The version, from meson.build alone.
#pragma once

#include <string_view>

namespace weir::control {

[[nodiscard]] std::string_view version() noexcept;

}  // namespace weir::control
