// A listening TCP socket, for the metrics.
#pragma once

#include "control/file_descriptor.h"
#include "lb/address.h"
#include "lb/result.h"

namespace weir::control {

/// Bound and listening, not blocking. What another process holds, or no address of this machine, is refused in words.
[[nodiscard]] lb::Result<FileDescriptor> listen_tcp(const lb::SocketAddress& address);

}  // namespace weir::control
