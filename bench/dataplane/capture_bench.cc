// What a capture costs a worker, a packet: bursts of 32 go through MbufIo as in a worker's loop, from "received" to a
// port that frees them (net_null), nothing in between.
//
//   bare        the same without the places where a capture would look: the floor
//   none        no capture: what every packet pays
//   no_match    one whose filter (tcp port 81 and host 192.0.2.8) matches nothing, at rx and tx
//   all         everything, at rx and tx: two copies of 60 bytes each; no rate
//   all_cut     the same, of 1,514 bytes, of which 96 are kept
//   sampled     everything, over the rate: what a capture costs at full load
//
// The clock is the TSC around each burst; ns_packet is the mean between the quartiles (as in packet_path_bench.cc).
#include <benchmark/benchmark.h>
#include <rte_cycles.h>
#include <rte_mbuf.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>
#include <memory>
#include <numeric>
#include <vector>

#include "bench/dataplane/bench_eal.h"
#include "dataplane/capture.h"
#include "dataplane/mbuf_io.h"
#include "dataplane/port.h"

namespace weir::dataplane {
namespace {

constexpr std::size_t kBursts = 256;
constexpr std::size_t kBurst = 32;
rte_mempool* g_pool = nullptr;
std::uint16_t g_port = 0;

[[noreturn]] void die(const std::string& why) {
  std::fprintf(stderr, "capture_bench: %s\n", why.c_str());
  std::exit(1);
}

template <class T>
T must(lb::Result<T> r) {
  if (!r) die(r.error().message);
  return std::move(*r);
}

/// A SYN of 192.0.2.7 to 203.0.113.10:80, with `length` bytes in all.
void fill(rte_mbuf* m, std::uint16_t length) {
  static constexpr std::uint8_t kFrame[] = {
      2, 0, 0, 0,   1, 0,   2,  0,    0,    0, 2,  2, 8, 0, 0x45, 0, 0, 46, 0, 0,    0x40, 0,    64,   6, 0, 0, 192,
      0, 2, 7, 203, 0, 113, 10, 0x9c, 0x40, 0, 80, 0, 0, 0, 1,    0, 0, 0,  0, 0x50, 2,    0xff, 0xff, 0, 0, 0, 0};
  m->data_len = length;
  m->pkt_len = length;
  std::memcpy(rte_pktmbuf_mtod(m, void*), kFrame, sizeof kFrame);
}

/// pcap_compile's, of "tcp port 81 and host 192.0.2.8", for IPv4.
lb::BpfProgram no_match() {
  return must(lb::BpfProgram::create({{0x28, 0, 0, 12},
                                      {0x15, 0, 14, 0x0800},
                                      {0x30, 0, 0, 23},
                                      {0x15, 0, 12, 6},
                                      {0x28, 0, 0, 20},
                                      {0x45, 10, 0, 0x1fff},
                                      {0xb1, 0, 0, 14},
                                      {0x48, 0, 0, 14},
                                      {0x15, 2, 0, 81},
                                      {0x48, 0, 0, 16},
                                      {0x15, 0, 5, 81},
                                      {0x20, 0, 0, 26},
                                      {0x15, 2, 0, 0xc0000208},
                                      {0x20, 0, 0, 30},
                                      {0x15, 0, 1, 0xc0000208},
                                      {0x06, 0, 0, 262144},
                                      {0x06, 0, 0, 0}}));
}

struct Bare {
  void burst(std::span<rte_mbuf*> frames) noexcept {
    for (rte_mbuf* f : frames) waiting[count++] = f;
    const std::uint16_t sent = rte_eth_tx_burst(g_port, 0, waiting.data(), count);
    for (std::uint16_t i = sent; i < count; ++i) rte_pktmbuf_free(waiting[i]);
    count = 0;
  }
  std::array<rte_mbuf*, kBurst> waiting{};
  std::uint16_t count = 0;
};

void measure(benchmark::State& state, std::uint16_t length, auto&& burst, auto&& after) {
  std::array<std::uint64_t, kBursts> ticks;
  double total = 0;
  for (auto _ : state) {
    for (std::uint64_t& t : ticks) {
      std::array<rte_mbuf*, kBurst> frames;
      if (rte_pktmbuf_alloc_bulk(g_pool, frames.data(), kBurst) != 0) die("not enough mbufs");
      for (rte_mbuf* m : frames) fill(m, length);
      const std::uint64_t begin = rte_rdtsc_precise();
      burst(std::span<rte_mbuf*>(frames));
      t = rte_rdtsc_precise() - begin;
    }
    after();
    std::ranges::sort(ticks);
    const auto middle = std::span(ticks).subspan(kBursts / 4, kBursts / 2);
    const double seconds = static_cast<double>(std::accumulate(middle.begin(), middle.end(), std::uint64_t{0})) /
                           static_cast<double>(middle.size() * kBurst) / static_cast<double>(rte_get_tsc_hz());
    state.SetIterationTime(seconds * kBursts * kBurst);
    total += seconds;
  }
  state.counters["ns_packet"] = benchmark::Counter(total * 1e9, benchmark::Counter::kAvgIterations);
}

void BM_Bare(benchmark::State& state) {
  Bare bare;
  measure(state, 60, [&](std::span<rte_mbuf*> frames) { bare.burst(frames); }, [] {});
}

void BM_Io(benchmark::State& state, bool captures, const CaptureRequest& request, std::uint16_t length) {
  auto counters = must(WorkerCounters::create());
  MbufIo io({{g_port, 0}}, counters);
  const auto lane = must(CaptureLane::create(request, 1, std::size_t{64} << 20));
  if (captures) io.tap().attach(lane.get());
  std::uint64_t now_ns = 1'000'000'000, captured = 0;
  measure(
      state, length,
      [&](std::span<rte_mbuf*> frames) {
        io.begin_loop(now_ns);
        io.received(frames, lb::PortIndex{});
        for (rte_mbuf* f : frames) io.transmit(lb::PortIndex{}, f);
        io.flush();
      },
      [&] {
        now_ns += 1000;
        captured += lane->ring().pop(~std::size_t{0}, [](const CapturedFrame&, std::span<const std::uint8_t>) {});
      });
  state.counters["captured_share"] = benchmark::Counter(static_cast<double>(captured) /
                                                        static_cast<double>(state.iterations() * kBursts * kBurst * 2));
}

const CaptureRequest kNothing{.filter = no_match(), .points = 0b011};
const CaptureRequest kAll{.points = 0b011, .frames_per_second = 4'000'000'000};
const CaptureRequest kCut{.snap_length = 96, .points = 0b011, .frames_per_second = 4'000'000'000};
const CaptureRequest kSampled{.points = 0b011, .frames_per_second = 1};
BENCHMARK(BM_Bare)->UseManualTime();
BENCHMARK_CAPTURE(BM_Io, none, false, kAll, std::uint16_t{60})->UseManualTime();
BENCHMARK_CAPTURE(BM_Io, no_match, true, kNothing, std::uint16_t{60})->UseManualTime();
BENCHMARK_CAPTURE(BM_Io, all, true, kAll, std::uint16_t{60})->UseManualTime();
BENCHMARK_CAPTURE(BM_Io, all_cut, true, kCut, std::uint16_t{1514})->UseManualTime();
BENCHMARK_CAPTURE(BM_Io, sampled, true, kSampled, std::uint16_t{60})->UseManualTime();

}  // namespace
}  // namespace weir::dataplane

int main(int argc, char** argv) {
  using namespace weir::dataplane;
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  const auto eal = weir::bench::start_eal(std::size_t{128} << 20);
  const Mempool pool = must(create_mempool(4096, 2304, SOCKET_ID_ANY));
  g_pool = pool.get();
  Port port = must(Port::open({.name = "p0", .device = "net_null0"}, g_pool));
  if (const auto started = port.start(weir::lb::Owners(1, weir::lb::kPublicHashKey), {{0}}); !started) die(started.error().message);
  g_port = port.id();
  benchmark::RunSpecifiedBenchmarks();
}
