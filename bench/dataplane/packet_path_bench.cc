// Nanoseconds a packet of the real path, with real mbufs and rte tables, port I/O excluded.
//
// 16,384 different mbufs (4 MiB with their structures: more than a second-level cache) go through process() in bursts
// of 32; between the runs their headers are written anew for the next 16,384 flows of a random order over all flows.
// So a packet's bytes lie where a NIC's DMA would leave them, in the last-level cache, and each packet meets a flow
// that was last touched (flows / 16,384) runs ago. Just before each burst, untimed, the mbufs' own fields are written
// as a driver's receive function does. Before anything is measured, every flow's packet goes through once and is held
// to be right: backend, ports, MACs, both checksums.
//
// The clock is the TSC around each burst, and `ns_packet` is the mean of the bursts between the quartiles of a run:
// on a shared machine a burst that another process interrupts says nothing. Time is ns_packet for 16,384 packets.
#include <benchmark/benchmark.h>
#include <rte_cycles.h>
#include <rte_mbuf.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <numeric>
#include <random>
#include <tuple>
#include <vector>

#include "bench/dataplane/bench_eal.h"
#include "control/compile.h"
#include "dataplane/mbuf_io.h"
#include "dataplane/packet_path.h"
#include "dataplane/rte_tables.h"
#include "dataplane/worker_rings.h"

namespace weir::dataplane {
namespace {

using lb::Address;
using lb::be16;
using lb::be32;
using lb::Protocol;

constexpr std::size_t kMbufs = 16'384;
constexpr std::size_t kFrameBytes = 60;  // 64 with the FCS, which an mbuf does not hold
constexpr std::size_t kFrameBytes6 = 80;
constexpr unsigned kBackends = 100;
constexpr std::uint32_t kMaxFlows = 2'000'000;

const lb::MacAddress kUplinkMac{{2, 0, 0, 0, 1, 1}}, kServersMac{{2, 0, 0, 0, 2, 1}},
    kGatewayMac{{2, 0, 0, 0, 1, 0xfe}};
lb::MacAddress backend_mac(std::uint32_t n) {
  return {{2, 0, 0, 0, 3, static_cast<std::uint8_t>(n)}};
}

[[noreturn]] void die(const std::string& why) {
  std::fprintf(stderr, "packet_path_bench: %s\n", why.c_str());
  std::exit(1);
}

/// Frames go nowhere: what was sent is remembered as by MbufIo, up to the call of the driver.
class BenchIo {
 public:
  using Frame = rte_mbuf*;
  explicit BenchIo(WorkerCounters& counters) : counters_(counters) {}

  [[nodiscard]] static std::uint8_t* data(Frame f) noexcept { return MbufIo::data(f); }
  [[nodiscard]] static std::size_t length(Frame f) noexcept { return MbufIo::length(f); }
  [[nodiscard]] static std::uint8_t* reshape(Frame f, int delta, std::size_t length) noexcept {
    return MbufIo::reshape(f, delta, length);
  }
  void transmit(lb::PortIndex port, Frame f) noexcept {
    Port& p = ports_[index(port)];
    p.waiting[p.count++] = f;
    if (p.count == p.waiting.size()) p.count = 0, counters_.sent.add(p.waiting.size());
  }
  void drop(Frame, lb::PortIndex, lb::DropReason) noexcept { ++dropped; }
  void refused(std::span<const std::uint8_t>, lb::PortIndex, lb::DropReason) noexcept {}
  void hand_over(Frame f, lb::PortIndex port, lb::WorkerIndex) noexcept {
    f->port = static_cast<std::uint16_t>(index(port));
    over_[over_count_++] = f;
  }
  /// As MbufIo at a loop's end: into the ring to the other worker.
  void flush(rte_ring* ring) noexcept {
    if (over_count_ > 0) rte_ring_sp_enqueue_burst(ring, reinterpret_cast<void**>(over_.data()), over_count_, nullptr);
    over_count_ = 0;
  }
  [[nodiscard]] static lb::PortIndex port(Frame f) noexcept { return lb::PortIndex{f->port}; }
  [[nodiscard]] bool punt(lb::InterfaceId, lb::PuntClass, Frame) noexcept { return false; }
  [[nodiscard]] Frame make(std::size_t) noexcept { return nullptr; }
  void want(const Wanted&) noexcept {}
  void claimed(const VipClaim&) noexcept {}
  [[nodiscard]] static std::optional<std::uint32_t> rss_hash(Frame) noexcept { return {}; }

