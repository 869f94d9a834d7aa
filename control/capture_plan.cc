#include "control/capture_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <vector>

#include "config/suggest.h"
#include "control/table.h"

namespace weir::control {

namespace {

constexpr std::array<std::string_view, dataplane::kCapturePoints> kPoints{"rx", "tx", "drop"};  // as CapturePoint
constexpr unsigned kDropBit = 1u << static_cast<unsigned>(dataplane::CapturePoint::kDrop);

lb::Result<unsigned> points(std::string_view text) {
  unsigned bits = 0;
  while (!text.empty()) {
    const std::string_view word = text.substr(0, text.find(','));
    const auto point = std::ranges::find(kPoints, word);
    if (point == kPoints.end())
      return lb::fail(fmt::format("there is no point \"{}\" to capture at; there are rx, tx and drop{}",
                                  printable(word), config::did_you_mean(word, kPoints)));
    bits |= 1u << (point - kPoints.begin());
    text.remove_prefix(std::min(text.size(), word.size() + 1));
  }
  if (bits == 0) return lb::fail("points names none; write rx, tx, drop or some of them, with commas between");
  return bits;
}

lb::Result<lb::DropReason> reason(std::string_view name) {
  std::vector<std::string_view> names;
  for (const auto& r : lb::kDropReasons) names.push_back(r.name);
  const auto found = std::ranges::find(names, name);
  if (found != names.end()) return lb::DropReason(static_cast<std::uint8_t>(found - names.begin()));
  return lb::fail(fmt::format("there is no drop reason \"{}\"; `weir show drops` lists them{}", printable(name),
                              config::did_you_mean(name, names)));
}

lb::Result<dataplane::CaptureRequest::Interface> interface(std::string_view name, const config::Model& m) {
  std::vector<std::string_view> names;
  const auto port_index = [&](std::string_view port) {
    const auto at = std::ranges::find(m.ports, port, &config::Port::name);
    return lb::PortIndex(static_cast<std::uint16_t>(at - m.ports.begin()));
  };
  for (const config::Interface& i : m.interfaces) {
    if (i.name == name) return dataplane::CaptureRequest::Interface{port_index(i.port), i.vlan};
    names.push_back(i.name);
  }
  for (const config::Port& p : m.ports) {
    if (p.name == name) return dataplane::CaptureRequest::Interface{port_index(p.name), {}};
    names.push_back(p.name);
  }
  return lb::fail(fmt::format("there is no interface or port \"{}\"; there are {}{}", printable(name),
                              fmt::join(names, ", "), config::did_you_mean(name, names)));
}

lb::Result<std::uint64_t> number(std::string_view key, std::string_view text, std::uint64_t most) {
  std::uint64_t n = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (error != std::errc{} || end != text.data() + text.size() || n == 0 || n > most)
    return lb::fail(fmt::format("{} \"{}\" is no number from 1 to {}", key, printable(text), most));
  return n;
}

// A key of the query, read by `read` and handed to `set`; absent: nothing.
template <class Read, class Set>
lb::Result<void> take(const Query& query, std::string_view key, Read&& read, Set&& set) {
  const auto it = query.find(key);
  if (it == query.end()) return {};
  auto value = read(std::string_view(it->second));
  if (!value) return std::unexpected(value.error());
  set(*value);
  return {};
}

}  // namespace

lb::Result<CapturePlan> capture_plan(const Query& query, std::string_view filter, const config::Model& m) {
  CapturePlan plan;
  dataplane::CaptureRequest& r = plan.request;
  const auto up_to = [](std::string_view key, std::uint64_t most) {
    return [key, most](std::string_view text) { return number(key, text, most); };
  };
  if (query.contains("reason")) r.points = kDropBit;
  for (const lb::Result<void>& done : {
           take(query, "points", points, [&](unsigned bits) { r.points = bits; }),
           take(query, "reason", reason, [&](lb::DropReason why) { r.reason = why; }),
           take(
               query, "interface", [&](std::string_view name) { return interface(name, m); },
               [&](const auto& only) { r.only = only; }),
           take(query, "snaplen", up_to("snaplen", r.snap_length),
                [&](std::uint64_t n) { r.snap_length = static_cast<std::uint32_t>(n); }),
           take(query, "rate", up_to("rate", 10'000'000), [&](std::uint64_t n) { r.frames_per_second = n; }),
           take(query, "count", up_to("count", 1'000'000'000'000), [&](std::uint64_t n) { plan.count = n; }),
           take(query, "seconds", up_to("seconds", 604'800),
                [&](std::uint64_t n) { plan.duration = std::chrono::seconds(n); }),
       })
    if (!done) return std::unexpected(done.error());
  if (r.reason && (r.points & kDropBit) == 0) return lb::fail("a drop reason is wanted, and points leave drop out");

  auto instructions = lb::parse_bpf(filter);
  if (!instructions) return std::unexpected(instructions.error());
  auto program = lb::BpfProgram::create(std::move(*instructions));
  if (!program) return std::unexpected(program.error());
  r.filter = std::move(*program);
  return plan;
}

}  // namespace weir::control
