// What only the running program shows: its answers, its log, its exit codes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

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
neighbors: [{address: 10.0.0.5, mac: "02:00:00:00:00:05"}, {address: 10.0.0.254, mac: "02:00:00:00:00:fe"}]
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

TEST(Daemon, FlowsOfAVipThatIsGoneAreNotCounted) {
  const TemporaryDirectory directory;
  std::vector<std::vector<std::uint8_t>> frames;
  for (std::uint16_t port = 40'000; port < 40'020; ++port)
    frames.push_back(probe_packet(
        {.source = {*lb::parse_address("192.0.2.7"), port},
         .destination = {*lb::parse_address("203.0.113.10"), static_cast<std::uint16_t>(port % 2 == 0 ? 80 : 22)}},
        kWeirMac, 0));
  ASSERT_TRUE(test::write_pcap(directory.file("in.pcap"), frames));
  const std::string device =
      "net_pcap0,rx_pcap=" + directory.file("in.pcap") + ",tx_pcap=" + directory.file("out.pcap");
  RunningWeir weir(yaml(device, std::string(kWeb) + kSsh));
  ASSERT_TRUE(RunningWeir::wait_for([&] { return weir.get("/v1/flows").at("total") == 20; })) << weir.log();
  EXPECT_EQ(weir.get("/v1/flows?service=ssh").at("total"), 10);

  weir.configure(yaml(device, kWeb));
  ASSERT_EQ(weir.ask("POST", "/v1/reload").status, 200u);
  const auto answer = weir.get("/v1/flows");  // before the scan of the table has come to them
  EXPECT_EQ(answer.at("total"), 10);
  EXPECT_EQ(answer.at("flows").as_array().size(), 10u);
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