  std::uint64_t dropped = 0;

 private:
  struct Port {
    std::size_t count = 0;
    std::array<Frame, 32> waiting{};
  };
  WorkerCounters& counters_;
  std::array<Port, 2> ports_;
  unsigned over_count_ = 0;
  std::array<Frame, 32> over_{};
};

struct Client {
  Address address;
  be16 port;
  std::uint16_t backend = 0;  // number, found by watching where the first packet goes
};

config::Model make_model() {
  config::Model m;
  m.ports = {{.name = "p0", .device = "-"}, {.name = "p1", .device = "-"}};
  m.interfaces = {{.name = "uplink",
                   .port = "p0",
                   .addresses = {*lb::parse_prefix("198.51.100.1/24"), *lb::parse_prefix("2001:db8:1::1/64")}},
                  {.name = "servers",
                   .port = "p1",
                   .addresses = {*lb::parse_prefix("10.0.0.1/8"), *lb::parse_prefix("fd00::1/64")}}};
  m.routes = {{*lb::parse_prefix("0.0.0.0/0"), *lb::parse_address("198.51.100.254"), "uplink", {}},
              {*lb::parse_prefix("::/0"), *lb::parse_address("2001:db8:1::fe"), "uplink", {}}};
  m.neighbors = {{*lb::parse_address("198.51.100.254"), kGatewayMac, "uplink", {}},
                 {*lb::parse_address("2001:db8:1::fe"), kGatewayMac, "uplink", {}}};
  for (const Protocol protocol : {Protocol::kTcp, Protocol::kUdp}) {
    config::Service s;
    s.name = lb::name(protocol);
    s.protocol = protocol;
    s.vips = {{*lb::parse_address("203.0.113.10"), {80, 80, false}, {}},
              {*lb::parse_address("2001:db8:100::10"), {80, 80, false}, {}}};
    for (std::uint32_t n = 0; n < kBackends; ++n) {
      Address six = *lb::parse_address("fd00::100");
      six.bytes[15] = static_cast<std::uint8_t>(n);
      for (const Address& a : {Address::v4(be32::from_host(0x0a000100 + n)), six}) {
        s.backends.push_back({a, 8080, 1, {}});
        if (protocol == Protocol::kTcp) m.neighbors.push_back({a, backend_mac(n), "servers", {}});
      }
    }
    m.services.push_back(std::move(s));
  }
  return m;
}

/// A worker with its tables, a burst's worth of machinery, and `flows` confirmed flows of one family.
class World {
 public:
  World(rte_mempool* pool, bool v6, std::uint32_t flows, unsigned workers = 1)
      : v6_(v6),
        next_hops_(4096),
        counters_(must(WorkerCounters::create())),
        table_(must(FlowTable::create({v6 ? 1000 : std::max(kMaxFlows, flows), v6 ? kMaxFlows : 1000},
                                      {random_(), random_()}))),
        tables_(must(RteTables::create(
            {.vips = 64, .endpoints = 1024, .addresses = 64, .routes = 1024, .routes6 = 1024}, SOCKET_ID_ANY))),
        compiled_(must(control::Compiler({kUplinkMac, kServersMac}).compile(make_model(), 1))),
        owners_(workers, lb::HashKey{random_(), random_()}),
        steering_(owners_, 0, {false, false}),
        rings_(must(WorkerRings::create(workers))),
        io_(counters_),
        path_(tables_, io_, table_, counters_, next_hops_, {}, workers > 1 ? &steering_ : nullptr) {
    if (auto added = tables_.add(compiled_.changes); !added) die(added.error().message);
    for (const auto& [id, word] : compiled_.next_hops) next_hops_.set(id, word);
    mbufs_.resize(kMbufs);
    if (rte_pktmbuf_alloc_bulk(pool, mbufs_.data(), kMbufs) != 0) die("not enough mbufs");
    // The pool gives them in order of address; a NIC's ring, after some time, does not.
    std::ranges::shuffle(mbufs_, random_);
    for (std::uint32_t n = 0; n < flows; ++n) clients_.push_back(client(n));
    establish();
    std::ranges::shuffle(clients_, random_);
  }
  ~World() { rte_pktmbuf_free_bulk(mbufs_.data(), kMbufs); }

