// Which worker has which queue. Receive queues are dealt round-robin, going on from port to port, so that two ports of
// one queue each keep two workers busy. A worker sends by the queue of the number that its receive queue has; where
// there are fewer transmit queues than workers, those without one hand finished frames to one that has.
#pragma once

#include <cstdint>
#include <vector>

#include "lb/owner.h"

namespace weir::dataplane {

class QueuePlan {
 public:
  struct Queues {
    std::uint16_t rx = 1;
    std::uint16_t tx = 1;
  };
  /// `ports` by PortIndex.
  QueuePlan(unsigned workers, const std::vector<Queues>& ports) : workers_(workers), ports_(ports) {
    unsigned next = 0;
    for (const Queues& q : ports) {
      first_.push_back(next);
      next = (next + q.rx) % workers;
    }
  }

  /// Who receives on queue `queue` of a port.
  [[nodiscard]] lb::WorkerIndex receiver(std::size_t port, unsigned queue) const noexcept {
    return static_cast<lb::WorkerIndex>((first_[port] + queue) % workers_);
  }
  struct Sender {
    lb::WorkerIndex worker;
    std::uint16_t queue;
  };
  /// Who sends worker `w`'s frames on a port: itself, if there is a queue for it.
  [[nodiscard]] Sender sender(std::size_t port, unsigned w) const noexcept {
    const unsigned own = (w + workers_ - first_[port]) % workers_;
    const unsigned queue = own % ports_[port].tx;
    return {static_cast<lb::WorkerIndex>((first_[port] + queue) % workers_), static_cast<std::uint16_t>(queue)};
  }

 private:
  unsigned workers_;
  std::vector<Queues> ports_;
  std::vector<unsigned> first_;  // by port: the worker of queue 0
};

}  // namespace weir::dataplane
