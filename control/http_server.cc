#include "control/http_server.h"

#include <array>
#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // boost::optional inside Beast, with g++ 12 and a sanitizer
#include <boost/beast/http.hpp>
#pragma GCC diagnostic pop
#include <exception>
#include <optional>
#include <set>
#include <vector>

#include "control/json_text.h"
#include "control/tcp_listener.h"
#include "control/unix_listener.h"

namespace weir::control {

namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using Protocol = asio::generic::stream_protocol;  // Unix or TCP
using ErrorCode = boost::system::error_code;
using Clock = std::chrono::steady_clock;

/// Read in pieces of at most this; also bounds a chunk's extensions, which no other limit counts.
constexpr std::size_t kReadBytes = 64 * 1024;
/// What a refused client may still send before the connection is cut.
constexpr std::size_t kDrainBytes = 8 * 1024 * 1024;
/// After accept() fails for want of descriptors or memory.
constexpr auto kAcceptPause = std::chrono::milliseconds(100);

Response error_response(unsigned status, std::string_view sentence) {
  return {.status = status, .body = error_json(sentence)};
}

/// What a request that could not be read is told; none where the client is gone or was too slow.
std::optional<Response> refusal(const ErrorCode& ec, const HttpLimits& limits) {
  if (ec == http::error::header_limit || ec == http::error::buffer_overflow)
    return error_response(431, "the request's header is larger than " + std::to_string(limits.header_bytes) + " bytes");
  if (ec == http::error::body_limit)
    return error_response(413, "the request's body is larger than " + std::to_string(limits.body_bytes) + " bytes");
  if (ec == http::error::end_of_stream) return std::nullopt;
  static const auto& http_errors = http::make_error_code(http::error::bad_method).category();
  if (ec.category() == http_errors) return error_response(400, "this is not HTTP/1.1: " + ec.message());
  return std::nullopt;
}

/// What Beast lets pass and a proxy in front might read otherwise (RFC 9112 3.2, 6.1, 6.3).
std::optional<std::string_view> fault_in(const http::request<http::string_body>& request) {
  if (request.version() != 10 && request.version() != 11) return "give HTTP/1.1";
  if (request.count(http::field::content_length) > 1) return "there is more than one Content-Length";
  if (request.count(http::field::transfer_encoding) > 0 && !request.chunked())
    return "the only Transfer-Encoding is chunked";
  if (request.count(http::field::transfer_encoding) > 0 && request.count(http::field::content_length) > 0)
    return "there are both a Content-Length and a Transfer-Encoding";
  if (request.version() == 11 && request.count(http::field::host) != 1) return "give one Host header";
  return std::nullopt;
}

/// An answer's body: its own, or one that it shares.
struct TextBody {
  struct value_type {
    std::string own;
    std::shared_ptr<const std::string> shared;
    [[nodiscard]] const std::string& text() const { return shared ? *shared : own; }
  };
  static std::uint64_t size(const value_type& body) { return body.text().size(); }

  class writer {
   public:
    using const_buffers_type = asio::const_buffer;
    template <bool is_request, class Fields>
    writer(const http::header<is_request, Fields>&, const value_type& body) : text_(body.text()) {}
    static void init(ErrorCode& ec) { ec = {}; }
    boost::optional<std::pair<const_buffers_type, bool>> get(ErrorCode& ec) const {
      ec = {};
      return {{asio::buffer(text_), false}};
    }

   private:
    const std::string& text_;
  };
};

/// All connections are being answered: one write into the empty socket, which takes it or not, and it is closed.
void turn_away(Protocol::socket& socket) {
  const std::string body = error_json("weir is busy with other requests; try again");
  const std::string text = "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nContent-Length: " +
                           std::to_string(body.size()) + "\r\nConnection: close\r\n\r\n" + body;
  ErrorCode ignored;
  socket.non_blocking(true, ignored);
  socket.write_some(asio::buffer(text), ignored);
}

bool is_served(http::verb method) {
  return method == http::verb::get || method == http::verb::post || method == http::verb::put ||
         method == http::verb::delete_;
}

}  // namespace

/// The acceptor and its sessions. Sessions keep it alive, and it keeps them, until they close.
class HttpServer::Core : public std::enable_shared_from_this<HttpServer::Core> {
 public:
  /// `socket` listens; the Core owns it from here on. `at`: where it stands in the file system.
  Core(asio::io_context& io, const Protocol& protocol, int socket, std::optional<UnixListener> at, Handler handler,
       HttpLimits limits)
      : handler_(std::move(handler)),
        limits_(limits),
        acceptor_(io, protocol, socket),
        accept_pause_(io),
        listener_(std::move(at)) {}

  void accept();
  void stop();

 private:
  class Session;

  void on_accept(const ErrorCode& ec, Protocol::socket socket);
  bool make_room();

