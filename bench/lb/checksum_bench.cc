// What a rewrite pays for its checksums, and what it would pay to compute them anew.
#include <benchmark/benchmark.h>

#include <vector>

#include "lb/checksum.h"

namespace weir::lb {
namespace {

void BM_FullSum(benchmark::State& state) {
  std::vector<std::uint8_t> bytes(static_cast<std::size_t>(state.range(0)));
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::uint8_t>(i * 37);
  for (auto _ : state) {
    benchmark::DoNotOptimize(bytes.data());
    benchmark::ClobberMemory();
    benchmark::DoNotOptimize(internet_checksum(bytes).raw());
  }
  state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(BM_FullSum)->Arg(20)->Arg(40)->Arg(64)->Arg(65)->Arg(1500)->Arg(9000);

/// The IPv4 header's update in DNAT: TTL word and destination. Each waits for the one before: latency.
void BM_UpdateIpv4Header(benchmark::State& state) {
  be16 sum = be16::from_host(0xb861);
  be32 to = be32::from_host(0x0a000001);
  for (auto _ : state) {
    benchmark::DoNotOptimize(to);
    sum = ChecksumDelta()
              .change(be16::from_host(0x4006), be16::from_host(0x3f06))
              .change(be32::from_host(0xcb007109), to)
              .apply(sum);
  }
  benchmark::DoNotOptimize(sum.raw());
}
BENCHMARK(BM_UpdateIpv4Header);

/// TCP or UDP in DNAT: destination and port, gathered, applied.
template <bool kUdp, bool kIpv6>
void BM_UpdateL4(benchmark::State& state) {
  be16 sum = be16::from_host(0x1234);
  Address from = *parse_address(kIpv6 ? "2001:db8::10" : "203.0.113.9");
  Address to = *parse_address(kIpv6 ? "fd00::1:5" : "10.0.0.5");
  be16 port = be16::from_host(8080);
  for (auto _ : state) {
    benchmark::DoNotOptimize(to);
    benchmark::DoNotOptimize(port);
    ChecksumDelta delta;
    if constexpr (kIpv6) {
      delta.change(from, to);
    } else {
      delta.change(from.to_v4(), to.to_v4());
    }
    delta.change(be16::from_host(80), port);
    sum = kUdp ? delta.apply_udp(sum) : delta.apply(sum);
  }
  benchmark::DoNotOptimize(sum.raw());
}
BENCHMARK(BM_UpdateL4<false, false>)->Name("BM_UpdateTcp/v4");
BENCHMARK(BM_UpdateL4<true, false>)->Name("BM_UpdateUdp/v4");
BENCHMARK(BM_UpdateL4<false, true>)->Name("BM_UpdateTcp/v6");
BENCHMARK(BM_UpdateL4<true, true>)->Name("BM_UpdateUdp/v6");

}  // namespace
}  // namespace weir::lb

BENCHMARK_MAIN();
