// The small numbers that stand for things, each its own type so that they cannot be mixed.
//
// 0 always means "none": an all-zero flow record is an empty one, and a table that answers 0 has no answer. VIP,
// endpoint, address, interface and next-hop ids come from registries keyed by identity (lb/id_registry.h) and are
// stable over reloads.
#pragma once

#include <cstdint>
#include <type_traits>

namespace weir::lb {

enum class VipId : std::uint16_t { kNone = 0 };
enum class EndpointId : std::uint32_t { kNone = 0 };  // 20 bits are used
enum class AddressId : std::uint32_t { kNone = 0 };   // VIP addresses and own addresses
enum class InterfaceId : std::uint16_t { kNone = 0 };
enum class NextHopId : std::uint32_t { kNone = 0 };  // 20 bits are used; fits rte_lpm's 24 and rte_lpm6's 21
/// Position in weir.yaml's `ports`, which is also the DPDK port's place in the worker's list. Counts from 0.
enum class PortIndex : std::uint16_t {};

inline constexpr unsigned kVipIdBits = 16;
inline constexpr unsigned kEndpointIdBits = 20;

template <class Id>
  requires std::is_enum_v<Id>
[[nodiscard]] constexpr std::size_t index(Id id) noexcept {
  return static_cast<std::size_t>(id);
}

}  // namespace weir::lb
