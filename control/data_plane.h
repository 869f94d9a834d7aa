// Everything of the daemon that DPDK is behind: environment, mbufs, ports, tables, workers. Brought up in order by
// open() and the start_...() calls, taken down in reverse by the destructor.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "config/model.h"
#include "dataplane/eal.h"
#include "dataplane/port.h"
#include "dataplane/queue_plan.h"
#include "dataplane/rcu.h"
#include "dataplane/rte_tables.h"
#include "dataplane/twin.h"
#include "dataplane/worker.h"
#include "dataplane/worker_rings.h"
#include "lb/next_hops.h"
#include "lb/owner.h"
#include "lb/result.h"

namespace weir::control {

struct Placement;  // control/numa.h

class DataPlane {
 public:
  /// Opens the devices and builds tables and workers; no packet moves yet. Errors are the environment's (exit code 4).
  [[nodiscard]] static lb::Result<std::unique_ptr<DataPlane>> open(const config::Model& model);
  ~DataPlane() { stop(); }

  /// Frames may come in, and wait in their queues.
  [[nodiscard]] lb::Result<void> start_ports();
  /// The first snapshot has been published. Makes the first threads: they inherit the caller's privileges.
  void start_workers();
  /// Workers end; counters stay readable.
  void stop();

  [[nodiscard]] dataplane::RteTables& tables() noexcept { return *tables_; }
  [[nodiscard]] lb::NextHops& next_hops() noexcept { return next_hops_; }
  [[nodiscard]] dataplane::Rcu& rcu() noexcept { return *rcu_; }
  [[nodiscard]] const std::vector<dataplane::Port>& ports() const noexcept { return ports_; }
  [[nodiscard]] const std::vector<std::unique_ptr<dataplane::Worker>>& workers() const noexcept { return workers_; }
  [[nodiscard]] std::vector<lb::MacAddress> port_macs() const;
  [[nodiscard]] bool uses_huge_pages() const noexcept { return eal_.uses_huge_pages(); }

  /// Makes the twins that the snapshot has and that are not there yet; on error none of them. Before its publish.
  [[nodiscard]] lb::Result<void> add_twins(const lb::Snapshot& snapshot);
  /// Removes the twins that the snapshot does not have. After its grace period.
  void keep_twins(const lb::Snapshot& snapshot);
  [[nodiscard]] const dataplane::Twin& twin() const noexcept { return *twin_; }
  /// Hands each next hop that packets have asked for since the last call to `take(const dataplane::Wanted&)`, the same
  /// one perhaps several times. On the control thread, every few milliseconds while any interface has a twin.
  template <class Take>
  void take_wanted(Take&& take) {
    constexpr std::size_t kAtOnce = 1024;
    for (const auto& worker : workers_)
      worker->side_rings().wanted->pop(kAtOnce,
                                       [&](const dataplane::Wanted& w, std::span<const std::uint8_t>) { take(w); });
  }

  /// Before a snapshot is published: what its ids count is in memory already when a worker first writes there.
  void prepare_counters(const lb::Snapshot& snapshot) const noexcept;

  /// Over all workers.
  [[nodiscard]] std::uint64_t flows_of(lb::VipId id) const noexcept;
  [[nodiscard]] std::uint64_t flows_of(lb::EndpointId id) const noexcept;

 private:
  explicit DataPlane(dataplane::Eal eal);
  [[nodiscard]] lb::Result<void> open_ports(const config::Model& model);
  void warn_of_few_mbufs(const config::Model& model) const;
  [[nodiscard]] lb::Result<void> make_workers(const config::Model& model, const Placement& placement);
  void make_twin();
  [[nodiscard]] lb::Result<void> give_queues(dataplane::Worker::Options& options, const dataplane::QueuePlan& plan);

  // In the order of their making; destruction runs from the end.
  dataplane::Eal eal_;
  dataplane::Mempool pool_;
  std::vector<dataplane::Port> ports_;  // by PortIndex
  std::unique_ptr<dataplane::RteTables> tables_;
  lb::NextHops next_hops_;
  std::unique_ptr<dataplane::Rcu> rcu_;
  std::unique_ptr<lb::Owners> owners_;
  std::unique_ptr<dataplane::WorkerRings> rings_;
  std::unique_ptr<dataplane::SpokenSessions> sessions_;
  dataplane::AnswerBudget answers_;
  std::vector<std::unique_ptr<dataplane::Worker>> workers_;
  std::unique_ptr<dataplane::Twin> twin_;
};

}  // namespace weir::control
