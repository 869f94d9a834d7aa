// The packet path in the hand of a test: a group's configuration compiled once, and a path of its own for each case,
// on either kind of tables and frames. What goes in comes out as bytes; time is a number.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <deque>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "config/load.h"
#include "control/compile.h"
#include "dataplane/memory_io.h"
#include "dataplane/packet_path.h"
#include "tests/cases/case.h"

namespace weir::test {

/// A configuration, compiled. Const for all who use it.
class Compiled {
 public:
  explicit Compiled(const std::string& yaml, const control::Overlay& overlay = {}) {
    auto loaded = config::load_text(yaml, "weir.yaml");
    if (!loaded) {
      for (const auto& error : loaded.error().errors) ADD_FAILURE() << config::format("weir.yaml", error);
      throw std::runtime_error("the case table's weir.yaml is refused");
    }
    model_ = std::move(loaded->model);
    control::Compiler compiler({lb::MacAddress{{2, 0, 0, 0, 0xff, 1}}});
    auto compiled = compiler.compile(model_, 1, overlay);
    if (!compiled) throw std::runtime_error(compiled.error().message);
    compiled_ = std::move(*compiled);
    std::size_t most = 0;
    for (const auto& [id, word] : compiled_.next_hops) most = std::max(most, index(id) + std::size_t{1});
    next_hops_ = std::make_unique<lb::NextHops>(most);
    for (const auto& [id, word] : compiled_.next_hops) next_hops_->set(id, word);
  }

  [[nodiscard]] const config::Model& model() const noexcept { return model_; }
  [[nodiscard]] const lb::Snapshot& snapshot() const noexcept { return *compiled_.snapshot; }
  [[nodiscard]] const lb::TableContents& contents() const noexcept { return compiled_.contents; }
  [[nodiscard]] const lb::NextHops& next_hops() const noexcept { return *next_hops_; }

 private:
  config::Model model_;
  control::Compiled compiled_;
  std::unique_ptr<lb::NextHops> next_hops_;
};

inline const Compiled& compiled(const Group& group) {
  static std::vector<std::pair<std::string, std::unique_ptr<Compiled>>> all;
  for (const auto& [name, c] : all)
    if (name == group.name) return *c;
  all.emplace_back(group.name, std::make_unique<Compiled>(whole_yaml(group, "net_null0", "/tmp/weir-cases")));
  return *all.back().second;
}

/// A worker's state, fresh.
struct WorkerState {
  explicit WorkerState(const Compiled& c)
      : counters(value(dataplane::WorkerCounters::create())),
        flows(value(dataplane::FlowTable::create({c.model().conntrack.capacity, c.model().conntrack.wide_capacity},
                                                 {0x5eed, 0xfeed}))) {}

  template <class T>
  static T value(lb::Result<T> result) {
    if (!result) throw std::runtime_error(result.error().message);
    return std::move(*result);
  }

  dataplane::WorkerCounters counters;
  dataplane::FlowTable flows;
};

/// Plain tables, frames in memory.
class PlainRig {
 public:
  explicit PlainRig(const Compiled& c)
      : compiled_(c),
        state_(c),
        tables_(c.contents()),
        io_(state_.counters),
        path_(tables_, io_, state_.flows, state_.counters, c.next_hops()) {}

  /// One burst through the path, as one loop of a worker; what is sent, in order.
  std::vector<Bytes> process(std::span<const Bytes> frames, std::uint64_t now_ns) {
    std::vector<dataplane::MemoryFrame*> burst;
    for (const Bytes& frame : frames) burst.push_back(&frames_.emplace_back(frame));
    path_.process(burst, lb::PortIndex{}, compiled_.snapshot(), {now_ns});
    path_.tend_held(compiled_.snapshot(), {now_ns});
    std::vector<Bytes> sent;
    for (const auto& s : io_.sent) sent.push_back(bytes_of(s.frame));
    punted_.clear();
    for (const auto& p : io_.punted) punted_.push_back(bytes_of(p.frame));
    io_.sent.clear();
    io_.punted.clear();
    if (counters().held.get() == 0) frames_.clear();
    return sent;
  }
  /// What the last burst gave to the kernel.
  [[nodiscard]] const std::vector<Bytes>& punted() const noexcept { return punted_; }
  [[nodiscard]] const dataplane::WorkerCounters& counters() const noexcept { return state_.counters; }

