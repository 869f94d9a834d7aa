// What Prometheus is told: the list of all metrics, and the text of a scrape.
//
// The list stands here once: names in the text, and the tables of docs/metrics.md (a test compares them), come from
// it. Series are made anew at each scrape from what runs, so those of a removed service or backend are gone with it.
#pragma once

#include <chrono>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "control/reload_counts.h"
#include "control/views.h"

namespace weir::control {

// symbol, name, labels (space between), help. Names that end in _total are counters, the others gauges. In order of
// the text; what many series have comes last.
#define WEIR_METRICS(X)                                                                                               \
  X(kBuildInfo, "weir_build_info", "version dpdk", "1; the labels say which Weir this is and with which DPDK")        \
  X(kStartTime, "weir_start_time_seconds", "", "when this process began to forward, in seconds since 1970")           \
  X(kGeneration, "weir_generation", "",                                                                               \
    "number of the snapshot that the workers run; a reload that changes anything raises it")                          \
  X(kReloads, "weir_reloads_total", "result", "reloads asked for, by result: applied, refused or unchanged")          \
  X(kReloadTime, "weir_last_reload_timestamp_seconds", "result",                                                      \
    "when a reload last had this result, in seconds since 1970; 0: never")                                            \
  X(kReloadOk, "weir_last_reload_successful", "",                                                                     \
    "1 if the last reload was not refused, or none was asked for; else 0")                                            \
  X(kServices, "weir_services", "", "services that run")                                                              \
  X(kReceived, "weir_received_packets_total", "", "packets taken from ports")                                         \
  X(kInjected, "weir_injected_packets_total", "", "packets taken from twins")                                         \
  X(kGenerated, "weir_generated_packets_total", "", "packets that Weir made itself: ARP, ND, ICMP, RST")              \
  X(kSent, "weir_sent_packets_total", "", "packets given to ports")                                                   \
  X(kDropped, "weir_dropped_packets_total", "", "packets dropped, all reasons together")                              \
  X(kPunted, "weir_punted_packets_total", "", "packets given to twins")                                               \
  X(kHeld, "weir_held_packets", "", "packets that wait for a neighbour's answer or for fragments")                    \
  X(kDifference, "weir_conservation_difference_packets", "",                                                          \
    "received + injected + generated - sent - dropped - punted - held: 0 at rest, packets under way otherwise")       \
  X(kDrops, "weir_drops_total", "reason", "packets dropped, by reason")                                               \
  X(kDropInfo, "weir_drop_reason_info", "reason help", "1; the label help says what the reason means")                \
  X(kEvents, "weir_events_total", "event", "what happened to packets and flows besides, by event")                    \
  X(kEventInfo, "weir_event_info", "event help", "1; the label help says what the event means")                       \
  X(kPortUp, "weir_port_link_up", "port", "1 if the port has a link, else 0")                                         \
  X(kPortSpeed, "weir_port_link_bits_per_second", "port", "speed of the link; 0: unknown or down")                    \
  X(kPortRxPackets, "weir_port_rx_packets_total", "port", "packets that the device received, as it counts")           \
  X(kPortRxBytes, "weir_port_rx_bytes_total", "port", "bytes that the device received, as it counts")                 \
  X(kPortRxMissed, "weir_port_rx_missed_total", "port", "packets lost before Weir saw them: queue full, or no mbuf")  \
  X(kPortRxErrors, "weir_port_rx_errors_total", "port", "frames that the device refused")                             \
  X(kPortTxPackets, "weir_port_tx_packets_total", "port", "packets that the device sent, as it counts")               \
  X(kPortTxBytes, "weir_port_tx_bytes_total", "port", "bytes that the device sent, as it counts")                     \
  X(kPortTxDropped, "weir_port_tx_dropped_total", "port", "packets dropped because the port took fewer than offered") \
  X(kPortTxErrors, "weir_port_tx_errors_total", "port", "packets that the device failed to send")                     \
  X(kPoolSize, "weir_mbuf_pool_mbufs", "pool", "mbufs that the pool has")                                             \
  X(kPoolUsed, "weir_mbuf_pool_used_mbufs", "pool", "mbufs not in the pool: in queues, or under way")                 \
  X(kWorkerPackets, "weir_worker_packets_total", "worker", "packets that the worker took from ports")                 \
  X(kWorkerBursts, "weir_worker_bursts_total", "worker", "bursts with at least one packet")                           \
  X(kWorkerBusy, "weir_worker_busy_seconds_total", "worker", "time in loops that found a packet")                     \
  X(kWorkerTime, "weir_worker_seconds_total", "worker", "time since the worker started; busy / this is its load")     \
  X(kFlows, "weir_conntrack_flows", "worker kind", "flows in the table, by kind of record: narrow (IPv4) or wide")    \
  X(kConfirmed, "weir_conntrack_confirmed_flows", "worker kind",                                                      \
    "flows of them that both sides have taken part in; never evicted")                                                \
  X(kUnconfirmed, "weir_conntrack_unconfirmed_flows", "worker kind",                                                  \
    "flows of them that may be overwritten; at most a quarter of the capacity")                                       \
  X(kCapacity, "weir_conntrack_capacity_flows", "worker kind", "most flows that the table holds")                     \
  X(kServiceConnections, "weir_service_connections_total", "service", "flows opened through the service's VIPs")      \
  X(kServiceFlows, "weir_service_flows", "service", "flows that there are now")                                       \
  X(kServiceRefused, "weir_service_refused_total", "service", "packets to the service's VIPs that were refused")      \
  X(kServiceBackends, "weir_service_backends", "service", "backends that the service has")                            \
  X(kServiceUsable, "weir_service_usable_backends", "service", "backends of them that may get new flows")             \
  X(kBackendUp, "weir_backend_up", "service backend", "1 if the backend may get new flows, else 0")                   \
  X(kBackendWeight, "weir_backend_weight", "service backend", "its weight; 0: draining")                              \
  X(kBackendConnections, "weir_backend_connections_total", "service backend", "flows opened to the backend")          \
  X(kBackendFlows, "weir_backend_flows", "service backend", "flows that there are now")                               \
  X(kBackendPacketsIn, "weir_backend_packets_in_total", "service backend", "packets to the backend")                  \
  X(kBackendPacketsOut, "weir_backend_packets_out_total", "service backend", "packets from the backend")              \
  X(kBackendBytesIn, "weir_backend_bytes_in_total", "service backend", "IP bytes to the backend")                     \
  X(kBackendBytesOut, "weir_backend_bytes_out_total", "service backend", "IP bytes from the backend")

#define WEIR_ENUMERATOR(symbol, name, labels, help) symbol,
enum class Metric : std::uint8_t { WEIR_METRICS(WEIR_ENUMERATOR) };
#undef WEIR_ENUMERATOR

struct MetricInfo {
  std::string_view name, labels, help;
  bool is_counter;
};
/// By Metric.
[[nodiscard]] std::span<const MetricInfo> metrics();

/// The text of a scrape (Prometheus exposition format 0.0.4). Any thread; takes half a second and 80 MB at 10,000
/// services x 10 backends, so not the control thread.
[[nodiscard]] std::string metrics_text(const Running& r, const ReloadCounts& reloads,
                                       std::chrono::system_clock::time_point started);

}  // namespace weir::control
