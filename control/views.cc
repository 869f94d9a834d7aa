#include "control/views.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <string>

#include "control/drains.h"
#include "control/filters.h"

namespace weir::control {

namespace {

namespace json = boost::json;
using lb::be16;
using lb::EndpointId;
using lb::VipId;

json::object list_of(const Running& r, std::string_view noun, json::array list) {
  return {{"generation", r.compiled->snapshot->generation}, {noun, std::move(list)}};
}

json::value port_value(const config::PortRange& p) {
  if (p.all) return "all";
  if (p.is_single()) return p.first;
  return json::value(fmt::format("{}-{}", p.first, p.last));
}

void put(json::object& o, const Traffic& t) {
  o["connections"] = t.connections;
  o["current"] = t.current;
  o["packets_in"] = t.packets_in;
  o["packets_out"] = t.packets_out;
  o["bytes_in"] = t.bytes_in;
  o["bytes_out"] = t.bytes_out;
}

json::object service_row(const Running& r, const config::Service& s) {
  json::array vips;
  Traffic t;
  for (const config::Vip& v : s.vips) {
    vips.push_back(json::object{{"address", lb::to_string(v.address)}, {"port", port_value(v.ports)}});
    const VipId id = id_of(r, s, v);
    const Traffic of_vip = r.baselines->of(r.data_plane, id);
    t.connections += of_vip.connections;
    t.current += of_vip.current;
  }
  for (const config::Backend& b : s.backends) {
    const Traffic of_backend = r.baselines->of(r.data_plane, id_of(r, s, b));
    t.packets_in += of_backend.packets_in;
    t.packets_out += of_backend.packets_out;
    t.bytes_in += of_backend.bytes_in;
    t.bytes_out += of_backend.bytes_out;
  }
  json::object row{{"name", s.name},
                   {"protocol", lb::name(s.protocol)},
                   {"mode", "dnat"},
                   {"scheduler", "maglev"},
                   {"vips", std::move(vips)},
                   {"backends", s.backends.size()},
                   {"usable", std::ranges::count_if(s.backends, [&](const auto& b) {
                      return b.weight > 0 && r.overlay->drain_of(s.name, b) == nullptr;
                    })}};
  put(row, t);
  return row;
}

json::object backend_row(const Running& r, const config::Service& s, const config::Backend& b) {
  const Drain* drain = r.overlay->drain_of(s.name, b);
  std::string reason = drain == nullptr ? "" : "weir drain, since " + utc_text(drain->since_s);
  if (b.weight == 0) reason += reason.empty() ? "weight 0" : "; weight 0";
  json::object row{{"service", s.name},
                   {"address", lb::to_string(b.address)},
                   {"port", b.port == 0 ? json::value(nullptr) : json::value(b.port)},
                   {"weight", b.weight},
                   {"state", reason.empty() ? "up" : "draining"},
                   {"reason", reason}};
  put(row, r.baselines->of(r.data_plane, id_of(r, s, b)));
  return row;
}

/// Of "client", "vip" or "backend".
std::optional<BackendFilter> socket_filter(const Query& filters, const char* key) {
  const auto it = filters.find(key);
  return it == filters.end() ? std::nullopt : parse_backend_filter(it->second);
}

/// The same name with a life of its own.
std::string_view state_name(std::string_view name) {
  static constexpr std::string_view kNames[] = {"new", "replied", "established", "closing"};
  const auto it = std::ranges::find(kNames, name);
  return it == std::end(kNames) ? std::string_view() : *it;
}

/// Leaves those of the wanted VIPs that have this address, and this port among theirs. False if no VIP has.
bool keep_vips_of(const BackendFilter& vip, const lb::Chunked<lb::VipEntry>& vips, dataplane::FlowFilter& filter) {
  std::vector<bool>& wanted = *filter.vips;
  bool is_known = false;
  filter.port_vips.resize(vip.port ? wanted.size() : 0);
  filter.vip_port = vip.port.value_or(0);
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    const lb::VipEntry& v = vips[i];
    if (vip.port) filter.port_vips[i] = !v.is_single_port();
    const bool is_one = v.is_live() && v.address == vip.address &&
                        (!vip.port || (v.first_port <= *vip.port && *vip.port <= v.last_port));
    is_known |= is_one;
    wanted[i] = wanted[i] && is_one;
  }
  return is_known;
}

lb::Result<const config::Service*> service_filter(const Running& r, const Query& filters) {
  const auto it = filters.find("service");
  if (it == filters.end()) return nullptr;
  const auto service = std::ranges::find(r.model().services, it->second, &config::Service::name);
  if (service != r.model().services.end()) return &*service;
  return lb::fail(fmt::format("there is no service \"{}\"; `weir show services` lists them", it->second));
}

// What passed between the port and the kernel, an object for each interface with a twin.
json::array twins_of(const Running& r, const config::Port& port) {
  json::array rows;
  const auto& interfaces = r.compiled->snapshot->interfaces;
  for (std::size_t i = 0; i < interfaces.size(); ++i) {
    const auto& in_model = r.model().interfaces;
    const auto it = std::ranges::find(in_model, interfaces[i].name, &config::Interface::name);
    if (it == in_model.end() || it->port != port.name || !interfaces[i].has_twin) continue;
    const auto counts = r.data_plane.twin().counts(lb::InterfaceId(static_cast<std::uint16_t>(i)));
    rows.push_back(json::object{{"interface", interfaces[i].name},
                                {"to_kernel", counts.to_kernel},
                                {"from_kernel", counts.from_kernel},
                                {"refused", counts.refused},
                                {"is_gone", counts.is_gone}});
  }
  return rows;
}

}  // namespace

