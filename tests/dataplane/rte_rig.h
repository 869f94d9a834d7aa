// As PlainRig (rig.h), on what the workers use: RteTables, mbufs, MbufIo, and a port. The port is a net_ring whose
// other end is here, so that what is sent can be read back.
#pragma once

#include <rte_eth_ring.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_ring.h>

#include <cstring>
#include <map>
#include <memory>
#include <optional>

#include "dataplane/eal.h"
#include "dataplane/mbuf_io.h"
#include "dataplane/port.h"
#include "dataplane/rte_tables.h"
#include "tests/dataplane/rig.h"

namespace weir::test {

/// EAL, once per program: register with ::testing::AddGlobalTestEnvironment() before RUN_ALL_TESTS().
class EalEnvironment : public ::testing::Environment {
 public:
  void SetUp() override {
    const dataplane::RteTables::Size size;
    auto eal =
        dataplane::Eal::start({.huge_pages = dataplane::HugePages::kNever,
                               .memory_bytes = 4 * dataplane::RteTables::memory(size) + (std::size_t{64} << 20)});
    ASSERT_TRUE(eal) << eal.error().message;
    eal_.emplace(std::move(*eal));
    auto made = dataplane::create_mempool(4096, 2304, SOCKET_ID_ANY);
    ASSERT_TRUE(made) << made.error().message;
    pool_ = std::move(*made);
  }
  void TearDown() override {
    tables_.clear();
    pool_.reset();
    eal_.reset();
  }
  [[nodiscard]] static rte_mempool* pool() { return pool_.get(); }
  /// The rte tables of a configuration, filled once.
  [[nodiscard]] static const dataplane::RteTables& tables(const Compiled& c) {
    std::unique_ptr<dataplane::RteTables>& held = tables_[&c];
    if (!held) {
      held =
          std::make_unique<dataplane::RteTables>(WorkerState::value(dataplane::RteTables::create({}, SOCKET_ID_ANY)));
      if (const auto added = held->add(lb::difference({}, c.contents())); !added)
        throw std::runtime_error(added.error().message);
    }
    return *held;
  }

 private:
  static inline std::map<const Compiled*, std::unique_ptr<dataplane::RteTables>> tables_;
  static inline std::optional<dataplane::Eal> eal_;
  static inline dataplane::Mempool pool_;
};

/// A started port with one queue each way; what it sends waits in a ring of `size` - 1.
class RingPort {
 public:
  explicit RingPort(unsigned size) {
    static int number = 0;
    const std::string name = "sent" + std::to_string(number++);
    ring_.reset(rte_ring_create(name.c_str(), size, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ));
    if (!ring_) throw std::runtime_error("no ring");
    rte_ring* rings[] = {ring_.get()};
    const int id = rte_eth_from_rings(name.c_str(), rings, 1, rings, 1, 0);
    if (id < 0) throw std::runtime_error("no ring port");
    id_ = static_cast<std::uint16_t>(id);
    const rte_eth_conf conf{};
    if (rte_eth_dev_configure(id_, 1, 1, &conf) != 0 ||
        rte_eth_rx_queue_setup(id_, 0, 0, SOCKET_ID_ANY, nullptr, EalEnvironment::pool()) != 0 ||
        rte_eth_tx_queue_setup(id_, 0, 0, SOCKET_ID_ANY, nullptr) != 0 || rte_eth_dev_start(id_) != 0)
      throw std::runtime_error("the ring port does not start");
  }
  RingPort(const RingPort&) = delete;
  RingPort& operator=(const RingPort&) = delete;
  ~RingPort() {
    static_cast<void>(take());
    rte_eth_dev_stop(id_);
    rte_eth_dev_close(id_);
  }

  [[nodiscard]] dataplane::TxQueue queue() const noexcept { return {id_, 0}; }
  /// All that was sent since the last time.
  [[nodiscard]] std::vector<Bytes> take() {
    std::vector<Bytes> sent;
    for (void* m = nullptr; rte_ring_dequeue(ring_.get(), &m) == 0;) {
      auto* mbuf = static_cast<rte_mbuf*>(m);
      dataplane::gets({&mbuf, 1});
      const auto* data = rte_pktmbuf_mtod(mbuf, const std::uint8_t*);
      sent.emplace_back(data, data + mbuf->data_len);
      EXPECT_EQ(mbuf->pkt_len, mbuf->data_len);
      EXPECT_EQ(mbuf->nb_segs, 1);
      dataplane::gives(mbuf);
      rte_pktmbuf_free(mbuf);
    }
    return sent;
  }

 private:
  struct FreeRing {
    void operator()(rte_ring* r) const noexcept { rte_ring_free(r); }
  };
  std::unique_ptr<rte_ring, FreeRing> ring_;
  std::uint16_t id_ = 0;
};

[[nodiscard]] inline rte_mbuf* to_mbuf(const Bytes& frame) {
  rte_mbuf* m = rte_pktmbuf_alloc(EalEnvironment::pool());
  if (m == nullptr) throw std::runtime_error("no mbuf left: something leaks");
  dataplane::gets({&m, 1});
  void* to = rte_pktmbuf_append(m, static_cast<std::uint16_t>(frame.size()));
  if (!frame.empty()) std::memcpy(to, frame.data(), frame.size());
  dataplane::gives(m);  // to a driver's ring
  return m;
}

class RteRig {
 public:
  RteRig(const Compiled& c, RingPort& port)
      : compiled_(c),
        port_(port),
        state_(c),
        beside_(WorkerState::value(dataplane::SideRings::create())),
        io_({port.queue()}, state_.counters, {}, &beside_, EalEnvironment::pool()),
        path_(EalEnvironment::tables(c), io_, state_.flows, state_.counters, c.next_hops()) {}

  std::vector<Bytes> process(std::span<const Bytes> frames, std::uint64_t now_ns) {
    std::vector<rte_mbuf*> burst;
    for (const Bytes& frame : frames) burst.push_back(to_mbuf(frame));
    io_.begin_loop(now_ns);
    io_.received(burst, lb::PortIndex{});
    path_.process(burst, lb::PortIndex{}, compiled_.snapshot(), {now_ns});
    path_.tend_held(compiled_.snapshot(), {now_ns});
    io_.flush();
    punted_.clear();
    beside_.to_twin->pop(SIZE_MAX, [&](const dataplane::FrameOf&, std::span<const std::uint8_t> frame) {
      punted_.emplace_back(frame.begin(), frame.end());
    });
    return port_.take();
  }
  [[nodiscard]] const std::vector<Bytes>& punted() const noexcept { return punted_; }
  ~RteRig() { path_.drop_held(); }
  [[nodiscard]] const dataplane::WorkerCounters& counters() const noexcept { return state_.counters; }
  [[nodiscard]] dataplane::MbufIo& io() noexcept { return io_; }

 private:
  const Compiled& compiled_;
  RingPort& port_;
  WorkerState state_;
  dataplane::SideRings beside_;
  std::vector<Bytes> punted_;
  dataplane::MbufIo io_;
  dataplane::PacketPath<dataplane::RteTables, dataplane::MbufIo> path_;
};

}  // namespace weir::test
