// The query of a request: which keys a path takes, and what their values mean.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "config/model.h"
#include "control/url.h"
#include "lb/address.h"
#include "lb/result.h"

namespace weir::control {

/// Refuses (400) a key that `path` does not take by this method, and a filter's value that cannot be read. Whether
/// there is a service or backend of that name is the views' to say (404), and a path that is not known is nobody's
/// here.
[[nodiscard]] lb::Result<void> check_query(std::string_view path, const Query& query, std::string_view method = "GET");

/// "10.0.0.5:8080", "[fd00::5]:8080", or the address alone for every port.
struct BackendFilter {
  lb::Address address;
  std::optional<std::uint16_t> port;
  [[nodiscard]] bool matches(const config::Backend& b) const {
    return b.address == address && (!port || b.port == 0 || b.port == *port);
  }
};
[[nodiscard]] std::optional<BackendFilter> parse_backend_filter(std::string_view text);

/// Keys of `weir flush flows` and DELETE /v1/flows. One at least must be given, or all=1.
[[nodiscard]] std::span<const std::string_view> flush_filters() noexcept;

/// Most flows that one answer lists.
inline constexpr std::uint64_t kMostListedFlows = 100'000;

}  // namespace weir::control
