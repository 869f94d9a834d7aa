#include "tests/cases/case.h"

#include <algorithm>
#include <stdexcept>

namespace weir::test {

namespace {

Step& last(std::vector<Step>& steps) {
  if (steps.empty() || !steps.back().in) throw std::logic_error("a case says what comes of a frame before the frame");
  return steps.back();
}

}  // namespace

Case& Case::in(Bytes bytes) {
  steps_.push_back({.in = std::move(bytes)});
  return *this;
}
Case& Case::out(Bytes bytes) {
  last(steps_).out.push_back(std::move(bytes));
  return *this;
}
Case& Case::punts(std::vector<lb::Event> events) {
  last(steps_).punt = last(steps_).in;
  return counts(std::move(events));
}
Case& Case::punts(const Packet& as, std::vector<lb::Event> events) {
  last(steps_).punt = as.bytes();
  return counts(std::move(events));
}
Case& Case::drops(lb::DropReason reason) {
  last(steps_).drop = reason;
  return *this;
}
Case& Case::counts(std::vector<lb::Event> events) {
  last(steps_).events = std::move(events);
  return *this;
}
Case& Case::times(unsigned n) {
  last(steps_).times = n;
  return *this;
}
Case& Case::passes(std::chrono::seconds time) {
  mixes_ = false;
  steps_.push_back({.passes = time});
  return *this;
}
Case& Case::alone() {
  mixes_ = false;
  return *this;
}

Script mixed(const Group& group) {
  Script script;
  script.drops.resize(lb::kDropReasons.size());
  for (const Case& c : group.cases) {
    if (!c.mixes()) continue;
    for (const Step& s : c.steps()) {
      for (unsigned n = 0; n < s.times; ++n) {
        script.in.push_back(*s.in);
        script.out.insert(script.out.end(), s.out.begin(), s.out.end());
        if (s.punt) script.punted.push_back(*s.punt);
        if (s.drop) ++script.drops[static_cast<std::size_t>(*s.drop)];
      }
    }
  }
  return script;
}

void expect_frames(const std::vector<Bytes>& expected, const std::vector<Bytes>& got) {
  for (std::size_t i = 0; i < std::min(expected.size(), got.size()); ++i)
    if (const auto same = same_packet(expected[i], got[i]); !same) {
      ADD_FAILURE() << "frame " << i << " of " << expected.size() << ": " << same.message();
      return;
    }
  if (expected.size() > got.size()) ADD_FAILURE() << "missing: " << dump(expected[got.size()]);
  if (got.size() > expected.size()) ADD_FAILURE() << "too many: " << dump(got[expected.size()]);
}

std::string whole_yaml(const Group& group, const std::string& device, const std::string& directory) {
  return "workers: 1\n"
         "memory: {huge_pages: never, mbufs: 4096, mbuf_bytes: 2304}\n"
         "control: {socket: \"" +
         directory + "/weir.sock\", state_dir: \"" + directory +
         "\"}\n"
         "ports: [{name: p0, device: \"" +
         device + "\"}]\n" + group.yaml;
}

std::uint16_t fresh_port() {
  static std::uint16_t last_port = 20'000;
  return ++last_port;
}

}  // namespace weir::test
