// "192.0.2.7:40000" and "[2001:db8::7]:40000" as operators write them.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "lb/address.h"

namespace weir::control {

struct Endpoint {
  lb::Address address;
  std::uint16_t port = 0;
  constexpr bool operator==(const Endpoint&) const noexcept = default;
};

/// The port is required, 1 to 65535; IPv6 stands in brackets. lb::to_string(address, port) is the way back.
[[nodiscard]] std::optional<Endpoint> parse_endpoint(std::string_view text);

}  // namespace weir::control
