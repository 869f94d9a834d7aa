// RCU between control and workers: the pointer to the snapshot, and the quiescent-state variable.
//
// The words, used literally. Control *publishes* a snapshot by one store. A worker loads it once a loop and reports a
// *quiescent state* at the loop's end: it holds nothing of what it read. When every worker has reported one since
// token(), a *grace period* has passed, and what was unpublished before it can be *retired*. A worker that sleeps goes
// offline first, so that it holds nobody up.
#pragma once

#include <rte_rcu_qsbr.h>

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <memory>

#include "lb/snapshot.h"

namespace weir::dataplane {

class Rcu {
 public:
  explicit Rcu(std::uint32_t workers) {
    const std::size_t size = rte_rcu_qsbr_get_memsize(workers);
    variable_.reset(
        static_cast<rte_rcu_qsbr*>(std::aligned_alloc(RTE_CACHE_LINE_SIZE, RTE_ALIGN(size, RTE_CACHE_LINE_SIZE))));
    rte_rcu_qsbr_init(variable_.get(), workers);
    for (std::uint32_t w = 0; w < workers; ++w) rte_rcu_qsbr_thread_register(variable_.get(), w);
  }

  // ---- a worker's side; `worker` counts from 0 ----
  void online(std::uint32_t worker) noexcept { rte_rcu_qsbr_thread_online(variable_.get(), worker); }
  void offline(std::uint32_t worker) noexcept { rte_rcu_qsbr_thread_offline(variable_.get(), worker); }
  void quiescent(std::uint32_t worker) noexcept { rte_rcu_qsbr_quiescent(variable_.get(), worker); }
  [[nodiscard]] const lb::Snapshot* current() const noexcept { return current_.load(std::memory_order_acquire); }

  // ---- control's side ----
  /// The old snapshot may be freed once a token taken after this has passed.
  void publish(const lb::Snapshot* next) noexcept { current_.store(next, std::memory_order_release); }
  [[nodiscard]] std::uint64_t token() noexcept { return rte_rcu_qsbr_start(variable_.get()); }
  /// True when a grace period has passed since token(). Never waits.
  [[nodiscard]] bool has_passed(std::uint64_t token) noexcept {
    return rte_rcu_qsbr_check(variable_.get(), token, false) == 1;
  }

 private:
  struct Free {
    void operator()(void* p) const noexcept { std::free(p); }
  };
  std::unique_ptr<rte_rcu_qsbr, Free> variable_;
  std::atomic<const lb::Snapshot*> current_{nullptr};  // written: control; read: workers
};

}  // namespace weir::dataplane
