// One request to a running weir over its control socket, and the whole answer. Blocks; for the CLI.
#pragma once

#include <chrono>
#include <cstdint>
#include <expected>
#include <functional>
#include <string>
#include <string_view>

namespace weir::control {

struct HttpReply {
  unsigned status = 0;
  std::string content_type;
  std::string body;
};

/// Why there is no reply. The message says what to do.
struct ClientError {
  enum class Cause : std::uint8_t {
    kUnreachable,  // nobody listens, or we may not connect
    kTimeout,      // somebody listens and does not answer in time
    kBroken,       // the connection broke, or what came is not HTTP
  };
  Cause cause;
  std::string message;
};

/// `target` as format_target() (control/url.h) makes it. `timeout` is for everything together.
[[nodiscard]] std::expected<HttpReply, ClientError> request(const std::string& socket_path, const std::string& method,
                                                            const std::string& target, std::string body,
                                                            std::chrono::milliseconds timeout);

/// As request(), for an answer that goes on until somebody ends it: what comes of a good one (2xx) is given to `take`,
/// the reply has no body. `timeout` is for the answer to begin. It ends when the daemon ends it, when `take` returns
/// false, and on SIGINT and SIGTERM: at the first the daemon is told (by the end of our sending) and may finish, at the
/// second the connection is cut.
[[nodiscard]] std::expected<HttpReply, ClientError> stream(const std::string& socket_path, const std::string& method,
                                                           const std::string& target, std::string body,
                                                           std::chrono::milliseconds timeout,
                                                           const std::function<bool(std::string_view)>& take);

}  // namespace weir::control
