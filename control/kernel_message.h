// From the bytes of a netlink message to what it says about a twin, or to nothing.
//
// The bytes are read with libnl's attribute iterator rather than its objects: an object costs an allocation and a
// microsecond, and a full table read again after an overrun is 100,000 of them.
#pragma once

#include <linux/netlink.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <variant>

#include "control/kernel_network.h"

namespace weir::control {

struct LinkMessage {
  KernelLink link;  // `interface` is not filled in
  bool is_gone = false;
};
struct AddressMessage {
  KernelAddress address;
  bool is_gone = false;
};
struct RouteMessage {
  /// Over the first way that is a twin's and alive. `is_elsewhere`: there is none, and the route is none of ours.
  KernelRoute route;
  bool is_elsewhere = false;
  bool is_gone = false;
  bool replaces = false;  // the kernel says that it stands in the place of the one with the same prefix and metric
};
struct NeighborMessage {
  KernelNeighbor neighbor;
  bool is_gone = false;
};
using KernelMessage = std::variant<LinkMessage, AddressMessage, RouteMessage, NeighborMessage>;

/// Says of a device whether it is a twin's.
using IsTwin = std::function<bool(LinkIndex)>;

/// `now`: what ages are counted from. Nothing: it is about another device, another table, another kind of thing.
[[nodiscard]] std::optional<KernelMessage> parse_message(const nlmsghdr& header, const IsTwin& is_twin,
                                                         std::chrono::steady_clock::time_point now);

}  // namespace weir::control
