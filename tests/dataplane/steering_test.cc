// Several workers, without threads: frames in memory come to any of them, and what one hands over the other takes.
#include "dataplane/steering.h"

#include <gtest/gtest.h>

#include <memory>
#include <random>

#include "tests/cases/lab.h"
#include "tests/dataplane/rig.h"

namespace weir::test {
namespace {

using dataplane::Steering;

constexpr lb::HashKey kKey{0x0123456789abcdef, 0xfedcba9876543210};
constexpr lb::PortIndex kPort{0};

lb::ToeplitzKey toeplitz_key() {
  lb::ToeplitzKey key;
  std::mt19937 random(3);
  for (auto& b : key) b = static_cast<std::uint8_t>(random());
  return key;
}

struct OneWorker {
  OneWorker(const Compiled& c, const lb::PlainTables& tables, const lb::Owners& owners, unsigned self, bool hashes,
            dataplane::AnswerBudget& answers)
      : state(c),
        steering(owners, static_cast<lb::WorkerIndex>(self), {hashes}),
        io(state.counters),
        path(tables, io, state.flows, state.counters, c.next_hops(), {}, &steering) {
    path.share(answers);
  }

  WorkerState state;
  Steering steering;
  dataplane::MemoryIo io;
  dataplane::PacketPath<lb::PlainTables, dataplane::MemoryIo> path;
};

class Workers {
 public:
  Workers(const Compiled& c, lb::Owners owners, bool hashes = false)
      : compiled_(c), owners_(owners), tables_(c.contents()) {
    for (unsigned w = 0; w < owners_.workers(); ++w)
      workers_.push_back(std::make_unique<OneWorker>(c, tables_, owners_, w, hashes, answers_));
  }

  /// One frame comes to worker `to`; it and what is handed over are carried to their end. What is sent.
  std::vector<Bytes> process(const Bytes& bytes, unsigned to, std::optional<std::uint32_t> hash = {}) {
    dataplane::MemoryFrame frame(bytes);
    frame.rss_hash = hash;
    dataplane::MemoryFrame* burst[] = {&frame};
    workers_[to]->path.process(burst, kPort, compiled_.snapshot(), {now_ns});
    std::vector<Bytes> sent;
    take(sent, *workers_[to]);
    for (std::size_t w = 0; w < workers_.size(); ++w)
      for (const auto& over : std::exchange(workers_[w]->io.handed_over, {})) {
        EXPECT_NE(over.to, w);
        OneWorker& owner = *workers_[over.to];
        owner.path.process({&over.frame, 1}, owner.path.kHandedOver, compiled_.snapshot(), {now_ns});
        take(sent, owner);
        EXPECT_TRUE(owner.io.handed_over.empty()) << "handed over twice";
      }
    return sent;
  }

  [[nodiscard]] OneWorker& worker(unsigned w) { return *workers_[w]; }
  [[nodiscard]] const lb::Owners& owners() const { return owners_; }
  [[nodiscard]] std::uint64_t counted(lb::Event e) const {
    std::uint64_t sum = 0;
    for (const auto& w : workers_) sum += w->state.counters.counted(e);
    return sum;
  }
  [[nodiscard]] Counts counts() const {
    Counts all(workers_[0]->state.counters);
    for (std::size_t w = 1; w < workers_.size(); ++w) {
      const Counts one(workers_[w]->state.counters);
      for (std::size_t i = 0; i < all.drops.size(); ++i) all.drops[i] += one.drops[i];
      for (std::size_t i = 0; i < all.events.size(); ++i) all.events[i] += one.events[i];
      all.received += one.received, all.generated += one.generated, all.sent += one.sent;
    }
    return all;
  }

  std::uint64_t now_ns = 1'000'000 * kSecond;

 private:
  static void take(std::vector<Bytes>& sent, OneWorker& w) {
    for (const auto& s : std::exchange(w.io.sent, {}))
      sent.emplace_back(s.frame->bytes().begin(), s.frame->bytes().end());
  }