VipId id_of(const Running& r, const config::Service& s, const config::Vip& v) {
  const auto it = r.compiled->vip_ids.find({v.address, s.protocol, v.ports.first, v.ports.last});
  return it == r.compiled->vip_ids.end() ? VipId::kNone : it->second;
}
EndpointId id_of(const Running& r, const config::Service& s, const config::Backend& b) {
  const auto it = r.compiled->contents.endpoints.find({b.address, s.protocol, be16::from_host(b.port)});
  return it == r.compiled->contents.endpoints.end() ? EndpointId::kNone : it->second;
}

lb::Result<json::object> services_view(const Running& r, const Query& filters) {
  const auto only = service_filter(r, filters);
  if (!only) return std::unexpected(only.error());
  json::array rows;
  for (const config::Service& s : r.model().services)
    if (*only == nullptr || *only == &s) rows.push_back(service_row(r, s));
  return list_of(r, "services", std::move(rows));
}

lb::Result<json::object> backends_view(const Running& r, const Query& filters) {
  const auto only = service_filter(r, filters);
  if (!only) return std::unexpected(only.error());
  const auto backend = socket_filter(filters, "backend");
  json::array rows;
  for (const config::Service& s : r.model().services) {
    if (*only != nullptr && *only != &s) continue;
    for (const config::Backend& b : s.backends)
      if (!backend || backend->matches(b)) rows.push_back(backend_row(r, s, b));
  }
  if (backend && rows.empty())
    return lb::fail(fmt::format("there is no backend {}; `weir show backends` lists them", filters.at("backend")));
  return list_of(r, "backends", std::move(rows));
}

// How packets that come in by a port get to the owner of their flow.
std::string steering_of(const Running& r, lb::PortIndex port) {
  using Trust = dataplane::Steering::Trust;
  const auto& workers = r.data_plane.workers();
  if (workers.size() == 1) return "none: one worker";
  const auto& p = r.data_plane.ports()[lb::index(port)];
  std::size_t trusted = 0, refuted = 0, queues = 0;
  for (const auto& worker : workers) {
    if (std::ranges::find(worker->options().rx, port, &dataplane::RxQueue::port) == worker->options().rx.end())
      continue;
    ++queues;
    trusted += worker->steering().trust(port) == Trust::kTrusted;
    refuted += worker->steering().trust(port) == Trust::kRefuted;
  }
  if (!p.hashes()) return "software: " + p.why_no_hash();
  if (refuted > 0) return fmt::format("software: its hash was wrong for {} of {} workers", refuted, queues);
  if (trusted < queues)
    return fmt::format("software: its hash is not proved yet for {} of {} workers", queues - trusted, queues);
  return "hardware: its hash brings packets to their owner";
}

json::object ports_view(const Running& r) {
  json::array rows;
  for (std::size_t i = 0; i < r.model().ports.size(); ++i) {
    const dataplane::Port& port = r.data_plane.ports()[i];
    rte_eth_stats stats{};
    rte_eth_stats_get(port.id(), &stats);
    std::uint64_t tx_dropped = 0;
    for (const auto& worker : r.data_plane.workers())
      tx_dropped += worker->io().tx_dropped(lb::PortIndex(static_cast<std::uint16_t>(i)));
    rows.push_back(json::object{{"name", r.model().ports[i].name},
                                {"device", r.model().ports[i].device},
                                {"driver", port.driver()},
                                {"mac", lb::to_string(port.mac())},
                                {"rx_packets", stats.ipackets},
                                {"tx_packets", stats.opackets},
                                {"rx_missed", stats.imissed + stats.rx_nombuf},
                                {"tx_dropped", tx_dropped},
                                {"twins", twins_of(r, r.model().ports[i])},
                                {"steering", steering_of(r, lb::PortIndex(static_cast<std::uint16_t>(i)))}});
  }
  return list_of(r, "ports", std::move(rows));
}

