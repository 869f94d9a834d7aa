#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdint>

#include "control/file_descriptor.h"

namespace weir::control::testing {

/// A TCP port of 127.0.0.1 that nobody had a moment ago.
inline std::uint16_t free_port() {
  const FileDescriptor fd(::socket(AF_INET, SOCK_STREAM, 0));
  sockaddr_in a{};
  a.sin_family = AF_INET;
  a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof a;
  ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&a), size);
  ::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&a), &size);
  return ntohs(a.sin_port);
}

}  // namespace weir::control::testing
