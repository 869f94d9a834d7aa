#include "control/data_plane.h"

#include <fmt/format.h>
#include <sched.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <set>

#include "control/compile.h"
#include "control/instance_lock.h"
#include "control/numa.h"
#include "control/plural.h"
#include "control/port_sides.h"

namespace weir::control {

namespace {

dataplane::HugePages to_dataplane(config::HugePages h) {
  switch (h) {
    case config::HugePages::kAuto: return dataplane::HugePages::kAuto;
    case config::HugePages::kAlways: return dataplane::HugePages::kAlways;
    case config::HugePages::kNever: return dataplane::HugePages::kNever;
  }
  return dataplane::HugePages::kAuto;
}

// Room to grow: the tables are made once, and a reload may well double a file.
dataplane::RteTables::Size table_size(const config::Model& m) {
  std::size_t vips = 0, backends = 0;
  for (const config::Service& s : m.services) vips += s.vips.size(), backends += s.backends.size();
  const auto with_room = [](std::size_t n, std::size_t least) {
    return static_cast<std::uint32_t>(std::max(n * 4, least));
  };
  // Beside the file's, the kernel's, where there are twins; and as many neighbours as a large segment has.
  const bool has_twin = std::ranges::any_of(m.interfaces, &config::Interface::twin);
  const std::uint32_t routes = with_room(m.routes.size() + m.neighbors.size(), 16'384);
  const std::uint32_t kernel4 = has_twin ? Compiler::kMaxKernelRoutes4 : 0;
  const std::uint32_t kernel6 = has_twin ? Compiler::kMaxKernelRoutes6 : 0;
  return {.vips = std::min(with_room(vips, 16'384), 1u << 17),
          .endpoints = std::min(with_room(backends, 65'536), 1u << 21),
          .addresses = std::min(with_room(vips, 16'384), 1u << 17),
          .routes = routes + kernel4,
          .routes6 = routes + kernel6};
}

// A key. Zeros where the kernel gives no random bytes: outsiders could aim at one worker then, nothing else is lost.
template <class Key>
Key random_bytes() {
  Key key{};
  static_cast<void>(getentropy(&key, sizeof key));
  return key;
}

// Every PCI device that a port stands on, members of a bond too.
std::vector<std::string> pci_devices(const config::Model& m) {
  std::vector<std::string> addresses;
  for (const config::Port& p : m.ports)
    for (const ExclusiveDevice& d : exclusive_devices(p.device))
      if (d.is_pci) addresses.push_back(d.name);
  return addresses;
}

std::vector<unsigned> allowed_cores() {
  cpu_set_t cores;
  CPU_ZERO(&cores);
  sched_getaffinity(0, sizeof cores, &cores);
  std::vector<unsigned> numbers;
  for (unsigned core = 0; core < CPU_SETSIZE; ++core)
    if (CPU_ISSET(core, &cores)) numbers.push_back(core);
  return numbers;
}

lb::Result<void> check_cores(const config::Model& m, const std::vector<unsigned>& allowed) {
  for (const unsigned core : m.worker_cores) {
    if (std::ranges::find(allowed, core) != allowed.end()) continue;
    return lb::fail(
        fmt::format("workers: core {} is not one that this process may run on; `taskset -p $$` and `nproc` "
                    "tell which there are",
                    core));
  }
  return {};
}

std::vector<dataplane::Twin::Device> twins_of(const lb::Snapshot& snapshot) {
  std::vector<dataplane::Twin::Device> all;
  for (std::size_t i = 0; i < snapshot.interfaces.size(); ++i) {
    const lb::InterfaceEntry& e = snapshot.interfaces[i];
    if (!e.name.empty() && e.has_twin)
      all.push_back({lb::InterfaceId(static_cast<std::uint16_t>(i)), e.name, e.mac, e.mtu});
  }
  return all;
}

}  // namespace

DataPlane::DataPlane(dataplane::Eal eal) : eal_(std::move(eal)), next_hops_(Compiler::kMaxNextHops) {}

lb::Result<std::unique_ptr<DataPlane>> DataPlane::open(const config::Model& m) {
  const std::vector<unsigned> cores = allowed_cores();  // before EAL sets this thread's own
  if (auto ok = check_cores(m, cores); !ok) return std::unexpected(ok.error());
  const auto size = table_size(m);
  const std::size_t mbufs = dataplane::mempool_memory(m.memory.mbufs, m.memory.mbuf_bytes);
  auto eal = dataplane::Eal::start(
      {.huge_pages = to_dataplane(m.memory.huge_pages),
       .memory_bytes = mbufs + dataplane::RteTables::memory(size),
       .more_without_huge_pages = dataplane::mempool_memory_in_small_pages(m.memory.mbufs, m.memory.mbuf_bytes) - mbufs,
       .other_bytes = dataplane::FlowTable::memory({m.conntrack.capacity, m.conntrack.wide_capacity}),
       .pci = pci_devices(m)});
  if (!eal) return std::unexpected(eal.error());

  std::unique_ptr<DataPlane> d(new DataPlane(std::move(*eal)));
  const Placement placement = place(m, cores);
  for (const std::string& warning : placement.warnings) spdlog::warn("{}", warning);
  auto pool = dataplane::create_mempool(m.memory.mbufs, m.memory.mbuf_bytes, placement.socket);
  if (!pool) return std::unexpected(pool.error());
  d->pool_ = std::move(*pool);
  if (auto done = d->open_ports(m); !done) return std::unexpected(done.error());
  d->warn_of_few_mbufs(m);
  auto tables = dataplane::RteTables::create(size, placement.socket);
  if (!tables) return std::unexpected(tables.error());
  d->tables_ = std::make_unique<dataplane::RteTables>(std::move(*tables));
  if (auto done = d->make_workers(m, placement); !done) return std::unexpected(done.error());
  return d;
}

lb::Result<void> DataPlane::open_ports(const config::Model& m) {
  ports_.reserve(m.ports.size());
  const std::vector<dataplane::PortSide> sides = port_sides(m);
  const auto hash_key = random_bytes<lb::ToeplitzKey>();
  for (const config::Port& p : m.ports) {
    dataplane::Port::Options options{
        .name = p.name, .device = p.device, .workers = m.workers, .queues = p.queues, .mtu = 0};
    std::set<lb::MacAddress> macs;
    for (const config::Interface& i : m.interfaces) {
      if (i.port != p.name) continue;
      options.mtu = std::max(options.mtu, i.mtu);
      macs.insert(i.mac.value_or(lb::MacAddress{}));
    }
    if (options.mtu == 0) options.mtu = 1500;
    options.many_macs = macs.size() > 1;
    if (!macs.empty()) options.wanted_mac = *macs.begin();
    options.side = sides[ports_.size()];
    options.hash_key = hash_key;
    auto port = dataplane::Port::open(options, pool_.get());
    if (!port) return std::unexpected(port.error());
    ports_.push_back(std::move(*port));
  }
  owners_ = std::ranges::any_of(ports_, &dataplane::Port::hashes)
                ? std::make_unique<lb::Owners>(m.workers, hash_key)
                : std::make_unique<lb::Owners>(m.workers, random_bytes<lb::HashKey>());
  return {};
}

// Queues that hold every mbuf leave none to receive into: some drivers then do not start, others lose packets.
void DataPlane::warn_of_few_mbufs(const config::Model& m) const {
  std::uint64_t held = 0;
  for (const dataplane::Port& port : ports_) held += port.most_mbufs();
  if (held + m.workers * dataplane::kMbufsOfWorker > m.memory.mbufs)
    spdlog::warn(
        "memory.mbufs is {}, and the ports' queues and {} may hold {}: with all of them full no packet comes "
        "in; raise it",
        m.memory.mbufs, plural(m.workers, "worker"), held + m.workers * dataplane::kMbufsOfWorker);
}

lb::Result<void> DataPlane::make_workers(const config::Model& m, const Placement& placement) {
  rcu_ = std::make_unique<dataplane::Rcu>(m.workers);
  auto rings = dataplane::WorkerRings::create(m.workers);
  if (!rings) return std::unexpected(rings.error());
  rings_ = std::move(*rings);
  sessions_ = std::make_unique<dataplane::SpokenSessions>(random_bytes<lb::HashKey>());
  std::vector<dataplane::QueuePlan::Queues> queues;
  for (const dataplane::Port& port : ports_) queues.push_back({port.rx_queues(), port.tx_queues()});
  const dataplane::QueuePlan plan(m.workers, queues);
  for (std::uint32_t w = 0; w < m.workers; ++w) {
    dataplane::Worker::Options options{
        .index = w,
        .core = placement.cores[w],
        .sleeps_when_idle = std::ranges::all_of(ports_, &dataplane::Port::is_software),
        .sessions = sessions_.get(),
        .pool = pool_.get(),
        .flows = {m.conntrack.capacity / m.workers, m.conntrack.wide_capacity / m.workers}};
    if (auto done = give_queues(options, plan); !done) return done;
    auto worker = dataplane::Worker::create(options, {*tables_, next_hops_, *rcu_, *owners_, *rings_, answers_});
    if (!worker) return std::unexpected(worker.error());
    workers_.push_back(std::move(*worker));
  }
  make_twin();
  return {};
}

void DataPlane::make_twin() {
  std::vector<dataplane::SideRings*> rings;
  std::vector<int> cores;
  for (const auto& worker : workers_) {
    rings.push_back(&worker->side_rings());
    cores.push_back(worker->options().core);
  }
  twin_ = std::make_unique<dataplane::Twin>(std::move(rings), std::move(cores));
}

lb::Result<void> DataPlane::add_twins(const lb::Snapshot& snapshot) {
  return twin_->add(twins_of(snapshot));
}

void DataPlane::keep_twins(const lb::Snapshot& snapshot) {
  twin_->keep(twins_of(snapshot));
}

lb::Result<void> DataPlane::give_queues(dataplane::Worker::Options& options, const dataplane::QueuePlan& plan) {
  const auto self = static_cast<lb::WorkerIndex>(options.index);
  for (std::size_t i = 0; i < ports_.size(); ++i) {
    for (std::uint16_t q = 0; q < ports_[i].rx_queues(); ++q)
      if (plan.receiver(i, q) == self)
        options.rx.push_back({ports_[i].id(), q, lb::PortIndex(static_cast<std::uint16_t>(i))});
    const auto sender = plan.sender(i, self);
    dataplane::TxQueue tx{ports_[i].id(), sender.queue};
    if (sender.worker != self) {
      auto ring = rings_->make_to_send(self, sender.worker);
      if (!ring) return std::unexpected(ring.error());
      tx.instead = *ring;
    }
    options.tx.push_back(tx);
    options.hashes.push_back(ports_[i].hashes());
  }
  return {};
}

lb::Result<void> DataPlane::start_ports() {
  for (dataplane::Port& port : ports_) {
    std::vector<std::vector<std::uint16_t>> queues;  // by worker
    for (const auto& worker : workers_) {
      queues.emplace_back();
      for (const dataplane::RxQueue& q : worker->options().rx)
        if (q.port_id == port.id()) queues.back().push_back(q.queue_id);
    }
    if (auto done = port.start(*owners_, queues); !done) return done;
  }
  dataplane::Eal::log_to_stderr();
  return {};
}

void DataPlane::start_workers() {
  for (const auto& worker : workers_) worker->start();
  twin_->start();
}

void DataPlane::stop() {
  for (const auto& worker : workers_) worker->ask_to_stop();
  for (const auto& worker : workers_) worker->join();
  if (twin_) twin_->stop();
}

std::vector<lb::MacAddress> DataPlane::port_macs() const {
  std::vector<lb::MacAddress> macs;
  for (const dataplane::Port& port : ports_) macs.push_back(port.mac());
  return macs;
}

void DataPlane::prepare_counters(const lb::Snapshot& snapshot) const noexcept {
  for (const auto& worker : workers_) worker->counters().prepare(snapshot.endpoints.size(), snapshot.vips.size());
}

std::uint64_t DataPlane::flows_of(lb::VipId id) const noexcept {
  std::uint64_t n = 0;
  for (const auto& worker : workers_) n += worker->flows().flows_of(id);
  return n;
}

std::uint64_t DataPlane::flows_of(lb::EndpointId id) const noexcept {
  std::uint64_t n = 0;
  for (const auto& worker : workers_) n += worker->flows().flows_of(id);
  return n;
}

}  // namespace weir::control
