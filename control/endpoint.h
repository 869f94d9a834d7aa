// "192.0.2.7:40000" and "[2001:db8::7]:40000" as operators write them.
#pragma once

#include <optional>
#include <string_view>

#include "lb/address.h"

namespace weir::control {

using Endpoint = lb::SocketAddress;

/// lb::to_string(address, port) is the way back.
[[nodiscard]] inline std::optional<Endpoint> parse_endpoint(std::string_view text) {
  return lb::parse_socket_address(text);
}

}  // namespace weir::control
