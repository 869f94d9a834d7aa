// All threads of the program at once: two workers that hand flows to each other without a pause, reloads, and clients
// that list, trace and flush. What may go wrong here is a race, so scripts/test runs it under TSan too.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "control/probe_packet.h"
#include "tests/control/running_weir.h"
#include "tests/support/pcap_file.h"

namespace weir::control {
namespace {

using testing::RunningWeir;
using testing::TemporaryDirectory;

constexpr lb::MacAddress kWeirMac{{0x02, 0, 0, 0, 0, 0x01}};
constexpr int kReloads = 20;

std::string yaml(const std::string& device, int change) {
  std::string services;
  for (int s = 0; s < 2 + change % 3; ++s) {
    services += "  - {name: s" + std::to_string(s) +
                ", vips: [{address: 203.0.113.10, port: " + std::to_string(80 + s) +
                "}], protocol: tcp, backends: [{address: 10.0.0.5, weight: " + std::to_string(1 + change % 2) +
                "}, {address: 10.0.0.6}" + (change % 4 == 0 ? ", {address: 10.0.0.7}" : "") + "]}\n";
  }
  return R"(hash_key: "00112233445566778899aabbccddeeff"
workers: 2
ports: [{name: p0, device: ")" +
         device + R"("}]
interfaces: [{name: lan, port: p0, mac: "02:00:00:00:00:01", addresses: [10.0.0.1/24]}]
neighbors:
  - {address: 10.0.0.5, mac: "02:00:00:00:00:05"}
  - {address: 10.0.0.6, mac: "02:00:00:00:00:06"}
  - {address: 10.0.0.7, mac: "02:00:00:00:00:07"}
  - {address: 10.0.0.254, mac: "02:00:00:00:00:fe"}
routes: [{to: 0.0.0.0/0, via: 10.0.0.254}]
services:
)" + services;
}

/// SYNs of 500 clients to services that come and go.
void write_traffic(const std::string& file) {
  std::vector<std::vector<std::uint8_t>> frames;
  for (std::uint16_t port = 40'000; port < 40'500; ++port)
    frames.push_back(
        probe_packet({.source = {*lb::parse_address("192.0.2.7"), port},
                      .destination = {*lb::parse_address("203.0.113.10"), static_cast<std::uint16_t>(80 + port % 4)}},
                     kWeirMac, 0));
  ASSERT_TRUE(test::write_pcap(file, frames));
}

/// Asks until told to stop; how many answers were not 200.
struct Asker {
  Asker(const RunningWeir& weir, std::vector<std::pair<std::string, std::string>> requests)
      : thread([this, &weir, requests = std::move(requests)] {
          while (!stop)
            for (const auto& [method, target] : requests) {
              const HttpReply reply = weir.ask(method, target);
              if (reply.status != 200) ++failed, first.empty() ? first = target + ": " + reply.body : first;
              ++asked;
            }
        }) {}
  void end() {
    stop = true;
    thread.join();
    EXPECT_EQ(failed, 0) << first;
    EXPECT_GT(asked, 0);
  }

  std::atomic<bool> stop{false};
  int asked = 0, failed = 0;  // the thread's, until it has ended
  std::string first;
  std::thread thread;
};

TEST(Threads, WorkersReloadsAndQuestionsAtOnce) {
  const TemporaryDirectory directory;
  write_traffic(directory.file("in.pcap"));
  const std::string queue = ",rx_pcap=" + directory.file("in.pcap") + ",tx_pcap=/dev/null";
  const std::string device = "net_pcap" + std::to_string(getpid()) + queue + queue + ",infinite_rx=1";
  RunningWeir weir(yaml(device, 0), "{mbufs: 16384, huge_pages: never}");
  ASSERT_EQ(weir.exit_code(), -1) << weir.log();

  Asker lists(weir, {{"GET", "/v1/services"}, {"GET", "/v1/backends"}, {"GET", "/v1/flows"}, {"GET", "/v1/status"}});
  Asker more(weir, {{"GET", "/v1/drops"},
                    {"GET", "/v1/workers"},
                    {"GET", "/v1/ports"},
                    {"GET", "/v1/neighbors"},
                    {"GET", "/v1/trace?protocol=tcp&source=192.0.2.7:40000&destination=203.0.113.10:80"}});
  Asker flushes(weir, {{"DELETE", "/v1/flows?client=192.0.2.7"}, {"GET", "/v1/flows?service=s0"}});
  for (int change = 1; change <= kReloads; ++change) {
    weir.configure(yaml(device, change));
    const HttpReply reply = weir.ask("POST", "/v1/reload");
    EXPECT_EQ(reply.status, 200u) << reply.body;
  }
  lists.end();
  more.end();
  flushes.end();

  EXPECT_EQ(weir.get("/v1/status").at("generation"), kReloads + 1);
  const auto workers = weir.get("/v1/workers");
  for (const auto& worker : workers.at("workers").as_array())
    EXPECT_GT(worker.at("packets").to_number<std::uint64_t>(), 0u) << worker;
  weir.signal(SIGTERM);
  EXPECT_TRUE(RunningWeir::wait_for([&] { return weir.exit_code() != -1; })) << weir.log();
  EXPECT_EQ(weir.exit_code(), 0) << weir.log();
}

}  // namespace
}  // namespace weir::control