  Handler handler_;
  const HttpLimits limits_;
  asio::basic_socket_acceptor<Protocol> acceptor_;
  asio::steady_timer accept_pause_;
  std::optional<UnixListener> listener_;  // unlinks the path
  std::set<std::shared_ptr<Session>> sessions_;
};

/// One connection: read a request, hand it over, write the answer, again. One operation is under way at a time; the
/// Core holds the session until close().
class HttpServer::Core::Session : public std::enable_shared_from_this<Session> {
 public:
  Session(std::shared_ptr<Core> core, Protocol::socket socket)
      : core_(std::move(core)), stream_(std::move(socket)), deadline_(stream_.get_executor()), buffer_(kReadBytes) {}

  void read();
  void close();
  [[nodiscard]] bool is_reading() const { return state_ == State::kReading; }
  [[nodiscard]] Clock::time_point since() const { return since_; }

 private:
  enum class State : std::uint8_t { kReading, kHandling, kWriting, kClosed };

  void on_read(const ErrorCode& ec);
  void hand_over(Request request);
  void answer(std::uint64_t serial, Response response);
  void give_away(const std::function<void(FileDescriptor)>& taker);
  void refuse(Response response);
  void write(Response response);
  void on_write(const ErrorCode& ec);
  void drain();

  std::shared_ptr<Core> core_;
  beast::basic_stream<Protocol> stream_;
  asio::steady_timer deadline_;  // for the handler
  beast::flat_buffer buffer_;
  std::optional<http::request_parser<http::string_body>> parser_;
  http::response<TextBody> response_;
  State state_ = State::kReading;
  Clock::time_point since_;   // of state_
  std::uint64_t serial_ = 0;  // of the request being handled
  bool keep_alive_ = false;   // after this answer
  bool head_only_ = false;    // HEAD: the answer has no body
  bool has_unread_ = false;   // refused before its end: what is left is read away before closing
  std::size_t drained_ = 0;
  std::array<char, 4096> waste_;
};

template <class... Args>
lb::Result<std::unique_ptr<HttpServer>> HttpServer::serve(asio::io_context& io, Args&&... args) {
  try {
    auto core = std::make_shared<Core>(io, std::forward<Args>(args)...);
    core->accept();
    return std::unique_ptr<HttpServer>(new HttpServer(std::move(core)));
  } catch (const boost::system::system_error& e) {
    return lb::fail(std::string("cannot serve HTTP: ") + e.what());
  }
}

lb::Result<std::unique_ptr<HttpServer>> HttpServer::listen(asio::io_context& io, const std::string& path,
                                                           Handler handler, HttpLimits limits) {
  auto listener = UnixListener::open(path);
  if (!listener) return std::unexpected(listener.error());
  const int socket = listener->release();
  return serve(io, Protocol(AF_UNIX, 0), socket, std::move(*listener), std::move(handler), limits);
}

lb::Result<std::unique_ptr<HttpServer>> HttpServer::listen(asio::io_context& io, const lb::SocketAddress& address,
                                                           Handler handler, HttpLimits limits) {
  auto socket = listen_tcp(address);
  if (!socket) return std::unexpected(socket.error());
  return serve(io, Protocol(address.address.is_v4() ? AF_INET : AF_INET6, IPPROTO_TCP), socket->release(), std::nullopt,
               std::move(handler), limits);
}

HttpServer::~HttpServer() {
  stop();
}

void HttpServer::stop() {
  core_->stop();
}

void HttpServer::Core::accept() {
  acceptor_.async_accept([self = shared_from_this()](const ErrorCode& ec, Protocol::socket socket) {
    self->on_accept(ec, std::move(socket));
  });
}

void HttpServer::Core::on_accept(const ErrorCode& ec, Protocol::socket socket) {
  if (!acceptor_.is_open()) return;
  if (ec) {  // no descriptors or no memory left: the next try would fail at once, and spin
    accept_pause_.expires_after(kAcceptPause);
    accept_pause_.async_wait([self = shared_from_this()](const ErrorCode&) {
      if (self->acceptor_.is_open()) self->accept();
    });
    return;
  }
  if (sessions_.size() < limits_.connections || make_room()) {
    auto session = std::make_shared<Session>(shared_from_this(), std::move(socket));
    sessions_.insert(session);
    session->read();
  } else {
    turn_away(socket);
  }
  accept();
}

/// Closes the connection that has been silent for longest; false where every one is being answered.
bool HttpServer::Core::make_room() {
  std::shared_ptr<Session> oldest;
  for (const auto& s : sessions_)
    if (s->is_reading() && (!oldest || s->since() < oldest->since())) oldest = s;
  if (oldest) oldest->close();
  return oldest != nullptr;
}

void HttpServer::Core::stop() {
  ErrorCode ignored;
  acceptor_.close(ignored);
  accept_pause_.cancel();
  listener_.reset();
  for (const auto& s : std::vector(sessions_.begin(), sessions_.end())) s->close();
  handler_ = nullptr;
}

