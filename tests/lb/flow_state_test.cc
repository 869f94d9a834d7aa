// Each rule of lb/flow_state.h's head comment as a sentence, held over all states, flags, directions and payloads.
#include "lb/flow_state.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>

namespace weir::lb {
namespace {

constexpr Direction kForward = Direction::kForward;
constexpr Direction kReply = Direction::kReply;

// The bits as they lie in a record; a later version attaches to records that this one wrote.
constexpr std::uint8_t kReplied = 1, kConfirmed = 2, kClientFin = 4, kEndpointFin = 8, kReset = 16, kUdp = 32;

struct Step {
  FlowState before;
  Direction direction;
  std::uint8_t flags;
  std::uint16_t payload;

  [[nodiscard]] FlowState after() const { return before.after(direction, flags, payload); }
  [[nodiscard]] bool has(std::uint8_t flag) const { return (flags & flag) != 0; }
  [[nodiscard]] bool was(std::uint8_t bits) const { return (before.bits() & bits) == bits; }
  [[nodiscard]] std::uint8_t own_fin() const { return direction == kForward ? kClientFin : kEndpointFin; }
  [[nodiscard]] std::uint8_t other_fin() const { return direction == kForward ? kEndpointFin : kClientFin; }
  [[nodiscard]] std::string text() const {
    return "state " + std::to_string(before.bits()) + (direction == kForward ? " forward" : " reply") + " flags " +
           std::to_string(flags) + " payload " + std::to_string(payload);
  }
};

/// `holds` answers nothing where the rule does not apply. Fails too if it never applied.
template <class Holds>
void for_every_step(Holds&& holds) {
  std::size_t applied = 0;
  for (unsigned bits = 0; bits < 64; ++bits)
    for (unsigned flags = 0; flags < 256; ++flags)
      for (const Direction d : {kForward, kReply})
        for (const std::uint16_t payload : std::initializer_list<std::uint16_t>{0, 1, 1460}) {
          const Step s{FlowState::from_bits(static_cast<std::uint8_t>(bits)), d, static_cast<std::uint8_t>(flags),
                       payload};
          const std::optional<bool> held = holds(s);
          applied += held.has_value();
          ASSERT_TRUE(held.value_or(true)) << s.text();
        }
  EXPECT_GT(applied, 0u);
}

bool bit(FlowState s, std::uint8_t bits) {
  return (s.bits() & bits) != 0;
}

TEST(FlowState, AFlowIsRepliedOnceTheEndpointHasSpokenAndStaysSo) {
  for_every_step([](const Step& s) -> std::optional<bool> {
    return s.after().is_replied() == (s.before.is_replied() || s.direction == kReply);
  });
}

TEST(FlowState, ATcpFlowIsConfirmedByTheClientsAckAfterAReplyAndByNothingElse) {
  for_every_step([](const Step& s) -> std::optional<bool> {
    if (s.before.is_udp()) return {};
    const bool proves = s.direction == kForward && s.was(kReplied) && s.has(kTcpAck) && !s.has(kTcpRst);
    return s.after().is_confirmed() == (s.before.is_confirmed() || proves);
  });
}

TEST(FlowState, NeitherASecondSynNorTheRstOfASpoofedVictimConfirms) {
  FlowState s = FlowState::opened(false).after(kForward, kTcpSyn, 0).after(kReply, kTcpSyn | kTcpAck, 0);
  EXPECT_FALSE(s.after(kForward, kTcpSyn, 0).is_confirmed());
  EXPECT_FALSE(s.after(kForward, kTcpRst, 0).is_confirmed());
  EXPECT_FALSE(s.after(kForward, kTcpRst | kTcpAck, 0).is_confirmed());
  EXPECT_TRUE(s.after(kForward, kTcpAck, 0).is_confirmed());
}

TEST(FlowState, NothingUnconfirms) {
  for_every_step([](const Step& s) -> std::optional<bool> {
    if (!s.before.is_confirmed()) return {};
    return s.after().is_confirmed();
  });
}

TEST(FlowState, ARstPutsATcpFlowOnTheClosingTimerAndChangesNoFin) {
  for_every_step([](const Step& s) -> std::optional<bool> {
    if (s.before.is_udp() || !s.has(kTcpRst)) return {};
    const std::uint8_t fins = kClientFin | kEndpointFin;
    return bit(s.after(), kReset) && (s.after().bits() & fins) == (s.before.bits() & fins);
  });
}

TEST(FlowState, AnySegmentWithoutRstTakesARstBack) {
  for_every_step([](const Step& s) -> std::optional<bool> {
    if (s.before.is_udp() || s.has(kTcpRst)) return {};
    return !bit(s.after(), kReset);
  });
}

TEST(FlowState, AFinMarksItsSideAsClosed) {
  for_every_step([](const Step& s) -> std::optional<bool> {
    if (s.before.is_udp() || s.has(kTcpRst) || !s.has(kTcpFin)) return {};
    return bit(s.after(), s.own_fin());
  });
}

TEST(FlowState, ASegmentNeverTouchesTheOtherSidesFin) {
  for_every_step([](const Step& s) -> std::optional<bool> {
    return bit(s.after(), s.other_fin()) == bit(s.before, s.other_fin());
  });
}

TEST(FlowState, AfterOneSidesFinASegmentWithoutFinFromThatSideTakesItBack) {
  for_every_step([](const Step& s) -> std::optional<bool> {
    if (s.before.is_udp() || s.has(kTcpRst) || s.has(kTcpFin)) return {};
    if (!s.was(s.own_fin()) || s.was(s.other_fin())) return {};
    return !bit(s.after(), s.own_fin());
  });
}

TEST(FlowState, AfterBothFinsOnlyASegmentWithPayloadTakesItsSidesBack) {
  for_every_step([](const Step& s) -> std::optional<bool> {
    if (s.before.is_udp() || s.has(kTcpRst) || s.has(kTcpFin) || !s.was(kClientFin | kEndpointFin)) return {};
    return bit(s.after(), s.own_fin()) == (s.payload == 0);
  });
}

TEST(FlowState, AUdpFlowKnowsOnlyRepliedAndConfirmed) {
  for_every_step([](const Step& s) -> std::optional<bool> {
    if (!s.before.is_udp()) return {};
    const std::uint8_t rest = kUdp | kClientFin | kEndpointFin | kReset;
    return (s.after().bits() & rest) == (s.before.bits() & rest) &&
           s.after() == s.before.after(s.direction, 0, 0);  // flags and payload are ignored
  });
}

TEST(FlowState, AUdpFlowIsConfirmedByTheClientsNextPacketAfterAReply) {
  for_every_step([](const Step& s) -> std::optional<bool> {
    if (!s.before.is_udp()) return {};
    return s.after().is_confirmed() == (s.before.is_confirmed() || (s.direction == kForward && s.was(kReplied)));
  });
}

TEST(FlowState, TheProtocolNeverChangesAndSixBitsHoldItAll) {
  for_every_step([](const Step& s) -> std::optional<bool> {
    return s.after().is_udp() == s.before.is_udp() && s.after().bits() < 1u << FlowState::kBits;
  });
}

TEST(FlowState, TheTimeoutFollowsTheState) {
  constexpr Timeouts kTimes{.tcp_new = 1, .tcp_established = 2, .tcp_closing = 3, .udp_new = 4, .udp = 5};
  for (unsigned bits = 0; bits < 64; ++bits) {
    const auto s = FlowState::from_bits(static_cast<std::uint8_t>(bits));
    const bool confirmed = (bits & kConfirmed) != 0;
    const bool closing = (bits & (kClientFin | kEndpointFin | kReset)) != 0;
    const Tick tcp = !confirmed ? 1 : closing ? 3 : 2;
    const Tick udp = confirmed ? 5 : 4;
    EXPECT_EQ(s.timeout(kTimes), (bits & kUdp) != 0 ? udp : tcp) << bits;
  }
}

TEST(FlowState, AnUnconfirmedFlowNeverGetsTheLongTimer) {
  // Not even one that a RST or FIN has put to closing, whose timer may be the longer one.
  constexpr Timeouts kTimes;
  for_every_step([&](const Step& s) -> std::optional<bool> {
    if (s.after().is_confirmed()) return {};
    return s.after().timeout(kTimes) == (s.before.is_udp() ? kTimes.udp_new : kTimes.tcp_new);
  });
}

TEST(FlowState, AnOrdinaryConnectionFromSynToLastAck) {
  FlowState s = FlowState::opened(false);
  const auto step = [&](Direction d, std::uint8_t flags, std::uint16_t payload) { s = s.after(d, flags, payload); };
  step(kForward, kTcpSyn, 0);
  EXPECT_STREQ(s.name(), "new");
  step(kReply, kTcpSyn | kTcpAck, 0);
  EXPECT_STREQ(s.name(), "replied");
  step(kForward, kTcpAck, 0);
  EXPECT_STREQ(s.name(), "established");
  step(kForward, kTcpAck | kTcpPsh, 100);
  step(kReply, kTcpAck | kTcpPsh, 1000);
  EXPECT_STREQ(s.name(), "established");
  step(kReply, kTcpFin | kTcpAck, 0);
  EXPECT_STREQ(s.name(), "closing");
  step(kForward, kTcpAck, 100);  // half closed: the client still sends, the endpoint's FIN stands
  EXPECT_STREQ(s.name(), "closing");
  step(kForward, kTcpFin | kTcpAck, 0);
  step(kReply, kTcpAck, 0);  // the last ACK brings nothing back
  EXPECT_STREQ(s.name(), "closing");
}

TEST(FlowState, AForgedRstEndsNoFlowThatSpeaksAgain) {
  const FlowState live = FlowState::from_bits(kReplied | kConfirmed);
  for (const Direction forged : {kForward, kReply})
    for (const Direction speaks : {kForward, kReply}) {
      EXPECT_TRUE(live.after(forged, kTcpRst, 0).is_closing());
      EXPECT_EQ(live.after(forged, kTcpRst, 0).after(speaks, kTcpAck, 0), live);
    }
}

TEST(FlowState, AForgedFinOfOneSideIsTakenBackByThatSide) {
  const FlowState live = FlowState::from_bits(kReplied | kConfirmed);
  for (const Direction d : {kForward, kReply})
    EXPECT_EQ(live.after(d, kTcpFin | kTcpAck, 0).after(d, kTcpAck, 0), live);
}

TEST(FlowState, AFlowOpensWithNothingButItsProtocol) {
  EXPECT_EQ(FlowState::opened(false).bits(), 0);
  EXPECT_EQ(FlowState::opened(true).bits(), kUdp);
}

}  // namespace
}  // namespace weir::lb