  const Compiled& compiled_;
  lb::Owners owners_;
  lb::PlainTables tables_;
  dataplane::AnswerBudget answers_;
  std::vector<std::unique_ptr<OneWorker>> workers_;
};

// The rate of what Weir makes is the box's: of 4,000 refusals on four workers as many are sent as on one.
TEST(Answers, ShareOneBudgetOfAnswers) {
  Workers workers(compiled(groups().front()), lb::Owners(4, kKey));
  std::size_t sent = 0;
  for (unsigned i = 0; i < 4000; ++i) {
    Talk closed = web();
    closed.vip_port = 81;
    sent += workers.process(closed.asked(kSyn).bytes(), i % 4).size();
  }
  EXPECT_EQ(sent, dataplane::AnswerBudget::kPerSecond);
}

class SeveralWorkers : public ::testing::TestWithParam<unsigned> {};

// Wherever each frame of a connection comes in, what comes of it is what one worker would make of it.
TEST_P(SeveralWorkers, DoTogetherWhatOneDoesAlone) {
  std::mt19937 random(GetParam());
  std::uint64_t handed_over = 0;
  for (const Group& group : groups()) {
    SCOPED_TRACE(group.name);
    const Script script = mixed(group);
    Workers workers(compiled(group), lb::Owners(GetParam(), kKey));
    std::vector<Bytes> sent;
    for (const Bytes& frame : script.in)
      for (Bytes& out : workers.process(frame, static_cast<unsigned>(random() % GetParam())))
        sent.push_back(std::move(out));
    expect_frames(script.out, sent);
    const Counts counts = workers.counts();
    EXPECT_EQ(risen(std::vector<std::uint64_t>(lb::kDropReasons.size()), counts.drops, lb::kDropReasons),
              risen(std::vector<std::uint64_t>(lb::kDropReasons.size()), script.drops, lb::kDropReasons));
    EXPECT_EQ(counts.received, script.in.size());
    EXPECT_EQ(counts.received + counts.generated, counts.sent + counts.dropped() + script.punted.size());
    EXPECT_EQ(workers.counted(lb::Event::kHandedOver), workers.counted(lb::Event::kTakenOver));
    handed_over += workers.counted(lb::Event::kHandedOver);
  }
  EXPECT_GT(handed_over, 100u);
}

INSTANTIATE_TEST_SUITE_P(Numbers, SeveralWorkers, ::testing::Values(2, 3, 8, 128));

TEST(SeveralWorkers, LetAFlowLiveAtItsOwnerAlone) {
  Workers workers(compiled(groups().front()), lb::Owners(3, kKey));
  for (int i = 0; i < 60; ++i) {
    const Talk t = web();
    for (unsigned to = 0; to < 3; ++to)
      EXPECT_EQ(workers.process(t.asked(to == 0 ? kSyn : kAck).bytes(), to).size(), 1u);
    EXPECT_EQ(workers.process(t.told(kSyn | kAck).bytes(), static_cast<unsigned>(i) % 3).size(), 1u);
    const auto owner = workers.owners()(*lb::parse_address(t.client), lb::be16::from_host(t.client_port));
    unsigned holders = 0;
    for (unsigned w = 0; w < 3; ++w)
      workers.worker(w).state.flows.for_client(*lb::parse_address(t.client), lb::be16::from_host(t.client_port),
                                               [&](dataplane::FlowRef, const dataplane::Flow&) {
                                                 ++holders;
                                                 EXPECT_EQ(w, owner);
                                               });
    EXPECT_EQ(holders, 1u);
  }
}

// ---- what a port's hardware says ----

// A packet of a connection that belongs to `owner`, and its hash.
struct Hashed {
  Talk talk;
  std::uint32_t hash;
};
Hashed of_owner(const lb::Owners& owners, unsigned owner) {
  for (;;) {
    const Talk t = web();
    const std::uint32_t hash = owners.hash(*lb::parse_address(t.client), lb::be16::from_host(t.client_port));
    if (owners.at(hash) == owner) return {t, hash};
  }
}

class Hardware : public ::testing::Test {
 protected:
  Workers workers_{compiled(groups().front()), lb::Owners(2, toeplitz_key()), true};
  [[nodiscard]] Steering::Trust trust() { return workers_.worker(0).steering.trust(kPort); }
  void prove(unsigned packets) {
    const Hashed h = of_owner(workers_.owners(), 0);
    for (unsigned i = 0; i < packets; ++i) static_cast<void>(workers_.process(h.talk.asked(kSyn).bytes(), 0, h.hash));
  }
};

TEST_F(Hardware, IsTrustedAfter64RightHashes) {
  prove(Steering::kProofs - 1);
  EXPECT_EQ(trust(), Steering::Trust::kProving);
  prove(1);
  EXPECT_EQ(trust(), Steering::Trust::kTrusted);
  EXPECT_EQ(workers_.worker(1).steering.trust(kPort), Steering::Trust::kProving) << "each worker proves for itself";
  EXPECT_EQ(workers_.counted(lb::Event::kSteeringRefuted), 0u);
}

TEST_F(Hardware, IsRefutedByOneWrongHashAndThenTheOwnerIsComputedForGood) {
  prove(10);
  Hashed h = of_owner(workers_.owners(), 0);
  EXPECT_EQ(workers_.process(h.talk.asked(kSyn).bytes(), 0, h.hash ^ 0x80).size(), 1u);
  EXPECT_EQ(trust(), Steering::Trust::kRefuted);
  EXPECT_EQ(workers_.counted(lb::Event::kSteeringRefuted), 1u);
  prove(Steering::kProofs);
  EXPECT_EQ(trust(), Steering::Trust::kRefuted);
  h = of_owner(workers_.owners(), 1);
  EXPECT_EQ(workers_.process(h.talk.asked(kSyn).bytes(), 0, h.hash).size(), 1u);
  EXPECT_EQ(workers_.worker(1).state.counters.counted(lb::Event::kTakenOver), 1u);
  EXPECT_EQ(workers_.counted(lb::Event::kSteeringRefuted), 1u) << "counted once";
}

// The hash is right, but the port's indirection table is not: the packet belongs elsewhere.
TEST_F(Hardware, IsRefutedWhereARightHashBringsAPacketToTheWrongWorker) {
  const Hashed h = of_owner(workers_.owners(), 1);
  EXPECT_EQ(workers_.process(h.talk.asked(kSyn).bytes(), 0, h.hash).size(), 1u);
  EXPECT_EQ(trust(), Steering::Trust::kRefuted);
  EXPECT_EQ(workers_.worker(1).state.counters.counted(lb::Event::kTakenOver), 1u) << "and it went there all the same";
}

TEST_F(Hardware, WithoutAHashProvesNothing) {
  const Hashed h = of_owner(workers_.owners(), 0);
  for (unsigned i = 0; i < 2 * Steering::kProofs; ++i)
    static_cast<void>(workers_.process(h.talk.asked(kSyn).bytes(), 0));
  EXPECT_EQ(trust(), Steering::Trust::kProving);
}

// Once trusted, a miss is the only reason to compute the owner: a first packet that came to the wrong worker goes on to
// the right one, and a packet of a flow that is here stays.
TEST_F(Hardware, OnceTrustedIsCorrectedWhereALookUpMisses) {
  prove(Steering::kProofs);
  ASSERT_EQ(trust(), Steering::Trust::kTrusted);
  const Hashed h = of_owner(workers_.owners(), 1);
  EXPECT_EQ(workers_.process(h.talk.asked(kSyn).bytes(), 0, h.hash).size(), 1u);
  EXPECT_EQ(workers_.worker(1).state.counters.counted(lb::Event::kFlowNew), 1u);
  EXPECT_EQ(workers_.worker(1).state.counters.counted(lb::Event::kTakenOver), 1u);
  EXPECT_EQ(workers_.process(h.talk.told(kSyn | kAck).bytes(), 0, 1).size(), 1u);
  EXPECT_EQ(workers_.worker(1).state.counters.counted(lb::Event::kTakenOver), 2u);
  const Hashed own = of_owner(workers_.owners(), 0);
  EXPECT_EQ(workers_.process(own.talk.asked(kSyn).bytes(), 0, own.hash).size(), 1u);
  EXPECT_EQ(workers_.process(own.talk.asked(kAck).bytes(), 0, own.hash).size(), 1u);
  EXPECT_EQ(workers_.counted(lb::Event::kHandedOver), 2u);
}

TEST_F(Hardware, IsNotAskedWhereThePortHasNone) {
  Workers software(compiled(groups().front()), lb::Owners(2, kKey));
  const Hashed h = of_owner(software.owners(), 0);
  for (unsigned i = 0; i < 2 * Steering::kProofs; ++i)
    static_cast<void>(software.process(h.talk.asked(kSyn).bytes(), 0, h.hash));
  EXPECT_EQ(software.worker(0).steering.trust(kPort), Steering::Trust::kSoftware);
}

}  // namespace
}  // namespace weir::test
