// The packet cases through the packet path as a worker runs it: rte tables, mbufs, a port that they leave by. And what
// only a port can do: be full.
#include <gtest/gtest.h>

#include "tests/cases/lab.h"
#include "tests/dataplane/mutation.h"
#include "tests/dataplane/rte_rig.h"

namespace weir::test {
namespace {

class RtePath : public ::testing::Test {
 protected:
  void SetUp() override { mbufs_ = rte_mempool_in_use_count(EalEnvironment::pool()); }
  // Every mbuf that came in was sent and freed here, or dropped and freed there.
  void TearDown() override { EXPECT_EQ(rte_mempool_in_use_count(EalEnvironment::pool()), mbufs_) << "mbufs leak"; }

 private:
  unsigned mbufs_ = 0;
};

TEST_F(RtePath, DoesWhatTheCasesSay) {
  RingPort port(1024);
  for (const Group& group : groups())
    for (const Case& c : group.cases) {
      RteRig rig(compiled(group), port);
      std::uint64_t now = 1'000'000 * kSecond;
      run_case(c, rig, now);
      if (HasFailure()) return;
    }
}

TEST_F(RtePath, DoesWhatTheCasesSayInBursts) {
  RingPort port(1024);
  for (const Group& group : groups()) {
    SCOPED_TRACE(group.name);
    const Script script = mixed(group);
    RteRig rig(compiled(group), port);
    std::vector<Bytes> sent;
    for (std::size_t i = 0; i < script.in.size(); i += 32) {
      const auto burst = std::span(script.in).subspan(i, std::min<std::size_t>(32, script.in.size() - i));
      for (Bytes& frame : rig.process(burst, 1'000'000 * kSecond)) sent.push_back(std::move(frame));
    }
    expect_frames(script.out, sent);
    EXPECT_TRUE(conserves(rig.counters()));
  }
}

TEST_F(RtePath, ConservesAMillionMutatedFrames) {
  RingPort port(256);
  for (const Group& group : groups()) {
    RteRig rig(compiled(group), port);
    mutate(group, rig, frames_to_mutate() / groups().size(), 0xfeed);
    expect_variety(group.name, rig.counters(), 20);
  }
}

TEST_F(RtePath, DropsWhatAFullPortDoesNotTake) {
  RingPort port(4);  // takes three
  const Group& lab = groups().front();
  RteRig rig(compiled(lab), port);
  std::vector<Bytes> burst, expected;
  for (int i = 0; i < 8; ++i) {
    const Talk t = web();
    burst.push_back(t.asked(kSyn).bytes());
    if (i < 3) expected.push_back(t.asked_on(kSyn).bytes());
  }
  expect_frames(expected, rig.process(burst, kSecond));
  EXPECT_EQ(rig.counters().dropped(lb::DropReason::kTxFull), 5u);
  EXPECT_EQ(rig.counters().sent.get(), 3u);
  EXPECT_EQ(rig.io().tx_dropped(lb::PortIndex{}), 5u);
  EXPECT_TRUE(conserves(rig.counters()));
}

// Some drivers chain mbufs whatever the port was told.
TEST_F(RtePath, SendsNothingOfASecondSegment) {
  RingPort port(64);
  const Group& lab = groups().front();
  const Compiled& c = compiled(lab);
  WorkerState state(c);
  dataplane::MbufIo io({port.queue()}, state.counters);
  dataplane::PacketPath path(EalEnvironment::tables(c), io, state.flows, state.counters, c.next_hops());
  const auto process = [&](const Bytes& first, const Bytes& second) {
    rte_mbuf* m = to_mbuf(first);
    if (rte_pktmbuf_chain(m, to_mbuf(second)) != 0) throw std::runtime_error("cannot chain");
    path.process({&m, 1}, lb::PortIndex{}, c.snapshot(), {kSecond});
    io.flush();
    return port.take();  // sees to it that what leaves has one segment
  };
  // The second segment holds a trailer only, and is cut off with it.
  const Talk t = web();
  expect_frames({t.asked_on(kSyn).bytes()}, process(t.asked(kSyn).bytes(), Bytes(1000, 0xee)));
  // It holds part of the packet: refused, like any frame that is shorter than its packet.
  const Bytes whole = web().asked(kAck, "split in two").bytes();
  const auto middle = whole.begin() + 60;
  expect_frames({}, process({whole.begin(), middle}, {middle, whole.end()}));
  EXPECT_EQ(state.counters.dropped(lb::DropReason::kIpTotlen), 1u);
  EXPECT_TRUE(conserves(state.counters));
}

TEST_F(RtePath, RefusesToWriteInFrontOfAnMbufWithoutHeadroom) {
  RingPort port(64);
  const Group& lab = groups().front();
  const Compiled& c = compiled(lab);
  WorkerState state(c);
  dataplane::MbufIo io({port.queue()}, state.counters);
  dataplane::PacketPath path(EalEnvironment::tables(c), io, state.flows, state.counters, c.next_hops());
  // An untagged frame leaves with a tag of four bytes, so it needs four in front.
  for (const std::uint16_t headroom : {std::uint16_t{3}, std::uint16_t{4}}) {
    const Bytes frame = web().asked(kSyn).bytes();
    rte_mbuf* m = to_mbuf(frame);
    std::memmove(static_cast<std::uint8_t*>(m->buf_addr) + headroom, rte_pktmbuf_mtod(m, void*), frame.size());
    m->data_off = headroom;
    path.process({&m, 1}, lb::PortIndex{}, c.snapshot(), {kSecond});
    io.flush();
    EXPECT_EQ(port.take().size(), headroom == 4 ? 1u : 0u);
    EXPECT_TRUE(conserves(state.counters));
  }
  EXPECT_EQ(state.counters.dropped(lb::DropReason::kMtu), 1u);
}

}  // namespace
}  // namespace weir::test
