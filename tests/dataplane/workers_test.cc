// Workers as they run: threads, rings between them, and ports whose other ends are in the test.
#include <gtest/gtest.h>
#include <rte_eth_ring.h>
#include <rte_ring.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <random>
#include <thread>

#include "dataplane/queue_plan.h"
#include "dataplane/worker.h"
#include "tests/cases/lab.h"
#include "tests/dataplane/rte_rig.h"

namespace weir::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr std::chrono::seconds kPatience{60};
constexpr lb::HashKey kKey{0x0123456789abcdef, 0xfedcba9876543210};

struct FreeRing {
  void operator()(rte_ring* r) const noexcept { rte_ring_free(r); }
};
using Ring = std::unique_ptr<rte_ring, FreeRing>;

/// A started port of several queues; the test puts frames into the receive rings and finds what is sent in the others.
class QueuesPort {
 public:
  explicit QueuesPort(std::uint16_t queues) {
    static int number = 0;
    const std::string name = "queues" + std::to_string(number++);
    std::vector<rte_ring*> rx, tx;
    for (std::uint16_t q = 0; q < queues; ++q) {
      rx_.push_back(make(name + "r" + std::to_string(q)));
      tx_.push_back(make(name + "t" + std::to_string(q)));
      rx.push_back(rx_.back().get());
      tx.push_back(tx_.back().get());
    }
    const int id = rte_eth_from_rings(name.c_str(), rx.data(), queues, tx.data(), queues, 0);
    if (id < 0) throw std::runtime_error("no ring port");
    id_ = static_cast<std::uint16_t>(id);
    const rte_eth_conf conf{};
    bool ok = rte_eth_dev_configure(id_, queues, queues, &conf) == 0;
    for (std::uint16_t q = 0; q < queues; ++q)
      ok = ok && rte_eth_rx_queue_setup(id_, q, 0, SOCKET_ID_ANY, nullptr, EalEnvironment::pool()) == 0 &&
           rte_eth_tx_queue_setup(id_, q, 0, SOCKET_ID_ANY, nullptr) == 0;
    if (!ok || rte_eth_dev_start(id_) != 0) throw std::runtime_error("the ring port does not start");
  }
  QueuesPort(const QueuesPort&) = delete;
  QueuesPort& operator=(const QueuesPort&) = delete;
  ~QueuesPort() {
    static_cast<void>(take());
    rte_eth_dev_stop(id_);
    rte_eth_dev_close(id_);
  }

  [[nodiscard]] std::uint16_t id() const noexcept { return id_; }
  [[nodiscard]] std::uint16_t queues() const noexcept { return static_cast<std::uint16_t>(rx_.size()); }
  [[nodiscard]] bool put(std::size_t queue, const Bytes& frame) {
    rte_mbuf* m = to_mbuf(frame);
    if (rte_ring_sp_enqueue(rx_[queue].get(), m) == 0) return true;
    rte_pktmbuf_free(m);
    return false;
  }
  [[nodiscard]] std::vector<Bytes> take() {
    std::vector<Bytes> sent;
    for (const Ring& ring : tx_)
      for (void* m = nullptr; rte_ring_sc_dequeue(ring.get(), &m) == 0;) {
        auto* mbuf = static_cast<rte_mbuf*>(m);
        dataplane::gets({&mbuf, 1});
        const auto* data = rte_pktmbuf_mtod(mbuf, const std::uint8_t*);
        sent.emplace_back(data, data + mbuf->data_len);
        dataplane::gives(mbuf);
        rte_pktmbuf_free(mbuf);
      }
    return sent;
  }

 private:
  static Ring make(const std::string& name) {
    Ring ring(rte_ring_create(name.c_str(), 1024, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ));
    if (!ring) throw std::runtime_error("no ring");
    return ring;
  }
  std::vector<Ring> rx_, tx_;
  std::uint16_t id_ = 0;
};

