// What the compile thread pays for ids: one changed endpoint among many, a first load, and the copy we do not make.
#include <benchmark/benchmark.h>

#include "lb/address.h"
#include "lb/id_registry.h"

namespace weir::lb {
namespace {

using Registry = IdRegistry<Address, 20>;

Address key(std::int64_t n) {
  return Address::v4(be32::from_host(static_cast<std::uint32_t>(0x0a000000 + n)));
}

Registry filled(std::int64_t count) {
  Registry r;
  for (std::int64_t n = 0; n < count; ++n) benchmark::DoNotOptimize(r.acquire(key(n)));
  r.commit();
  return r;
}

void BM_FirstLoad(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(filled(state.range(0)).end_of_ids());
}
BENCHMARK(BM_FirstLoad)->Arg(100'000)->Unit(benchmark::kMillisecond);

void BM_OneChange(benchmark::State& state) {
  Registry r = filled(state.range(0));
  std::int64_t n = 0;
  for (auto _ : state) {
    r.retire(key(n));
    benchmark::DoNotOptimize(r.acquire(key(n + state.range(0))));
    r.commit();
    r.collect([](Registry::Id) { return true; });
    ++n;
  }
}
BENCHMARK(BM_OneChange)->Arg(100'000);

void BM_Copy(benchmark::State& state) {
  const Registry r = filled(state.range(0));
  for (auto _ : state) {
    Registry copy = r;
    benchmark::DoNotOptimize(copy.end_of_ids());
  }
}
BENCHMARK(BM_Copy)->Arg(100'000)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace weir::lb

BENCHMARK_MAIN();