  /// Writes the next 16,384 flows' packets; not timed.
  void prepare(lb::Direction d) {
    for (std::size_t i = 0; i < kMbufs; ++i) {
      write(mbufs_[i], clients_[next_], d, lb::kTcpAck | lb::kTcpPsh, Protocol::kTcp);
      if (++next_ == clients_.size()) next_ = 0;
    }
  }
  /// First packets of flows that were never seen.
  void prepare_new(Protocol protocol) {
    for (std::size_t i = 0; i < kMbufs; ++i)
      write(mbufs_[i], client(fresh_++), lb::Direction::kForward, lb::kTcpSyn, protocol);
  }
  /// Sends prepare()'s packets through; seconds a packet.
  double process(lb::Direction d) noexcept {
    const lb::PortIndex port{static_cast<std::uint16_t>(d == lb::Direction::kForward ? 0 : 1)};
    now_ns_ += 1'000'000;
    for (std::size_t burst = 0; burst < kMbufs / 32; ++burst) {
      const std::span<rte_mbuf* const> frames(&mbufs_[burst * 32], 32);
      for (rte_mbuf* m : frames) receive(m);
      const std::uint64_t begin = rte_rdtsc_precise();
      pass(frames, port);
      ticks_[burst] = rte_rdtsc_precise() - begin;
    }
    std::ranges::sort(ticks_);
    const auto middle = std::span(ticks_).subspan(ticks_.size() / 4, ticks_.size() / 2);
    const double sum = static_cast<double>(std::accumulate(middle.begin(), middle.end(), std::uint64_t{0}));
    return std::max(0.0, sum / static_cast<double>(middle.size()) - clock_ticks_) / 32 /
           static_cast<double>(rte_get_tsc_hz());
  }
  /// Is each of prepare()'s packets what must come out?
  void verify(lb::Direction d) {
    const std::size_t first = (next_ + clients_.size() - kMbufs % clients_.size()) % clients_.size();
    for (std::size_t i = 0; i < kMbufs; ++i) verify(mbufs_[i], clients_[(first + i) % clients_.size()], d);
  }
  void forget_new_flows() {
    while (table_.narrow_count() + table_.wide_count() > clients_.size())
      static_cast<void>(
          table_.scan(static_cast<std::uint32_t>(table_.lines()), 0, {}, [&](lb::VipId) { return false; }));
    clients_.clear();
  }

  [[nodiscard]] std::size_t flows() const { return clients_.size(); }
  [[nodiscard]] std::uint64_t dropped() const { return io_.dropped; }
  [[nodiscard]] const WorkerCounters& counters() const { return counters_; }
  [[nodiscard]] const FlowTable& table() const { return table_; }

 private:
  template <class T>
  static T must(lb::Result<T> r) {
    if (!r) die(r.error().message);
    return std::move(*r);
  }

