// What workers pass each other: frames to process (they came to a worker that does not own their flow) and frames to
// send (finished by a worker that has no transmit queue on their port). A single-producer single-consumer ring for
// each ordered pair of workers and either cargo, so nobody ever waits for anybody; a full ring is a drop with a name.
// In a ring, a frame's `port` is its PortIndex: where it came in, or where it is to leave.
//
// A frame is handed over to be processed once at most, and once more to be sent.
//
// The end comes in stages, so that no frame is left in a ring: a worker goes to stage 1 when it has stopped to
// receive, to stage 2 when all are at stage 1 and it found its rings empty after that (so nobody makes new frames to
// send), and ends when all are at stage 2 and it found its rings empty once more.
#pragma once

#include <rte_ring.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <vector>

#include "lb/owner.h"
#include "lb/result.h"

namespace weir::dataplane {

class WorkerRings {
 public:
  /// With rings for frames to process between all of them. Bytes come from the heap, not from EAL memory.
  [[nodiscard]] static lb::Result<std::unique_ptr<WorkerRings>> create(unsigned workers);

  [[nodiscard]] unsigned workers() const noexcept { return workers_; }
  /// Null from a worker to itself.
  [[nodiscard]] rte_ring* to_process(lb::WorkerIndex from, lb::WorkerIndex to) const noexcept {
    return process_[place(from, to)].get();
  }
  /// Null until make_to_send().
  [[nodiscard]] rte_ring* to_send(lb::WorkerIndex from, lb::WorkerIndex to) const noexcept {
    return send_[place(from, to)].get();
  }
  /// Where worker `from` puts frames to process, by worker; empty if there is one worker only.
  [[nodiscard]] std::vector<rte_ring*> out_of(lb::WorkerIndex from) const;
  /// Before any worker starts.
  [[nodiscard]] lb::Result<rte_ring*> make_to_send(lb::WorkerIndex from, lb::WorkerIndex to);

  // ---- the end ----
  static constexpr unsigned kStages = 2;
  /// A worker reaches stage + 1: every frame that it put into rings before is there.
  void reach(unsigned stage) noexcept { reached_[stage].fetch_add(1, std::memory_order_release); }
  /// Stage 0 is everybody's from the start.
  [[nodiscard]] bool have_all_reached(unsigned stage) const noexcept {
    return stage == 0 || reached_[stage - 1].load(std::memory_order_acquire) == workers_;
  }

 private:
  struct Free {
    void operator()(rte_ring* ring) const noexcept;  // and the frames in it
  };
  using Ring = std::unique_ptr<rte_ring, Free>;

  explicit WorkerRings(unsigned workers)
      : workers_(workers), process_(std::size_t{workers} * workers), send_(process_.size()) {}
  [[nodiscard]] std::size_t place(lb::WorkerIndex from, lb::WorkerIndex to) const noexcept {
    return std::size_t{from} * workers_ + to;
  }
  [[nodiscard]] lb::Result<Ring> make() const;

  unsigned workers_;
  std::vector<Ring> process_, send_;
  std::array<std::atomic<unsigned>, kStages> reached_{};
};

}  // namespace weir::dataplane
