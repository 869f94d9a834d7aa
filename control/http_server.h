// The admin API's transport: HTTP/1.1 on a Unix stream socket, on the control thread's io_context. The metrics' TCP
// port, where there is one, is served in the same way.
//
// It knows nothing of Weir: a whole, well-formed request goes to one Handler, which answers now or later. What a
// stranger can do to it is bounded everywhere (spec/faults.md S04, S05, S07): sizes, time to send a request, time to
// read an answer, and how many connections there are at once. Where all are taken, a new one gets the place of the one
// that has kept its request to itself for longest, so a crowd of idle connections does not lock the operator out.
//
// Everything happens on the thread that runs the io_context: listen(), stop(), the Handler and every Responder.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "control/file_descriptor.h"
#include "control/url.h"
#include "lb/address.h"
#include "lb/result.h"

namespace boost::asio {
class io_context;
}

namespace weir::control {

struct Request {
  std::string method;  // GET, POST, PUT or DELETE
  std::string path;    // decoded, without the query
  Query query;
  std::string body;
};

struct Response {
  unsigned status = 200;
  std::string content_type = "application/json";
  std::string body;
  /// Where set, the rest is nothing: the connection leaves the server and is this one's, which answers on it as HTTP.
  std::function<void(FileDescriptor)> take_over;
  std::shared_ptr<const std::string> shared;  // where set, the body: one that several answers have
};

/// Answers the request it came with; the first call counts, and none counts after the handler deadline, after the
/// client has gone or after stop(). May be copied, kept and called later, on the io_context's thread.
using Responder = std::function<void(Response)>;
using Handler = std::function<void(Request, Responder)>;

struct HttpLimits {
  std::uint32_t header_bytes = 8 * 1024;      // more: 431
  std::uint64_t body_bytes = 1024 * 1024;     // more: 413
  std::size_t connections = 64;               // at once
  std::chrono::milliseconds io{10'000};       // for a whole request to arrive, and for an answer to be taken
  std::chrono::milliseconds handler{30'000};  // for the Handler to answer; then 504
  std::chrono::milliseconds drain{1'000};     // for a refused client to stop sending, so that it reads why
};

class HttpServer {
 public:
  /// The socket appears at `path` before this returns (UnixListener). The io_context outlives the server.
  [[nodiscard]] static lb::Result<std::unique_ptr<HttpServer>> listen(boost::asio::io_context& io,
                                                                      const std::string& path, Handler handler,
                                                                      HttpLimits limits = {});
  /// On a TCP address of this machine; an IPv6 one takes no IPv4.
  [[nodiscard]] static lb::Result<std::unique_ptr<HttpServer>> listen(boost::asio::io_context& io,
                                                                      const lb::SocketAddress& address, Handler handler,
                                                                      HttpLimits limits = {});

  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;
  ~HttpServer();  // stops

  /// Closes every connection, unlinks the path and drops the Handler; io_context::run() can return. Twice is harmless.
  void stop();

 private:
  class Core;
  template <class... Args>
  [[nodiscard]] static lb::Result<std::unique_ptr<HttpServer>> serve(boost::asio::io_context& io, Args&&... args);
  explicit HttpServer(std::shared_ptr<Core> core) : core_(std::move(core)) {}
  std::shared_ptr<Core> core_;
};

}  // namespace weir::control
