// Frames almost right: those of the packet cases with a few bytes changed, cut off, added or taken from another frame.
// Half of them get a fresh IPv4 header checksum, or nothing behind it would ever be read. The same seed, the same
// frames.
#pragma once

#include <algorithm>
#include <cstdlib>
#include <random>
#include <span>
#include <vector>

#include "lb/checksum.h"
#include "lb/headers.h"
#include "lb/parse.h"
#include "tests/dataplane/rig.h"

namespace weir::test {

class Mutation {
 public:
  Mutation(std::vector<Bytes> seeds, std::uint64_t seed) : seeds_(std::move(seeds)), random_(seed) {}

  Bytes next() {
    Bytes frame = any_seed();
    for (std::size_t changes = below(5); changes > 0; --changes) change(frame);
    if (below(2) == 0) fix_ipv4(frame);
    return frame;
  }
  /// 0 to n - 1.
  std::size_t below(std::size_t n) { return static_cast<std::size_t>(random_() % n); }

 private:
  const Bytes& any_seed() { return seeds_[below(seeds_.size())]; }
  std::uint8_t any_byte() { return static_cast<std::uint8_t>(random_()); }

  void change(Bytes& frame) {
    // What headers end at, and what lengths and counts break on.
    static constexpr std::uint8_t kTelling[] = {0, 1, 4, 6, 17, 44, 58, 60, 0x7f, 0x80, 0xff};
    if (frame.empty()) return frame.push_back(any_byte());
    std::uint8_t& somewhere = frame[below(std::min<std::size_t>(frame.size(), 80))];  // the headers
    switch (below(7)) {
      case 0: somewhere = static_cast<std::uint8_t>(somewhere ^ 1u << below(8)); break;
      case 1: somewhere = any_byte(); break;
      case 2: somewhere = kTelling[below(std::size(kTelling))]; break;
      case 3: std::swap(somewhere, frame[below(frame.size())]); break;
      case 4: frame.resize(below(frame.size() + 1)); break;
      case 5: frame.insert(frame.end(), 1 + below(64), any_byte()); break;
      default: splice(frame, any_seed());
    }
  }

  /// Some of another frame, at the same place.
  void splice(Bytes& frame, const Bytes& other) {
    const std::size_t end = std::min(frame.size(), other.size());
    if (end == 0) return;
    const std::size_t at = below(end);
    std::copy_n(other.begin() + static_cast<std::ptrdiff_t>(at), 1 + below(end - at),
                frame.begin() + static_cast<std::ptrdiff_t>(at));
  }

  static void fix_ipv4(Bytes& frame) {
    lb::Link link;
    if (lb::parse_link(frame, link) || link.type != lb::kEtherIpv4 || frame.size() < link.length + 20u) return;
    const std::size_t header = (frame[link.length] & 15u) * 4;
    if (header < 20 || frame.size() < link.length + header) return;
    auto* ip = reinterpret_cast<lb::Ipv4Header*>(frame.data() + link.length);
    ip->checksum = {};
    ip->checksum = lb::internet_checksum(std::span(frame).subspan(link.length, header));
  }

  std::vector<Bytes> seeds_;
  std::mt19937_64 random_;
};

/// A million; WEIR_FRAMES says otherwise.
inline std::size_t frames_to_mutate() {
  const char* text = std::getenv("WEIR_FRAMES");
  return text == nullptr ? 1'000'000 : std::strtoull(text, nullptr, 10);
}

/// Every frame that a case of the group sends in.
inline std::vector<Bytes> frames_of(const Group& group) {
  std::vector<Bytes> frames;
  for (const Case& c : group.cases)
    for (const Step& s : c.steps())
      if (s.in) frames.push_back(*s.in);
  return frames;
}

/// `count` mutated frames through the rig, in bursts of 1 to 32, while time passes; after each burst every one of them
/// is accounted for.
template <class Rig>
void mutate(const Group& group, Rig& rig, std::size_t count, std::uint64_t seed) {
  Mutation mutation(frames_of(group), seed);
  std::uint64_t now = 1'000'000 * kSecond;
  std::vector<Bytes> burst;
  while (count > 0) {
    burst.resize(std::min(count, 1 + mutation.below(32)));
    for (Bytes& frame : burst) frame = mutation.next();
    now += mutation.below(100) * (kSecond / 1000);
    static_cast<void>(rig.process(burst, now));
    ASSERT_TRUE(conserves(rig.counters())) << count << " frames before the end, seed " << seed;
    count -= burst.size();
  }
}

/// What became of them, on one line; and that they were not all dropped at the door.
inline void expect_variety(const std::string& of, const dataplane::WorkerCounters& counters,
                           std::size_t least_reasons) {
  const Counts c(counters);
  const auto reasons = static_cast<std::size_t>(std::ranges::count_if(c.drops, [](auto n) { return n > 0; }));
  fmt::print("{}: {} frames received + {} generated = {} sent + {} dropped for {} reasons\n", of, c.received,
             c.generated, c.sent, c.dropped(), reasons);
  EXPECT_GE(reasons, least_reasons);
  EXPECT_GT(c.sent, c.received / 20);
  EXPECT_GT(c.generated, 0u);
}

}  // namespace weir::test