void HttpServer::Core::Session::read() {
  state_ = State::kReading;
  since_ = Clock::now();
  parser_.emplace();
  parser_->header_limit(core_->limits_.header_bytes);
  parser_->body_limit(core_->limits_.body_bytes);
  stream_.expires_after(core_->limits_.io);  // for the whole request, however slowly it drips
  http::async_read(stream_, buffer_, *parser_,
                   [self = shared_from_this()](const ErrorCode& ec, std::size_t) { self->on_read(ec); });
}

void HttpServer::Core::Session::on_read(const ErrorCode& ec) {
  if (state_ == State::kClosed) return;
  if (ec) {
    if (auto said = refusal(ec, core_->limits_)) return refuse(std::move(*said));
    return close();
  }
  auto& message = parser_->get();
  keep_alive_ = message.keep_alive();
  if (!is_served(message.method())) {
    head_only_ = message.method() == http::verb::head;
    return refuse(error_response(405, "the methods here are GET, POST, PUT and DELETE"));
  }
  if (const auto fault = fault_in(message)) return refuse(error_response(400, *fault));
  const auto text = message.target();
  auto target = parse_target({text.data(), text.size()});
  if (!target) return refuse(error_response(400, "the request's target is not a path with a query of distinct keys"));
  const auto method = message.method_string();
  hand_over({std::string(method.data(), method.size()), std::move(target->path), std::move(target->query),
             std::move(message.body())});
}

void HttpServer::Core::Session::hand_over(Request request) {
  state_ = State::kHandling;
  const std::uint64_t serial = ++serial_;
  deadline_.expires_after(core_->limits_.handler);
  deadline_.async_wait([self = shared_from_this(), serial](const ErrorCode& ec) {
    if (ec) return;
    self->keep_alive_ = false;
    self->answer(serial, error_response(504, "weir took too long to answer"));
  });
  const auto handler = core_->handler_;  // a copy: stop() from inside the handler drops the other
  try {
    // Weak: a Handler may keep its responder longer than there is an io_context.
    handler(std::move(request), [session = weak_from_this(), serial](Response response) {
      if (const auto self = session.lock()) self->answer(serial, std::move(response));
    });
  } catch (const std::exception& e) {
    keep_alive_ = false;
    answer(serial, error_response(500, std::string("weir failed to answer: ") + e.what()));
  }
}

void HttpServer::Core::Session::answer(std::uint64_t serial, Response response) {
  if (state_ != State::kHandling || serial != serial_) return;
  deadline_.cancel();
  if (response.take_over) return give_away(response.take_over);
  write(std::move(response));
}

void HttpServer::Core::Session::give_away(const std::function<void(FileDescriptor)>& taker) {
  FileDescriptor connection(stream_.release_socket().release());
  state_ = State::kClosed;
  core_->sessions_.erase(shared_from_this());
  taker(std::move(connection));
}

void HttpServer::Core::Session::refuse(Response response) {
  keep_alive_ = false;
  has_unread_ = true;
  write(std::move(response));
}

void HttpServer::Core::Session::write(Response response) {
  state_ = State::kWriting;
  response_ = http::response<TextBody>(static_cast<http::status>(response.status), 11);
  response_.set(http::field::content_type, response.content_type);
  response_.set(http::field::cache_control, "no-store");
  response_.body() = {std::move(response.body), std::move(response.shared)};
  response_.keep_alive(keep_alive_);
  response_.prepare_payload();
  if (head_only_) response_.body() = {};
  stream_.expires_after(core_->limits_.io);
  http::async_write(stream_, response_,
                    [self = shared_from_this()](const ErrorCode& ec, std::size_t) { self->on_write(ec); });
}

void HttpServer::Core::Session::on_write(const ErrorCode& ec) {
  if (state_ == State::kClosed) return;
  response_ = {};  // a large answer's memory is not kept while idle
  if (!ec && keep_alive_) return read();
  if (ec || !has_unread_) return close();
  ErrorCode ignored;
  stream_.socket().shutdown(Protocol::socket::shutdown_send, ignored);
  stream_.expires_after(core_->limits_.drain);
  drain();
}

/// Closing a Unix socket with bytes unread resets it; a client that still sends would fail before it reads why.
void HttpServer::Core::Session::drain() {
  stream_.async_read_some(asio::buffer(waste_), [self = shared_from_this()](const ErrorCode& ec, std::size_t n) {
    self->drained_ += n;
    if (self->state_ == State::kClosed) return;
    if (ec || self->drained_ > kDrainBytes) return self->close();
    self->drain();
  });
}

void HttpServer::Core::Session::close() {
  if (state_ == State::kClosed) return;
  state_ = State::kClosed;
  deadline_.cancel();
  stream_.close();
  core_->sessions_.erase(shared_from_this());
}

}  // namespace weir::control
