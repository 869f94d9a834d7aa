// Writes seeds for parse_fuzz and path_fuzz from the packet cases: make_seeds tests/fuzz/corpus. What the fuzzers have
// grown out of them lies beside; `-merge=1` keeps what adds coverage.
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <set>

#include "tests/cases/lab.h"
#include "tests/fuzz/path_input.h"

namespace {

void write(const std::filesystem::path& path, const std::vector<std::uint8_t>& bytes) {
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
}

}  // namespace

int main(int argc, char** argv) {
  using namespace weir::test;
  if (argc != 2) return std::fprintf(stderr, "usage: make_seeds FOLDER\n"), 2;
  const std::filesystem::path folder = argv[1];
  std::filesystem::create_directories(folder / "parse");
  std::filesystem::create_directories(folder / "path");
  std::set<Bytes> seen;
  int number = 0;
  for (const auto cases : {dnat_cases, service_cases, link_cases, ipv4_cases, ipv6_cases, transport_cases, flow_cases,
                           answer_cases, refuse_cases}) {
    for (const Case& c : cases()) {
      std::vector<std::uint8_t> input;
      for (const Step& s : c.steps()) {
        if (!s.in || s.in->size() > 300) continue;
        if (seen.insert(*s.in).second) write(folder / "parse" / ("case-" + std::to_string(number++)), *s.in);
        append(input, kEndsBurst, *s.in);
      }
      if (!input.empty() && input.size() < 1500) write(folder / "path" / ("case-" + std::to_string(number++)), input);
    }
  }
  std::printf("%d seeds\n", number);
}
