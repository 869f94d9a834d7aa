// From a checked model to a snapshot: the first time, again without a change, and with one endpoint changed among
// services x 10. What publishing then costs (table edits by difference) is not in here.
#include <benchmark/benchmark.h>

#include "control/compile.h"

namespace weir::control {
namespace {

config::Model make_model(std::int64_t services, std::int64_t routes) {
  config::Model m;
  m.ports = {{.name = "p0", .device = "net_null0"}};
  m.interfaces = {{.name = "servers", .port = "p0", .addresses = {*lb::parse_prefix("10.0.0.1/8")}}};
  for (std::int64_t r = 0; r < routes; ++r) {
    const auto to = lb::Address::v4(lb::be32::from_host(static_cast<std::uint32_t>(0xac100000 + r * 256)));
    m.routes.push_back({{to, 24}, *lb::parse_address("10.0.0.254"), "servers", {}});
  }
  for (std::int64_t s = 0; s < services; ++s) {
    config::Service one;
    one.name = "service-" + std::to_string(s);
    one.vips = {
        {lb::Address::v4(lb::be32::from_host(static_cast<std::uint32_t>(0xcb000000 + s))), {80, 80, false}, {}}};
    for (std::int64_t b = 0; b < 10; ++b) {
      const auto n = static_cast<std::uint32_t>(0x0a000100 + s * 10 + b);
      one.backends.push_back({lb::Address::v4(lb::be32::from_host(n)), 8080, 1, {}});
      m.neighbors.push_back({one.backends.back().address, {{2, 0, 0, 0, 0, 1}}, "servers", {}});
    }
    m.services.push_back(std::move(one));
  }
  return m;
}

void BM_First(benchmark::State& state) {
  const config::Model m = make_model(state.range(0), state.range(1));
  for (auto _ : state) {
    Compiler compiler({lb::MacAddress{}});
    auto compiled = compiler.compile(m, 1);
    if (!compiled) state.SkipWithError(compiled.error().message.c_str());
    benchmark::DoNotOptimize(compiled);
  }
}

enum class Change { kNone, kOneEndpoint };

void BM_Again(benchmark::State& state, Change change) {
  config::Model m = make_model(state.range(0), state.range(1));
  Compiler compiler({lb::MacAddress{}});
  std::uint64_t generation = 0;
  auto compiled = compiler.compile(m, ++generation);
  std::uint16_t port = 9000;
  for (auto _ : state) {
    if (change == Change::kOneEndpoint) m.services[m.services.size() / 2].backends[3].port = ++port;
    compiled = compiler.compile(m, ++generation);
    if (!compiled) state.SkipWithError(compiled.error().message.c_str());
    state.PauseTiming();
    static_cast<void>(compiler.collect({[](auto) { return 0; }, [](auto) { return 0; }}));
    state.ResumeTiming();
  }
}

// services, static routes
#define WEIR_SIZES \
  ->Args({100, 0})->Args({1000, 0})->Args({10'000, 0})->Args({10'000, 1000})->Unit(benchmark::kMillisecond)
BENCHMARK(BM_First) WEIR_SIZES;
BENCHMARK_CAPTURE(BM_Again, unchanged, Change::kNone) WEIR_SIZES;
BENCHMARK_CAPTURE(BM_Again, one_endpoint, Change::kOneEndpoint) WEIR_SIZES;

}  // namespace
}  // namespace weir::control

BENCHMARK_MAIN();
