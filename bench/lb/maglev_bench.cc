// Building Maglev tables, and how many of the other members' entries move when one member goes (`moved_others`) or
// one weight is nudged by 1 % (`moved_nudge`), as fractions of the table.
#include <benchmark/benchmark.h>

#include <random>

#include "lb/maglev.h"

namespace weir::lb {
namespace {

std::vector<MaglevMember> members(std::int64_t count, bool mixed) {
  std::mt19937_64 random(1);
  std::vector<MaglevMember> all;
  for (std::int64_t n = 1; n <= count; ++n)
    all.push_back({Address::v4(be32::from_host(static_cast<std::uint32_t>(0x0a000000 + n))), 80,
                   static_cast<std::uint16_t>(mixed ? 1 + random() % 500 : 100)});
  return all;
}

double moved(const MaglevTable& a, const MaglevTable& b, std::uint16_t except) {
  std::size_t n = 0;
  for (std::size_t e = 0; e < a.size(); ++e) n += a.entries()[e] != b.entries()[e] && a.entries()[e] != except;
  return static_cast<double>(n) / a.size();
}

void BM_Build(benchmark::State& state, bool mixed) {
  auto all = members(state.range(0), mixed);
  const auto size = static_cast<std::uint32_t>(state.range(1));
  for (auto _ : state) benchmark::DoNotOptimize(build_maglev(all, size).entries().data());

  const MaglevTable before = build_maglev(all, size);
  const std::size_t concerned = all.size() / 2;
  auto nudged = all;
  nudged[concerned].weight = static_cast<std::uint16_t>(nudged[concerned].weight + nudged[concerned].weight / 100 + 1);
  state.counters["moved_nudge"] = moved(before, build_maglev(nudged, size), kMaxMaglevMembers - 1);
  all[concerned].weight = 0;
  state.counters["moved_others"] = moved(before, build_maglev(all, size), static_cast<std::uint16_t>(concerned));
}
BENCHMARK_CAPTURE(BM_Build, equal, false)
    ->ArgNames({"members", "size"})
    ->ArgsProduct({{10, 100, 1000}, {4099, 65537, 655373}})
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(BM_Build, mixed, true)
    ->ArgNames({"members", "size"})
    ->ArgsProduct({{10, 100, 1000}, {4099, 65537, 655373}})
    ->Unit(benchmark::kMillisecond);

void BM_Lookup(benchmark::State& state) {
  const MaglevTable table = build_maglev(members(100, false), 65537);
  std::uint64_t hash = 1;
  for (auto _ : state) {
    hash = hash * 0x9e3779b97f4a7c15ULL + 1;
    benchmark::DoNotOptimize(table.lookup(hash));
  }
}
BENCHMARK(BM_Lookup);

}  // namespace
}  // namespace weir::lb

BENCHMARK_MAIN();
