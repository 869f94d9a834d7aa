// PacketPath's Io over DPDK mbufs: frames of one segment, gathered per port and sent in bursts.
#pragma once

#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include <array>
#include <cstdint>
#include <vector>

#include "dataplane/counters.h"
#include "lb/ids.h"

namespace weir::dataplane {

/// The transmit queue that this worker has on a port.
struct TxQueue {
  std::uint16_t port_id = 0;  // DPDK's
  std::uint16_t queue_id = 0;
};

class MbufIo {
 public:
  using Frame = rte_mbuf*;

  /// `queues` by PortIndex.
  MbufIo(std::vector<TxQueue> queues, WorkerCounters& counters) : counters_(counters), ports_(queues.size()) {
    for (std::size_t i = 0; i < queues.size(); ++i) ports_[i].queue = queues[i];
  }
  MbufIo(const MbufIo&) = delete;
  MbufIo& operator=(const MbufIo&) = delete;
  ~MbufIo() {
    for (Port& p : ports_) rte_pktmbuf_free_bulk(p.waiting.data(), p.count);
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

  void transmit(lb::PortIndex port, Frame f) noexcept {
    Port& p = ports_[index(port)];
    p.waiting[p.count++] = f;
    if (p.count == kTxBurst) flush(p);
  }
  void drop(Frame f) noexcept { rte_pktmbuf_free(f); }

  /// Sends what waits. Call once a loop.
  void flush() noexcept {
    for (Port& p : ports_)
      if (p.count > 0) flush(p);
  }

  /// written: the worker; read: control.
  [[nodiscard]] std::uint64_t tx_dropped(lb::PortIndex port) const noexcept {
    return ports_[index(port)].dropped.get();
  }

 private:
  static constexpr std::uint16_t kTxBurst = 32;
  struct Port {
    TxQueue queue;
    std::uint16_t count = 0;
    std::array<Frame, kTxBurst> waiting{};
    lb::Counter dropped;
  };

  // A full queue means that the port is behind; waiting would only add latency. Drop and count.
  void flush(Port& p) noexcept {
    const std::uint16_t sent = rte_eth_tx_burst(p.queue.port_id, p.queue.queue_id, p.waiting.data(), p.count);
    counters_.sent.add(sent);
    for (std::uint16_t i = sent; i < p.count; ++i) {
      counters_.drop(lb::DropReason::kTxFull);
      p.dropped.add();
      rte_pktmbuf_free(p.waiting[i]);
    }
    p.count = 0;
  }

  WorkerCounters& counters_;
  std::vector<Port> ports_;  // by PortIndex
};

}  // namespace weir::dataplane
