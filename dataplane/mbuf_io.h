// PacketPath's Io over DPDK mbufs: frames of one segment, gathered per port and sent in bursts; what another worker is
// to process, or to send, is gathered per worker and put into its ring (dataplane/worker_rings.h). Every frame passes
// here as it comes, goes or is dropped, so this is also where a capture sees it (dataplane/capture.h).
#pragma once

#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>
#include <rte_ring.h>

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "dataplane/capture.h"
#include "dataplane/counters.h"
#include "dataplane/punt.h"
#include "dataplane/side_rings.h"
#include "dataplane/tsan.h"
#include "lb/ids.h"
#include "lb/owner.h"

namespace weir::dataplane {

/// The transmit queue that this worker has on a port.
struct TxQueue {
  std::uint16_t port_id = 0;  // DPDK's
  std::uint16_t queue_id = 0;
  rte_ring* instead = nullptr;  // it has none: the ring to the worker that sends its frames
};

class MbufIo {
 public:
  using Frame = rte_mbuf*;

  /// `queues` by PortIndex; `owners` by worker: the rings for frames of their flows, null for this worker's own place.
  /// `beside` and `pool`, for what goes to the kernel and comes from there, may be null where nothing does.
  MbufIo(std::vector<TxQueue> queues, WorkerCounters& counters, std::vector<rte_ring*> owners = {},
         SideRings* beside = nullptr, rte_mempool* pool = nullptr)
      : counters_(counters), ports_(queues.size()), owners_(owners.size()), beside_(beside), pool_(pool) {
    for (std::size_t i = 0; i < queues.size(); ++i) ports_[i].queue = queues[i];
    for (std::size_t i = 0; i < owners.size(); ++i) owners_[i].ring = owners[i];
  }
  MbufIo(const MbufIo&) = delete;
  MbufIo& operator=(const MbufIo&) = delete;
  ~MbufIo() {
    for (Port& p : ports_) rte_pktmbuf_free_bulk(p.waiting.data(), p.count);
    for (Owner& o : owners_) rte_pktmbuf_free_bulk(o.waiting.data(), o.count);
  }

  [[nodiscard]] static std::uint8_t* data(Frame f) noexcept { return rte_pktmbuf_mtod(f, std::uint8_t*); }
  /// Of the first segment. Ports are set up so that there is no second; a longer frame fails parse's length checks.
  [[nodiscard]] static std::size_t length(Frame f) noexcept { return f->data_len; }

  [[nodiscard]] static std::uint8_t* reshape(Frame f, int delta, std::size_t length) noexcept {
    if (static_cast<int>(f->data_off) + delta < 0 || f->data_off + delta + length > f->buf_len) return nullptr;
    if (f->nb_segs > 1) {  // a chain whose packet lies in the first segment: the rest is trailer
      rte_pktmbuf_free(f->next);
      f->next = nullptr;
      f->nb_segs = 1;
    }
    f->data_off = static_cast<std::uint16_t>(f->data_off + delta);
    f->data_len = static_cast<std::uint16_t>(length);
    f->pkt_len = static_cast<std::uint32_t>(length);
    return data(f);
  }

  /// At the begin of each loop; `now_ns` is the workers' clock.
  void begin_loop(std::uint64_t now_ns) noexcept {
    if (tap_.look()) [[unlikely]]
      tap_.set_time(now_ns, rte_rdtsc());
  }
  /// A burst that a port gave.
  void received(std::span<const Frame> frames, lb::PortIndex port) const noexcept {
    if (tap_.is_active()) [[unlikely]]
      show(frames, port, CapturePoint::kRx);
  }
  void transmit(lb::PortIndex port, Frame f) noexcept {
    Port& p = ports_[index(port)];
    p.waiting[p.count++] = f;
    if (p.count == kBurst) flush(p, port);
  }
  /// Gives up a frame that came in by `port`, `reason` having been counted.
  void drop(Frame f, lb::PortIndex port, lb::DropReason reason) noexcept {
    if (tap_.is_active()) [[unlikely]]
      show({&f, 1}, port, CapturePoint::kDrop, reason);
    gives(f);
    rte_pktmbuf_free(f);
  }
  /// A packet died by `reason`, and its frame will carry the answer to it.
  void refused(std::span<const std::uint8_t> frame, lb::PortIndex port, lb::DropReason reason) const noexcept {
    if (tap_.is_active()) [[unlikely]]
      tap_.see({frame, frame.size(), port}, CapturePoint::kDrop, reason);
  }

  /// Worker `to` owns the frame's flow. It came in by `port`.
  void hand_over(Frame f, lb::PortIndex port, lb::WorkerIndex to) noexcept {
    Owner& o = owners_[to];
    f->port = static_cast<std::uint16_t>(index(port));
    o.waiting[o.count++] = f;
    if (o.count == kBurst) flush(o);
  }
  /// Of a frame that was handed over.
  [[nodiscard]] static lb::PortIndex port(Frame f) noexcept { return lb::PortIndex{f->port}; }
  [[nodiscard]] static std::optional<std::uint32_t> rss_hash(Frame f) noexcept {
    if ((f->ol_flags & RTE_MBUF_F_RX_RSS_HASH) == 0) return std::nullopt;
    return f->hash.rss;
  }

