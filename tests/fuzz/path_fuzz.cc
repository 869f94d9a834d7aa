// Frames through the whole packet path, on plain tables and a small flow table. After each burst: every packet is
// accounted for, and what was sent is a frame that a receiver takes.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <memory>
#include <numeric>
#include <optional>
#include <string>
#include <string_view>

#include "config/load.h"
#include "control/compile.h"
#include "dataplane/memory_io.h"
#include "dataplane/packet_path.h"
#include "tests/fuzz/path_input.h"

namespace weir::test {
namespace {

// Addresses and MACs are those of tests/cases/lab.h, from whose cases the seeds come.
constexpr std::string_view kYaml = R"(
hash_key: "000102030405060708090a0b0c0d0e0f"
ports: [{name: p0, device: net_null0}]
interfaces:
  - {name: uplink, port: p0, mac: "02:00:00:00:01:00", addresses: [198.51.100.1/24, "2001:db8:1::1/64"]}
  - {name: servers, port: p0, vlan: 100, mac: "02:00:00:00:02:00", addresses: [10.0.0.1/24, "fd00::1/64"]}
  - {name: small, port: p0, vlan: 200, mac: "02:00:00:00:03:00", addresses: [10.2.0.1/24], mtu: 576}
routes:
  - {to: 192.0.2.0/24, via: 198.51.100.254}
  - {to: "2001:db8:2::/64", via: "2001:db8:1::fe"}
neighbors:
  - {address: 198.51.100.254, mac: "02:00:00:00:01:fe"}
  - {address: "2001:db8:1::fe", mac: "02:00:00:00:01:fe"}
  - {address: 10.0.0.5, mac: "02:00:00:00:02:05"}
  - {address: 10.0.0.6, mac: "02:00:00:00:02:06"}
  - {address: "fd00::5", mac: "02:00:00:00:02:05"}
  - {address: 10.2.0.5, mac: "02:00:00:00:03:05"}
services:
  - name: web
    vips: [{address: 203.0.113.10, port: 80}, {address: "2001:db8:100::10", port: 80}]
    protocol: tcp
    backends: [{address: 10.0.0.5, port: 8080}, {address: 10.0.0.6, port: 8080}, {address: "fd00::5", port: 8080}]
  - name: dns
    vips: [{address: 203.0.113.10, port: 53}, {address: "2001:db8:100::10", port: 53}]
    protocol: udp
    reject: icmp
    backends: [{address: 10.0.0.5, port: 5353}, {address: "fd00::5", port: 5353}]
  - name: range
    vips: [{address: 203.0.113.11, port: 5000-5999}, {address: 203.0.113.11, port: all}]
    protocol: tcp
    backends: [{address: 10.0.0.5}, {address: 10.2.0.5}]
  - name: shares
    vips: [{address: 203.0.113.12, port: 80}]
    protocol: tcp
    backends: [{address: 10.0.0.5, port: 8080}]
  - name: nobody
    vips: [{address: 203.0.113.13, port: 80}]
    protocol: tcp
    backends: [{address: 10.0.0.6, port: 8080, weight: 0}]
)";

void require(bool holds) {
  if (!holds) std::abort();
}

template <class T>
T value(lb::Result<T> result) {
  require(result.has_value());
  return std::move(*result);
}

class Path {
 public:
  explicit Path(const std::string& yaml)
      : compiled_(compile(yaml)),
        next_hops_(1024),
        tables_(compiled_.contents),
        counters_(value(dataplane::WorkerCounters::create())) {
    for (const auto& [id, word] : compiled_.next_hops) next_hops_.set(id, word);
  }

  /// With an empty flow table; the counters go on.
  void run(std::span<const std::uint8_t> input) {
    auto flows = value(dataplane::FlowTable::create({64, 32}, {1, 2}));
    dataplane::MemoryIo io(counters_);
    dataplane::PacketPath<lb::PlainTables, dataplane::MemoryIo> path(tables_, io, flows, counters_, next_hops_);
    std::uint64_t now_ns = 1'000'000'000;
    path.share(&sessions_);
    std::deque<dataplane::MemoryFrame> frames;  // of this burst, and those that wait for a neighbour
    std::vector<dataplane::MemoryFrame*> burst;
    while (!input.empty()) {
      const std::uint8_t how = input[0];
      now_ns += ((std::uint64_t{1} << (how >> kTimeShift)) - 1) * 1'000'000'000;
      std::vector<std::uint8_t> bytes = take_frame(input);
      if ((how & kFixIpv4Checksum) != 0) fix_ipv4(bytes);
      if ((how & kFixIcmp6Checksum) != 0) fix_icmp6(bytes);
      burst.push_back(&frames.emplace_back(bytes));
      if ((how & kEndsBurst) == 0 && !input.empty() && burst.size() < path.kBurst) continue;

      path.process(burst, lb::PortIndex{}, *compiled_.snapshot, {now_ns});
      path.tend_held(*compiled_.snapshot, {now_ns});
      for (const auto& sent : io.sent) check_sent(sent.frame->bytes());
      for (const auto& punted : io.punted) check_punted(punted.frame->bytes());
      io.sent.clear();
      io.punted.clear();
      io.wanted.clear();
      path.inject(lb::InterfaceId(1), bytes, *compiled_.snapshot);  // and as if the kernel had sent it
      io.sent.clear();
      check_counts();
      require(flows.narrow_count() <= 64 && flows.wide_count() <= 32);
      burst.clear();
      if (counters_.held.get() == 0) frames.clear();
      if ((how & kExpire) != 0)
        static_cast<void>(path.expire(static_cast<std::uint32_t>(flows.lines()), *compiled_.snapshot, {now_ns}));
    }
    path.drop_held();
    check_counts();
  }

