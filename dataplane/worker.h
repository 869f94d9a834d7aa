// A worker: one thread on one core, its queues, its flows, its counters, and the loop around the packet path.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "dataplane/counters.h"
#include "dataplane/flow_table.h"
#include "dataplane/loop_gaps.h"
#include "dataplane/mbuf_io.h"
#include "dataplane/packet_path.h"
#include "dataplane/rcu.h"
#include "dataplane/rte_tables.h"
#include "dataplane/side_rings.h"
#include "dataplane/steering.h"
#include "dataplane/worker_rings.h"
#include "lb/next_hops.h"
#include "lb/owner.h"

namespace weir::dataplane {

/// Which flows a question is about; each part that is set must hold.
struct FlowFilter {
  std::optional<lb::Address> client;
  std::optional<lb::be16> client_port;
  std::string_view state;  // "established", of lb::FlowState::name(); must outlive the question. Empty: any
  std::optional<bool> is_udp;
  std::optional<std::vector<bool>> vips;                 // by VipId; ids beyond its end are not wanted
  std::vector<bool> port_vips;                           // by VipId: VIPs of many ports, of which one is meant:
  std::uint16_t vip_port = 0;                            // this
  std::optional<std::vector<lb::EndpointId>> endpoints;  // ascending

  [[nodiscard]] bool matches(const Flow& f) const noexcept {
    if (client && f.client != *client) return false;
    if (client_port && f.client_port != *client_port) return false;
    if (!state.empty() && f.state.name() != state) return false;
    if (is_udp && f.state.is_udp() != *is_udp) return false;
    if (vips && (index(f.vip) >= vips->size() || !(*vips)[index(f.vip)])) return false;
    if (index(f.vip) < port_vips.size() && port_vips[index(f.vip)] && f.port != vip_port) return false;
    return !endpoints || std::binary_search(endpoints->begin(), endpoints->end(), f.endpoint);
  }
};

/// A question to a worker about its flows. Control fills in what it asks and makes room for the answers, posts it,
/// and does not touch it until is_done; the worker answers a few lines a loop and allocates nothing.
struct FlowRequest {
  // written: control, before post()
  FlowFilter filter;
  std::optional<std::pair<lb::Address, lb::be16>> socket;  // only this client socket's: answered at once
  std::size_t limit = 1000;
  bool erases = false;  // flush: forget every flow that matches; no rows

  // written: the worker, before is_done
  struct Row {
    Flow flow;
    std::uint32_t expires_s = 0;
  };
  std::vector<Row> rows;      // control reserves `limit`
  std::uint64_t matched = 0;  // rows and those beyond the limit; or those erased
  std::atomic<bool> is_done{false};

  std::uint64_t cursor = 0;  // the worker's
};

struct RxQueue {
  std::uint16_t port_id = 0;  // DPDK's
  std::uint16_t queue_id = 0;
  lb::PortIndex port{};
};

class Worker {
 public:
  struct Options {
    std::uint32_t index = 0;        // counts from 0; its place in the RCU variable
    int core = -1;                  // pinned there; -1: not pinned
    std::vector<RxQueue> rx;        // in the file's order of ports
    std::vector<TxQueue> tx;        // by PortIndex
    std::vector<bool> hashes;       // by PortIndex: the port claims to hash by the owners' key
    bool sleeps_when_idle = false;  // all its ports are software
    SpokenSessions* sessions = nullptr;
    rte_mempool* pool = nullptr;  // for frames that were not received
    FlowTable::Size flows;
  };
  /// What all workers have in common, and what outlives them.
  struct Shared {
    const RteTables& tables;
    const lb::NextHops& next_hops;
    Rcu& rcu;
    const lb::Owners& owners;
    WorkerRings& rings;
    AnswerBudget& answers;
  };
  /// The first snapshot is published before start().
  [[nodiscard]] static lb::Result<std::unique_ptr<Worker>> create(const Options& options, const Shared& shared);
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;
  ~Worker();  // it has stopped, or never started

  void start();
  /// Asks it to end. It does when all workers of its rings are asked; frames in flight are sent first.
  void ask_to_stop() noexcept { stopping_.store(true, std::memory_order_release); }
  /// Waits for its end.
  void join();

  // ---- control's side ----
  [[nodiscard]] const WorkerCounters& counters() const noexcept { return counters_; }
  [[nodiscard]] const FlowTable& flows() const noexcept { return flows_; }
  [[nodiscard]] const MbufIo& io() const noexcept { return io_; }
  [[nodiscard]] CaptureTap& tap() noexcept { return io_.tap(); }
  [[nodiscard]] const Steering& steering() const noexcept { return steering_; }
  /// To and from the threads beside it; each ring's other side belongs to one thread (side_rings.h).
  [[nodiscard]] SideRings& side_rings() noexcept { return beside_; }
  [[nodiscard]] const Options& options() const noexcept { return options_; }
  /// One at a time; false while the last one is not done.
  [[nodiscard]] bool post(FlowRequest& request) noexcept;

  struct Load {
    lb::Counter bursts;
    lb::Counter busy_ns, total_ns;  // a loop is busy if any queue gave it a packet
  };
  [[nodiscard]] const Load& load() const noexcept { return load_; }
  /// Durations of its loops; a sleep when idle is none.
  [[nodiscard]] const LoopGaps& gaps() const noexcept { return gaps_; }
  /// What a step costs, sampled; 0 where nothing was yet.
  [[nodiscard]] double step_ns(Step step) const noexcept;
  [[nodiscard]] std::uint64_t timed_packets() const noexcept { return path_.steps().timed_packets(); }

 private:
  using Path = PacketPath<RteTables, MbufIo>;

  Worker(const Options& options, const Shared& shared, FlowTable flows, WorkerCounters counters, SideRings beside);
  void run() noexcept;
  bool poll_once(const lb::Snapshot& snapshot, Now now) noexcept;
  bool poll_queues(const lb::Snapshot& snapshot, Now now) noexcept;
  bool poll_workers(const lb::Snapshot& snapshot, Now now) noexcept;
  void process(std::span<rte_mbuf* const> frames, lb::PortIndex port, const lb::Snapshot& snapshot, Now now) noexcept;
  bool poll_beside(const lb::Snapshot& snapshot) noexcept;
  void tend_held(const lb::Snapshot& snapshot, Now now) noexcept;
  bool advance_end(bool could_advance, bool was_busy) noexcept;
  void expire(const lb::Snapshot& snapshot, Now now) noexcept;
  void answer(const lb::Snapshot& snapshot, Now now) noexcept;
  void sleep() noexcept;

  Options options_;
  Rcu& rcu_;
  FlowTable flows_;
  WorkerCounters counters_;
  WorkerRings& rings_;
  SideRings beside_;
  Steering steering_;
  MbufIo io_;
  Path path_;
  unsigned stage_ = 0;  // of the end: dataplane/worker_rings.h
  Load load_;
  LoopGaps gaps_;
  std::uint64_t scanned_until_ns_ = 0;
  std::atomic<FlowRequest*> request_{nullptr};  // written: control sets, the worker clears
  std::atomic<bool> stopping_{false};           // written: control; read: the worker
  std::thread thread_;
};

}  // namespace weir::dataplane
