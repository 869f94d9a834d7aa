// An HttpServer on a temporary socket with a thread of its own, and raw clients to it.
#pragma once

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <chrono>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <thread>

#include "control/file_descriptor.h"
#include "control/http_server.h"
#include "tests/control/temporary_directory.h"

namespace weir::control::testing {

class RunningServer {
 public:
  explicit RunningServer(Handler handler, HttpLimits limits = {}) {
    auto server = HttpServer::listen(io_, path(), std::move(handler), limits);
    if (!server) throw std::runtime_error(server.error().message);
    server_ = std::move(*server);
    thread_ = std::thread([this] { io_.run(); });
  }
  ~RunningServer() { stop(); }

  /// Returns when io_context::run() has: nothing is left open.
  void stop() {
    if (!thread_.joinable()) return;
    boost::asio::post(io_, [this] { server_->stop(); });
    thread_.join();
  }
  [[nodiscard]] std::string path() const { return directory_.file("weir.sock"); }
  [[nodiscard]] boost::asio::io_context& io() { return io_; }

 private:
  TemporaryDirectory directory_;
  boost::asio::io_context io_;
  std::unique_ptr<HttpServer> server_;
  std::thread thread_;
};

/// Sends bytes as they are.
class RawClient {
 public:
  explicit RawClient(const std::string& path) : fd_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un a{};
    a.sun_family = AF_UNIX;
    std::memcpy(a.sun_path, path.data(), path.size());
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
  void stop_sending() { ::shutdown(fd_.get(), SHUT_WR); }

 private:
  FileDescriptor fd_;
  bool is_connected_ = false;
};

}  // namespace weir::control::testing
