// Any bytes on the control socket: answers that are HTTP, or the connection closed; never a crash, never a wait.
#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>

#include "control/http_server.h"
#include "control/json_text.h"
#include "tests/control/raw_client.h"
#include "tests/control/temporary_directory.h"

namespace {

using namespace weir::control;

/// What a Handler may rely on, whatever came.
bool holds(const Request& r) {
  const bool is_method = r.method == "GET" || r.method == "POST" || r.method == "PUT" || r.method == "DELETE";
  if (!is_method || r.path.empty() || r.path.front() != '/') return false;
  const auto again = parse_target(format_target("/", r.query));
  return again && again->query == r.query;
}

/// One server for all inputs, as in life.
struct World {
  testing::TemporaryDirectory directory;
  boost::asio::io_context io;
  std::unique_ptr<HttpServer> server;

  World() {
    auto made = HttpServer::listen(io, directory.file("weir.sock"), [](const Request& r, const Responder& respond) {
      if (!holds(r)) std::abort();
      respond({200, "application/json", error_json(r.path)});
    });
    if (!made) std::abort();
    server = std::move(*made);
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static World world;
  testing::RawClient client(world.directory.file("weir.sock"));
  std::string answers;
  // In pieces that a socket's buffer takes at once: client and server are one thread here.
  for (std::size_t at = 0; at <= size; at += 16384) {
    client.send({reinterpret_cast<const char*>(data) + at, std::min<std::size_t>(size - at, 16384)});
    world.io.poll();
    answers += client.read_now();
  }
  client.stop_sending();
  for (int turns = 0; !client.is_closed(); ++turns) {
    if (turns > 10'000) std::abort();  // it neither answers nor closes
    world.io.poll();
    answers += client.read_now();
  }
  if (!answers.empty() && !answers.starts_with("HTTP/1.1 ")) std::abort();
  return 0;
}
