// How a packet is refused that no backend takes.
#pragma once

#include <cstdint>

namespace weir::lb {

/// In the order of how much they say; the quieter of two is the greater.
enum class Reject : std::uint8_t { kRst, kIcmp, kDrop };

}  // namespace weir::lb
