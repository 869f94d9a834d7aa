#include "control/http_client.h"

#include <fmt/format.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // boost::optional inside Beast, with g++ 12 and a sanitizer
#include <boost/beast/http.hpp>
#pragma GCC diagnostic pop
#include <cerrno>
#include <chrono>
#include <csignal>
#include <optional>
#include <thread>
#include <vector>

namespace weir::control {

namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using Protocol = asio::local::stream_protocol;
using ErrorCode = boost::system::error_code;

/// More than any list that Weir makes: 100,000 backends are 30 MB.
constexpr std::uint64_t kReplyBytes = 512ULL * 1024 * 1024;

constexpr std::chrono::milliseconds kBacklogPause{5};

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

http::request<http::string_body> make_question(const std::string& method, const std::string& target, std::string body) {
  http::request<http::string_body> question;
  question.version(11);
  question.method_string(method);
  question.target(target);
  question.set(http::field::host, "weir");
  question.set(http::field::connection, "close");
  question.body() = std::move(body);
  question.prepare_payload();
  return question;
}

/// After the first signal: for the daemon to send the rest.
constexpr auto kFinish = std::chrono::seconds(10);

/// A long answer, read piece by piece.
class Stream {
 public:
  Stream(const std::string& socket_path, const std::function<bool(std::string_view)>& take)
      : path_(socket_path), take_(take) {}

  std::expected<HttpReply, ClientError> run(http::request<http::string_body> question,
                                            std::chrono::milliseconds timeout) {
    stream_.expires_after(timeout);
    if (const ErrorCode ec = wait([&](auto done) { stream_.async_connect(Protocol::endpoint(path_), done); }))
      return std::unexpected(ec == beast::error::timeout ? broken(path_, ec) : unreachable(path_, ec));
    watch_signals();
    const ErrorCode sent = wait([&](auto done) { http::async_write(stream_, question, done); });
    if (sent == beast::error::timeout) return std::unexpected(broken(path_, sent));
    http::response_parser<http::buffer_body> parser;
    parser.body_limit(boost::none);
    if (const ErrorCode ec = wait([&](auto done) { http::async_read_header(stream_, buffer_, parser, done); }))
      return std::unexpected(broken(path_, sent ? sent : ec));
    if (parser.get().result_int() / 100 != 2) return read_refusal(std::move(parser));
    stream_.expires_never();
    return read_body(parser);
  }

 private:
  // The error of the operation that `start` begins.
  template <class Start>
  ErrorCode wait(Start&& start) {
    std::optional<ErrorCode> result;
    start([&result](const ErrorCode& ec, auto&&...) { result = ec; });
    while (!result) io_.run_one();
    return *result;
  }

  void watch_signals() {
    signals_.async_wait([this](const ErrorCode& ec, int) {
      if (ec) return;
      if (signalled_++ > 0) return stream_.close();
      ErrorCode ignored;
      stream_.socket().shutdown(Protocol::socket::shutdown_send, ignored);
      finish_.expires_after(kFinish);
      finish_.async_wait([this](const ErrorCode& cancelled) {
        if (!cancelled) stream_.close();
      });
      watch_signals();
    });
  }

  std::expected<HttpReply, ClientError> read_refusal(http::response_parser<http::buffer_body>&& head) {
    http::response_parser<http::string_body> parser(std::move(head));
    if (const ErrorCode ec = wait([&](auto done) { http::async_read(stream_, buffer_, parser, done); }))
      return std::unexpected(broken(path_, ec));
    return HttpReply{parser.get().result_int(), std::string(parser.get()[http::field::content_type]),
                     std::move(parser.get().body())};
  }

  std::expected<HttpReply, ClientError> read_body(http::response_parser<http::buffer_body>& parser) {
    std::vector<char> piece(256 * 1024);
    while (!parser.is_done()) {
      parser.get().body() = {piece.data(), piece.size(), true};
      const ErrorCode ec = wait([&](auto done) { http::async_read_some(stream_, buffer_, parser, done); });
      const std::size_t n = piece.size() - parser.get().body().size;
      if (n > 0 && !take_({piece.data(), n})) break;
      if (ec && ec != http::error::need_buffer) {
        if (signalled_ > 0) break;
        return std::unexpected(broken(path_, ec));
      }
    }
    return HttpReply{parser.get().result_int(), std::string(parser.get()[http::field::content_type]), ""};
  }

  const std::string& path_;
  const std::function<bool(std::string_view)>& take_;
  asio::io_context io_;
  beast::basic_stream<Protocol> stream_{io_};
  asio::signal_set signals_{io_, SIGINT, SIGTERM};
  asio::steady_timer finish_{io_};
  beast::flat_buffer buffer_;
  int signalled_ = 0;
};

}  // namespace

std::expected<HttpReply, ClientError> stream(const std::string& socket_path, const std::string& method,
                                             const std::string& target, std::string body,
                                             std::chrono::milliseconds timeout,
                                             const std::function<bool(std::string_view)>& take) {
  try {
    return Stream(socket_path, take).run(make_question(method, target, std::move(body)), timeout);
  } catch (const boost::system::system_error& e) {  // a path that no socket can have
    return std::unexpected(unreachable(socket_path, e.code()));
  }
}

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
    // Where the backlog is full, Linux says EAGAIN, which Asio takes for a connection under way: asked again until
    // then.
    const auto give_up = std::chrono::steady_clock::now() + timeout;
    do {
      if (result = {}; wait([&](auto done) { stream.async_connect(endpoint, done); })) {
        if (result == beast::error::timeout) return std::unexpected(broken(socket_path, result));
        return std::unexpected(unreachable(socket_path, result));
      }
      stream.socket().remote_endpoint(result);
      if (!result) break;
      stream.socket().close();
      std::this_thread::sleep_for(kBacklogPause);
    } while (std::chrono::steady_clock::now() < give_up);
    if (result) return std::unexpected(broken(socket_path, beast::error::timeout));

    const auto question = make_question(method, target, std::move(body));
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
