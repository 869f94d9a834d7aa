// Conntrack against rte_hash, the baseline: look-ups in bursts of 32 in random order, inserts while the table fills,
// and the expiry scan. rte_hash holds keys of 16 bytes (as a five-tuple for one direction takes, padded) and of 8
// (client, VIP id: what a flow record has), single-threaded, hashed by CRC32, which needs no secret key; a reply
// would need a second entry there. Figures are nanoseconds a flow (`ns_flow`), of the bursts between the quartiles.
#include <benchmark/benchmark.h>
#include <rte_cycles.h>
#include <rte_hash.h>
#include <rte_hash_crc.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <numeric>
#include <random>
#include <vector>

#include "bench/dataplane/bench_eal.h"
#include "dataplane/flow_table.h"

namespace weir::dataplane {
namespace {

using lb::Address;
using lb::be16;
using lb::be32;

constexpr std::size_t kBurst = 32;

[[noreturn]] void die(const char* why) {
  std::fprintf(stderr, "flow_table_bench: %s\n", why);
  std::exit(1);
}

Flow flow(std::uint32_t n, bool v6) {
  Flow f;
  const std::uint32_t mixed = n * 2'654'435'761u;
  f.client = Address::v4(be32::from_host(0x10000000 + n));
  if (v6) {
    f.client = *lb::parse_address("2a00:1:2:3::");
    std::memcpy(f.client.bytes.data() + 8, &mixed, 4);
  }
  f.client_port = be16::from_host(static_cast<std::uint16_t>(1024 + (mixed >> 16) % 60'000));
  f.vip = lb::VipId(1 + n % 16);
  f.endpoint = lb::EndpointId(1 + mixed % 1000);
  f.port = 8080;
  return f;
}

std::vector<std::uint32_t> random_order(std::uint32_t n) {
  std::vector<std::uint32_t> order(n);
  std::iota(order.begin(), order.end(), 0u);
  std::ranges::shuffle(order, std::mt19937_64(1));
  return order;
}

/// Ticks of bursts; the mean of the middle half is what counts.
class Clock {
 public:
  template <class Timed>
  void time(Timed&& timed) {
    const std::uint64_t begin = rte_rdtsc_precise();
    timed();
    ticks_.push_back(rte_rdtsc_precise() - begin);
  }
  /// Seconds for one of `per` things in each burst; forgets the bursts.
  double seconds(double per) {
    std::ranges::sort(ticks_);
    const auto middle = std::span(ticks_).subspan(ticks_.size() / 4, std::max<std::size_t>(1, ticks_.size() / 2));
    const double mean = static_cast<double>(std::accumulate(middle.begin(), middle.end(), std::uint64_t{0})) /
                        static_cast<double>(middle.size());
    ticks_.clear();
    return mean / per / static_cast<double>(rte_get_tsc_hz());
  }

 private:
  std::vector<std::uint64_t> ticks_;
};

constexpr std::uint32_t kRound = 65'536;  // flows of one iteration

void report(benchmark::State& state, double total) {
  state.counters["ns_flow"] = total * 1e9 / static_cast<double>(state.iterations());
}
void note(benchmark::State& state, double& total, double seconds_a_flow) {
  state.SetIterationTime(seconds_a_flow * kRound);
  total += seconds_a_flow;
}

/// Runs `burst(flow numbers)` over kRound flows a time, in random order over all of them.
template <class Burst>
void over_bursts(benchmark::State& state, std::uint32_t flows, Burst&& burst) {
  const auto order = random_order(flows);
  std::size_t at = 0;
  double total = 0;
  Clock clock;
  for (auto _ : state) {
    for (std::uint32_t done = 0; done < kRound; done += kBurst) {
      if (at + kBurst > order.size()) at = 0;
      burst(clock, std::span(order).subspan(at, kBurst));
      at += kBurst;
    }
    note(state, total, clock.seconds(kBurst));
  }
  report(state, total);
}

// ---- Weir's table ----

enum class Side { kForward, kReply };

std::unique_ptr<FlowTable> g_table;
std::pair<std::uint32_t, bool> g_table_is;

/// Filled with `flows` confirmed flows to its capacity, which is a fill of 0.7.
FlowTable& filled_table(std::uint32_t flows, bool v6) {
  if (g_table != nullptr && g_table_is == std::pair(flows, v6)) return *g_table;
  auto t = FlowTable::create({v6 ? 1000 : flows, v6 ? flows : flows / 4}, {1, 2});
  if (!t) die(t.error().message.c_str());
  g_table = std::make_unique<FlowTable>(std::move(*t));
  g_table_is = {flows, v6};
  const auto confirmed = lb::FlowState::from_bits(3);
  for (std::uint32_t n = 0; n < flows; ++n) {
    const Flow f = flow(n, v6);
    if (g_table->insert(f, 0) == FlowTable::Inserted::kNoRoom) continue;
    g_table->touch(g_table->find(g_table->forward(f.client, f.client_port, f.vip, false, {})), confirmed, 0);
  }
  return *g_table;
}

void BM_Find(benchmark::State& state, bool v6, Side side) {
  const auto flows = static_cast<std::uint32_t>(state.range(0));
  const FlowTable& t = filled_table(flows, v6);
  std::uint64_t missed = 0;
  over_bursts(state, flows, [&](Clock& clock, std::span<const std::uint32_t> burst) {
    std::array<Flow, kBurst> wanted;
    for (std::size_t i = 0; i < kBurst; ++i) wanted[i] = flow(burst[i], v6);
    std::array<FlowQuery, kBurst> queries;
    std::array<FlowRef, kBurst> refs;
    clock.time([&] {
      for (std::size_t i = 0; i < kBurst; ++i) {
        const Flow& f = wanted[i];
        queries[i] = side == Side::kForward ? t.forward(f.client, f.client_port, f.vip, false, {})
                                            : t.reply(f.client, f.client_port, f.endpoint, false, {});
      }
      t.find_bulk(queries, refs);
    });
    for (const FlowRef r : refs) missed += !r;
  });
  if (missed * 100 > static_cast<std::uint64_t>(state.iterations()) * kRound)
    die("more than 1 % of the flows were not found");
}

// From empty to `flows`, over and over; each flow is confirmed at once, so that no quota is in the way.
void BM_Insert(benchmark::State& state, bool v6) {
  const auto flows = static_cast<std::uint32_t>(state.range(0));
  g_table.reset();
  filled_table(flows, v6);  // so that memory is there
  FlowTable& t = *g_table;
  const auto clear = [&] {
    static_cast<void>(t.scan(static_cast<std::uint32_t>(t.lines()), 0, {}, [](lb::VipId) { return false; }));
  };
  clear();
  const auto confirmed = lb::FlowState::from_bits(3);
  std::uint32_t held = 0;
  over_bursts(state, flows, [&](Clock& clock, std::span<const std::uint32_t> burst) {
    if (held + kBurst > flows) clear(), held = 0;
    std::array<Flow, kBurst> fresh;
    for (std::size_t i = 0; i < kBurst; ++i) fresh[i] = flow(burst[i], v6), fresh[i].state = confirmed;
    clock.time([&] {
      for (const Flow& f : fresh) benchmark::DoNotOptimize(t.insert(f, 0));
    });
    held += kBurst;
  });
  g_table.reset();
}

// Nothing is over: what a worker pays in each loop. Per line, not per flow.
void BM_Scan(benchmark::State& state) {
  FlowTable& t = filled_table(static_cast<std::uint32_t>(state.range(0)), false);
  double total = 0;
  Clock clock;
  for (auto _ : state) {
    for (int i = 0; i < 1000; ++i)
      clock.time([&] { benchmark::DoNotOptimize(t.scan(4, 0, {}, [](lb::VipId) { return true; })); });
    note(state, total, clock.seconds(4));
  }
  state.counters["ns_line"] = total * 1e9 / static_cast<double>(state.iterations());
}

// ---- rte_hash ----

template <std::size_t kBytes>
struct Key {
  std::uint8_t bytes[kBytes] = {};
};

template <std::size_t kBytes>
Key<kBytes> key(std::uint32_t n) {
  const Flow f = flow(n, false);
  Key<kBytes> k;
  std::memcpy(k.bytes, f.client.bytes.data() + 12, 4);
  std::memcpy(k.bytes + 4, &f.client_port, 2);
  std::memcpy(k.bytes + 6, &f.vip, 2);
  return k;
}

template <std::size_t kBytes>
struct RteHash {
  explicit RteHash(std::uint32_t flows) {
    rte_hash_parameters p{};
    p.name = "bench";
    p.entries = flows + flows / 8;  // rte_hash promises no room for the last of them
    p.key_len = kBytes;
    p.hash_func = rte_hash_crc;
    p.socket_id = SOCKET_ID_ANY;
    table = rte_hash_create(&p);
    if (table == nullptr) die("no memory for rte_hash");
  }
  ~RteHash() { rte_hash_free(table); }
  RteHash(const RteHash&) = delete;
  RteHash& operator=(const RteHash&) = delete;
  rte_hash* table;
};

template <std::size_t kBytes>
void BM_RteHashFind(benchmark::State& state) {
  g_table.reset();
  const auto flows = static_cast<std::uint32_t>(state.range(0));
  RteHash<kBytes> hash(flows);
  for (std::uint32_t n = 0; n < flows; ++n) {
    const auto k = key<kBytes>(n);
    if (rte_hash_add_key_data(hash.table, &k, reinterpret_cast<void*>(std::uintptr_t{n})) != 0) die("rte_hash is full");
  }
  std::uint64_t missed = 0;
  over_bursts(state, flows, [&](Clock& clock, std::span<const std::uint32_t> burst) {
    std::array<Key<kBytes>, kBurst> keys;
    std::array<const void*, kBurst> pointers;
    std::array<void*, kBurst> data;
    for (std::size_t i = 0; i < kBurst; ++i) keys[i] = key<kBytes>(burst[i]), pointers[i] = &keys[i];
    std::uint64_t hits = 0;
    clock.time([&] { rte_hash_lookup_bulk_data(hash.table, pointers.data(), kBurst, &hits, data.data()); });
    missed += hits != 0xffffffff;
  });
  if (missed != 0) die("rte_hash misses");
}

template <std::size_t kBytes>
void BM_RteHashInsert(benchmark::State& state) {
  g_table.reset();
  const auto flows = static_cast<std::uint32_t>(state.range(0));
  RteHash<kBytes> hash(flows);
  std::uint32_t held = 0;
  over_bursts(state, flows, [&](Clock& clock, std::span<const std::uint32_t> burst) {
    if (held + kBurst > flows) rte_hash_reset(hash.table), held = 0;
    std::array<Key<kBytes>, kBurst> keys;
    for (std::size_t i = 0; i < kBurst; ++i) keys[i] = key<kBytes>(burst[i]);
    clock.time([&] {
      for (const auto& k : keys) benchmark::DoNotOptimize(rte_hash_add_key_data(hash.table, &k, nullptr));
    });
    held += kBurst;
  });
}

#define WEIR_FLOWS ->Arg(65'536)->Arg(1'000'000)->Arg(10'000'000)->UseManualTime()->Unit(benchmark::kMicrosecond)
BENCHMARK_CAPTURE(BM_Find, ipv4_forward, false, Side::kForward) WEIR_FLOWS;
BENCHMARK_CAPTURE(BM_Find, ipv4_reply, false, Side::kReply) WEIR_FLOWS;
BENCHMARK_CAPTURE(BM_Find, ipv6_forward, true, Side::kForward)
    ->Arg(65'536)
    ->Arg(1'000'000)
    ->UseManualTime()
    ->Unit(benchmark::kMicrosecond);
BENCHMARK(BM_RteHashFind<16>) WEIR_FLOWS;
BENCHMARK(BM_RteHashFind<8>) WEIR_FLOWS;
BENCHMARK_CAPTURE(BM_Insert, ipv4, false) WEIR_FLOWS;
BENCHMARK_CAPTURE(BM_Insert, ipv6, true)->Arg(65'536)->Arg(1'000'000)->UseManualTime()->Unit(benchmark::kMicrosecond);
BENCHMARK(BM_RteHashInsert<16>) WEIR_FLOWS;
BENCHMARK(BM_RteHashInsert<8>) WEIR_FLOWS;
BENCHMARK(BM_Scan) WEIR_FLOWS;

}  // namespace
}  // namespace weir::dataplane

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  const auto eal = weir::bench::start_eal(std::size_t{2048} << 20);  // rte_hash of 10 M keys: 1.4 GiB
  benchmark::RunSpecifiedBenchmarks();
  weir::dataplane::g_table.reset();
}
