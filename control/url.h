// Request targets: "/v1/flows?service=web&client=192.0.2.7" apart and together.
//
// Percent-encoding as in RFC 3986; a plus sign means itself (this is no HTML form).
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace weir::control {

using Query = std::map<std::string, std::string, std::less<>>;

struct Target {
  std::string path;  // decoded, begins with "/"
  Query query;       // decoded
};

/// None where the target does not begin with "/", an escape is broken or stands for NUL, or a query key comes twice.
[[nodiscard]] std::optional<Target> parse_target(std::string_view target);

/// `path` as it is (it must need no escapes), then the query, escaped.
[[nodiscard]] std::string format_target(std::string_view path, const Query& query);

}  // namespace weir::control
