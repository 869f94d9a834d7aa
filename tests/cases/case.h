// Packet cases: what Weir must do, as sentences with packets in and packets out. One table, run by several tiers:
//   tests/dataplane/path_test.cc   the packet path on plain tables and on the workers' own, frames in memory and mbufs
//   tests/pcap/                    the whole program between two pcap files
//
// A case is a sentence and steps. A step brings one frame (or lets time pass) and says everything that comes of it:
// the frames sent, exact to the byte and in order, and the drop reason. Frames come from tests/support/packet.h, which
// shares no code with Weir; where bytes follow a rule of Weir's (a RST, an error), the case writes them out.
//
// Cases of a group share one weir.yaml (lab.h) and, in the pcap tier, one running Weir: each uses client ports of its
// own (fresh_port()), so that none meets another's flow. Every frame comes in and leaves by the one port, p0.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lb/drop_reason.h"
#include "tests/support/packet.h"

namespace weir::test {

struct Step {
  std::optional<Bytes> in;  // none: `passes` of time
  std::chrono::seconds passes{};
  unsigned times = 1;  // that often in a row, with the same result each time
  std::vector<Bytes> out;
  std::optional<Bytes> punt;  // what the twin is given
  std::optional<lb::DropReason> drop;
  std::optional<std::vector<lb::Event>> events;  // if given: exactly these, once each
};

class Case {
 public:
  explicit Case(std::string says) : says_(std::move(says)) {}

  /// A frame arrives. What is said next is about it.
  Case& in(const Packet& p) { return in(p.bytes()); }
  Case& in(Bytes bytes);
  /// A frame leaves. Said twice: two leave.
  Case& out(const Packet& p) { return out(p.bytes()); }
  Case& out(Bytes bytes);
  /// It goes to the kernel, as it came or as told, and this is how it is counted.
  Case& punts(std::vector<lb::Event> events);
  Case& punts(const Packet& as, std::vector<lb::Event> events);
  Case& drops(lb::DropReason reason);
  Case& counts(std::vector<lb::Event> events);
  Case& times(unsigned n);
  Case& passes(std::chrono::seconds time);
  /// Uses up what other cases need (a token bucket): runs only where it has a path of its own.
  Case& alone();

  [[nodiscard]] const std::string& says() const noexcept { return says_; }
  [[nodiscard]] const std::vector<Step>& steps() const noexcept { return steps_; }
  /// False: it moves the clock or wants to be alone, so it cannot be one of many through a running Weir.
  [[nodiscard]] bool mixes() const noexcept { return mixes_; }

 private:
  std::string says_;
  std::vector<Step> steps_;
  bool mixes_ = true;
};

using Cases = std::vector<Case>;

struct Group {
  std::string name;
  std::string yaml;  // without ports, memory and control: see whole_yaml()
  Cases cases;
  bool has_twins = false;  // the whole program would make kernel devices and meet what the kernel says of itself
};

/// All groups, made once.
[[nodiscard]] const std::vector<Group>& groups();

/// The group's cases that mix, as one stream: frames in, and what comes of them all.
struct Script {
  std::vector<Bytes> in, out, punted;
  std::vector<std::uint64_t> drops;  // by DropReason
};
[[nodiscard]] Script mixed(const Group& group);
/// gtest-checks that `got` is `expected`, frame by frame; stops at the first that is not.
void expect_frames(const std::vector<Bytes>& expected, const std::vector<Bytes>& got);

/// The group's file as Weir reads it: port p0 is `device`, socket and state lie in `directory`.
[[nodiscard]] std::string whole_yaml(const Group& group, const std::string& device, const std::string& directory);

/// A client port that no other case has.
[[nodiscard]] std::uint16_t fresh_port();

}  // namespace weir::test
