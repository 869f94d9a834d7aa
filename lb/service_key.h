// What VIPs and endpoints are looked up by.
#pragma once

#include <cstring>
#include <type_traits>

#include "lb/address.h"

namespace weir::lb {

/// (address, protocol, port): 32 bytes without padding, because rte_hash compares with vectors only where the key's
/// length is a multiple of 16. Family and IPv4 are in the mapped address. Port 0: as it arrived.
struct alignas(16) ServiceKey {
  Address address;
  be16 port;
  Protocol protocol{};
  std::uint8_t zero[13] = {};

  constexpr ServiceKey() noexcept = default;
  constexpr ServiceKey(const Address& a, Protocol p, be16 port_) noexcept : address(a), port(port_), protocol(p) {}
  constexpr bool operator==(const ServiceKey&) const noexcept = default;
};
static_assert(sizeof(ServiceKey) == 32 && std::has_unique_object_representations_v<ServiceKey>);

}  // namespace weir::lb

template <>
struct std::hash<weir::lb::ServiceKey> {
  std::size_t operator()(const weir::lb::ServiceKey& k) const noexcept {
    return std::hash<weir::lb::Address>()(k.address) * 31 +
           (std::size_t{k.port.raw()} << 8 | static_cast<std::size_t>(k.protocol));
  }
};