  [[nodiscard]] Client client(std::uint32_t n) const {
    Client c;
    // A bijection of n, so that no two are equal and addresses look like addresses.
    const std::uint32_t mixed = n * 2'654'435'761u;
    c.port = be16::from_host(static_cast<std::uint16_t>(1024 + (mixed >> 16) % 60'000));
    c.address = Address::v4(be32::from_host(0x10000000 + n));
    if (v6_) {
      c.address = *lb::parse_address("2a00:1:2:3::");
      std::memcpy(c.address.bytes.data() + 8, &mixed, 4);
    }
    return c;
  }

  // A burst, and what of it is the other worker's: that comes back out of the ring and is carried in its place.
  void pass(std::span<rte_mbuf* const> frames, lb::PortIndex port) noexcept {
    path_.process(frames, port, *compiled_.snapshot, {now_ns_});
    if (rings_->workers() == 1) return;
    rte_ring* ring = rings_->to_process(0, 1);
    io_.flush(ring);
    std::array<rte_mbuf*, 32> over;
    const unsigned n = rte_ring_sc_dequeue_burst(ring, reinterpret_cast<void**>(over.data()), 32, nullptr);
    if (n > 0) path_.process({over.data(), n}, path_.kHandedOver, *compiled_.snapshot, {now_ns_});
  }

  // Each flow: SYN, SYN-ACK, ACK; checked by the counters, and its backend read off the SYN as it leaves.
  void establish() {
    for (std::size_t at = 0; at < clients_.size(); at += 32) {
      const std::size_t n = std::min<std::size_t>(32, clients_.size() - at);
      const auto leg = [&](lb::Direction d, std::uint8_t flags) {
        for (std::size_t i = 0; i < n; ++i) write(mbufs_[i], clients_[at + i], d, flags, Protocol::kTcp);
        pass({mbufs_.data(), n}, lb::PortIndex{static_cast<std::uint16_t>(d == lb::Direction::kReply)});
      };
      leg(lb::Direction::kForward, lb::kTcpSyn);
      for (std::size_t i = 0; i < n; ++i) clients_[at + i].backend = BenchIo::data(mbufs_[i])[5];
      leg(lb::Direction::kReply, lb::kTcpSyn | lb::kTcpAck);
      leg(lb::Direction::kForward, lb::kTcpAck);
    }
    if (counters_.counted(lb::Event::kFlowConfirmed) != clients_.size() || io_.dropped != 0)
      die("not all flows were confirmed");
  }

  struct Ends {
    Address source, destination;
    be16 source_port, destination_port;
  };
  [[nodiscard]] Ends ends(const Client& c, lb::Direction d, bool translated) const {
    Address vip = *vip_, backend = *backend_base_;
    if (v6_) vip = *vip6_, backend = *backend_base6_;
    backend.bytes[15] = static_cast<std::uint8_t>(c.backend);
    const bool towards_backend = translated == (d == lb::Direction::kForward);
    const Address& service = towards_backend ? backend : vip;
    const be16 port = be16::from_host(towards_backend ? 8080 : 80);
    return d == lb::Direction::kForward ? Ends{c.address, service, c.port, port}
                                        : Ends{service, c.address, port, c.port};
  }

  [[nodiscard]] std::size_t ip_bytes() const { return v6_ ? sizeof(lb::Ipv6Header) : sizeof(lb::Ipv4Header); }
  [[nodiscard]] std::size_t frame_bytes() const { return v6_ ? kFrameBytes6 : kFrameBytes; }

  // What a driver writes into an mbuf as it hands it over.
  void receive(rte_mbuf* m) const noexcept {
    m->data_off = RTE_PKTMBUF_HEADROOM;
    m->refcnt = 1;
    m->nb_segs = 1;
    m->port = 0;
    m->ol_flags = 0;
    m->packet_type = 0;
    m->data_len = static_cast<std::uint16_t>(frame_bytes());
    m->pkt_len = static_cast<std::uint32_t>(frame_bytes());
  }

  // What reading the clock twice costs.
  static double clock_cost() {
    std::array<std::uint64_t, 1001> ticks;
    for (auto& t : ticks) {
      const std::uint64_t begin = rte_rdtsc_precise();
      t = rte_rdtsc_precise() - begin;
    }
    std::ranges::sort(ticks);
    return static_cast<double>(ticks[ticks.size() / 2]);
  }

  void write(rte_mbuf* m, const Client& c, lb::Direction d, std::uint8_t flags, Protocol protocol) const {
    receive(m);
    std::uint8_t* frame = BenchIo::data(m);
    std::memset(frame, 0, frame_bytes());
    const Ends e = ends(c, d, false);
    const bool forward = d == lb::Direction::kForward;
    lb::write_link(frame, forward ? kUplinkMac : kServersMac, forward ? kGatewayMac : backend_mac(c.backend), 0,
                   v6_ ? lb::kEtherIpv6 : lb::kEtherIpv4);
    std::uint8_t* ip = frame + 14;
    const std::size_t l4_bytes = frame_bytes() - 14 - ip_bytes();
    if (v6_) {
      auto* h = reinterpret_cast<lb::Ipv6Header*>(ip);
      *h = {be32::from_host(0x60000000),
            be16::from_host(static_cast<std::uint16_t>(l4_bytes)),
            static_cast<std::uint8_t>(protocol),
            64,
            {},
            {}};
      std::memcpy(h->source, e.source.bytes.data(), 16);
      std::memcpy(h->destination, e.destination.bytes.data(), 16);
    } else {
      auto* h = reinterpret_cast<lb::Ipv4Header*>(ip);
      *h = {0x45,
            0,
            be16::from_host(static_cast<std::uint16_t>(frame_bytes() - 14)),
            {},
            be16::from_host(lb::kIpv4DontFragment),
            64,
            static_cast<std::uint8_t>(protocol),
            {},
            e.source.to_v4(),
            e.destination.to_v4()};
      h->checksum = lb::internet_checksum({ip, sizeof *h});
    }
    std::uint8_t* l4 = ip + ip_bytes();
    be16* checksum = nullptr;
    if (protocol == Protocol::kTcp) {
      auto* h = reinterpret_cast<lb::TcpHeader*>(l4);
      *h = {e.source_port,
            e.destination_port,
            be32::from_host(c.port.host()),
            be32::from_host(1),
            0x50,
            flags,
            be16::from_host(1000),
            {},
            {}};
      checksum = &h->checksum;
    } else {
      auto* h = reinterpret_cast<lb::UdpHeader*>(l4);
      *h = {e.source_port, e.destination_port, be16::from_host(static_cast<std::uint16_t>(l4_bytes)), {}};
      checksum = &h->checksum;
    }
    *checksum = l4_sum(e, protocol, {l4, l4_bytes});
  }

  [[nodiscard]] static be16 l4_sum(const Ends& e, Protocol p, std::span<const std::uint8_t> l4) {
    return lb::pseudo_header_sum(e.source, e.destination, p, static_cast<std::uint32_t>(l4.size())).add(l4).checksum();
  }

  void verify(rte_mbuf* m, const Client& c, lb::Direction d) const {
    const std::uint8_t* frame = BenchIo::data(m);
    const bool forward = d == lb::Direction::kForward;
    const Ends e = ends(c, d, true);
    lb::Link link;
    lb::Packet p;
    const std::span<const std::uint8_t> bytes(frame, m->data_len);
    if (lb::parse_link(bytes, link) || lb::parse_ip(bytes, link, p))
      die("a packet came out broken");  // header checksum too
    const bool right = link.destination == (forward ? backend_mac(c.backend) : kGatewayMac) &&
                       link.source == (forward ? kServersMac : kUplinkMac) && p.source == e.source &&
                       p.destination == e.destination && p.source_port == e.source_port &&
                       p.destination_port == e.destination_port && p.ttl == 63 && m->data_len == frame_bytes() &&
                       l4_sum(e, Protocol::kTcp, bytes.subspan(p.l4_offset)) == be16{};
    if (!right) die("a packet came out wrong");
  }

  std::mt19937_64 random_{42};
  bool v6_;
  std::optional<Address> vip_ = lb::parse_address("203.0.113.10"), vip6_ = lb::parse_address("2001:db8:100::10");
  std::optional<Address> backend_base_ = lb::parse_address("10.0.1.0"), backend_base6_ = lb::parse_address("fd00::100");
  lb::NextHops next_hops_;
  WorkerCounters counters_;
  FlowTable table_;
  RteTables tables_;
  control::Compiled compiled_;
  lb::Owners owners_;
  Steering steering_;
  std::unique_ptr<WorkerRings> rings_;
  BenchIo io_;
  PacketPath<RteTables, BenchIo> path_;
  std::vector<rte_mbuf*> mbufs_;
  std::vector<Client> clients_;
  std::size_t next_ = 0;
  std::uint32_t fresh_ = 100'000'000;
  std::uint64_t now_ns_ = 1'000'000'000;
  std::vector<std::uint64_t> ticks_ = std::vector<std::uint64_t>(kMbufs / 32);
  double clock_ticks_ = clock_cost();
};

rte_mempool* g_pool = nullptr;   // made by main after EAL
std::unique_ptr<World> g_world;  // kept between the repetitions of one benchmark: a million flows take a while

World& world(bool v6, std::uint32_t flows, unsigned workers) {
  static std::tuple<bool, std::uint32_t, unsigned> what;
  if (g_world == nullptr || what != std::tuple(v6, flows, workers)) {
    g_world.reset();
    g_world = std::make_unique<World>(g_pool, v6, flows, workers);
    what = {v6, flows, workers};
  }
  return *g_world;
}

void note(benchmark::State& state, double& total, double seconds_a_packet) {
  state.SetIterationTime(seconds_a_packet * kMbufs);
  total += seconds_a_packet;
}

void report(benchmark::State& state, double total) {
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(kMbufs));
  state.counters["ns_packet"] = total * 1e9 / static_cast<double>(state.iterations());
}

// With two workers every second packet is handed over: its owner is computed, it goes through a ring, and the walk
// begins again in a burst of half the size. All on one core, so without what caches cost each other between two.
void BM_Steady(benchmark::State& state, bool v6, lb::Direction d, unsigned workers = 1) {
  World& w = world(v6, static_cast<std::uint32_t>(state.range(0)), workers);
  for (std::size_t checked = 0; checked < w.flows(); checked += kMbufs) {
    w.prepare(d);
    static_cast<void>(w.process(d));
    w.verify(d);
  }
  double total = 0;
  for (auto _ : state) {
    w.prepare(d);
    note(state, total, w.process(d));
  }
  w.verify(d);
  if (w.dropped() != 0) die("packets were dropped");
  report(state, total);
}

// First packets. The table is cleared whenever the VIP's share of unconfirmed flows (an eighth) is used up, unless
// `flood`: then each new flow overwrites an older one.
void BM_NewFlow(benchmark::State& state, Protocol protocol, bool flood) {
  g_world.reset();
  World w(g_pool, false, 0);
  double total = 0;
  for (auto _ : state) {
    if (!flood && w.table().unconfirmed_count() + kMbufs > kMaxFlows / 8) w.forget_new_flows();
    w.prepare_new(protocol);
    note(state, total, w.process(lb::Direction::kForward));
  }
  if (w.dropped() != 0) die("packets were dropped");
  const auto& c = w.counters();
  state.counters["overwritten"] = benchmark::Counter(static_cast<double>(c.counted(lb::Event::kFlowOverwritten)));
  state.counters["untracked"] = benchmark::Counter(static_cast<double>(c.counted(lb::Event::kUntracked)));
  report(state, total);
}

constexpr auto kForward = lb::Direction::kForward;
constexpr auto kReply = lb::Direction::kReply;
#define WEIR_FLOWS ->Arg(256)->Arg(65'536)->Arg(1'000'000)->UseManualTime()->Unit(benchmark::kMicrosecond)
BENCHMARK_CAPTURE(BM_Steady, dnat4_forward, false, kForward) WEIR_FLOWS;
BENCHMARK_CAPTURE(BM_Steady, dnat4_reply, false, kReply) WEIR_FLOWS;
BENCHMARK_CAPTURE(BM_Steady, dnat6_forward, true, kForward) WEIR_FLOWS;
BENCHMARK_CAPTURE(BM_Steady, dnat6_reply, true, kReply) WEIR_FLOWS;
BENCHMARK_CAPTURE(BM_Steady, dnat4_forward_half_handed_over, false, kForward, 2) WEIR_FLOWS;
BENCHMARK_CAPTURE(BM_NewFlow, udp4_first_packet, Protocol::kUdp, false)->UseManualTime()->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(BM_NewFlow, tcp4_syn, Protocol::kTcp, false)->UseManualTime()->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(BM_NewFlow, tcp4_syn_flood, Protocol::kTcp, true)->UseManualTime()->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace weir::dataplane

int main(int argc, char** argv) {
  using namespace weir::dataplane;
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  const auto eal = weir::bench::start_eal((std::size_t{512} << 20) + kMbufs * 4096);
  g_pool = rte_pktmbuf_pool_create("bench", kMbufs * 2 - 1, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
  if (g_pool == nullptr) die("no mbuf pool: " + weir::dataplane::Eal::take_log());
  benchmark::RunSpecifiedBenchmarks();
  g_world.reset();  // before EAL goes
}