/// Workers with one port between them, brought up as control/data_plane.cc does.
class Team {
 public:
  Team(const Compiled& c, unsigned workers, QueuesPort& port)
      : rcu_(workers), owners_(workers, kKey), rings_(WorkerState::value(dataplane::WorkerRings::create(workers))) {
    rcu_.publish(&c.snapshot());
    const dataplane::QueuePlan plan(workers, {{port.queues(), port.queues()}});
    for (std::uint32_t w = 0; w < workers; ++w) {
      dataplane::Worker::Options options{
          .index = w, .hashes = {false}, .sleeps_when_idle = true, .flows = {10'000, 10'000}};
      for (std::uint16_t q = 0; q < port.queues(); ++q)
        if (plan.receiver(0, q) == w) options.rx.push_back({port.id(), q, lb::PortIndex{}});
      const auto sender = plan.sender(0, w);
      options.tx = {{port.id(), sender.queue}};
      const auto self = static_cast<lb::WorkerIndex>(w);
      if (sender.worker != w) options.tx[0].instead = WorkerState::value(rings_->make_to_send(self, sender.worker));
      workers_.push_back(WorkerState::value(dataplane::Worker::create(
          options, {EalEnvironment::tables(c), c.next_hops(), rcu_, owners_, *rings_, answers_})));
    }
    for (const auto& worker : workers_) worker->start();
  }
  ~Team() { stop(); }
  Team(const Team&) = delete;
  Team& operator=(const Team&) = delete;

  void stop() {
    for (const auto& worker : workers_) worker->ask_to_stop();
    for (const auto& worker : workers_) worker->join();
  }

  template <class Read>
  [[nodiscard]] std::uint64_t sum(Read&& read) const {
    std::uint64_t all = 0;
    for (const auto& worker : workers_) all += read(worker->counters());
    return all;
  }
  [[nodiscard]] std::uint64_t received() const {
    return sum([](const auto& c) { return c.received.get(); });
  }
  [[nodiscard]] std::uint64_t sent() const {
    return sum([](const auto& c) { return c.sent.get(); });
  }
  [[nodiscard]] std::uint64_t counted(lb::Event e) const {
    return sum([&](const auto& c) { return c.counted(e); });
  }
  [[nodiscard]] std::vector<std::uint64_t> drops() const {
    std::vector<std::uint64_t> all;
    for (std::size_t i = 0; i < lb::kDropReasons.size(); ++i)
      all.push_back(sum([&](const auto& c) { return c.dropped(lb::DropReason(i)); }));
    return all;
  }
  [[nodiscard]] std::uint64_t difference() const {
    std::uint64_t out = sent();
    for (const std::uint64_t n : drops()) out += n;
    return received() + sum([](const auto& c) { return c.generated.get(); }) - out;
  }
  /// The sum of counters is not read at one instant, so it is believed once every worker has ended a loop since.
  [[nodiscard]] bool comes_to_rest(std::uint64_t received_in_all) {
    for (const auto until = steady_clock::now() + kPatience; steady_clock::now() < until; std::this_thread::yield()) {
      if (received() != received_in_all || difference() != 0) continue;
      const std::uint64_t token = rcu_.token();
      while (!rcu_.has_passed(token) && steady_clock::now() < until) std::this_thread::yield();
      if (difference() == 0) return true;
    }
    return false;
  }

 private:
  dataplane::Rcu rcu_;
  lb::Owners owners_;
  std::unique_ptr<dataplane::WorkerRings> rings_;
  dataplane::AnswerBudget answers_;
  std::vector<std::unique_ptr<dataplane::Worker>> workers_;
};

class RteWorkers : public ::testing::Test {
 protected:
  void SetUp() override { mbufs_ = rte_mempool_in_use_count(EalEnvironment::pool()); }
  void TearDown() override { EXPECT_EQ(rte_mempool_in_use_count(EalEnvironment::pool()), mbufs_) << "mbufs leak"; }

 private:
  unsigned mbufs_ = 0;
};