  /// To the interface's twin, as a copy. False, and the frame stays: the ring has no room for this class.
  [[nodiscard]] bool punt(lb::InterfaceId interface, lb::PuntClass c, Frame f) noexcept {
    if (beside_ == nullptr || (gives_way(c) && !beside_->to_twin->is_half_free())) return false;
    if (!beside_->to_twin->push({interface}, {data(f), length(f)})) return false;
    rte_pktmbuf_free(f);
    return true;
  }
  /// A frame of `length` bytes, not yet written; null: no mbuf is left, or none is that long.
  [[nodiscard]] Frame make(std::size_t length) noexcept {
    rte_mbuf* m = pool_ == nullptr ? nullptr : rte_pktmbuf_alloc(pool_);
    if (m == nullptr || rte_pktmbuf_append(m, static_cast<std::uint16_t>(length)) != nullptr) return m;
    rte_pktmbuf_free(m);
    return nullptr;
  }
  /// Asks control for a neighbour. Lost where the ring is full: the next packet asks again.
  void want(const Wanted& w) noexcept {
    if (beside_ != nullptr) beside_->wanted->push(w, {});
  }

  /// Tells control. Lost where the ring is full: the event is counted, and one of many is enough for a log.
  void claimed(const VipClaim& c) noexcept {
    if (beside_ != nullptr) beside_->claims->push(c, {});
  }

  /// Sends and hands over what waits. Call once a loop.
  void flush() noexcept {
    for (std::size_t i = 0; i < ports_.size(); ++i)
      if (ports_[i].count > 0) flush(ports_[i], lb::PortIndex(static_cast<std::uint16_t>(i)));
    for (Owner& o : owners_)
      if (o.count > 0) flush(o);
  }

  /// Control's way to attach a capture.
  [[nodiscard]] CaptureTap& tap() noexcept { return tap_; }
  /// written: the worker; read: control.
  [[nodiscard]] std::uint64_t tx_dropped(lb::PortIndex port) const noexcept {
    return ports_[index(port)].dropped.get();
  }

 private:
  static constexpr std::uint16_t kBurst = 32;
  struct Port {
    TxQueue queue;
    std::uint16_t count = 0;
    std::array<Frame, kBurst> waiting{};
    lb::Counter dropped;
  };
  struct Owner {
    rte_ring* ring = nullptr;
    std::uint16_t count = 0;
    std::array<Frame, kBurst> waiting{};
  };

  // A full queue means that the port is behind; waiting would only add latency. Drop and count.
  void flush(Port& p, lb::PortIndex port) noexcept {
    if (p.queue.instead != nullptr) return hand_to_send(p, port);
    if (tap_.is_active()) [[unlikely]]
      show({p.waiting.data(), p.count}, port, CapturePoint::kTx);
    gives({p.waiting.data(), p.count});
    const std::uint16_t sent = rte_eth_tx_burst(p.queue.port_id, p.queue.queue_id, p.waiting.data(), p.count);
    counters_.sent.add(sent);
    p.dropped.add(p.count - sent);
    for (std::uint16_t i = sent; i < p.count; ++i) drop_full(p.waiting[i], port, lb::DropReason::kTxFull);
    p.count = 0;
  }

  // Its transmit queue is another worker's; that one counts what it sends.
  void hand_to_send(Port& p, lb::PortIndex port) noexcept {
    for (std::uint16_t i = 0; i < p.count; ++i) p.waiting[i]->port = static_cast<std::uint16_t>(index(port));
    const unsigned taken = enqueue(p.queue.instead, p.waiting, p.count);
    counters_.count(lb::Event::kHandedToSend, taken);
    p.count = 0;
  }

  void flush(Owner& o) noexcept {
    const unsigned taken = enqueue(o.ring, o.waiting, o.count);
    counters_.count(lb::Event::kHandedOver, taken);
    o.count = 0;
  }

  // As with a port: a full ring means that the other worker is behind.
  unsigned enqueue(rte_ring* ring, const std::array<Frame, kBurst>& frames, std::uint16_t count) noexcept {
    const unsigned taken =
        rte_ring_sp_enqueue_burst(ring, reinterpret_cast<void* const*>(frames.data()), count, nullptr);
    for (unsigned i = taken; i < count; ++i) drop_full(frames[i], port(frames[i]), lb::DropReason::kHandoverFull);
    return taken;
  }

  void drop_full(Frame f, lb::PortIndex port, lb::DropReason reason) noexcept {
    counters_.drop(reason);
    drop(f, port, reason);
  }

  [[gnu::noinline, gnu::cold]] void show(std::span<const Frame> frames, lb::PortIndex port, CapturePoint point,
                                         lb::DropReason reason = {}) const noexcept {
    for (const Frame f : frames) tap_.see({{data(f), length(f)}, f->pkt_len, port}, point, reason);
  }

  WorkerCounters& counters_;
  CaptureTap tap_;
  std::vector<Port> ports_;    // by PortIndex
  std::vector<Owner> owners_;  // by worker; empty if there is one
  SideRings* beside_;
  rte_mempool* pool_;
};

}  // namespace weir::dataplane
