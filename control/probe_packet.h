// The packet that `weir trace` sends through the path: as short as its kind may be.
#pragma once

#include <cstdint>
#include <vector>

#include "control/trace.h"
#include "lb/address.h"

namespace weir::control {

/// An Ethernet frame to `mac`, tagged if vlan != 0: a SYN, an ACK (mid_stream) or an empty UDP packet, TTL 64.
[[nodiscard]] std::vector<std::uint8_t> probe_packet(const TraceRequest& request, const lb::MacAddress& mac,
                                                     std::uint16_t vlan);

}  // namespace weir::control
