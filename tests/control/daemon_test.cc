// What only the running program shows: its answers, its log, its exit codes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "control/exit_code.h"
#include "control/probe_packet.h"
#include "tests/control/running_weir.h"
#include "tests/support/pcap_file.h"

namespace weir::control {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::RunningWeir;
using testing::TemporaryDirectory;

constexpr lb::MacAddress kWeirMac{{0x02, 0, 0, 0, 0, 0x01}};

constexpr const char* kWeb =
    "  - {name: web, vips: [{address: 203.0.113.10, port: 80}], protocol: tcp, backends: [{address: 10.0.0.5}]}\n";
constexpr const char* kSsh =
    "  - {name: ssh, vips: [{address: 203.0.113.10, port: 22}], protocol: tcp, backends: [{address: 10.0.0.5}]}\n";

std::string yaml(const std::string& device, const std::string& services = kWeb) {
  return R"(hash_key: "00112233445566778899aabbccddeeff"
ports: [{name: p0, device: ")" +
         device + R"("}]
interfaces: [{name: lan, port: p0, mac: "02:00:00:00:00:01", addresses: [10.0.0.1/24]}]
neighbors: [{address: 10.0.0.5, mac: "02:00:00:00:00:05"}, {address: 10.0.0.6, mac: "02:00:00:00:00:06"}, {address: 10.0.0.254, mac: "02:00:00:00:00:fe"}]
routes: [{to: 0.0.0.0/0, via: 10.0.0.254}]
services:
)" + services;
}

/// A device that nobody else's test has.
std::string null_device() {
  return "net_null" + std::to_string(getpid());
}

TEST(Daemon, RefusesQueriesWith400AndUnknownNamesWith404) {
  RunningWeir weir(yaml(null_device()));
  const struct {
    const char* target;
    unsigned status;
  } cases[] = {
      {"/v1/flows?service=web&protocol=tcp&client=192.0.2.7&backend=10.0.0.5", 200},
      {"/v1/backends?service=web&backend=10.0.0.5:8080", 200},
      {"/v1/services?service=wbe", 404},
      {"/v1/backends?service=wbe", 404},
      {"/v1/backends?backend=10.0.0.6", 404},
      {"/v1/flows?service=wbe", 404},
      {"/v1/flows?backend=10.0.0.6:80", 404},
      {"/v1/flows?client=host", 400},
      {"/v1/flows?protocol=sctp", 400},
      {"/v1/flows?backend=web", 400},
      {"/v1/backends?backend=web", 400},
      {"/v1/flows?clinet=192.0.2.7", 400},
      {"/v1/routes?service=web", 400},
      {"/v1/status?verbose=1", 400},
      {"/v1/flow?service=web", 404},
      {"/v1/trace?protocol=tcp&source=192.0.2.7:1&destination=203.0.113.10:80&mid_stream=0", 200},
      {"/v1/trace?protocol=tcp&source=192.0.2.7:1&destination=203.0.113.10:80&mid_stream=1", 200},
      {"/v1/trace?protocol=tcp&source=192.0.2.7:1&destination=203.0.113.10:80&mid_stream=yes", 400},
      {"/v1/trace?protocol=udp&source=192.0.2.7:1&destination=203.0.113.10:80&mid_stream=1", 400},
      {"/v1/trace?protocol=tcp&source=192.0.2.7:1&destination=203.0.113.10:80&interface=wan", 404},
      {"/v1/flows?client=%ff%fe", 400},
  };
  for (const auto& [target, status] : cases) {
    const HttpReply reply = weir.ask("GET", target);
    EXPECT_EQ(reply.status, status) << target << " " << reply.body;
  }
  EXPECT_THAT(weir.log(), HasSubstr("forwards: 1 service, 1 port, "));
}

