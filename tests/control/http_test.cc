// Server and client together, and the server against clients that break the rules (spec/faults.md S04, S05, S07).
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <atomic>
#include <boost/asio/steady_timer.hpp>
#include <mutex>
#include <random>

#include "control/http_client.h"
#include "tests/control/running_server.h"

namespace weir::control {
namespace {

using namespace std::chrono_literals;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::RawClient;
using testing::RunningServer;
using ::testing::StartsWith;

constexpr std::string_view kGet = "GET /v1/status HTTP/1.1\r\nHost: weir\r\n\r\n";
constexpr std::string_view kGetAndClose = "GET /v1/status HTTP/1.1\r\nHost: weir\r\nConnection: close\r\n\r\n";

void answer_ok(const Request&, const Responder& respond) {
  respond({200, "application/json", "{}"});
}

TEST(Http, CarriesARequestThereAndTheAnswerBack) {
  Request seen;
  RunningServer server([&seen](Request r, const Responder& respond) {
    seen = std::move(r);
    respond({422, "text/plain", "no\n"});
  });
  const auto reply = request(server.path(), "POST", "/v1/a%20b?service=web%2F1&mid_stream=1", "body", 5s);
  ASSERT_TRUE(reply) << reply.error().message;
  EXPECT_EQ(reply->status, 422u);
  EXPECT_EQ(reply->content_type, "text/plain");
  EXPECT_EQ(reply->body, "no\n");
  server.stop();
  EXPECT_EQ(seen.method, "POST");
  EXPECT_EQ(seen.path, "/v1/a b");
  EXPECT_EQ(seen.query, (Query{{"mid_stream", "1"}, {"service", "web/1"}}));
  EXPECT_EQ(seen.body, "body");
}

TEST(Http, CarriesALargeAnswer) {
  const std::string large(20'000'000, 'x');
  RunningServer server([&large](const Request&, const Responder& respond) { respond({200, "text/plain", large}); });
  const auto reply = request(server.path(), "GET", "/", "", 20s);
  ASSERT_TRUE(reply) << reply.error().message;
  EXPECT_TRUE(reply->body == large);
}

TEST(Http, AnswersLater) {
  RunningServer* running = nullptr;
  RunningServer server([&running](const Request&, const Responder& respond) {
    auto timer = std::make_shared<boost::asio::steady_timer>(running->io(), 20ms);
    timer->async_wait([respond, timer](auto) { respond({200, "text/plain", "late"}); });
  });
  running = &server;
  const auto reply = request(server.path(), "GET", "/", "", 5s);
  ASSERT_TRUE(reply) << reply.error().message;
  EXPECT_EQ(reply->body, "late");
}

TEST(Http, OnlyTheFirstAnswerCounts) {
  RunningServer server([](const Request& r, const Responder& respond) {
    respond({200, "text/plain", r.path});
    respond({500, "text/plain", "second"});
  });
  RawClient client(server.path());
  client.send("GET /one HTTP/1.1\r\nHost: a\r\n\r\nGET /two HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  const std::string all = client.read_all();
  EXPECT_THAT(all, HasSubstr("/one"));
  EXPECT_THAT(all, HasSubstr("/two"));
  EXPECT_THAT(all, Not(HasSubstr("second")));
}

TEST(Http, AHandlerThatThrowsIsA500) {
  RunningServer server([](const Request&, const Responder&) { throw std::runtime_error("oops"); });
  const auto reply = request(server.path(), "GET", "/", "", 5s);
  ASSERT_TRUE(reply) << reply.error().message;
  EXPECT_EQ(reply->status, 500u);
  EXPECT_THAT(reply->body, HasSubstr("oops"));
}

TEST(Http, AHandlerThatTakesTooLongIsA504AndItsAnswerIsIgnored) {
  std::mutex lock;
  std::vector<Responder> kept;
  RunningServer server(
      [&](const Request&, Responder respond) {
        const std::lock_guard hold(lock);
        kept.push_back(std::move(respond));
      },
      {.handler = 50ms});
  const auto reply = request(server.path(), "GET", "/", "", 5s);
  ASSERT_TRUE(reply) << reply.error().message;
  EXPECT_EQ(reply->status, 504u);
  boost::asio::post(server.io(), [&] { kept.at(0)({200, "text/plain", "too late"}); });
  server.stop();
  kept.at(0)({200, "text/plain", "after stop"});
}

TEST(Http, ABodyOverTheCapIsA413) {
  RunningServer server(answer_ok);
  const auto fits = request(server.path(), "POST", "/", std::string(1024 * 1024, 'x'), 5s);
  ASSERT_TRUE(fits) << fits.error().message;
  EXPECT_EQ(fits->status, 200u);
  const auto over = request(server.path(), "POST", "/", std::string(1024 * 1024 + 1, 'x'), 5s);
  ASSERT_TRUE(over) << over.error().message;
  EXPECT_EQ(over->status, 413u);
  const auto far_over = request(server.path(), "POST", "/", std::string(100'000'000, 'x'), 5s);
  ASSERT_TRUE(far_over) << far_over.error().message;
  EXPECT_EQ(far_over->status, 413u);
}

TEST(Http, EndlessChunksAreA413) {
  RunningServer server(answer_ok);
  RawClient client(server.path());
  client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
  const std::string chunk = "1000\r\n" + std::string(0x1000, 'x') + "\r\n";
  for (int i = 0; i < 400; ++i)
    if (!client.send(chunk)) break;
  client.stop_sending();
  EXPECT_THAT(client.read_all(), StartsWith("HTTP/1.1 413 "));
}

TEST(Http, AHeaderOverTheCapIsA431) {
  RunningServer server(answer_ok);
  const auto head = [&server](std::size_t padding) {
    RawClient client(server.path());
    client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX: " + std::string(padding, 'x') + "\r\n\r\n");
    return client.read_all();
  };
  EXPECT_THAT(head(8000), StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(head(8192), StartsWith("HTTP/1.1 431 "));
  EXPECT_THAT(head(1'000'000), StartsWith("HTTP/1.1 431 "));

  RawClient many(server.path());
  std::string fields;
  for (int i = 0; i < 10'000; ++i) fields += "X-" + std::to_string(i) + ": 1\r\n";
  many.send("GET / HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n");
  EXPECT_THAT(many.read_all(), StartsWith("HTTP/1.1 431 "));
}

TEST(Http, AnEndlessChunkExtensionIsRefused) {
  RunningServer server(answer_ok);
  RawClient client(server.path());
  client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;" + std::string(200'000, 'x'));
  EXPECT_THAT(client.read_all(), StartsWith("HTTP/1.1 4"));
}

TEST(Http, WhatIsNotHttpIsA400AndClosed) {
  RunningServer server(answer_ok);
  for (const char* bytes : {
           "hello\r\n\r\n",
           "\x16\x03\x01\x02\x01 a TLS client\r\n\r\n",
           "GET / HTTP/9.9\r\nHost: a\r\n\r\n",
           "GET / HTTP/1.1\r\n\r\n",
           "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
           "GET / HTTP/1.1\r\nHost a\r\n\r\n",
           "GET  /two-spaces HTTP/1.1\r\nHost: a\r\n\r\n",
           "GET http://weir/absolute HTTP/1.1\r\nHost: a\r\n\r\n",
           "GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n",
           "GET /%00 HTTP/1.1\r\nHost: a\r\n\r\n",
           "GET /?a=1&a=2 HTTP/1.1\r\nHost: a\r\n\r\n",
           "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
           "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc",
           "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
           "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
           "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
           "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n",
           "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
       }) {
    RawClient client(server.path());
    client.send(bytes);
    const std::string said = client.read_all();
    EXPECT_THAT(said, StartsWith("HTTP/1.1 400 ")) << bytes;
    EXPECT_THAT(said, HasSubstr("{\"error\":")) << bytes;
    EXPECT_THAT(said, EndsWith("}")) << bytes;
  }
}

TEST(Http, OtherMethodsAreA405) {
  RunningServer server(answer_ok);
  for (const char* method : {"BREW", "HEAD", "CONNECT", "TRACE", "OPTIONS", "get"}) {
    RawClient client(server.path());
    client.send(std::string(method) + " / HTTP/1.1\r\nHost: a\r\n\r\n");
    EXPECT_THAT(client.read_all(), StartsWith("HTTP/1.1 405 ")) << method;
  }
}

TEST(Http, RandomBytesDoNoHarm) {
  RunningServer server(answer_ok, {.io = 200ms});
  std::minstd_rand0 random(1);
  for (int round = 0; round < 300; ++round) {
    std::string bytes = round % 2 == 0 ? std::string(kGet) : std::string();
    for (auto n = random() % 200; n > 0; --n) {
      const auto at = bytes.empty() ? 0 : random() % bytes.size();
      bytes.insert(at, 1, static_cast<char>(random()));
    }
    RawClient client(server.path());
    client.send(bytes);
    client.stop_sending();
    EXPECT_THAT(client.read_all(), Not(HasSubstr("(still open)")));
  }
  const auto reply = request(server.path(), "GET", "/", "", 5s);
  ASSERT_TRUE(reply) << reply.error().message;
  EXPECT_EQ(reply->status, 200u);
}

TEST(Http, ARequestThatDripsIsCutOffAtTheDeadline) {
  RunningServer server(answer_ok, {.io = 200ms});
  RawClient client(server.path());
  bool is_open = true;
  for (int i = 0; i < 100 && is_open; ++i) {  // a byte each 20 ms: never idle for long, never done
    is_open = client.send(kGet.substr(static_cast<std::size_t>(i) % kGet.size(), 1)) && i < 36;
    std::this_thread::sleep_for(20ms);
  }
  EXPECT_FALSE(is_open);
  EXPECT_THAT(client.read_all(1s), Not(HasSubstr("(still open)")));
}

TEST(Http, AnIdleConnectionIsClosedAtTheDeadline) {
  RunningServer server(answer_ok, {.io = 100ms});
  RawClient client(server.path());
  EXPECT_EQ(client.read_all(5s), "");
}

TEST(Http, AnAnswerThatIsNotTakenIsCutOffAtTheDeadline) {
  const std::string large(20'000'000, 'x');
  RunningServer server([&large](const Request&, const Responder& respond) { respond({200, "text/plain", large}); },
                       {.io = 200ms});
  RawClient client(server.path());
  client.send(kGet);
  std::this_thread::sleep_for(600ms);
  const std::string got = client.read_all(5s);
  EXPECT_LT(got.size(), large.size());
  EXPECT_THAT(got.substr(got.size() - 12), Not(EndsWith("(still open)")));
}

TEST(Http, KeepsAConnectionForManyRequests) {
  RunningServer server(answer_ok);
  RawClient client(server.path());
  std::string many;
  for (int i = 0; i < 99; ++i) many += kGet;
  client.send(many + std::string(kGetAndClose));
  const std::string all = client.read_all();
  std::size_t answers = 0;
  for (std::size_t at = 0; (at = all.find("HTTP/1.1 200", at)) != std::string::npos; ++at) ++answers;
  EXPECT_EQ(answers, 100u);
}

TEST(Http, IdleConnectionsDoNotLockTheOperatorOut) {
  RunningServer server(answer_ok, {.connections = 8});
  std::vector<std::unique_ptr<RawClient>> crowd;
  for (int i = 0; i < 200; ++i) {
    crowd.push_back(std::make_unique<RawClient>(server.path()));
    ASSERT_TRUE(crowd.back()->is_connected());
    crowd.back()->send("GET / HT");
  }
  const auto reply = request(server.path(), "GET", "/", "", 5s);
  ASSERT_TRUE(reply) << reply.error().message;
  EXPECT_EQ(reply->status, 200u);
  std::size_t open = 0;
  for (auto& client : crowd) open += client->read_all(30ms) == "(still open)" ? 1 : 0;
  EXPECT_LE(open, 8u);
  EXPECT_GE(open, 1u);  // only as many were closed as had to be
}

TEST(Http, BeyondTheCapOfRequestsInWorkTheNextIsTurnedAway) {
  std::atomic<int> in_work = 0;
  std::vector<Responder> kept;
  RunningServer server(
      [&](const Request&, Responder respond) {
        kept.push_back(std::move(respond));
        ++in_work;
      },
      {.connections = 2});
  RawClient one(server.path()), two(server.path());
  one.send(kGetAndClose), two.send(kGetAndClose);
  while (in_work < 2) std::this_thread::sleep_for(1ms);
  const auto turned_away = request(server.path(), "GET", "/", "", 5s);
  ASSERT_TRUE(turned_away) << turned_away.error().message;
  EXPECT_EQ(turned_away->status, 503u);
  boost::asio::post(server.io(), [&kept] {
    for (const auto& respond : kept) respond({200, "text/plain", "done"});
  });
  EXPECT_THAT(one.read_all(), EndsWith("done"));
  EXPECT_THAT(two.read_all(), EndsWith("done"));
}

TEST(Http, StopsWithConnectionsInEveryState) {
  std::vector<Responder> kept;
  std::atomic<bool> in_work = false;
  RunningServer server([&](const Request&, Responder respond) {
    kept.push_back(std::move(respond));
    in_work = true;
  });
  RawClient idle(server.path()), half(server.path()), waiting(server.path());
  half.send("GET / HT");
  waiting.send(kGet);
  while (!in_work) std::this_thread::sleep_for(1ms);
  server.stop();  // returns only when io_context::run() has
  EXPECT_EQ(waiting.read_all(), "");
  EXPECT_FALSE(RawClient(server.path()).is_connected());
  struct stat found{};
  EXPECT_NE(::lstat(server.path().c_str(), &found), 0) << "the socket's path is left behind";
}

TEST(HttpClient, SaysThatNobodyListens) {
  testing::TemporaryDirectory directory;
  const auto reply = request(directory.file("weir.sock"), "GET", "/", "", 5s);
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().cause, ClientError::Cause::kUnreachable);
  EXPECT_THAT(reply.error().message, HasSubstr(directory.file("weir.sock")));
}

TEST(HttpClient, APathThatNoSocketCanHaveIsUnreachable) {
  const auto reply = request("/" + std::string(300, 'x'), "GET", "/", "", 5s);
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().cause, ClientError::Cause::kUnreachable);
}

TEST(HttpClient, GivesUpAtItsTimeout) {
  std::vector<Responder> kept;
  RunningServer server([&kept](const Request&, Responder respond) { kept.push_back(std::move(respond)); });
  const auto reply = request(server.path(), "GET", "/", "", 100ms);
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().cause, ClientError::Cause::kTimeout);
}

}  // namespace
}  // namespace weir::control
