#include "dataplane/worker_rings.h"

#include <rte_mbuf.h>

#include <string>

namespace weir::dataplane {

namespace {

// A ring takes what a worker receives in about a millisecond of small frames. Many workers have many rings, and each
// is then used less.
constexpr unsigned kFrames = 1024;
constexpr unsigned kFramesOfMany = 256;
constexpr unsigned kMany = 16;

}  // namespace

lb::Result<std::unique_ptr<WorkerRings>> WorkerRings::create(unsigned workers) {
  std::unique_ptr<WorkerRings> rings(new WorkerRings(workers));
  for (unsigned from = 0; from < workers; ++from) {
    for (unsigned to = 0; to < workers; ++to) {
      if (from == to) continue;
      auto ring = rings->make();
      if (!ring) return std::unexpected(ring.error());
      rings->process_[std::size_t{from} * workers + to] = std::move(*ring);
    }
  }
  return rings;
}

std::vector<rte_ring*> WorkerRings::out_of(lb::WorkerIndex from) const {
  std::vector<rte_ring*> rings;
  if (workers_ == 1) return rings;
  for (unsigned to = 0; to < workers_; ++to) rings.push_back(to_process(from, static_cast<lb::WorkerIndex>(to)));
  return rings;
}

lb::Result<rte_ring*> WorkerRings::make_to_send(lb::WorkerIndex from, lb::WorkerIndex to) {
  Ring& held = send_[place(from, to)];
  if (!held) {
    auto ring = make();
    if (!ring) return std::unexpected(ring.error());
    held = std::move(*ring);
  }
  return held.get();
}

lb::Result<WorkerRings::Ring> WorkerRings::make() const {
  const unsigned size = workers_ > kMany ? kFramesOfMany : kFrames;
  const auto bytes = static_cast<std::size_t>(rte_ring_get_memsize(size));
  Ring ring(static_cast<rte_ring*>(std::aligned_alloc(RTE_CACHE_LINE_SIZE, RTE_ALIGN(bytes, RTE_CACHE_LINE_SIZE))));
  if (!ring || rte_ring_init(ring.get(), "weir", size, RING_F_SP_ENQ | RING_F_SC_DEQ) != 0)
    return lb::fail("no memory for the rings between " + std::to_string(workers_) + " workers; lower `workers`");
  return ring;
}

void WorkerRings::Free::operator()(rte_ring* ring) const noexcept {
  for (void* frame = nullptr; rte_ring_sc_dequeue(ring, &frame) == 0;) rte_pktmbuf_free(static_cast<rte_mbuf*>(frame));
  std::free(ring);
}

}  // namespace weir::dataplane