 private:
  static control::Compiled compile(const std::string& yaml) {
    auto loaded = config::load_text(yaml, "weir.yaml");
    if (!loaded)
      for (const auto& e : loaded.error().errors) std::fprintf(stderr, "%s\n", config::format("weir.yaml", e).c_str());
    require(loaded.has_value());
    return value(control::Compiler({lb::MacAddress{}}).compile(loaded->model, 1));
  }

  static std::vector<std::uint8_t> take_frame(std::span<const std::uint8_t>& input) {
    std::size_t length = 0;
    if (input.size() >= 3) length = std::size_t{input[1]} | std::size_t{input[2]} << 8;
    input = input.subspan(std::min<std::size_t>(3, input.size()));
    length = std::min({length, input.size(), std::size_t{9018}});
    const std::vector<std::uint8_t> frame(input.begin(), input.begin() + static_cast<std::ptrdiff_t>(length));
    input = input.subspan(length);
    return frame;
  }

  static void fix_ipv4(std::vector<std::uint8_t>& frame) {
    lb::Link link;
    if (lb::parse_link(frame, link) || link.type != lb::kEtherIpv4 || frame.size() < link.length + 20u) return;
    const std::size_t header = (frame[link.length] & 15u) * 4;
    if (header < 20 || frame.size() < link.length + header) return;
    auto* ip = reinterpret_cast<lb::Ipv4Header*>(frame.data() + link.length);
    ip->checksum = {};
    ip->checksum = lb::internet_checksum(std::span(frame).subspan(link.length, header));
  }

  static void fix_icmp6(std::vector<std::uint8_t>& frame) {
    lb::Link link;
    lb::Packet p;
    if (lb::parse_link(frame, link) || link.type != lb::kEtherIpv6 || lb::parse_ip(frame, link, p)) return;
    if (p.protocol != lb::Protocol::kIcmp6) return;
    auto* icmp = reinterpret_cast<lb::IcmpHeader*>(frame.data() + p.l4_offset);
    const auto length = static_cast<std::uint32_t>(p.frame_length - p.l4_offset);
    icmp->checksum = {};
    icmp->checksum = lb::pseudo_header_sum(p.source, p.destination, p.protocol, length)
                         .add(std::span(frame).subspan(p.l4_offset, length))
                         .checksum();
  }

  /// From one of our MACs, and exactly as long as its headers say, with a right header checksum.
  void check_sent(std::span<const std::uint8_t> frame) const {
    lb::Link link;
    require(!lb::parse_link(frame, link));
    const auto interface = compiled_.snapshot->interface_of(lb::PortIndex{}, link.vlan);
    require(interface != lb::InterfaceId::kNone);
    require(link.source == compiled_.snapshot->interfaces[index(interface)].mac);
    const auto rest = frame.subspan(link.length);
    switch (link.type) {
      case lb::kEtherArp: require(rest.size() == sizeof(lb::ArpPacket)); break;
      case lb::kEtherIpv4: {
        require(rest.size() >= 20);
        const auto& ip = *reinterpret_cast<const lb::Ipv4Header*>(rest.data());
        const std::size_t header = (ip.version_ihl & 15u) * 4;
        require(ip.version_ihl >> 4 == 4 && header >= 20 && header <= rest.size());
        require(ip.total_length.host() == rest.size() && ip.ttl > 0);
        require(lb::internet_checksum(rest.first(header)) == lb::be16{});
        break;
      }
      case lb::kEtherIpv6: {
        require(rest.size() > 40);
        const auto& ip = *reinterpret_cast<const lb::Ipv6Header*>(rest.data());
        require(rest[0] >> 4 == 6 && ip.payload_length.host() + 40u == rest.size() && ip.hop_limit > 0);
        break;
      }
      default: require(false);
    }
  }

  /// The kernel gets whole frames without a tag.
  static void check_punted(std::span<const std::uint8_t> frame) {
    lb::Link link;
    require(!lb::parse_link(frame, link) && link.length == sizeof(lb::EthernetHeader));
  }

  void check_counts() const {
    std::uint64_t dropped = 0;
    for (std::size_t i = 0; i < lb::kDropReasons.size(); ++i) dropped += counters_.dropped(lb::DropReason(i));
    require(counters_.received.get() + counters_.injected.get() + counters_.generated.get() ==
            counters_.sent.get() + dropped + counters_.punted.get() + counters_.held.get());
  }

  control::Compiled compiled_;
  lb::NextHops next_hops_;
  lb::PlainTables tables_;
  dataplane::WorkerCounters counters_;
  dataplane::SpokenSessions sessions_{{1, 2}};
};

/// Every interface with the kernel beside it.
std::string with_twins(std::string yaml) {
  const std::string_view before = "addresses: [", twin = "twin: true, ";
  for (std::size_t at = 0; (at = yaml.find(before, at)) != std::string::npos; at += twin.size() + before.size())
    yaml.insert(at, twin);
  return yaml;
}

}  // namespace
}  // namespace weir::test

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static weir::test::Path alone{std::string(weir::test::kYaml)};
  static weir::test::Path with_kernel(weir::test::with_twins(std::string(weir::test::kYaml)));
  alone.run({data, size});
  with_kernel.run({data, size});
  return 0;
}