// Nanoseconds a packet by step; empty until a burst was timed.
json::object step_ns_of(const dataplane::Worker& worker) {
  json::object steps;
  if (worker.timed_packets() == 0) return steps;
  for (std::size_t i = 0; i < dataplane::kStepNames.size(); ++i)
    steps[dataplane::kStepNames[i]] = worker.step_ns(dataplane::Step(i));
  return steps;
}

using Cause = dataplane::LoopGaps::Cause;
constexpr std::array kCauses{std::pair{"own", Cause::kOwn}, std::pair{"preempted", Cause::kPreempted},
                             std::pair{"unknown", Cause::kUnknown}};

json::object longest_loops_of(const dataplane::LoopGaps& gaps) {
  json::object longest;
  for (const auto& [name, cause] : kCauses) longest[name] = gaps.longest_ns(cause);
  return longest;
}

// The buckets that are not empty.
json::array loops_of(const dataplane::LoopGaps& gaps) {
  json::array rows;
  for (std::size_t b = 0; b < dataplane::LoopGaps::kBuckets; ++b) {
    json::object row{{"under_ns", std::uint64_t{2} << b}};
    std::uint64_t all = 0;
    for (const auto& [name, cause] : kCauses) {
      row[name] = gaps.loops(cause, b);
      all += gaps.loops(cause, b);
    }
    if (all > 0) rows.push_back(std::move(row));
  }
  return rows;
}

json::object workers_view(const Running& r) {
  json::array rows;
  for (const auto& worker : r.data_plane.workers()) {
    const auto& load = worker->load();
    const std::uint64_t packets = worker->counters().received.get();
    const auto ratio = [](std::uint64_t a, std::uint64_t b) {
      return b == 0 ? 0.0 : static_cast<double>(a) / static_cast<double>(b);
    };
    rows.push_back(json::object{{"worker", worker->options().index},
                                {"core", worker->options().core},
                                {"packets", packets},
                                {"packets_per_burst", ratio(packets, load.bursts.get())},
                                {"busy", ratio(load.busy_ns.get(), load.total_ns.get())},
                                {"flows", worker->flows().narrow_count() + worker->flows().wide_count()},
                                {"unconfirmed", worker->flows().unconfirmed_count()},
                                {"handed_over", worker->counters().counted(lb::Event::kHandedOver)},
                                {"taken_over", worker->counters().counted(lb::Event::kTakenOver)},
                                {"handed_to_send", worker->counters().counted(lb::Event::kHandedToSend)},
                                {"step_ns", step_ns_of(*worker)},
                                {"longest_loop_ns", longest_loops_of(worker->gaps())},
                                {"loops", loops_of(worker->gaps())}});
  }
  return list_of(r, "workers", std::move(rows));
}

PacketCounts packet_counts(const Running& r) {
  PacketCounts sum;
  // Sent and dropped first: a packet that arrives in between is then missing on neither side for long.
  for (const auto& worker : r.data_plane.workers()) {
    const dataplane::WorkerCounters& c = worker->counters();
    for (std::size_t i = 0; i < sum.dropped.size(); ++i) sum.dropped[i] += c.dropped(lb::DropReason(i));
    for (std::size_t i = 0; i < sum.events.size(); ++i) sum.events[i] += c.counted(lb::Event(i));
    sum.sent += c.sent.get();
  }
  for (const auto& worker : r.data_plane.workers()) {
    const dataplane::WorkerCounters& c = worker->counters();
    sum.received += c.received.get();
    sum.injected += c.injected.get();
    sum.generated += c.generated.get();
    sum.punted += c.punted.get();
    sum.held += c.held.get();
  }
  for (const std::uint64_t n : sum.dropped) sum.all_dropped += n;
  return sum;
}

json::object drops_view(const Running& r) {
  const PacketCounts c = packet_counts(r);
  json::object drops, events;
  for (std::size_t i = 0; i < c.dropped.size(); ++i) drops[lb::kDropReasons[i].name] = c.dropped[i];
  for (std::size_t i = 0; i < c.events.size(); ++i) events[lb::kEvents[i].name] = c.events[i];
  return {{"drops", std::move(drops)},   {"events", std::move(events)}, {"received", c.received},
          {"injected", c.injected},      {"generated", c.generated},    {"sent", c.sent},
          {"dropped", c.all_dropped},    {"punted", c.punted},          {"held", c.held},
          {"difference", c.difference()}};
}