TEST(Daemon, LogsEachProblemOfARefusedFileOnce) {
  RunningWeir weir(yaml(null_device()));
  weir.configure(yaml(null_device()) + "prots: []\n");
  weir.signal(SIGHUP);
  const auto count = [&](std::string_view what) {
    const std::string log = weir.log();
    int n = 0;
    for (auto at = log.find(what); at != std::string::npos; at = log.find(what, at + 1)) ++n;
    return n;
  };
  EXPECT_TRUE(RunningWeir::wait_for([&] { return count("'prots'") > 0; })) << weir.log();
  EXPECT_EQ(weir.ask("GET", "/v1/status").status, 200u);  // the log lines of one reload are out by then
  EXPECT_EQ(count("'prots'"), 1) << weir.log();
  EXPECT_EQ(count("reload refused: 1 problem, generation 1 goes on"), 1) << weir.log();
}

/// A net_pcap device that brings one SYN from each port, even ones to port 80 and odd ones to 22.
std::string device_with_syns(const TemporaryDirectory& directory, std::uint16_t first, std::uint16_t last) {
  std::vector<std::vector<std::uint8_t>> frames;
  for (std::uint16_t port = first; port <= last; ++port)
    frames.push_back(probe_packet(
        {.source = {*lb::parse_address("192.0.2.7"), port},
         .destination = {*lb::parse_address("203.0.113.10"), static_cast<std::uint16_t>(port % 2 == 0 ? 80 : 22)}},
        kWeirMac, 0));
  EXPECT_TRUE(test::write_pcap(directory.file("in.pcap"), frames));
  return "net_pcap0,rx_pcap=" + directory.file("in.pcap") + ",tx_pcap=" + directory.file("out.pcap");
}

TEST(Daemon, FlowsOfAVipThatIsGoneAreNotCounted) {
  const TemporaryDirectory directory;
  const std::string device = device_with_syns(directory, 40'000, 40'019);
  RunningWeir weir(yaml(device, std::string(kWeb) + kSsh));
  ASSERT_TRUE(RunningWeir::wait_for([&] { return weir.get("/v1/flows").at("total") == 20; })) << weir.log();
  EXPECT_EQ(weir.get("/v1/flows?service=ssh").at("total"), 10);

  weir.configure(yaml(device, kWeb));
  ASSERT_EQ(weir.ask("POST", "/v1/reload").status, 200u);
  const auto answer = weir.get("/v1/flows");  // before the scan of the table has come to them
  EXPECT_EQ(answer.at("total"), 10);
  EXPECT_EQ(answer.at("flows").as_array().size(), 10u);
}

TEST(Daemon, ListsFlowsByEveryFilterAndFlushesThemByTheSame) {
  const TemporaryDirectory directory;
  const std::string range =
      "  - {name: ssh, vips: [{address: 203.0.113.10, port: 1-79}], protocol: tcp, backends: [{address: 10.0.0.5}]}\n";
  RunningWeir weir(yaml(device_with_syns(directory, 40'000, 40'019), std::string(kWeb) + range));
  ASSERT_TRUE(RunningWeir::wait_for([&] { return weir.get("/v1/flows").at("total") == 20; })) << weir.log();
  const struct {
    const char* filter;
    int total;
  } cases[] = {{"vip=203.0.113.10:80", 10},
               {"vip=203.0.113.10:22", 10},
               {"vip=203.0.113.10:23", 0},
               {"vip=203.0.113.10", 20},
               {"state=new", 20},
               {"state=established", 0},
               {"client=192.0.2.7:40003", 1},
               {"client=192.0.2.7", 20},
               {"worker=0", 20},
               {"service=ssh&state=new", 10},
               {"limit=3", 20},
               {"backend=10.0.0.5:22", 20},
               {"vip=203.0.113.10:80&service=ssh", 0}};
  for (const auto& [filter, total] : cases)
    EXPECT_EQ(weir.get(std::string("/v1/flows?") + filter).at("total"), total) << filter;
  EXPECT_EQ(weir.get("/v1/flows?limit=3").at("flows").as_array().size(), 3u);
  EXPECT_EQ(weir.ask("GET", "/v1/flows?worker=1").status, 404u);
  EXPECT_EQ(weir.ask("GET", "/v1/flows?vip=203.0.113.11").status, 404u);

  const auto flushed = [&](const std::string& query) {
    return boost::json::parse(weir.ask("DELETE", "/v1/flows?" + query).body).at("flushed");
  };
  EXPECT_EQ(flushed("client=192.0.2.7:40003"), 1);
  EXPECT_EQ(flushed("client=192.0.2.7:40003"), 0);
  EXPECT_EQ(weir.get("/v1/flows?service=ssh").at("total"), 9);
  EXPECT_EQ(flushed("vip=203.0.113.10:80"), 10);
  EXPECT_EQ(weir.get("/v1/flows").at("total"), 9);
  const auto services = weir.get("/v1/services").at("services").as_array();
  EXPECT_EQ(services[0].at("current"), 0);
  EXPECT_EQ(services[0].at("connections"), 10) << "there were ten";
  EXPECT_EQ(services[1].at("current"), 9);
  EXPECT_EQ(flushed("all=1"), 9);
  EXPECT_EQ(weir.get("/v1/workers").at("workers").at(0).at("flows"), 0);
  EXPECT_EQ(weir.get("/v1/drops").at("difference"), 0);
  for (const char* query : {"", "all=0", "all=1&service=web", "limit=3", "clinet=192.0.2.7"})
    EXPECT_EQ(weir.ask("DELETE", std::string("/v1/flows?") + query).status, 400u) << query;
  EXPECT_EQ(weir.ask("DELETE", "/v1/flows?service=wbe").status, 404u);
}