// With more workers than queues some have none: they live from what is handed over, and hand over what they send.
TEST_F(RteWorkers, OfAnyNumberOnAnyQueuesDoWhatTheCasesSay) {
  struct Shape {
    unsigned workers;
    std::uint16_t queues;
  };
  std::mt19937 random(1);
  for (const Shape shape : {Shape{1, 1}, Shape{2, 2}, Shape{3, 1}, Shape{3, 2}, Shape{2, 4}}) {
    SCOPED_TRACE(fmt::format("{} workers, {} queues", shape.workers, shape.queues));
    const Group& lab = groups().front();
    const Script script = mixed(lab);
    QueuesPort port(shape.queues);
    Team team(compiled(lab), shape.workers, port);
    std::vector<Bytes> sent;
    std::uint64_t put = 0;
    for (const Bytes& frame : script.in) {  // one by one, so that the order between workers is what the script says
      ASSERT_TRUE(port.put(random() % shape.queues, frame));
      ASSERT_TRUE(team.comes_to_rest(++put));
      for (Bytes& out : port.take()) sent.push_back(std::move(out));
    }
    expect_frames(script.out, sent);
    const std::vector<std::uint64_t> none(lb::kDropReasons.size());
    EXPECT_EQ(risen(none, team.drops(), lb::kDropReasons), risen(none, script.drops, lb::kDropReasons));
    EXPECT_EQ(team.counted(lb::Event::kHandedOver), team.counted(lb::Event::kTakenOver));
    EXPECT_EQ(team.counted(lb::Event::kHandedOver) > 0, shape.workers > 1);
    EXPECT_EQ(team.counted(lb::Event::kHandedToSend) > 0, shape.workers > shape.queues);
  }
}

// Stopped with frames everywhere: what was received is sent or dropped, and no mbuf stays behind.
TEST_F(RteWorkers, LeaveNothingInTheirRingsWhenTheyStop) {
  for (int round = 0; round < 20; ++round) {
    QueuesPort port(2);
    Team team(compiled(groups().front()), 3, port);
    for (int i = 0; i < 600; ++i) ASSERT_TRUE(port.put(static_cast<std::size_t>(i % 2), web().asked(kSyn).bytes()));
    for (const auto until = steady_clock::now() + kPatience; team.received() == 0 && steady_clock::now() < until;)
      std::this_thread::yield();
    team.stop();
    EXPECT_EQ(team.difference(), 0u);
    EXPECT_GT(team.counted(lb::Event::kHandedOver), 0u);
    EXPECT_EQ(team.counted(lb::Event::kHandedOver), team.counted(lb::Event::kTakenOver));
    EXPECT_EQ(port.take().size(), team.sent());
    for (std::uint64_t left = 600 - team.received(); left > 0; --left) {  // not received: still the port's
      rte_mbuf* m = nullptr;
      const int n = rte_eth_rx_burst(port.id(), 0, &m, 1) + (m == nullptr ? rte_eth_rx_burst(port.id(), 1, &m, 1) : 0);
      ASSERT_EQ(n, 1);
      rte_pktmbuf_free(m);
    }
  }
}

TEST_F(RteWorkers, DropWhatAFullRingDoesNotTake) {
  const auto rings = WorkerState::value(dataplane::WorkerRings::create(2));
  const Compiled& c = compiled(groups().front());
  const lb::Owners owners(2, kKey);
  WorkerState state(c);
  dataplane::Steering steering(owners, 0, {false});
  RingPort port(1024);
  dataplane::MbufIo io({port.queue()}, state.counters, rings->out_of(0));
  dataplane::PacketPath path(EalEnvironment::tables(c), io, state.flows, state.counters, c.next_hops(),
                             dataplane::NoTracer{}, &steering);
  const unsigned room = rte_ring_free_count(rings->to_process(0, 1));
  Talk t = web();
  while (owners(*lb::parse_address(t.client), lb::be16::from_host(t.client_port)) != 1) t = web();
  for (unsigned i = 0; i < room + 10; ++i) {
    rte_mbuf* m = to_mbuf(t.asked(kSyn).bytes());
    path.process({&m, 1}, lb::PortIndex{}, c.snapshot(), {kSecond});
  }
  io.flush();
  EXPECT_EQ(state.counters.counted(lb::Event::kHandedOver), room);
  EXPECT_EQ(state.counters.dropped(lb::DropReason::kHandoverFull), 10u);
}

}  // namespace
}  // namespace weir::test
