// Loading a large file: services with 10 backends each, from text to checked model. Budget: 10,000 services in under
// 1.5 s (design, budgets).
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include "config/load.h"

namespace weir::config {
namespace {

std::string file_with(int services) {
  std::string text =
      "hash_key: \"00112233445566778899aabbccddeeff\"\n"
      "ports: [{name: p0, device: net_null0}]\n"
      "interfaces: [{name: lan, port: p0, addresses: [192.0.2.1/24]}]\n"
      "neighbors: [{address: 192.0.2.2, mac: \"02:00:00:00:00:02\"}]\n"
      "routes: [{to: 0.0.0.0/0, via: 192.0.2.2}]\n"
      "services:\n";
  for (int s = 0; s < services; ++s) {
    text += fmt::format("  - name: service-{}\n    vips:\n      - {{address: 203.0.{}.{}, port: 443}}\n", s, s / 250,
                        s % 250 + 1);
    text += "    protocol: tcp\n    backends:\n";
    for (int b = 0; b < 10; ++b)
      text += fmt::format("      - {{address: 10.{}.{}.{}, port: 8443, weight: 10}}\n", b, s / 250, s % 250 + 1);
  }
  return text;
}

void BM_Load(benchmark::State& state) {
  const std::string text = file_with(static_cast<int>(state.range(0)));
  for (auto _ : state) {
    const auto loaded = load_text(text, "weir.yaml");
    if (!loaded || loaded->model.services.size() != static_cast<std::size_t>(state.range(0))) {
      state.SkipWithError("the file was refused");
      break;
    }
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(text.size()));
}
BENCHMARK(BM_Load)->Arg(100)->Arg(1000)->Arg(10000)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace weir::config

BENCHMARK_MAIN();
