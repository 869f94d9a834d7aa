// Reading and changing a snapshot's array of 64-byte elements.
#include <benchmark/benchmark.h>

#include "lb/chunked.h"

namespace weir::lb {
namespace {

struct Element {
  std::uint64_t words[8] = {};
};

Chunked<Element> filled(std::int64_t count) {
  ChunkedBuilder<Element> builder;
  builder.resize(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < builder.size(); ++i) builder.edit(i).words[0] = i;
  return builder.freeze();
}

void BM_Read(benchmark::State& state) {
  const auto array = filled(state.range(0));
  std::uint64_t i = 0;
  for (auto _ : state) {
    i = (i * 0x9e3779b97f4a7c15ULL + 12345) >> 7;
    benchmark::DoNotOptimize(array[i % static_cast<std::uint64_t>(state.range(0))].words[0]);
  }
}
BENCHMARK(BM_Read)->Arg(1024)->Arg(131'072);

void BM_NextGenerationWithOneChange(benchmark::State& state) {
  auto array = filled(state.range(0));
  std::size_t i = 0;
  for (auto _ : state) {
    ChunkedBuilder<Element> builder(array);
    builder.set(i++ * 977 % array.size(), {});
    array = builder.freeze();
  }
}
BENCHMARK(BM_NextGenerationWithOneChange)->Arg(1024)->Arg(131'072)->Arg(1'000'000)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace weir::lb

BENCHMARK_MAIN();
