#include "control/metrics.h"

#include <fmt/format.h>
#include <rte_ethdev.h>
#include <rte_mempool.h>
#include <rte_version.h>

#include <algorithm>
#include <array>
#include <vector>

#include "control/exposition.h"
#include "control/version.h"

namespace weir::control {

namespace {

constexpr auto kMetrics = std::to_array<MetricInfo>({
#define WEIR_INFO(symbol, name, labels, help) {name, labels, help, std::string_view(name).ends_with("_total")},
    WEIR_METRICS(WEIR_INFO)
#undef WEIR_INFO
});

// A backend's part, read once: its series lie in eight families.
struct BackendRow {
  std::string_view service;
  std::string backend;
  Traffic traffic;
  std::uint16_t weight;
  bool is_up;
};

double number(std::uint64_t n) {
  return static_cast<double>(n);
}
double seconds(std::uint64_t ns) {
  return static_cast<double>(ns) / 1e9;
}
double seconds(std::chrono::system_clock::time_point t) {
  return std::chrono::duration<double>(t.time_since_epoch()).count();
}

bool takes_new_flows(const Running& r, const config::Service& s, const config::Backend& b) {
  return b.weight > 0 && r.overlay->drain_of(s.name, b) == nullptr;
}

std::string name_of(const config::Backend& b) {
  return b.port == 0 ? lb::to_string(b.address) : lb::to_string(b.address, b.port);
}

// One family with a series for each of `items`: `series(item)` adds it.
template <class Items, class Series>
void family(Exposition& out, Metric metric, const Items& items, Series&& series) {
  out.begin(metric);
  for (const auto& item : items) series(item);
}

void add_process(Exposition& out, const Running& r, const ReloadCounts& reloads,
                 std::chrono::system_clock::time_point started) {
  out.begin(Metric::kBuildInfo);
  out.add({version(), rte_version()}, 1);
  out.single(Metric::kStartTime, seconds(started));
  out.single(Metric::kGeneration, number(r.compiled->snapshot->generation));
  out.begin(Metric::kReloads);
  for (std::size_t i = 0; i < kReloadResults.size(); ++i)
    out.add({kReloadResults[i]}, number(reloads.results[i].count));
  out.begin(Metric::kReloadTime);
  for (std::size_t i = 0; i < kReloadResults.size(); ++i)
    out.add({kReloadResults[i]}, seconds(reloads.results[i].last));
  out.single(Metric::kReloadOk, reloads.last_was_refused ? 0 : 1);
  out.single(Metric::kServices, number(r.model().services.size()));
}

void add_conservation(Exposition& out, const Running& r) {
  const PacketCounts c = packet_counts(r);
  out.single(Metric::kReceived, number(c.received));
  out.single(Metric::kInjected, number(c.injected));
  out.single(Metric::kGenerated, number(c.generated));
  out.single(Metric::kSent, number(c.sent));
  out.single(Metric::kDropped, number(c.all_dropped));
  out.single(Metric::kPunted, number(c.punted));
  out.single(Metric::kHeld, number(c.held));
  out.single(Metric::kDifference, static_cast<double>(c.difference()));
  out.begin(Metric::kDrops);
  for (std::size_t i = 0; i < c.dropped.size(); ++i) out.add({lb::kDropReasons[i].name}, number(c.dropped[i]));
  family(out, Metric::kDropInfo, lb::kDropReasons, [&](const auto& d) { out.add({d.name, d.help}, 1); });
  out.begin(Metric::kEvents);
  for (std::size_t i = 0; i < c.events.size(); ++i) out.add({lb::kEvents[i].name}, number(c.events[i]));
  family(out, Metric::kEventInfo, lb::kEvents, [&](const auto& e) { out.add({e.name, e.help}, 1); });
}

void add_ports(Exposition& out, const Running& r) {
  struct PortRow {
    std::string_view name;
    rte_eth_stats stats;
    rte_eth_link link;
    std::uint64_t tx_dropped;
  };
  std::vector<PortRow> rows;
  for (std::size_t i = 0; i < r.data_plane.ports().size(); ++i) {
    PortRow row{.name = r.model().ports[i].name, .stats = {}, .link = {}, .tx_dropped = 0};
    const std::uint16_t id = r.data_plane.ports()[i].id();
    rte_eth_stats_get(id, &row.stats);
    static_cast<void>(rte_eth_link_get_nowait(id, &row.link));
    for (const auto& worker : r.data_plane.workers())
      row.tx_dropped += worker->io().tx_dropped(lb::PortIndex(static_cast<std::uint16_t>(i)));
    rows.push_back(row);
  }
  const auto each = [&](Metric metric, auto&& value) {
    family(out, metric, rows, [&](const PortRow& p) { out.add({p.name}, number(value(p))); });
  };
  const auto is_up = [](const PortRow& p) { return p.link.link_status == RTE_ETH_LINK_UP; };
  each(Metric::kPortUp, [&](const PortRow& p) { return is_up(p) ? 1u : 0u; });
  each(Metric::kPortSpeed, [&](const PortRow& p) {
    return is_up(p) && p.link.link_speed != RTE_ETH_SPEED_NUM_UNKNOWN ? p.link.link_speed * std::uint64_t{1'000'000}
                                                                      : 0;
  });
  each(Metric::kPortRxPackets, [](const PortRow& p) { return p.stats.ipackets; });
  each(Metric::kPortRxBytes, [](const PortRow& p) { return p.stats.ibytes; });
  each(Metric::kPortRxMissed, [](const PortRow& p) { return p.stats.imissed + p.stats.rx_nombuf; });
  each(Metric::kPortRxErrors, [](const PortRow& p) { return p.stats.ierrors; });
  each(Metric::kPortTxPackets, [](const PortRow& p) { return p.stats.opackets; });
  each(Metric::kPortTxBytes, [](const PortRow& p) { return p.stats.obytes; });
  each(Metric::kPortTxDropped, [](const PortRow& p) { return p.tx_dropped; });
  each(Metric::kPortTxErrors, [](const PortRow& p) { return p.stats.oerrors; });
}

// Every pool of the process, whoever made it.
void add_pools(Exposition& out) {
  struct Pool {
    std::string name;
    std::uint64_t size, used;
  };
  std::vector<Pool> pools;
  rte_mempool_walk(
      [](rte_mempool* p, void* to) {
        static_cast<std::vector<Pool>*>(to)->push_back({p->name, p->size, rte_mempool_in_use_count(p)});
      },
      &pools);
  family(out, Metric::kPoolSize, pools, [&](const Pool& p) { out.add({p.name}, number(p.size)); });
  family(out, Metric::kPoolUsed, pools, [&](const Pool& p) { out.add({p.name}, number(p.used)); });
}

void add_workers(Exposition& out, const Running& r) {
  const auto each = [&](Metric metric, auto&& value) {
    family(out, metric, r.data_plane.workers(),
           [&](const auto& w) { out.add({std::to_string(w->options().index)}, value(*w)); });
  };
  using dataplane::Worker;
  each(Metric::kWorkerPackets, [](const Worker& w) { return number(w.counters().received.get()); });
  each(Metric::kWorkerBursts, [](const Worker& w) { return number(w.load().bursts.get()); });
  each(Metric::kWorkerBusy, [](const Worker& w) { return seconds(w.load().busy_ns.get()); });
  each(Metric::kWorkerTime, [](const Worker& w) { return seconds(w.load().total_ns.get()); });

  using Use = dataplane::FlowTable::Use;
  const auto by_kind = [&](Metric metric, auto&& value) {
    out.begin(metric);
    for (const auto& w : r.data_plane.workers()) {
      const std::string name = std::to_string(w->options().index);
      out.add({name, "narrow"}, number(value(w->flows().narrow_use())));
      out.add({name, "wide"}, number(value(w->flows().wide_use())));
    }
  };
  by_kind(Metric::kFlows, [](const Use& u) { return u.used; });
  // Two counts of a worker that goes on: it may have erased one in between.
  by_kind(Metric::kConfirmed, [](const Use& u) { return u.used - std::min(u.used, u.unconfirmed); });
  by_kind(Metric::kUnconfirmed, [](const Use& u) { return u.unconfirmed; });
  by_kind(Metric::kCapacity, [](const Use& u) { return u.capacity; });
}

void add_services(Exposition& out, const Running& r) {
  struct Row {
    std::string_view name;
    std::uint64_t connections = 0, flows = 0, refused = 0, backends = 0, usable = 0;
  };
  std::vector<Row> rows;
  for (const config::Service& s : r.model().services) {
    Row row{.name = s.name, .backends = s.backends.size()};
    for (const config::Vip& v : s.vips) {
      const Traffic t = r.baselines->of(r.data_plane, id_of(r, s, v));
      row.connections += t.connections;
      row.flows += t.current;
      row.refused += t.refused;
    }
    for (const config::Backend& b : s.backends) row.usable += takes_new_flows(r, s, b);
    rows.push_back(row);
  }
  const auto each = [&](Metric metric, std::uint64_t Row::* value) {
    family(out, metric, rows, [&](const Row& s) { out.add({s.name}, number(s.*value)); });
  };
  each(Metric::kServiceConnections, &Row::connections);
  each(Metric::kServiceFlows, &Row::flows);
  each(Metric::kServiceRefused, &Row::refused);
  each(Metric::kServiceBackends, &Row::backends);
  each(Metric::kServiceUsable, &Row::usable);
}

void add_backends(Exposition& out, const Running& r) {
  std::vector<BackendRow> rows;
  for (const config::Service& s : r.model().services)
    for (const config::Backend& b : s.backends)
      rows.push_back({s.name, name_of(b), r.baselines->of(r.data_plane, id_of(r, s, b)), b.weight, takes_new_flows(r, s, b)});
  const auto each = [&](Metric metric, auto&& value) {
    family(out, metric, rows, [&](const BackendRow& b) { out.add({b.service, b.backend}, number(value(b))); });
  };
  each(Metric::kBackendUp, [](const BackendRow& b) { return b.is_up ? 1u : 0u; });
  each(Metric::kBackendWeight, [](const BackendRow& b) { return b.weight; });
  each(Metric::kBackendConnections, [](const BackendRow& b) { return b.traffic.connections; });
  each(Metric::kBackendFlows, [](const BackendRow& b) { return b.traffic.current; });
  each(Metric::kBackendPacketsIn, [](const BackendRow& b) { return b.traffic.packets_in; });
  each(Metric::kBackendPacketsOut, [](const BackendRow& b) { return b.traffic.packets_out; });
  each(Metric::kBackendBytesIn, [](const BackendRow& b) { return b.traffic.bytes_in; });
  each(Metric::kBackendBytesOut, [](const BackendRow& b) { return b.traffic.bytes_out; });
}

// Over what the text will take: memory that is set aside and never written costs nothing.
std::size_t expected_bytes(const config::Model& m) {
  constexpr std::size_t kPerService = 5 * 64, kPerBackend = 8 * 128, kRest = 64 * 1024;
  std::size_t bytes = kRest;
  for (const config::Service& s : m.services)
    bytes += kPerService + 5 * s.name.size() + s.backends.size() * (kPerBackend + 8 * s.name.size());
  return bytes;
}

}  // namespace

std::span<const MetricInfo> metrics() {
  return kMetrics;
}

std::string metrics_text(const Running& r, const ReloadCounts& reloads, std::chrono::system_clock::time_point started) {
  Exposition out(expected_bytes(r.model()));
  add_process(out, r, reloads, started);
  add_conservation(out, r);
  add_ports(out, r);
  add_pools(out);
  add_workers(out, r);
  add_services(out, r);
  add_backends(out, r);
  return out.take();
}

}  // namespace weir::control
