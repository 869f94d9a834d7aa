// A capture from the running program, over its socket: what is asked for, how it ends, and what a client cannot do.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <sstream>

#include "control/capture_command.h"
#include "control/capture_filter.h"
#include "control/capture_plan.h"
#include "control/exit_code.h"
#include "control/http_client.h"
#include "lb/pcapng.h"
#include "tests/control/raw_client.h"
#include "tests/control/running_server.h"
#include "tests/control/running_weir.h"

namespace weir::control {
namespace {

using namespace std::chrono_literals;
using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using testing::RawClient;
using testing::RunningServer;
using testing::RunningWeir;
using ::testing::StartsWith;
using testing::TemporaryDirectory;

/// A port that always has frames: 64 zero bytes each, which are dropped as l2_notus.
RunningWeir busy_weir() {
  return RunningWeir(
      "hash_key: \"00112233445566778899aabbccddeeff\"\n"
      "ports: [{name: p0, device: \"net_null" +
      std::to_string(getpid()) +
      "\"}]\n"
      "interfaces: [{name: lan, port: p0, mac: \"02:00:00:00:00:01\", addresses: [10.0.0.1/24]}]\n"
      "services: []\n");
}

std::expected<HttpReply, ClientError> captured(const std::string& socket, const std::string& target, std::string& into,
                                               const std::string& filter = "") {
  return stream(socket, filter.empty() ? "GET" : "POST", target, filter, 20s, [&](std::string_view bytes) {
    into += bytes;
    return true;
  });
}

TEST(Capture, EndsAfterItsCountWithAWholeFile) {
  const RunningWeir weir = busy_weir();
  std::string file;
  const auto reply = captured(weir.socket(), "/v1/capture?count=500&points=drop", file);
  ASSERT_TRUE(reply) << reply.error().message;
  EXPECT_EQ(reply->status, 200u);
  EXPECT_EQ(reply->content_type, "application/x-pcapng");
  lb::PcapngBlocks blocks;
  ASSERT_TRUE(blocks.add(file));
  EXPECT_EQ(blocks.take().size(), file.size());
  EXPECT_EQ(blocks.packets(), 500u);
  ASSERT_TRUE(blocks.has_totals());
  EXPECT_EQ(blocks.totals().written, 500u);
  EXPECT_GE(blocks.totals().matched, 500u);
  EXPECT_THAT(file, AllOf(HasSubstr("weir 0."), HasSubstr("drop: l2_notus")));
}

TEST(Capture, EndsAfterItsTime) {
  const RunningWeir weir = busy_weir();
  std::string file;
  const auto begun = std::chrono::steady_clock::now();
  ASSERT_TRUE(captured(weir.socket(), "/v1/capture?seconds=1&reason=no_flow", file));
  EXPECT_GE(std::chrono::steady_clock::now() - begun, 1s);
  lb::PcapngBlocks blocks;
  ASSERT_TRUE(blocks.add(file));
  EXPECT_EQ(blocks.packets(), 0u);  // nothing is dropped for that
  EXPECT_TRUE(blocks.has_totals());
}

TEST(Capture, FiltersByAProgram) {
  const RunningWeir weir = busy_weir();
  const auto count = [&](const char* filter) {
    std::string file;
    const auto program = compile_filter(filter);
    EXPECT_TRUE(program) << program.error().message;
    EXPECT_TRUE(captured(weir.socket(), "/v1/capture?seconds=1&rate=1000&points=rx", file, lb::format_bpf(*program)));
    lb::PcapngBlocks blocks;
    EXPECT_TRUE(blocks.add(file));
    EXPECT_GT(blocks.totals().seen, 0u);
    EXPECT_EQ(blocks.totals().matched, blocks.packets() + blocks.totals().over_rate + blocks.totals().ring_full);
    return blocks.packets();
  };
  EXPECT_EQ(count("tcp port 80"), 0u);
  const std::uint64_t kept = count("ether[0] = 0");
  EXPECT_GE(kept, 100u);   // a tenth at once
  EXPECT_LE(kept, 3000u);  // and a thousand a second
}

TEST(Capture, IsThereOneAtATime) {
  const RunningWeir weir = busy_weir();
  RawClient first(weir.socket());
  first.send("GET /v1/capture?reason=no_flow HTTP/1.1\r\nHost: weir\r\n\r\n");
  weir.wait_for([&] { return weir.log().find("a capture begins") != std::string::npos; });
  const HttpReply refused = weir.ask("GET", "/v1/capture");
  EXPECT_EQ(refused.status, 409u);
  EXPECT_THAT(refused.body, AllOf(HasSubstr("a capture is running, asked for by process " + std::to_string(getpid())),
                                  HasSubstr("end that one first")));
  // Its client says that it wants no more: it gets the rest.
  first.stop_sending();
  EXPECT_THAT(first.read_all(), AllOf(StartsWith("HTTP/1.1 200 "), EndsWith("\r\n0\r\n\r\n")));
  EXPECT_EQ(weir.ask("GET", "/v1/capture?count=1").status, 200u);
}

TEST(Capture, EndsWhenItsClientIsGone) {
  const RunningWeir weir = busy_weir();
  {
    RawClient client(weir.socket());
    client.send("GET /v1/capture HTTP/1.1\r\nHost: weir\r\n\r\n");
    weir.wait_for([&] { return weir.log().find("a capture begins") != std::string::npos; });
  }
  weir.wait_for([&] { return weir.log().find("has ended") != std::string::npos; });
  EXPECT_THAT(weir.log(), HasSubstr("has ended"));
  EXPECT_EQ(weir.ask("GET", "/v1/capture?count=1").status, 200u);
}

TEST(Capture, AClientThatDoesNotReadHoldsNobodyUp) {
  RunningWeir weir = busy_weir();
  RawClient client(weir.socket());
  client.send("GET /v1/capture?rate=10000000 HTTP/1.1\r\nHost: weir\r\n\r\n");
  weir.wait_for([&] { return weir.log().find("a capture begins") != std::string::npos; });
  std::this_thread::sleep_for(1s);  // rings and socket are full by then
  const auto begun = std::chrono::steady_clock::now();
  EXPECT_EQ(weir.ask("GET", "/v1/workers").status, 200u);
  EXPECT_LT(std::chrono::steady_clock::now() - begun, 2s);
  weir.signal(SIGTERM);
  EXPECT_TRUE(weir.wait_for([&] { return weir.exit_code() == 0; }));
}

TEST(Capture, IsWholeWhenTheDaemonStops) {
  RunningWeir weir = busy_weir();
  std::string file;
  std::thread stopper([&] {
    weir.wait_for([&] { return weir.log().find("a capture begins") != std::string::npos; });
    weir.signal(SIGTERM);
  });
  const auto reply = captured(weir.socket(), "/v1/capture?rate=1000", file);
  stopper.join();
  ASSERT_TRUE(reply) << reply.error().message;
  lb::PcapngBlocks blocks;
  ASSERT_TRUE(blocks.add(file));
  EXPECT_TRUE(blocks.has_totals());
  EXPECT_TRUE(weir.wait_for([&] { return weir.exit_code() == 0; }));
}

TEST(Capture, RefusesInWords) {
  const RunningWeir weir = busy_weir();
  const struct {
    const char* query;
    const char* says;
  } cases[] = {
      {"reason=no_flw", "there is no drop reason \"no_flw\"; `weir show drops` lists them; did you mean 'no_flow'?"},
      {"points=rx,drops", "there is no point \"drops\" to capture at; there are rx, tx and drop; did you mean 'drop'?"},
      {"points=", "points names none"},
      {"points=rx&reason=no_flow", "a drop reason is wanted, and points leave drop out"},
      {"interface=lna", "there is no interface or port \"lna\"; there are lan, p0; did you mean 'lan'?"},
      {"count=0", "count \"0\" is no number from 1 to "},
      {"seconds=1s", "seconds \"1s\" is no number from 1 to 604800"},
      {"snaplen=262145", "snaplen \"262145\" is no number from 1 to 262144"},
      {"rate=-1", "rate \"-1\" is no number from 1 to 10000000"},
      {"snap=1", "/v1/capture has no filter \"snap\""},
  };
  for (const auto& c : cases) {
    const HttpReply reply = weir.ask("GET", std::string("/v1/capture?") + c.query);
    EXPECT_EQ(reply.status, 400u) << c.query;
    boost::system::error_code broken;
    const auto body = boost::json::parse(reply.body, broken);
    EXPECT_THAT(std::string(body.at("error").get_string()), HasSubstr(c.says)) << c.query;
  }
  const auto filtered = request(weir.socket(), "POST", "/v1/capture", "1\n255 0 0 0\n", 20s);
  ASSERT_TRUE(filtered);
  EXPECT_EQ(filtered->status, 400u);
  EXPECT_THAT(filtered->body, HasSubstr("instruction 1 is none of the classic BPF machine"));
  EXPECT_EQ(weir.ask("PUT", "/v1/capture").status, 405u);
}

TEST(CaptureFilter, SaysWhatIsWrong) {
  const auto broken = compile_filter("tcp prt 80");
  ASSERT_FALSE(broken);
  EXPECT_THAT(broken.error().message, StartsWith("the filter \"tcp prt 80\" is not one of tcpdump's syntax: "));
  EXPECT_TRUE(compile_filter(" ")->empty());
  EXPECT_GT(compile_filter("tcp port 80 and host 192.0.2.7")->size(), 5u);
}

TEST(CaptureCommand, WritesTheFileAndTellsTheCounts) {
  const RunningWeir weir = busy_weir();
  const TemporaryDirectory directory;
  std::ostringstream out, err;
  CaptureOptions options{.socket = weir.socket(), .file = directory.file("a.pcapng"), .drops = "l2_notus"};
  options.query["count"] = "7";
  EXPECT_EQ(capture(options, out, err), kExitDone) << err.str();
  EXPECT_EQ(out.str(), "");
  EXPECT_THAT(err.str(),
              AllOf(StartsWith("7 frames captured\n"), HasSubstr(" matched, of "), HasSubstr(" not captured: ")));
  std::ifstream file(options.file, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  lb::PcapngBlocks blocks;
  ASSERT_TRUE(blocks.add(bytes));
  EXPECT_EQ(blocks.packets(), 7u);
}

TEST(CaptureCommand, TellsWhyNot) {
  const RunningWeir weir = busy_weir();
  const auto outcome = [&](CaptureOptions options) {
    std::ostringstream out, err;
    const int code = capture(options, out, err);
    EXPECT_EQ(out.str(), "");
    return std::pair(code, err.str());
  };
  CaptureOptions both{.socket = weir.socket(), .drops = "true"};
  both.query["points"] = "rx";
  EXPECT_EQ(outcome(both),
            std::pair(kExitUsage, std::string("weir capture: --drops and --points exclude each other\n")));
  EXPECT_EQ(outcome({.socket = weir.socket(), .filter = {"tcp", "prt", "80"}}).first, kExitRefused);
  EXPECT_EQ(outcome({.socket = weir.socket(), .drops = "no_flw"}).first, kExitRefused);
  EXPECT_EQ(outcome({.socket = weir.socket() + "x"}).first, kExitUnreachable);
  CaptureOptions nowhere{.socket = weir.socket(), .file = "/nonexistent/a.pcapng"};
  nowhere.query["count"] = "1";
  const auto [code, said] = outcome(nowhere);
  EXPECT_EQ(code, kExitEnvironment);
  EXPECT_THAT(said, HasSubstr("cannot write /nonexistent/a.pcapng: No such file or directory"));
}

TEST(Http, GivesAConnectionAwayWhole) {
  RunningServer server([](const Request&, const Responder& respond) {
    respond({.take_over = [](FileDescriptor connection) {
      constexpr std::string_view kAnswer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi";
      EXPECT_EQ(::send(connection.get(), kAnswer.data(), kAnswer.size(), MSG_NOSIGNAL), ssize_t(kAnswer.size()));
    }});
  });
  const auto reply = request(server.path(), "GET", "/", "", 5s);
  ASSERT_TRUE(reply) << reply.error().message;
  EXPECT_EQ(reply->body, "hi");
  server.stop();  // returns: the server holds nothing of it
}

}  // namespace
}  // namespace weir::control
