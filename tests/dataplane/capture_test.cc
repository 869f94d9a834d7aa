// What a worker shows to a capture: the packet cases again, with a capture beside them.
#include "dataplane/capture.h"

#include <gtest/gtest.h>

#include "lb/bpf.h"
#include "tests/cases/lab.h"
#include "tests/dataplane/rte_rig.h"

namespace weir::test {
namespace {

using dataplane::CaptureLane;
using dataplane::CapturePoint;
using dataplane::CaptureRequest;

constexpr std::size_t kRing = 1 << 20;
constexpr std::uint64_t kAnyRate = 1'000'000'000;

struct Seen {
  CapturePoint point;
  lb::DropReason reason;
  std::size_t length;
  Bytes bytes;
  lb::PortIndex port;
};

/// A lane of one port for a request, and what is in its ring.
class Capture {
 public:
  explicit Capture(CaptureRequest request, std::size_t ring = kRing)
      : request_(std::move(request)), lane_(WorkerState::value(CaptureLane::create(request_, 1, ring))) {}

  [[nodiscard]] CaptureLane* lane() { return lane_.get(); }
  [[nodiscard]] std::vector<Seen> take() {
    std::vector<Seen> all;
    while (lane_->ring().pop(64, [&](const dataplane::CapturedFrame& f, std::span<const std::uint8_t> bytes) {
      EXPECT_NE(f.tsc, 0u);
      all.push_back({f.point, f.reason, f.length, {bytes.begin(), bytes.end()}, f.port});
    }) > 0) {
    }
    return all;
  }
  [[nodiscard]] std::vector<Seen> take(CapturePoint point) {
    std::vector<Seen> all = take();
    std::erase_if(all, [&](const Seen& s) { return s.point != point; });
    return all;
  }
  [[nodiscard]] const CaptureLane::Counts& counts() const { return lane_->counts(lb::PortIndex{}); }

 private:
  CaptureRequest request_;
  std::unique_ptr<CaptureLane> lane_;
};

class Captures : public ::testing::Test {
 protected:
  RteRig& rig() { return rig_; }
  // A SYN that is forwarded, one that is refused with RST, a frame that is dropped.
  [[nodiscard]] static std::vector<Bytes> three() {
    return {web().asked(kSyn).bytes(), packet().eth().bytes(), web().asked(kSyn).bytes()};
  }

