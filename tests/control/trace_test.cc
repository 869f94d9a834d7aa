// What `weir trace` foretells is what a worker does: the same 10,000 random packets are traced one by one in this
// process and sent through a running `weir` between two pcap files.
#include "control/trace.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <boost/json/parse.hpp>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <map>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "config/load.h"
#include "control/http_client.h"
#include "control/probe_packet.h"
#include "tests/control/temporary_directory.h"
#include "tests/support/pcap_file.h"

namespace weir::control {
namespace {

namespace json = boost::json;
using namespace std::chrono_literals;

constexpr int kPackets = 10'000;
constexpr lb::MacAddress kWeirMac{{0x02, 0, 0, 0, 0, 0x01}};

// `reject: drop`, so that no answer falls to a rate limit and the output is what was forwarded.
std::string yaml(const testing::TemporaryDirectory& in) {
  return R"(
hash_key: "00112233445566778899aabbccddeeff"
memory: {mbufs: 8192, huge_pages: never}
control: {socket: )" +
         in.file("weir.sock") + R"(}
conntrack: {capacity: 100000, wide_capacity: 100000}
ports: [{name: p0, device: "net_pcap0,rx_pcap=)" +
         in.file("in.pcap") + ",tx_pcap=" + in.file("out.pcap") + R"("}]
announce: {segment: never}
interfaces:
  - {name: lan, port: p0, mac: "02:00:00:00:00:01", addresses: [10.0.0.1/24, "fd00::1/64"]}
neighbors:
  - {address: 10.0.0.254, mac: "02:00:00:00:00:fe"}
  - {address: "fd00::fe", mac: "02:00:00:00:00:fe"}
  - {address: 10.0.0.5, mac: "02:00:00:00:00:05"}
  - {address: 10.0.0.6, mac: "02:00:00:00:00:06"}
  - {address: "fd00::5", mac: "02:00:00:00:00:05"}
  - {address: "fd00::6", mac: "02:00:00:00:00:06"}
routes: [{to: 0.0.0.0/0, via: 10.0.0.254}, {to: "::/0", via: "fd00::fe"}]
services:
  - name: web
    vips: [{address: 203.0.113.10, port: 80}, {address: "2001:db8:100::10", port: 80}]
    protocol: tcp
    reject: drop
    backends:
      - {address: 10.0.0.5, port: 8080}
      - {address: 10.0.0.6, port: 8080, weight: 3}
      - {address: 10.0.0.7, port: 8080}
      - {address: "fd00::5", port: 8080}
      - {address: "fd00::6", port: 8080}
  - name: ftp
    vips: [{address: 203.0.113.10, port: 5000-5999}]
    protocol: tcp
    reject: drop
    backends: [{address: 10.0.0.5}, {address: 10.0.0.6}]
  - name: dns
    vips: [{address: 203.0.113.10, port: 53}, {address: "2001:db8:100::10", port: 53}]
    protocol: udp
    reject: drop
    backends: [{address: 10.0.0.5, port: 5353}, {address: 10.0.0.6}, {address: "fd00::6"}]
  - name: empty
    vips: [{address: 203.0.113.11, port: all}]
    protocol: tcp
    reject: drop
    backends: []
)";
}

// Clients to VIPs, endpoints to clients, and some to nowhere; no client socket twice, so that no flow is met again.
std::vector<TraceRequest> random_requests() {
  std::mt19937 random(7);
  const auto one_of = [&](const std::vector<std::string>& all) { return all[random() % all.size()]; };
  std::set<std::pair<lb::Address, std::uint16_t>> sockets;
  std::vector<TraceRequest> requests;
  while (requests.size() < kPackets) {
    const bool is_v4 = random() % 3 != 0;
    TraceRequest r;
    r.protocol = random() % 3 == 0 ? lb::Protocol::kUdp : lb::Protocol::kTcp;
    r.mid_stream = r.protocol == lb::Protocol::kTcp && random() % 2 == 0;
    Endpoint client{*lb::parse_address(is_v4 ? "192.0.2." + std::to_string(1 + random() % 250)
                                             : "2001:db8:2::" + std::to_string(1 + random() % 250)),
                    static_cast<std::uint16_t>(1024 + random() % 60000)};
    if (random() % 50 == 0) client.address = *lb::parse_address(is_v4 ? "127.0.0.1" : "::1");
    if (!sockets.insert({client.address, client.port}).second) continue;
    Endpoint there;
    if (random() % 4 == 0) {
      there.address =
          *lb::parse_address(is_v4 ? one_of({"10.0.0.5", "10.0.0.6", "10.0.0.7"}) : one_of({"fd00::5", "fd00::6"}));
      there.port = static_cast<std::uint16_t>(std::stoi(
          r.protocol == lb::Protocol::kTcp ? one_of({"8080", "8080", "5500", "53"}) : one_of({"5353", "53", "8080"})));
      r.source = there, r.destination = client;
    } else {
      there.address = *lb::parse_address(
          is_v4 ? one_of({"203.0.113.10", "203.0.113.10", "203.0.113.11", "203.0.113.99", "10.0.0.1"})
                : one_of({"2001:db8:100::10", "2001:db8:100::11"}));
      there.port = static_cast<std::uint16_t>(std::stoi(
          r.protocol == lb::Protocol::kTcp ? one_of({"80", "80", "5500", "6000"}) : one_of({"53", "53", "80"})));
      r.source = client, r.destination = there;
    }
    requests.push_back(r);
  }
  return requests;
}

struct Foretold {
  std::vector<std::string> forwarded;          // what the frame out says, in order
  std::map<std::string, std::uint64_t> drops;  // by reason, refusals too
};

// The part of a frame that the verdict decides: destination MAC and the four numbers of the flow.
std::string flow_text(const std::string& mac, const Endpoint& from, const Endpoint& to) {
  return mac + " " + lb::to_string(from.address, from.port) + " " + lb::to_string(to.address, to.port);
}

Foretold foretell(const config::Model& model, const Compiled& compiled, const std::vector<TraceRequest>& requests) {
  Foretold f;
  for (const TraceRequest& r : requests) {
    const auto answer = trace_packet(model, compiled, r, std::nullopt);
    if (!answer) throw std::runtime_error(answer.error().message);
    const std::string verdict(answer->at("verdict").as_string());
    if (verdict != "forward") {
      ++f.drops[std::string(answer->at("reason").as_string())];
      continue;
    }
    const auto& backend = answer->at("backend").as_object();
    const Endpoint endpoint{*lb::parse_address(backend.at("address").as_string()),
                            static_cast<std::uint16_t>(backend.at("port").to_number<int>())};
    const std::string mac(answer->at("next_hop").as_string());
    const std::string vip(answer->at("vip").as_string());
    const bool is_reply = endpoint == r.source;
    // "203.0.113.10 ports 5000-5999": a range VIP answers from the port that its endpoint answered from.
    const auto vip_endpoint = parse_endpoint(vip).value_or(
        Endpoint{lb::parse_address(vip.substr(0, vip.find(' '))).value_or(lb::Address{}), r.source.port});
    f.forwarded.push_back(is_reply ? flow_text(mac, vip_endpoint, r.destination) : flow_text(mac, r.source, endpoint));
  }
  return f;
}

std::string flow_text(const std::vector<std::uint8_t>& frame) {
  const bool is_v4 = frame[12] == 0x08;
  const auto port = [&](std::size_t at) { return static_cast<std::uint16_t>(frame[at] << 8 | frame[at + 1]); };
  lb::MacAddress mac;
  std::copy_n(frame.begin(), 6, mac.bytes.begin());
  const auto address = [&](std::size_t at) {
    if (!is_v4) return lb::Address::v6(&frame[at]);
    std::uint32_t raw = 0;
    std::memcpy(&raw, &frame[at], 4);
    return lb::Address::v4(lb::be32::from_raw(raw));
  };
  return is_v4 ? flow_text(lb::to_string(mac), {address(26), port(34)}, {address(30), port(36)})
               : flow_text(lb::to_string(mac), {address(22), port(54)}, {address(38), port(56)});
}

json::object drops_of(const std::string& socket) {
  const auto reply = request(socket, "GET", "/v1/drops", "", 2s);
  return reply && reply->status == 200 ? json::parse(reply->body).as_object() : json::object();
}

pid_t start_weir(const std::string& file) {
  const char* program = std::getenv("WEIR");
  const char* argv[] = {program, "run", "-c", file.c_str(), nullptr};
  pid_t pid = -1;
  if (program == nullptr || posix_spawn(&pid, program, nullptr, nullptr, const_cast<char**>(argv), environ) != 0)
    return -1;
  return pid;
}

TEST(Trace, ForetellsWhatTheWorkerDoesWithTenThousandRandomPackets) {
  const testing::TemporaryDirectory directory;
  const std::string file = directory.write("weir.yaml", yaml(directory));
  const auto loaded = config::load_file(file);
  ASSERT_TRUE(loaded) << config::format(file, loaded.error().errors.front());
  Compiler compiler({kWeirMac});
  const auto compiled = compiler.compile(loaded->model, 1);
  ASSERT_TRUE(compiled);

  const auto requests = random_requests();
  std::vector<std::vector<std::uint8_t>> frames;
  for (const TraceRequest& r : requests) frames.push_back(probe_packet(r, kWeirMac, 0));
  ASSERT_TRUE(test::write_pcap(directory.file("in.pcap"), frames));
  const Foretold foretold = foretell(loaded->model, *compiled, requests);
  EXPECT_GT(foretold.forwarded.size(), 2000u);
  EXPECT_GT(foretold.drops.size(), 4u) << "the packets should meet several ends";

  const pid_t weir = start_weir(file);
  ASSERT_GT(weir, 0) << "WEIR must name the program";
  json::object drops;
  for (int i = 0; i < 600; ++i) {
    drops = drops_of(directory.file("weir.sock"));
    if (drops.contains("received") && drops["received"].to_number<int>() == kPackets && drops["difference"] == 0) break;
    std::this_thread::sleep_for(50ms);
  }
  kill(weir, SIGTERM);
  int status = -1;
  waitpid(weir, &status, 0);
  EXPECT_EQ(status, 0);

  ASSERT_TRUE(drops.contains("drops")) << "weir did not answer";
  for (const auto& [reason, count] : drops["drops"].as_object()) {
    const auto it = foretold.drops.find(std::string(reason));
    EXPECT_EQ(count.to_number<std::uint64_t>(), it == foretold.drops.end() ? 0 : it->second)
        << std::string_view(reason);
  }
  const auto out = test::read_pcap(directory.file("out.pcap"));
  ASSERT_TRUE(out) << out.error().message;
  ASSERT_EQ(out->size(), foretold.forwarded.size());
  for (std::size_t i = 0; i < out->size(); ++i) ASSERT_EQ(flow_text((*out)[i].bytes), foretold.forwarded[i]) << i;
}

}  // namespace
}  // namespace weir::control
