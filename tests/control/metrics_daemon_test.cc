// The metrics of the running program, on its socket and on its TCP port.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "control/exit_code.h"
#include "control/metrics.h"
#include "control/probe_packet.h"
#include "tests/control/exposition_text.h"
#include "tests/control/free_port.h"
#include "tests/control/raw_client.h"
#include "tests/control/running_weir.h"
#include "tests/support/pcap_file.h"

namespace weir::control {
namespace {

using ::testing::AllOf;
using testing::free_port;
using ::testing::HasSubstr;
using testing::RawClient;
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
announce: {segment: never}
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

TEST(MetricsOfADaemon, AgreeWithWhatShowSays) {
  const TemporaryDirectory directory;
  std::vector<std::vector<std::uint8_t>> frames;
  for (std::uint16_t port = 40'000; port < 40'020; ++port)
    frames.push_back(probe_packet(
        {.source = {*lb::parse_address("192.0.2.7"), port},
         .destination = {*lb::parse_address("203.0.113.10"), static_cast<std::uint16_t>(port % 2 == 0   ? 80
                                                                                        : port % 4 == 1 ? 22
                                                                                                        : 23)}},
        kWeirMac, 0));
  ASSERT_TRUE(test::write_pcap(directory.file("in.pcap"), frames));
  const std::string device =
      "net_pcap0,rx_pcap=" + directory.file("in.pcap") + ",tx_pcap=" + directory.file("out.pcap");
  const std::uint16_t port = free_port();
  RunningWeir weir(yaml(device, std::string(kWeb) + kSsh),
                   {.control = ", metrics: \"127.0.0.1:" + std::to_string(port) + "\""});
  ASSERT_TRUE(RunningWeir::wait_for([&] { return weir.get("/v1/drops").at("received") == 20; })) << weir.log();

  const HttpReply reply = weir.ask("GET", "/metrics");
  ASSERT_EQ(reply.status, 200u) << reply.body;
  EXPECT_EQ(reply.content_type, "text/plain; version=0.0.4; charset=utf-8");
  const testing::ExpositionText text(reply.body);
  for (const MetricInfo& m : metrics()) {
    ASSERT_TRUE(text.families().contains(std::string(m.name))) << m.name;
    EXPECT_EQ(text.families().at(std::string(m.name)).help, m.help);
    EXPECT_EQ(text.families().at(std::string(m.name)).type, m.is_counter ? "counter" : "gauge");
  }
  EXPECT_EQ(text.families().size(), metrics().size());

  const auto drops = weir.get("/v1/drops");
  for (const auto& [reason, n] : drops.at("drops").as_object())
    EXPECT_EQ(text.value("weir_drops_total", "{reason=\"" + std::string(reason) + "\"}"), n.to_number<double>())
        << reason;
  for (const auto& [event, n] : drops.at("events").as_object())
    EXPECT_EQ(text.value("weir_events_total", "{event=\"" + std::string(event) + "\"}"), n.to_number<double>())
        << event;
  for (const char* part : {"received", "injected", "generated", "sent", "dropped", "punted"})
    EXPECT_EQ(text.value("weir_" + std::string(part) + "_packets_total"), drops.at(part).to_number<double>()) << part;
  EXPECT_EQ(text.value("weir_conservation_difference_packets"), 0);
  const auto services = weir.get("/v1/services");
  for (const auto& row : services.at("services").as_array()) {
    const std::string labels = "{service=\"" + std::string(row.at("name").as_string()) + "\"}";
    EXPECT_EQ(text.value("weir_service_connections_total", labels), row.at("connections").to_number<double>());
    EXPECT_EQ(text.value("weir_service_flows", labels), row.at("current").to_number<double>());
  }
  const std::string web = "{service=\"web\",backend=\"10.0.0.5\"}";
  EXPECT_EQ(text.value("weir_backend_packets_in_total", web), 15);  // the endpoint is ssh's too
  EXPECT_EQ(text.value("weir_backend_flows", web), 15);
  EXPECT_EQ(text.value("weir_service_flows", "{service=\"web\"}"), 10);
  EXPECT_EQ(text.value("weir_service_flows", "{service=\"ssh\"}"), 5);
  EXPECT_EQ(text.value("weir_conntrack_flows", "{worker=\"0\",kind=\"narrow\"}"), 15);
  EXPECT_EQ(text.value("weir_conntrack_unconfirmed_flows", "{worker=\"0\",kind=\"narrow\"}"), 15);
  EXPECT_EQ(text.value("weir_port_rx_packets_total", "{port=\"p0\"}"), 20);

  // Over TCP the same, and a service that goes takes its series with it.
  weir.configure(yaml(device, kWeb));
  ASSERT_EQ(weir.ask("POST", "/v1/reload").status, 200u);
  RawClient client(port);
  ASSERT_TRUE(client.is_connected());
  client.send("GET /metrics HTTP/1.1\r\nHost: weir\r\nConnection: close\r\n\r\n");
  const std::string answer = client.read_all();
  ASSERT_THAT(answer, ::testing::StartsWith("HTTP/1.1 200 OK\r\n"));
  const testing::ExpositionText later(answer.substr(answer.find("\r\n\r\n") + 4));
  EXPECT_EQ(later.value("weir_generation"), 2);
  EXPECT_EQ(later.value("weir_reloads_total", "{result=\"applied\"}"), 1);
  EXPECT_GT(later.value("weir_last_reload_timestamp_seconds", "{result=\"applied\"}"),
            later.value("weir_start_time_seconds") - 1);
  EXPECT_EQ(later.value("weir_service_flows", "{service=\"web\"}"), 10);
  EXPECT_TRUE(std::isnan(later.value("weir_service_flows", "{service=\"ssh\"}")));
  EXPECT_TRUE(std::isnan(later.value("weir_backend_up", "{service=\"ssh\",backend=\"10.0.0.5\"}")));
}

TEST(MetricsOfADaemon, AnAddressThatIsTakenEndsTheStart) {
  const std::uint16_t port = free_port();
  const std::string where = "127.0.0.1:" + std::to_string(port);
  RunningWeir first(yaml(null_device()), {.control = ", metrics: \"" + where + "\""});
  EXPECT_EQ(first.exit_code(), -1) << first.log();
  RunningWeir second(yaml(null_device() + "1"), {.control = ", metrics: \"" + where + "\""});
  EXPECT_EQ(second.exit_code(), kExitEnvironment);
  EXPECT_THAT(second.log(), AllOf(HasSubstr("cannot serve metrics on " + where + ": Address already in use"),
                                  HasSubstr("give control.metrics another port")));
}

TEST(MetricsOfADaemon, AnotherAddressNeedsARestart) {
  const std::string with = ", metrics: \"127.0.0.1:" + std::to_string(free_port()) + "\"";
  RunningWeir weir(yaml(null_device()), {.control = with});
  weir.change_control("");
  weir.configure(yaml(null_device()));
  const HttpReply reply = weir.ask("POST", "/v1/reload");
  EXPECT_EQ(reply.status, 422u);
  EXPECT_THAT(reply.body, HasSubstr("`control.metrics` differs from what runs; restart weir"));
}

}  // namespace
}  // namespace weir::control
