// Boxes with the same file give every flow the same backend, also after a restart and with the file's lines in another
// order. What the choice hangs on is compiled from the text twice, by compilers that know nothing of each other.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "config/load.h"
#include "control/compile.h"
#include "control/probe_packet.h"
#include "lb/backend_set.h"
#include "lb/hash.h"
#include "tests/control/running_weir.h"
#include "tests/control/temporary_directory.h"
#include "tests/support/pcap_file.h"

namespace weir::control {
namespace {

constexpr int kFlows = 100'000;

constexpr std::string_view kHead = R"(
workers: 1
hash_key: "000102030405060708090a0b0c0d0e0f"
ports: [{name: p0, device: net_null0}]
announce: {segment: never}
interfaces:
  - {name: uplink, port: p0, addresses: [198.51.100.1/24, "2001:db8:1::1/64"], mac: "02:00:00:00:00:01"}
services:
)";
constexpr std::string_view kWeb = R"(
  - name: web
    vips: [{address: 203.0.113.10, port: 80}, {address: "2001:db8:100::10", port: 80}]
    protocol: tcp
    backends:
)";
constexpr std::string_view kDns = R"(
  - name: dns
    vips: [{address: "2001:db8:100::10", port: 53}, {address: 203.0.113.10, port: 53}]
    protocol: udp
    backends:
)";

std::vector<std::string> members(int port) {
  std::vector<std::string> lines;
  for (int i = 1; i <= 7; ++i)
    for (const std::string& address :
         {"198.51.100." + std::to_string(10 + i), "\"2001:db8:1::" + std::to_string(i + 10) + "\""})
      lines.push_back("      - {address: " + address + ", port: " + std::to_string(port) +
                      ", weight: " + std::to_string(i) + "}\n");
  return lines;
}

std::string joined(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += line;
  return text;
}

/// The file as one starts with it, and the same with services, VIPs' services and backends the other way round.
std::string in_order() {
  return std::string(kHead).append(kWeb) + joined(members(8080)) + std::string(kDns) + joined(members(53));
}
std::string in_another_order() {
  std::vector<std::string> web = members(8080), dns = members(53);
  std::mt19937 random(7);
  std::shuffle(web.begin(), web.end(), random);
  std::shuffle(dns.begin(), dns.end(), random);
  return std::string(kHead).append(kDns) + joined(dns) + std::string(kWeb) + joined(web);
}

/// One box: it has read the file and compiled it.
class Box {
 public:
  explicit Box(const std::string& text) {
    const auto loaded = config::load_text(text, "weir.yaml");
    if (!loaded) {
      for (const auto& error : loaded.error().errors) ADD_FAILURE() << config::format("weir.yaml", error);
      return;
    }
    Compiler compiler({lb::MacAddress{}});
    auto compiled = compiler.compile(loaded->model, 1);
    if (!compiled) {
      ADD_FAILURE() << compiled.error().message;
      return;
    }
    compiled_ = std::move(*compiled);
  }
  [[nodiscard]] bool is_ready() const { return compiled_.snapshot != nullptr; }

  /// The backend of a new flow as "address:port", by identity and not by id.
  [[nodiscard]] std::pair<lb::Address, std::uint16_t> choose(lb::Protocol protocol, const lb::Address& client,
                                                             std::uint16_t client_port, const lb::Address& vip,
                                                             std::uint16_t vip_port) const {
    const auto client_be = lb::be16::from_host(client_port), vip_be = lb::be16::from_host(vip_port);
    const lb::VipId id = compiled_.contents.vips.at(lb::ServiceKey(vip, protocol, vip_be));
    const lb::Snapshot& s = *compiled_.snapshot;
    const lb::EndpointId chosen =
        s.vips[index(id)].set->choose(lb::selection_hash(s.selection_key, protocol, client, client_be, vip, vip_be));
    const lb::EndpointEntry& e = s.endpoints[index(chosen)];
    return {e.address, e.port.host()};
  }

 private:
  Compiled compiled_;
};

