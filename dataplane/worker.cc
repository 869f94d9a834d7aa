#include "dataplane/worker.h"

#include <pthread.h>
#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_lcore.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <utility>

#include "lb/hash.h"

namespace weir::dataplane {

namespace {

constexpr unsigned kEmptyPollsBeforeSleep = 1000;
constexpr long kSleepNs = 50'000;
// The table is covered once a second, in steps bounded so that no loop takes long.
constexpr std::uint64_t kScanPeriodNs = 1'000'000'000;
constexpr std::uint32_t kMaxScanLines = 256;
constexpr std::uint32_t kListLines = 64;

lb::HashKey random_key() {
  const auto word = [] {
    std::uint64_t w = 0;
    if (getentropy(&w, sizeof w) != 0) w = rte_rdtsc();
    return w;
  };
  return {word(), word()};
}

// The TSC in nanoseconds, without a division a burst: 32.32 fixed point. The same for all workers.
class Clock {
 public:
  Clock() noexcept : scale_((std::uint64_t{1'000'000'000} << 32) / rte_get_tsc_hz()) {}
  [[nodiscard]] Now now() const noexcept {
    const std::uint64_t ticks = rte_rdtsc();
    // (high * 2^32 + low) * scale / 2^32, in 64 bits: good for 2^32 s of a 1 GHz TSC.
    return {(ticks >> 32) * scale_ + ((ticks & 0xffffffff) * scale_ >> 32)};
  }

 private:
  std::uint64_t scale_;
};

LoopGaps::Cause cause_of(PreemptionWatch& watch) noexcept {
  if (!watch.can_tell()) return LoopGaps::Cause::kUnknown;
  return watch.was_preempted() ? LoopGaps::Cause::kPreempted : LoopGaps::Cause::kOwn;
}

}  // namespace

lb::Result<std::unique_ptr<Worker>> Worker::create(const Options& options, const Shared& shared) {
  auto flows = FlowTable::create(options.flows, random_key());
  if (!flows) return std::unexpected(flows.error());
  auto counters = WorkerCounters::create();
  if (!counters) return std::unexpected(counters.error());
  auto beside = SideRings::create();
  if (!beside) return std::unexpected(beside.error());
  return std::unique_ptr<Worker>(
      new Worker(options, shared, std::move(*flows), std::move(*counters), std::move(*beside)));
}

Worker::Worker(const Options& options, const Shared& shared, FlowTable flows, WorkerCounters counters, SideRings beside)
    : options_(options),
      rcu_(shared.rcu),
      flows_(std::move(flows)),
      counters_(std::move(counters)),
      rings_(shared.rings),
      beside_(std::move(beside)),
      steering_(shared.owners, static_cast<lb::WorkerIndex>(options.index), options.hashes),
      io_(options.tx, counters_, shared.rings.out_of(static_cast<lb::WorkerIndex>(options.index)), &beside_,
          options.pool),
      path_(shared.tables, io_, flows_, counters_, shared.next_hops, {},
            shared.rings.workers() > 1 ? &steering_ : nullptr) {
  path_.share(shared.answers);
  path_.share(options.sessions);
}

Worker::~Worker() {
  ask_to_stop();
  join();
}

void Worker::start() {
  thread_ = std::thread([this] { run(); });
}

void Worker::join() {
  if (thread_.joinable()) thread_.join();
}

bool Worker::post(FlowRequest& request) noexcept {
  FlowRequest* none = nullptr;
  return request_.compare_exchange_strong(none, &request, std::memory_order_release, std::memory_order_relaxed);
}

void Worker::run() noexcept {
  pthread_setname_np(pthread_self(), ("weir-worker-" + std::to_string(options_.index)).c_str());
  prctl(PR_SET_TIMERSLACK, 1000UL);
  if (options_.core >= 0) {
    cpu_set_t cores;
    CPU_ZERO(&cores);
    CPU_SET(static_cast<unsigned>(options_.core), &cores);
    pthread_setaffinity_np(pthread_self(), sizeof cores, &cores);
  }
  rte_thread_register();  // gives it an lcore id, and so a mempool cache
  rcu_.online(options_.index);

  const Clock clock;
  PreemptionWatch watch;
  unsigned empty_polls = 0;
  bool was_busy = false, has_slept = true;  // what came before the first loop is no loop
  bool is_over = false;
  for (Now last = clock.now(); !is_over;) {
    const bool could_advance = rings_.have_all_reached(stage_);  // asked before the rings are looked at
    const lb::Snapshot& snapshot = *rcu_.current();
    const Now now = clock.now();
    const LoopGaps::Cause cause = cause_of(watch);
    if (!has_slept) gaps_.record(now.ns - last.ns, cause);
    path_.steps().settle(cause != LoopGaps::Cause::kPreempted);
    if (was_busy) load_.busy_ns.add(now.ns - last.ns);
    load_.total_ns.add(now.ns - last.ns);
    last = now;

    io_.begin_loop(now.ns);
    was_busy = poll_once(snapshot, now);
    tend_held(snapshot, now);
    io_.flush();
    expire(snapshot, now);
    answer(snapshot, now);
    rcu_.quiescent(options_.index);
    is_over = advance_end(could_advance, was_busy);

    empty_polls = was_busy ? 0 : empty_polls + 1;
    has_slept = options_.sleeps_when_idle && stage_ == 0 && empty_polls >= kEmptyPollsBeforeSleep;
    if (has_slept) sleep();
  }
  rcu_.offline(options_.index);
  rte_thread_unregister();
}

// True: it has ended.
bool Worker::advance_end(bool could_advance, bool was_busy) noexcept {
  const bool is_done = stage_ == 0 ? stopping_.load(std::memory_order_acquire) : could_advance && !was_busy;
  if (!is_done) return false;
  if (stage_ == WorkerRings::kStages) return true;
  rings_.reach(stage_++);
  return false;
}

bool Worker::poll_once(const lb::Snapshot& snapshot, Now now) noexcept {
  const bool has_received = stage_ == 0 && poll_queues(snapshot, now);
  const bool has_taken_over = rings_.workers() > 1 && poll_workers(snapshot, now);
  const bool has_own = stage_ == 0 && poll_beside(snapshot);
  return has_received || has_taken_over || has_own;
}

// One burst from each of its queues.
bool Worker::poll_queues(const lb::Snapshot& snapshot, Now now) noexcept {
  bool is_busy = false;
  for (const RxQueue& q : options_.rx) {
    std::array<rte_mbuf*, Path::kBurst> frames;
    path_.steps().arm();
    const std::uint16_t n = rte_eth_rx_burst(q.port_id, q.queue_id, frames.data(), Path::kBurst);
    if (n == 0) continue;
    is_busy = true;
    gets({frames.data(), n});
    io_.received({frames.data(), n}, q.port);
    process({frames.data(), n}, q.port, snapshot, now);
  }
  return is_busy;
}

void Worker::process(std::span<rte_mbuf* const> frames, lb::PortIndex port, const lb::Snapshot& snapshot,
                     Now now) noexcept {
  load_.bursts.add();
  path_.process(frames, port, snapshot, now);
  if (!path_.steps().is_timing()) return;
  io_.flush();  // what the driver takes is of the burst's cost
  path_.steps().lap(Step::kTransmit);
}

double Worker::step_ns(Step step) const noexcept {
  return path_.steps().ns(step, rte_get_tsc_hz());
}

// One burst of either cargo from each of the others.
bool Worker::poll_workers(const lb::Snapshot& snapshot, Now now) noexcept {
  bool is_busy = false;
  const auto self = static_cast<lb::WorkerIndex>(options_.index);
  std::array<rte_mbuf*, Path::kBurst> frames;
  const auto take = [&](rte_ring* ring) {
    if (ring == nullptr) return std::span<rte_mbuf*>{};
    const unsigned n = rte_ring_sc_dequeue_burst(ring, reinterpret_cast<void**>(frames.data()), Path::kBurst, nullptr);
    is_busy |= n > 0;
    return std::span(frames.data(), n);
  };
  for (lb::WorkerIndex from = 0; from < rings_.workers(); ++from) {
    path_.steps().arm();
    if (const auto burst = take(rings_.to_process(from, self)); !burst.empty()) {
      process(burst, Path::kHandedOver, snapshot, now);
    }
    for (rte_mbuf* frame : take(rings_.to_send(from, self))) io_.transmit(MbufIo::port(frame), frame);
  }
  return is_busy;
}

// Frames of the kernel's and of control's.
bool Worker::poll_beside(const lb::Snapshot& snapshot) noexcept {
  const std::size_t injected = beside_.from_twin->pop(
      Path::kBurst,
      [&](const FrameOf& of, std::span<const std::uint8_t> frame) { path_.inject(of.interface, frame, snapshot); });
  const std::size_t emitted = beside_.from_control->pop(
      Path::kBurst,
      [&](const FrameOf& of, std::span<const std::uint8_t> frame) { path_.emit(of.interface, frame, snapshot); });
  return injected + emitted > 0;
}

void Worker::tend_held(const lb::Snapshot& snapshot, Now now) noexcept {
  if (stage_ == 0)
    path_.tend_held(snapshot, now);
  else
    path_.drop_held();
}

void Worker::expire(const lb::Snapshot& snapshot, Now now) noexcept {
  const std::uint64_t elapsed = std::min(now.ns - scanned_until_ns_, kScanPeriodNs);
  const auto due = static_cast<std::uint32_t>(elapsed * flows_.lines() / kScanPeriodNs);
  if (due == 0) return;
  path_.expire(std::min(due, kMaxScanLines), snapshot, now);
  scanned_until_ns_ = now.ns;
}

void Worker::answer(const lb::Snapshot& snapshot, Now now) noexcept {
  FlowRequest* request = request_.load(std::memory_order_acquire);
  if (request == nullptr) return;
  const auto see = [&](FlowRef ref, const Flow& f) {
    const auto silent = static_cast<lb::Tick>(now.tick() - f.last_seen);
    const lb::Tick timeout = f.state.timeout(snapshot.timeouts);
    if (silent >= timeout || !request->filter.matches(f)) return;
    ++request->matched;
    if (request->erases) return flows_.erase(ref);
    if (request->rows.size() < request->limit)  // room was made
      request->rows.push_back({f, static_cast<std::uint32_t>(timeout - silent)});
  };
  if (request->socket) {
    flows_.for_client(request->socket->first, request->socket->second, see);
  } else {
    request->cursor = flows_.list(request->cursor, kListLines, see);
    if (request->cursor < flows_.lines()) return;
  }
  request_.store(nullptr, std::memory_order_relaxed);
  request->is_done.store(true, std::memory_order_release);
}

void Worker::sleep() noexcept {
  rcu_.offline(options_.index);
  const timespec nap{0, kSleepNs};
  nanosleep(&nap, nullptr);
  rcu_.online(options_.index);
}

}  // namespace weir::dataplane
