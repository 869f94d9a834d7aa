#include "control/tcp_listener.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <string>

namespace weir::control {

namespace {

constexpr int kBacklog = 128;

socklen_t fill(sockaddr_storage& storage, const lb::SocketAddress& from) {
  if (from.address.is_v4()) {
    auto& a = reinterpret_cast<sockaddr_in&>(storage);
    a.sin_family = AF_INET;
    a.sin_port = htons(from.port);
    a.sin_addr.s_addr = from.address.to_v4().raw();
    return sizeof a;
  }
  auto& a = reinterpret_cast<sockaddr_in6&>(storage);
  a.sin6_family = AF_INET6;
  a.sin6_port = htons(from.port);
  std::memcpy(&a.sin6_addr, from.address.bytes.data(), from.address.bytes.size());
  return sizeof a;
}

std::string_view what_to_do(int error) {
  switch (error) {
    case EADDRINUSE: return "; stop what listens there (`ss -ltnp` tells), or give control.metrics another port";
    case EADDRNOTAVAIL: return "; `ip address` tells this machine's own addresses";
    case EACCES: return "; give control.metrics a port of 1024 or more";
    default: return "";
  }
}

}  // namespace

lb::Result<FileDescriptor> listen_tcp(const lb::SocketAddress& address) {
  const auto failed = [&address] {
    const int error = errno;
    return lb::fail(fmt::format("cannot serve metrics on {}: {}{}", lb::to_string(address.address, address.port),
                                std::strerror(error), what_to_do(error)));
  };
  const bool is_v4 = address.address.is_v4();
  FileDescriptor fd(::socket(is_v4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return failed();
  // A restart must not wait for the connections of before; it takes no port from one that listens.
  const int on = 1;
  if (::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0) return failed();
  if (!is_v4 && ::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) != 0) return failed();
  sockaddr_storage storage{};
  const socklen_t size = fill(storage, address);
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&storage), size) != 0) return failed();
  if (::listen(fd.get(), kBacklog) != 0) return failed();
  return fd;
}

}  // namespace weir::control