 private:
  static Bytes bytes_of(const dataplane::MemoryFrame* f) { return {f->bytes().begin(), f->bytes().end()}; }

  const Compiled& compiled_;
  WorkerState state_;
  lb::PlainTables tables_;
  std::deque<dataplane::MemoryFrame> frames_;  // of this burst, and those that the path holds
  std::vector<Bytes> punted_;
  dataplane::MemoryIo io_;
  dataplane::PacketPath<lb::PlainTables, dataplane::MemoryIo> path_;
};

// ---- what a path has counted, and what a step adds to it ----

struct Counts {
  std::vector<std::uint64_t> drops, events;
  std::uint64_t received = 0, generated = 0, sent = 0;

  explicit Counts(const dataplane::WorkerCounters& c)
      : received(c.received.get()), generated(c.generated.get()), sent(c.sent.get()) {
    for (std::size_t i = 0; i < lb::kDropReasons.size(); ++i) drops.push_back(c.dropped(lb::DropReason(i)));
    for (std::size_t i = 0; i < lb::kEvents.size(); ++i) events.push_back(c.counted(lb::Event(i)));
  }
  [[nodiscard]] std::uint64_t dropped() const {
    std::uint64_t sum = 0;
    for (const std::uint64_t d : drops) sum += d;
    return sum;
  }
};

/// received + injected + generated = sent + dropped + punted + held.
inline ::testing::AssertionResult conserves(const dataplane::WorkerCounters& counters) {
  const Counts c(counters);
  const std::uint64_t injected = counters.injected.get(), punted = counters.punted.get(), held = counters.held.get();
  if (c.received + injected + c.generated == c.sent + c.dropped() + punted + held) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << fmt::format(
             "{} received + {} injected + {} generated, but {} sent + {} dropped + {} punted + {} held", c.received,
             injected, c.generated, c.sent, c.dropped(), punted, held);
}

/// "ip_ttl 1, no_vip 2": what rose between two readings.
inline std::string risen(const std::vector<std::uint64_t>& before, const std::vector<std::uint64_t>& after,
                         const auto& names) {
  std::string text;
  for (std::size_t i = 0; i < names.size(); ++i)
    if (after[i] != before[i])
      text += fmt::format("{}{} {}", text.empty() ? "" : ", ", names[i].name, after[i] - before[i]);
  return text.empty() ? "none" : text;
}

inline std::string expected_drops(const Step& s) {
  return s.drop ? fmt::format("{} 1", lb::name(*s.drop)) : "none";
}
inline std::string expected_events(const Step& s) {
  std::vector<std::uint64_t> none(lb::kEvents.size()), some(lb::kEvents.size());
  for (const lb::Event e : *s.events) ++some[static_cast<std::size_t>(e)];
  return risen(none, some, lb::kEvents);
}

inline constexpr std::uint64_t kSecond = 1'000'000'000;

/// Takes the case through `rig` frame by frame, checking all that it says. Stops at the first step that fails.
template <class Rig>
void run_case(const Case& c, Rig& rig, std::uint64_t& now_ns) {
  SCOPED_TRACE(c.says());
  for (std::size_t i = 0; i < c.steps().size(); ++i) {
    const Step& s = c.steps()[i];
    now_ns += static_cast<std::uint64_t>(s.passes.count()) * kSecond;
    for (unsigned n = 0; s.in && n < s.times; ++n) {
      const Counts before(rig.counters());
      const std::vector<Bytes> sent = rig.process({&*s.in, 1}, now_ns);
      const Counts after(rig.counters());
      expect_frames(s.out, sent);
      expect_frames(s.punt ? std::vector<Bytes>{*s.punt} : std::vector<Bytes>{}, rig.punted());
      EXPECT_EQ(risen(before.drops, after.drops, lb::kDropReasons), expected_drops(s)) << "drops";
      if (s.events) {
        EXPECT_EQ(risen(before.events, after.events, lb::kEvents), expected_events(s)) << "events";
      }
      EXPECT_TRUE(conserves(rig.counters()));
      if (::testing::Test::HasFailure()) {
        ADD_FAILURE() << fmt::format("at step {}, time {}, in: {}", i + 1, n + 1, dump(*s.in));
        return;
      }
    }
  }
}

}  // namespace weir::test