 private:
  RingPort port_{256};
  RteRig rig_{compiled(groups().front()), port_};
};

TEST_F(Captures, ShowEveryCasesFramesAsTheyCameAndWentAndWhyTheyDied) {
  RingPort port(1024);
  Capture capture({.frames_per_second = kAnyRate});
  std::size_t drops = 0;
  for (const Group& group : groups()) {
    for (const Case& c : group.cases) {
      SCOPED_TRACE(c.says());
      RteRig rig(compiled(group), port);
      rig.io().tap().attach(capture.lane());
      static_cast<void>(capture.take());  // what the case before held to its end
      std::uint64_t now = 1'000'000 * kSecond;
      for (const Step& s : c.steps()) {
        now += static_cast<std::uint64_t>(s.passes.count()) * kSecond;
        for (unsigned n = 0; s.in && n < s.times; ++n) {
          const bool was_held = rig.counters().held.get() > 0;  // then it is that frame which may be dropped
          const std::vector<Bytes> sent = rig.process({&*s.in, 1}, now);
          std::vector<Bytes> expected{*s.in}, found, leaving;
          for (const Seen& seen : capture.take()) {
            if (seen.point == CapturePoint::kRx) found.push_back(seen.bytes);
            if (seen.point == CapturePoint::kTx) leaving.push_back(seen.bytes);
            if (seen.point != CapturePoint::kDrop) continue;
            ++drops;
            ASSERT_TRUE(s.drop);
            EXPECT_EQ(lb::name(seen.reason), lb::name(*s.drop));
            if (!was_held) expect_frames({*s.in}, {seen.bytes});  // as received
          }
          expect_frames(expected, found);
          expect_frames(sent, leaving);
        }
      }
      ASSERT_FALSE(HasFailure());
    }
  }
  EXPECT_GT(drops, 150u);
}

TEST_F(Captures, SeeEachDropOnce) {
  Capture capture({});
  rig().io().tap().attach(capture.lane());
  const Counts before(rig().counters());
  for (const Case& c : groups().front().cases)
    for (const Step& s : c.steps())
      if (s.in) static_cast<void>(rig().process({&*s.in, 1}, kSecond));
  const Counts after(rig().counters());
  std::vector<std::uint64_t> found(before.drops.size());
  for (const Seen& seen : capture.take(CapturePoint::kDrop)) ++found[static_cast<std::size_t>(seen.reason)];
  EXPECT_EQ(found, after.drops);
  EXPECT_GT(after.dropped(), 50u);
}

TEST_F(Captures, OfAFullPortShowTheFramesBothWays) {
  RingPort port(4);  // takes three
  RteRig rig(compiled(groups().front()), port);
  Capture capture({.points = 0b110});
  rig.io().tap().attach(capture.lane());
  std::vector<Bytes> burst;
  for (int i = 0; i < 8; ++i) burst.push_back(web().asked(kSyn).bytes());
  static_cast<void>(rig.process(burst, kSecond));
  std::size_t given = 0, dropped = 0;
  for (const Seen& seen : capture.take()) {
    given += seen.point == CapturePoint::kTx;
    dropped += seen.point == CapturePoint::kDrop && seen.reason == lb::DropReason::kTxFull;
  }
  EXPECT_EQ(given, 8u);
  EXPECT_EQ(dropped, 5u);
}

TEST_F(Captures, AreOverWhenTheLaneIsGone) {
  Capture capture({});
  static_cast<void>(rig().process(three(), kSecond));
  EXPECT_EQ(capture.take().size(), 0u);
  rig().io().tap().attach(capture.lane());
  static_cast<void>(rig().process(three(), kSecond));
  EXPECT_EQ(capture.take().size(), 6u);  // three came, two left, one died
  rig().io().tap().attach(nullptr);
  static_cast<void>(rig().process(three(), kSecond));
  EXPECT_EQ(capture.take().size(), 0u);
}

TEST_F(Captures, ShowTheWantedPointsAndReasonsOnly) {
  const struct {
    CaptureRequest request;
    std::size_t frames;
  } cases[] = {
      {{.points = 0b001}, 3},
      {{.points = 0b010}, 2},
      {{.points = 0b100}, 1},
      {{.points = 0b100, .reason = lb::DropReason::kNoFlow}, 0},
      {{.points = 0b100, .reason = lb::DropReason::kL2NotUs}, 1},
      {{.points = 0b101, .reason = lb::DropReason::kNoFlow}, 3},
  };
  for (const auto& c : cases) {
    Capture capture(c.request);
    rig().io().tap().attach(capture.lane());
    static_cast<void>(rig().process(three(), kSecond));
    EXPECT_EQ(capture.take().size(), c.frames);
    rig().io().tap().attach(nullptr);
  }
}

TEST_F(Captures, KeepOfAnInterfaceTheFramesWithItsTag) {
  const Bytes untagged = web().asked(kSyn).bytes();
  const Bytes tagged = packet().eth().vlan(7).ipv4("192.0.2.1", "203.0.113.9").tcp(1, 2, kSyn).bytes();
  const struct {
    std::optional<std::uint16_t> vlan;
    std::vector<Bytes> kept;
  } cases[] = {{{}, {untagged, tagged}}, {0, {untagged}}, {7, {tagged}}, {8, {}}};
  for (const auto& c : cases) {
    Capture capture({.points = 0b001, .only = CaptureRequest::Interface{lb::PortIndex{}, c.vlan}});
    rig().io().tap().attach(capture.lane());
    static_cast<void>(rig().process(std::vector{untagged, tagged}, kSecond));
    std::vector<Bytes> found;
    for (const Seen& seen : capture.take()) found.push_back(seen.bytes);
    expect_frames(c.kept, found);
    rig().io().tap().attach(nullptr);
  }
  Capture other({.only = CaptureRequest::Interface{lb::PortIndex{1}, {}}});
  rig().io().tap().attach(other.lane());
  static_cast<void>(rig().process(three(), kSecond));
  EXPECT_EQ(other.take().size(), 0u);
}

TEST_F(Captures, RunTheFilterAndCountWhatItSaw) {
  // `tcpdump -ddd tcp`, IPv4 only: ethertype, then protocol.
  auto filter = lb::BpfProgram::create(
      {{0x28, 0, 0, 12}, {0x15, 0, 3, 0x0800}, {0x30, 0, 0, 23}, {0x15, 0, 1, 6}, {0x06, 0, 0, 1}, {0x06, 0, 0, 0}});
  ASSERT_TRUE(filter);
  Capture capture({.filter = *filter, .points = 0b001});
  rig().io().tap().attach(capture.lane());
  static_cast<void>(rig().process(three(), kSecond));
  EXPECT_EQ(capture.counts().seen.get(), 3u);
  const std::uint64_t matched = capture.take().size();
  EXPECT_EQ(capture.counts().matched.get(), matched);
  EXPECT_LT(matched, 3u);
}

TEST_F(Captures, CutFramesAndTellHowLongTheyWere) {
  Capture capture({.snap_length = 20, .points = 0b001});
  rig().io().tap().attach(capture.lane());
  const Bytes frame = web().asked(kSyn).bytes();
  static_cast<void>(rig().process({&frame, 1}, kSecond));
  const std::vector<Seen> seen = capture.take();
  ASSERT_EQ(seen.size(), 1u);
  EXPECT_EQ(seen[0].length, frame.size());
  expect_frames({Bytes(frame.begin(), frame.begin() + 20)}, {seen[0].bytes});
}

TEST_F(Captures, KeepToTheRateAndCountTheRest) {
  Capture capture({.points = 0b001, .frames_per_second = 100});  // ten at once
  rig().io().tap().attach(capture.lane());
  const std::vector<Bytes> burst(32, packet().eth().bytes());
  static_cast<void>(rig().process(burst, kSecond));
  EXPECT_EQ(capture.take().size(), 10u);
  EXPECT_EQ(capture.counts().over_rate.get(), 22u);
  static_cast<void>(rig().process(burst, kSecond + kSecond / 20));
  EXPECT_EQ(capture.take().size(), 5u);
}

TEST_F(Captures, OfAFullRingCountWhatFindsNoRoom) {
  Capture capture({.points = 0b001, .frames_per_second = kAnyRate}, 1 << 16);
  rig().io().tap().attach(capture.lane());
  const std::vector<Bytes> burst(32, packet().eth().payload(Bytes(1000)).bytes());
  for (int i = 0; i < 4; ++i) static_cast<void>(rig().process(burst, kSecond));
  const std::uint64_t kept = capture.take().size();
  EXPECT_EQ(kept + capture.counts().ring_full.get(), 128u);
  EXPECT_GT(kept, 50u);
  EXPECT_LT(kept, 65u);
  static_cast<void>(rig().process(burst, kSecond));  // there is room again
  EXPECT_EQ(capture.take().size(), 32u);
}

}  // namespace
}  // namespace weir::test
