// Clients that mean harm beside one that does not, on the socket and on the TCP port at once: the honest one is
// answered throughout (spec/faults.md S04, S05, S07).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "tests/control/free_port.h"
#include "tests/control/running_server.h"

namespace weir::control {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using testing::RawClient;
using testing::RunningServer;
using ::testing::StartsWith;

constexpr std::string_view kGet = "GET /metrics HTTP/1.1\r\nHost: weir\r\n\r\n";
constexpr std::string_view kGetAndClose = "GET /metrics HTTP/1.1\r\nHost: weir\r\nConnection: close\r\n\r\n";

// A server on both, and who attacks it, each on a connection of its own to either.
class HttpAbuse : public ::testing::TestWithParam<bool> {
 protected:
  [[nodiscard]] std::unique_ptr<RawClient> connect() const {
    return GetParam() ? std::make_unique<RawClient>(port_) : std::make_unique<RawClient>(server_.path());
  }
  // True if a whole request is answered by 200 in time, however many others there are.
  [[nodiscard]] bool is_honest_client_served() const {
    const auto client = connect();
    return client->send(kGetAndClose) && client->read_all(10s).starts_with("HTTP/1.1 200");
  }

  std::uint16_t port_ = testing::free_port();
  RunningServer server_{[](const Request&, const Responder& respond) { respond({.body = "{}"}); },
                        {.io = 1000ms},
                        lb::SocketAddress{*lb::parse_address("127.0.0.1"), port_}};
};

TEST_P(HttpAbuse, AThousandIdleConnections) {
  std::vector<std::unique_ptr<RawClient>> idle;
  for (int i = 0; i < 1000; ++i) {
    idle.push_back(connect());
    if (i % 100 == 0) {
      EXPECT_TRUE(is_honest_client_served()) << i;
    }
  }
  EXPECT_TRUE(is_honest_client_served());
}

TEST_P(HttpAbuse, HeadersThatDripAndNeverEnd) {
  std::vector<std::unique_ptr<RawClient>> slow;
  for (int i = 0; i < 200; ++i) {
    slow.push_back(connect());
    slow.back()->send("GET /metrics HTTP/1.1\r\nHost: weir\r\nX-");
  }
  for (int round = 0; round < 10; ++round) {
    for (const auto& s : slow) s->send("a");
    EXPECT_TRUE(is_honest_client_served()) << round;
    std::this_thread::sleep_for(100ms);
  }
}

TEST_P(HttpAbuse, HeadersAndBodiesWithoutEnd) {
  std::atomic<bool> is_over = false;
  std::vector<std::thread> attackers;
  for (const std::string start : {"GET / HTTP/1.1\r\nHost: w\r\nX: ", "GET /",
                                  "POST /v1/reload HTTP/1.1\r\nHost: w\r\n"
                                  "Transfer-Encoding: chunked\r\n\r\n"})
    attackers.emplace_back([&, start] {
      const std::string much =
          start.starts_with("POST") ? "1000\r\n" + std::string(0x1000, 'x') + "\r\n" : std::string(4096, 'x');
      while (!is_over) {
        const auto client = connect();
        bool is_open = client->send(start);
        for (int i = 0; is_open && i < 4096 && !is_over; ++i) is_open = client->send(much);
      }
    });
  for (int i = 0; i < 20; ++i) EXPECT_TRUE(is_honest_client_served()) << i;
  is_over = true;
  for (std::thread& t : attackers) t.join();
}

TEST_P(HttpAbuse, ManyRequestsInOneGoAreAnsweredInOrder) {
  const auto client = connect();
  std::string all;
  for (int i = 0; i < 500; ++i) all += kGet;
  all += kGetAndClose;
  ASSERT_TRUE(client->send(all));
  const std::string answers = client->read_all();
  std::size_t n = 0;
  for (auto at = answers.find("HTTP/1.1 200"); at != std::string::npos; at = answers.find("HTTP/1.1 200", at + 1)) ++n;
  EXPECT_EQ(n, 501u);
  EXPECT_TRUE(is_honest_client_served());
}

TEST_P(HttpAbuse, AClientThatStopsSendingStillReadsItsAnswer) {
  const auto client = connect();
  client->send(kGet);
  client->stop_sending();
  EXPECT_THAT(client->read_all(), StartsWith("HTTP/1.1 200"));

  const auto half = connect();
  half->send("GET /metrics HTTP/1.1\r\nHo");
  half->stop_sending();
  EXPECT_THAT(half->read_all(), ::testing::Not(HasSubstr("still open")));
  EXPECT_TRUE(is_honest_client_served());
}

TEST_P(HttpAbuse, WhatIsNotHttp) {
  for (const std::string& bytes : {std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11),
                                  std::string("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), std::string(64, '\0'),
                                  std::string("GET /metrics HTTP/1.1\nHost: weir\n\n\n"), std::string("GET\r\n\r\n")}) {
    const auto client = connect();
    client->send(bytes);
    client->stop_sending();
    EXPECT_THAT(client->read_all(), ::testing::Not(HasSubstr("still open")));
  }
  EXPECT_TRUE(is_honest_client_served());
}

INSTANTIATE_TEST_SUITE_P(Socket, HttpAbuse, ::testing::Values(false));
INSTANTIATE_TEST_SUITE_P(Tcp, HttpAbuse, ::testing::Values(true));

}  // namespace
}  // namespace weir::control
