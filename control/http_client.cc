#include "control/http_client.h"

#include <fmt/format.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // boost::optional inside Beast, with g++ 12 and a sanitizer
#include <boost/beast/http.hpp>
#pragma GCC diagnostic pop
#include <cerrno>

namespace weir::control {

namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using Protocol = asio::local::stream_protocol;
using ErrorCode = boost::system::error_code;

/// More than any list that Weir makes: 100,000 backends are 30 MB.
constexpr std::uint64_t kReplyBytes = 512ULL * 1024 * 1024;

ClientError unreachable(const std::string& path, const ErrorCode& ec) {
  const int code = ec.value();
  std::string hint;
  if (code == ENOENT) hint = "; is weir running, and with this control.socket? (--socket PATH names another)";
  if (code == ECONNREFUSED) hint = "; weir is not running";
  if (code == EACCES || code == EPERM) hint = "; run as root or as a member of the socket's group";
  return {ClientError::Cause::kUnreachable, fmt::format("cannot reach weir at {}: {}{}", path, ec.message(), hint)};
}

ClientError broken(const std::string& path, const ErrorCode& ec) {
  if (ec == beast::error::timeout)
    return {ClientError::Cause::kTimeout, fmt::format("weir at {} did not answer in time", path)};
  return {ClientError::Cause::kBroken, fmt::format("weir at {} broke off: {}", path, ec.message())};
}

}  // namespace

std::expected<HttpReply, ClientError> request(const std::string& socket_path, const std::string& method,
                                              const std::string& target, std::string body,
                                              std::chrono::milliseconds timeout) {
  try {
    asio::io_context io;
    beast::basic_stream<Protocol> stream(io);
    stream.expires_after(timeout);
    ErrorCode result;
    const auto wait = [&io, &result](auto start) {
      start([&result](const ErrorCode& ec, auto&&...) { result = ec; });
      io.restart();
      io.run();
      return result;
    };

    const Protocol::endpoint endpoint(socket_path);
    if (wait([&](auto done) { stream.async_connect(endpoint, done); })) {
      if (result == beast::error::timeout) return std::unexpected(broken(socket_path, result));
      return std::unexpected(unreachable(socket_path, result));
    }

    http::request<http::string_body> question;
    question.version(11);
    question.method_string(method);
    question.target(target);
    question.set(http::field::host, "weir");
    question.set(http::field::connection, "close");
    question.body() = std::move(body);
    question.prepare_payload();
    // A server that refuses the request early answers and stops reading: its answer counts, not our broken pipe.
    const ErrorCode sent = wait([&](auto done) { http::async_write(stream, question, done); });
    if (sent == beast::error::timeout) return std::unexpected(broken(socket_path, sent));

    beast::flat_buffer buffer;
    http::response_parser<http::string_body> parser;
    parser.body_limit(kReplyBytes);
    if (wait([&](auto done) { http::async_read(stream, buffer, parser, done); }))
      return std::unexpected(broken(socket_path, sent ? sent : result));
    auto& reply = parser.get();
    return HttpReply{reply.result_int(), std::string(reply[http::field::content_type]), std::move(reply.body())};
  } catch (const boost::system::system_error& e) {  // a path that no socket can have
    return std::unexpected(unreachable(socket_path, e.code()));
  }
}

}  // namespace weir::control