TEST(Daemon, ADrainHoldsOverAReloadAndARestart) {
  const TemporaryDirectory directory;
  const std::string state = directory.file("deep/state");  // made when it is first needed
  const std::string two =
      "  - {name: web, vips: [{address: 203.0.113.10, port: 80}], protocol: tcp, backends: [{address: 10.0.0.5}, "
      "{address: 10.0.0.6}]}\n";
  const std::string file = yaml(null_device(), two + kSsh);
  const auto states = [](const RunningWeir& weir) {
    std::string out;
    const auto text = [](const boost::json::value& row, const char* key) {
      return std::string(row.at(key).as_string());
    };
    const auto answer = weir.get("/v1/backends");
    for (const auto& row : answer.at("backends").as_array())
      out += text(row, "service") + "/" + text(row, "address") + " " + text(row, "state") + "\n";
    return out;
  };
  const std::string drained = "web/10.0.0.5 draining\nweb/10.0.0.6 up\nssh/10.0.0.5 up\n";
  {
    RunningWeir weir(file, "{mbufs: 4096, huge_pages: never}", state);
    const HttpReply done = weir.ask("POST", "/v1/drain?backend=10.0.0.5&service=web");
    ASSERT_EQ(done.status, 200u) << done.body;
    EXPECT_EQ(done.body, R"({"generation":2,"changed":true,"services":["web"],"warnings":[]})");
    EXPECT_EQ(states(weir), drained);
    EXPECT_THAT(std::string(weir.get("/v1/backends").at("backends").at(0).at("reason").as_string()),
                HasSubstr("weir drain, since 20"));
    EXPECT_EQ(weir.get("/v1/services").at("services").at(0).at("usable"), 1);
    for (int port = 1; port <= 20; ++port) {  // nobody new goes there
      const auto trace =
          weir.get("/v1/trace?protocol=tcp&source=192.0.2.7:" + std::to_string(port) + "&destination=203.0.113.10:80");
      ASSERT_EQ(trace.at("verdict"), "forward");
      EXPECT_EQ(trace.at("backend").at("address"), "10.0.0.6");
    }
    EXPECT_EQ(weir.ask("POST", "/v1/drain?backend=10.0.0.5&service=web").body,
              R"({"generation":2,"changed":false,"services":["web"],"warnings":[]})");
    weir.configure(file + "# another text\n");
    ASSERT_EQ(weir.ask("POST", "/v1/reload").status, 200u);
    EXPECT_EQ(states(weir), drained) << "after a reload";
    weir.signal(SIGTERM);
    EXPECT_TRUE(RunningWeir::wait_for([&] { return weir.exit_code() == 0; }));
  }
  RunningWeir weir(file, "{mbufs: 4096, huge_pages: never}", state);
  EXPECT_EQ(states(weir), drained) << "after a restart";
  const HttpReply last = weir.ask("POST", "/v1/drain?backend=10.0.0.6");
  EXPECT_THAT(last.body, HasSubstr("service web: no IPv4 backend is left that takes new flows"));
  EXPECT_EQ(weir.get("/v1/trace?protocol=tcp&source=192.0.2.7:1&destination=203.0.113.10:80").at("verdict"), "refuse");

  EXPECT_EQ(weir.ask("POST", "/v1/enable?backend=10.0.0.5").status, 200u);
  EXPECT_EQ(weir.ask("POST", "/v1/enable?backend=10.0.0.6").status, 200u);
  EXPECT_EQ(states(weir), "web/10.0.0.5 up\nweb/10.0.0.6 up\nssh/10.0.0.5 up\n");
  EXPECT_EQ(weir.ask("POST", "/v1/drain?backend=10.0.0.7").status, 404u);
  EXPECT_EQ(weir.ask("POST", "/v1/drain").status, 400u);
  EXPECT_EQ(weir.ask("POST", "/v1/drain?backend=web").status, 400u);
  EXPECT_EQ(weir.ask("GET", "/v1/drain?backend=10.0.0.5").status, 405u);
}