/// kFlows random flows of both families and protocols.
template <class Each>
void for_random_flows(const Each& each) {
  std::mt19937_64 random(20'231);
  const lb::Address vip4 = *lb::parse_address("203.0.113.10"), vip6 = *lb::parse_address("2001:db8:100::10");
  for (int i = 0; i < kFlows; ++i) {
    const std::uint64_t bits = random();
    const bool is_v6 = bits & 1, is_udp = bits & 2;
    lb::Address client = is_v6 ? *lb::parse_address("2001:db8:2::") : *lb::parse_address("192.0.2.0");
    for (std::size_t byte = 13; byte < 16; ++byte)
      client.bytes[byte] = static_cast<std::uint8_t>(bits >> (8 * byte - 80));
    each(is_udp ? lb::Protocol::kUdp : lb::Protocol::kTcp, client, static_cast<std::uint16_t>((bits >> 48) | 1),
         is_v6 ? vip6 : vip4, static_cast<std::uint16_t>(is_udp ? 53 : 80));
  }
}

TEST(Agreement, TwoBoxesAgreeOverEveryFlowWhateverTheOrderOfTheirFiles) {
  const Box one(in_order()), other(in_another_order());
  ASSERT_TRUE(one.is_ready() && other.is_ready());
  int differ = 0;
  for_random_flows([&](auto... flow) { differ += one.choose(flow...) != other.choose(flow...); });
  EXPECT_EQ(differ, 0) << "of " << kFlows;
}

// What another process, machine or version chose: an old process cannot be asked, but its answers can be kept. A new
// value here means that a rolling update of a group moves flows; that is a release note, not a repair of this test.
TEST(Agreement, TheChoiceIsTheOneOfEveryOtherProcess) {
  const Box box(in_order());
  ASSERT_TRUE(box.is_ready());
  std::uint64_t digest = 0xcbf29ce484222325;  // FNV-1a
  for_random_flows([&](auto... flow) {
    const auto [address, port] = box.choose(flow...);
    for (const std::uint8_t byte : address.bytes) digest = (digest ^ byte) * 0x100000001b3;
    digest = (digest ^ port) * 0x100000001b3;
  });
  EXPECT_EQ(digest, 3714334088793578211u);
}

TEST(Agreement, AnotherKeyChoosesOtherwise) {
  std::string text = in_order();
  text.replace(text.find("0001020304"), 10, "ff01020304");
  const Box one(in_order()), other(text);
  ASSERT_TRUE(one.is_ready() && other.is_ready());
  int differ = 0;
  for_random_flows([&](auto... flow) { differ += one.choose(flow...) != other.choose(flow...); });
  EXPECT_GT(differ, kFlows / 2);
}

// ---- real processes: what one forwards, the next one and one with another order of lines forward alike ----

std::string with_devices(std::string text, const std::string& in, const std::string& out) {
  const std::string device = "net_null0";
  text.replace(text.find(device), device.size(), "\"net_pcap0,rx_pcap=" + in + ",tx_pcap=" + out + "\"");
  std::string neighbors = "neighbors:\n";
  for (int i = 11; i <= 17; ++i)
    for (const std::string& address : {"198.51.100." + std::to_string(i), "\"2001:db8:1::" + std::to_string(i) + "\""})
      neighbors += "  - {address: " + address + ", mac: \"02:00:00:00:01:" + std::to_string(i) + "\"}\n";
  text.insert(text.find("services:\n"), neighbors);
  return text;
}

std::vector<std::vector<std::uint8_t>> forwarded_by_a_process(const std::string& text,
                                                              const testing::TemporaryDirectory& directory) {
  const std::string out = directory.file("out.pcap");
  {
    testing::RunningWeir weir(with_devices(text, directory.file("in.pcap"), out), "{mbufs: 8192, huge_pages: never}");
    EXPECT_TRUE(testing::RunningWeir::wait_for([&] {
      const auto drops = weir.get("/v1/drops");
      return drops.is_object() && drops.at("received") == kFlows && drops.at("difference") == 0;
    })) << weir.log();
    weir.signal(SIGTERM);
    EXPECT_TRUE(testing::RunningWeir::wait_for([&] { return weir.exit_code() == 0; }));
  }
  std::vector<std::vector<std::uint8_t>> frames;
  const auto sent = test::read_pcap(out);
  if (!sent) throw std::runtime_error(sent.error().message);
  for (const auto& packet : *sent) frames.push_back(packet.bytes);
  return frames;
}

TEST(Agreement, ProcessesForwardEveryFlowAlikeAlsoAfterARestartAndInAnotherOrder) {
  const testing::TemporaryDirectory directory;
  std::vector<std::vector<std::uint8_t>> frames;
  for_random_flows([&](lb::Protocol protocol, const lb::Address& client, std::uint16_t client_port,
                       const lb::Address& vip, std::uint16_t vip_port) {
    frames.push_back(probe_packet(
        {.file = {}, .protocol = protocol, .source = {client, client_port}, .destination = {vip, vip_port}},
        lb::MacAddress{{0x02, 0, 0, 0, 0, 0x01}}, 0));
  });
  ASSERT_TRUE(test::write_pcap(directory.file("in.pcap"), frames));
  const auto first = forwarded_by_a_process(in_order(), directory);
  EXPECT_EQ(first.size(), frames.size());
  EXPECT_TRUE(forwarded_by_a_process(in_order(), directory) == first) << "after a restart";
  EXPECT_TRUE(forwarded_by_a_process(in_another_order(), directory) == first) << "with the lines in another order";
}

}  // namespace
}  // namespace weir::control