lb::Result<dataplane::FlowFilter> flow_filter(const Running& r, const Query& filters) {
  dataplane::FlowFilter filter;
  if (const auto client = socket_filter(filters, "client")) {
    filter.client = client->address;
    if (client->port) filter.client_port = be16::from_host(*client->port);
  }
  if (const auto it = filters.find("state"); it != filters.end()) filter.state = state_name(it->second);
  if (const auto it = filters.find("protocol"); it != filters.end()) filter.is_udp = it->second == "udp";
  const auto service = service_filter(r, filters);
  if (!service) return std::unexpected(service.error());
  // Records of a VIP that went with the last reload are on their way out: no flows, neither listed nor counted.
  const auto& vips = r.compiled->snapshot->vips;
  filter.vips.emplace(vips.size());
  if (*service == nullptr) {
    for (std::size_t i = 0; i < vips.size(); ++i) (*filter.vips)[i] = vips[i].is_live();
  } else {
    for (const config::Vip& v : (*service)->vips) (*filter.vips)[lb::index(id_of(r, **service, v))] = true;
  }
  if (const auto vip = socket_filter(filters, "vip"); vip && !keep_vips_of(*vip, vips, filter))
    return lb::fail(fmt::format("there is no VIP {}; `weir show services` lists them", filters.at("vip")));
  const auto backend = socket_filter(filters, "backend");
  if (backend) {
    filter.endpoints.emplace();
    for (const auto& [key, id] : r.compiled->contents.endpoints) {
      const config::Backend as_backend{.address = key.address, .port = key.port.host(), .where = {}};
      if (backend->matches(as_backend)) filter.endpoints->push_back(id);
    }
    if (filter.endpoints->empty())
      return lb::fail(fmt::format("there is no backend {}; `weir show backends` lists them", filters.at("backend")));
    std::ranges::sort(*filter.endpoints);
  }
  return filter;
}

json::object drains_view(const Running& r) {
  json::array rows;
  for (const Drain& d : r.overlay->drains) {
    const auto has_it = [&d](const config::Service& s) {
      return (d.service.empty() || d.service == s.name) && std::ranges::any_of(s.backends, [&d](const auto& b) {
               return b.address == d.address && b.port == d.port;
             });
    };
    rows.push_back(json::object{{"address", lb::to_string(d.address)},
                                {"port", d.port == 0 ? json::value(nullptr) : json::value(d.port)},
                                {"service", d.service.empty() ? json::value(nullptr) : json::value(d.service)},
                                {"since", utc_text(d.since_s)},
                                {"in_file", std::ranges::any_of(r.model().services, has_it)}});
  }
  return list_of(r, "drains", std::move(rows));
}

json::object flows_view(const Running& r, const std::vector<std::unique_ptr<dataplane::FlowRequest>>& requests,
                        std::size_t limit) {
  const lb::Snapshot& s = *r.compiled->snapshot;
  json::array rows;
  std::uint64_t total = 0;
  for (std::size_t w = 0; w < requests.size(); ++w) {
    total += requests[w]->matched;
    for (const auto& [flow, expires_s] : requests[w]->rows) {
      // Of a generation that came or went while the workers were asked.
      const bool has_vip = lb::index(flow.vip) < s.vips.size() && s.vips[lb::index(flow.vip)].is_live();
      if (!has_vip || lb::index(flow.endpoint) >= s.endpoints.size()) {
        --total;
        continue;
      }
      if (rows.size() == limit) continue;
      const lb::VipEntry& vip = s.vips[lb::index(flow.vip)];
      const lb::EndpointEntry& endpoint = s.endpoints[lb::index(flow.endpoint)];
      const std::uint16_t endpoint_port = endpoint.port != be16{} ? endpoint.port.host() : flow.port;
      rows.push_back(
          json::object{{"protocol", lb::name(vip.protocol)},
                       {"client", lb::to_string(flow.client, flow.client_port.host())},
                       {"vip", lb::to_string(vip.address, vip.is_single_port() ? vip.first_port : flow.port)},
                       {"endpoint", lb::to_string(endpoint.address, endpoint_port)},
                       {"source", nullptr},
                       {"state", flow.state.name()},
                       {"expires_s", expires_s},
                       {"worker", w}});
    }
  }
  json::object answer = list_of(r, "flows", std::move(rows));
  answer["total"] = total;
  return answer;
}

}  // namespace weir::control
