// A client of the control socket that knows no HTTP.
#pragma once

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <string>
#include <string_view>

#include "control/file_descriptor.h"

namespace weir::control::testing {

/// Sends bytes as they are.
class RawClient {
 public:
  explicit RawClient(const std::string& path) : fd_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un a{};
    a.sun_family = AF_UNIX;
    std::memcpy(a.sun_path, path.data(), path.size());
    is_connected_ = ::connect(fd_.get(), reinterpret_cast<const sockaddr*>(&a), sizeof(a)) == 0;
  }

  /// Over TCP, to 127.0.0.1.
  explicit RawClient(std::uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in a{};
    a.sin_family = AF_INET;
    a.sin_port = htons(port);
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    is_connected_ = ::connect(fd_.get(), reinterpret_cast<const sockaddr*>(&a), sizeof(a)) == 0;
  }

  [[nodiscard]] bool is_connected() const { return is_connected_; }
  /// False once the server has closed.
  bool send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t n = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(n));
    }
    return true;
  }
  /// Everything until the server closes; "(still open)" at the end where it has not within `patience`.
  std::string read_all(std::chrono::milliseconds patience = std::chrono::seconds(20)) {
    std::string out;
    const auto until = std::chrono::steady_clock::now() + patience;
    for (;;) {
      const auto left =
          std::chrono::duration_cast<std::chrono::milliseconds>(until - std::chrono::steady_clock::now()).count();
      pollfd p{fd_.get(), POLLIN, 0};
      if (left <= 0 || ::poll(&p, 1, static_cast<int>(left)) <= 0) return out + "(still open)";
      char bytes[4096];
      const ssize_t n = ::recv(fd_.get(), bytes, sizeof(bytes), 0);
      if (n < 0) return out + "(reset)";
      if (n == 0) return out;
      out.append(bytes, static_cast<std::size_t>(n));
    }
  }
  /// What is there, without waiting.
  std::string read_now() {
    std::string out;
    char bytes[4096];
    for (;;) {
      const ssize_t n = ::recv(fd_.get(), bytes, sizeof(bytes), MSG_DONTWAIT);
      if (n < 0 && errno == EAGAIN) return out;
      if (n <= 0) is_closed_ = true;
      if (n <= 0) return out;
      out.append(bytes, static_cast<std::size_t>(n));
    }
  }
  /// As read_now() found.
  [[nodiscard]] bool is_closed() const { return is_closed_; }
  void stop_sending() { ::shutdown(fd_.get(), SHUT_WR); }

 private:
  FileDescriptor fd_;
  bool is_connected_ = false;
  bool is_closed_ = false;
};

}  // namespace weir::control::testing
