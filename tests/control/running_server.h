// An HttpServer on a temporary socket with a thread of its own.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>

#include "control/http_server.h"
#include "tests/control/raw_client.h"
#include "tests/control/temporary_directory.h"

namespace weir::control::testing {

class RunningServer {
 public:
  explicit RunningServer(Handler handler, HttpLimits limits = {}, std::optional<lb::SocketAddress> tcp = {}) {
    if (tcp) {
      auto metrics = HttpServer::listen(io_, *tcp, handler, limits);
      if (!metrics) throw std::runtime_error(metrics.error().message);
      tcp_server_ = std::move(*metrics);
    }
    auto server = HttpServer::listen(io_, path(), std::move(handler), limits);
    if (!server) throw std::runtime_error(server.error().message);
    server_ = std::move(*server);
    thread_ = std::thread([this] { io_.run(); });
  }
  ~RunningServer() { stop(); }

  /// Returns when io_context::run() has: nothing is left open.
  void stop() {
    if (!thread_.joinable()) return;
    boost::asio::post(io_, [this] {
      server_->stop();
      if (tcp_server_) tcp_server_->stop();
    });
    thread_.join();
  }
  [[nodiscard]] std::string path() const { return directory_.file("weir.sock"); }
  [[nodiscard]] boost::asio::io_context& io() { return io_; }

 private:
  TemporaryDirectory directory_;
  boost::asio::io_context io_;
  std::unique_ptr<HttpServer> server_, tcp_server_;
  std::thread thread_;
};

}  // namespace weir::control::testing