TEST(Daemon, ADrainThatCannotBeKeptChangesNothing) {
  const TemporaryDirectory directory;
  const std::string in_the_way = directory.write("file", "");
  RunningWeir weir(yaml(null_device()), "{mbufs: 4096, huge_pages: never}", in_the_way + "/state");
  const HttpReply refused = weir.ask("POST", "/v1/drain?backend=10.0.0.5");
  EXPECT_EQ(refused.status, 500u);
  EXPECT_THAT(refused.body, AllOf(HasSubstr("nothing is changed"), HasSubstr("control.state_dir")));
  EXPECT_EQ(weir.get("/v1/backends").at("backends").at(0).at("state"), "up");
}

TEST(Daemon, ABrokenFileOfDrainsIsSetAsideAndSaid) {
  const TemporaryDirectory directory;
  directory.write("drains.json", "{\"version\": 1, \"drains\": [{]}");
  const std::string state = std::filesystem::path(directory.file("x")).parent_path();
  RunningWeir weir(yaml(null_device()), "{mbufs: 4096, huge_pages: never}", state);
  EXPECT_THAT(weir.log(), AllOf(HasSubstr("drains.json cannot be read"), HasSubstr("drains.json.broken-")));
  EXPECT_EQ(weir.get("/v1/drains").at("drains").as_array().size(), 0u);
}

TEST(Daemon, StartsWithTheDefaultOfMbufsAndWithJumboOnesWithoutHugePages) {
  for (const char* memory : {"{huge_pages: never}", "{huge_pages: never, mbufs: 8192, mbuf_bytes: 9344}"}) {
    RunningWeir weir(yaml(null_device()), memory);
    EXPECT_EQ(weir.ask("GET", "/v1/status").status, 200u) << memory << "\n" << weir.log();
  }
}

TEST(Daemon, RefusesToStartWhereMemoryIsTooSmall) {
  RunningWeir weir(yaml(null_device()), "{mbufs: 16777216, mbuf_bytes: 65535, huge_pages: never}");  // 1 TiB
  EXPECT_EQ(weir.exit_code(), kExitEnvironment);
  EXPECT_THAT(weir.log(), AllOf(HasSubstr(" MiB are needed for mbufs and tables, "), HasSubstr("lower memory.mbufs")));
}

TEST(Daemon, SaysWhatIsWrongWithADevice) {
  RunningWeir unknown(yaml("net_foo0"));
  EXPECT_EQ(unknown.exit_code(), kExitEnvironment);
  EXPECT_THAT(unknown.log(), HasSubstr("port p0: no DPDK driver is called net_foo"));

  if (geteuid() != 0) GTEST_SKIP() << "without root every failure may be a missing permission";
  RunningWeir bad(yaml(null_device() + ",bogus=1"));
  EXPECT_EQ(bad.exit_code(), kExitEnvironment);
  EXPECT_THAT(bad.log(), AllOf(HasSubstr("does not open"), HasSubstr("are its arguments right?"),
                               Not(HasSubstr("run weir as root")), Not(HasSubstr("not permitted"))));
}

}  // namespace
}  // namespace weir::control
