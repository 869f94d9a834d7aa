// "1 service", "2 services": what messages and logs count.
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>

namespace weir::control {

/// `noun` is one whose plural ends in s.
[[nodiscard]] inline std::string plural(std::size_t n, std::string_view noun) {
  return fmt::format("{} {}{}", n, noun, n == 1 ? "" : "s");
}

}  // namespace weir::control
