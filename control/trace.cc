#include "control/trace.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <iterator>
#include <vector>

#include "config/load.h"
#include "control/probe_packet.h"
#include "dataplane/memory_io.h"
#include "dataplane/packet_path.h"
#include "lb/plain_tables.h"

namespace weir::control {

namespace {

namespace json = boost::json;
using lb::Direction;

// Writes down what the path says of each step, in the operator's words.
class Story {
 public:
  Story(const Compiled& compiled, const TraceRequest& request) : snapshot_(*compiled.snapshot), request_(request) {
    answer_ = {{"verdict", nullptr},      {"reason", ""},        {"service", nullptr},          {"vip", nullptr},
               {"source_class", nullptr}, {"policy", nullptr},   {"candidates", json::array()}, {"backend", nullptr},
               {"snat", false},           {"next_hop", nullptr}, {"steps", json::array()}};
  }

  void step(std::string_view name, const std::string& text) {
    answer_["steps"].as_array().emplace_back(fmt::format("{}: {}", name, text));
  }
  json::object take() { return std::move(answer_); }

  void parsed(const lb::Packet& p) {
    const char* kind = p.protocol == lb::Protocol::kUdp ? "UDP" : request_.mid_stream ? "TCP ACK" : "TCP SYN";
    step("parse", fmt::format("{} {}, {} to {}", lb::name(p.is_v4 ? lb::Family::kIpv4 : lb::Family::kIpv6), kind,
                              lb::to_string(p.source, p.source_port.host()),
                              lb::to_string(p.destination, p.destination_port.host())));
  }
  void matched_vip(lb::VipId id) {
    name_vip(id);
    step("match", fmt::format("VIP {} {} of service {}", vip_text(id), lb::name(vip(id).protocol), service(id)));
  }
  void matched_endpoint(lb::EndpointId id) { step("match", "from endpoint " + endpoint_text(id)); }
  void found_flow(const dataplane::Flow& f) {
    name_vip(f.vip);
    reason_ = "known flow";
    answer_["candidates"] = json::array{candidate(f.endpoint, 1.0)};
    step("find flow",
         fmt::format("{}, client {}, VIP {}, endpoint {}", f.state.name(),
                     lb::to_string(f.client, f.client_port.host()), vip_text(f.vip), endpoint_text(f.endpoint)));
  }
  void chose(const lb::BackendSet& set, lb::EndpointId chosen) {
    step("find flow", "none");
    list_candidates(set);
    if (chosen == lb::EndpointId::kNone) {
      step("admit", "no backend of the service may take new flows");
      return;
    }
    reason_ = request_.mid_stream ? "adopted flow" : "new flow";
    step("admit", fmt::format("{}; Maglev table of {} entries over {} backends gives {}", reason_, set.table.size(),
                              set.members.size(), endpoint_text(chosen)));
  }
  void untracked() { step("admit", "no room in the flow table: forwarded by hash alone"); }
  void forwarded(Direction d, lb::VipId vip_id, lb::EndpointId endpoint_id, lb::NextHopWord hop) {
    if (answer_["vip"].is_null()) {
      name_vip(vip_id);
      reason_ = "adopted flow";
      answer_["candidates"] = json::array{candidate(endpoint_id, 1.0)};
      step("admit", fmt::format("adopted: VIP {} gives this client no other endpoint", vip_text(vip_id)));
    }
    answer_["verdict"] = "forward";
    answer_["reason"] = reason_;
    const auto& e = snapshot_.endpoints[lb::index(endpoint_id)];
    answer_["backend"] = {{"address", lb::to_string(e.address)}, {"port", port_of(endpoint_id)}};
    if (hop.is_resolved()) answer_["next_hop"] = lb::to_string(hop.mac());
    step("rewrite", d == Direction::kForward ? fmt::format("destination becomes {}, TTL 63", endpoint_text(endpoint_id))
                                             : fmt::format("source becomes {}, TTL 63", vip_text(vip_id)));
    const std::string& out = snapshot_.interfaces[lb::index(hop.interface())].name;
    step("next hop",
         hop.is_resolved()
             ? fmt::format("{} on interface {}", lb::to_string(hop.mac()), out)
             : fmt::format("on interface {}, not resolved: the packet is held while the kernel asks for it", out));
  }
  void punted(lb::PuntClass c) {
    answer_["verdict"] = "punt";
    answer_["reason"] = lb::name(c);
    step("punt",
         fmt::format("to the kernel, as {}: {}", lb::name(c), lb::kPuntClasses[static_cast<std::size_t>(c)].help));
  }
  void answered(lb::Event event) {
    answer_["verdict"] = "answer";
    answer_["reason"] = lb::name(event);
    step("answer", std::string(lb::name(event)));
  }
  void refused(lb::DropReason reason, lb::VipId, lb::Event how) {
    answer_["verdict"] = "refuse";
    answer_["reason"] = lb::name(reason);
    const char* with = how == lb::Event::kRefusedRst    ? "a TCP RST"
                       : how == lb::Event::kRefusedIcmp ? "an ICMP port unreachable"
                                                        : "silence";
    step("refuse", fmt::format("with {}; {}: {}", with, lb::name(reason), help(reason)));
  }
  void dropped(lb::DropReason reason) {
    answer_["verdict"] = "drop";
    answer_["reason"] = lb::name(reason);
    step("drop", fmt::format("{}: {}", lb::name(reason), help(reason)));
  }

 private:
  static std::string_view help(lb::DropReason r) { return lb::kDropReasons[static_cast<std::size_t>(r)].help; }
  const lb::VipEntry& vip(lb::VipId id) const { return snapshot_.vips[lb::index(id)]; }
  std::string service(lb::VipId id) const { return (*snapshot_.service_names)[vip(id).service]; }
  std::string vip_text(lb::VipId id) const {
    const lb::VipEntry& v = vip(id);
    if (v.is_single_port()) return lb::to_string(v.address, v.first_port);
    if (v.first_port == 1 && v.last_port == 65535) return lb::to_string(v.address) + " all ports";
    return fmt::format("{} ports {}-{}", lb::to_string(v.address), v.first_port, v.last_port);
  }
  // As packets reach it: an endpoint without a port takes the one they came to.
  std::uint16_t port_of(lb::EndpointId id) const {
    const std::uint16_t own = snapshot_.endpoints[lb::index(id)].port.host();
    const bool is_reply = snapshot_.endpoints[lb::index(id)].address == request_.source.address;
    return own != 0 ? own : is_reply ? request_.source.port : request_.destination.port;
  }
  std::string endpoint_text(lb::EndpointId id) const {
    return lb::to_string(snapshot_.endpoints[lb::index(id)].address, port_of(id));
  }
  void name_vip(lb::VipId id) {
    answer_["service"] = service(id);
    answer_["vip"] = vip_text(id);
  }
  json::object candidate(lb::EndpointId id, double share) const {
    return {{"address", lb::to_string(snapshot_.endpoints[lb::index(id)].address)},
            {"port", port_of(id)},
            {"share", share}};
  }
  void list_candidates(const lb::BackendSet& set) {
    std::vector<std::size_t> entries(set.members.size());
    for (const std::uint16_t member : set.table.entries()) ++entries[member];
    json::array list;
    for (std::size_t i = 0; i < entries.size(); ++i)
      if (entries[i] > 0) list.push_back(candidate(set.members[i], static_cast<double>(entries[i]) / set.table.size()));
    answer_["candidates"] = std::move(list);
  }

  const lb::Snapshot& snapshot_;
  const TraceRequest& request_;
  json::object answer_;
  std::string reason_ = "new flow";
};

// What the path calls; it passes tracers by value.
struct StoryTracer {
  Story* story;
  void parsed(const lb::Packet& p) const { story->parsed(p); }
  void matched_vip(lb::VipId id) const { story->matched_vip(id); }
  void matched_endpoint(lb::EndpointId id) const { story->matched_endpoint(id); }
  void found_flow(const dataplane::Flow& f) const { story->found_flow(f); }
  void chose(const lb::BackendSet& s, lb::EndpointId e) const { story->chose(s, e); }
  void untracked() const { story->untracked(); }
  void forwarded(Direction d, lb::VipId v, lb::EndpointId e, lb::NextHopWord w) const { story->forwarded(d, v, e, w); }
  void answered(lb::Event e) const { story->answered(e); }
  void refused(lb::DropReason r, lb::VipId v, lb::Event how) const { story->refused(r, v, how); }
  void punted(lb::PuntClass c) const { story->punted(c); }
  void dropped(lb::DropReason r) const { story->dropped(r); }
};

// The interface named, or the one where the source's route points.
const config::Interface* arrival(const config::Model& m, const TraceRequest& r) {
  const auto named = [&](const std::string& name) -> const config::Interface* {
    const auto it = std::ranges::find(m.interfaces, name, &config::Interface::name);
    return it == m.interfaces.end() ? nullptr : &*it;
  };
  if (!r.interface.empty()) return named(r.interface);
  const config::Interface* best = nullptr;
  int length = -1;
  const auto consider = [&](const lb::Prefix& p, const config::Interface* i) {
    if (p.contains(r.source.address) && p.length > length) best = i, length = p.length;
  };
  for (const config::Interface& i : m.interfaces)
    for (const lb::Prefix& own : i.addresses) consider(own, &i);
  for (const config::Route& route : m.routes) consider(route.to, named(route.interface));
  return best != nullptr || m.interfaces.empty() ? best : &m.interfaces.front();
}

// Of the next hops that the kernel has not resolved it is known at least where they are.
lb::NextHops words_of(const Compiled& compiled, const lb::TableContents& contents, const KernelWays& ways) {
  std::size_t ids = 1;
  const auto room_for = [&](lb::NextHopId id) { ids = std::max(ids, lb::index(id) + 1); };
  for (const auto& [id, word] : compiled.next_hops) room_for(id);
  for (const auto& [id, word] : ways.words) room_for(id);
  for (const auto& [to, id] : contents.routes) room_for(id);
  if (compiled.next_hop_index != nullptr)
    for (const auto& [key, info] : compiled.next_hop_index->by_key) room_for(info.id);
  lb::NextHops words(ids);
  if (compiled.next_hop_index != nullptr)
    for (const auto& [key, info] : compiled.next_hop_index->by_key)
      words.set(info.id, lb::NextHopWord::unresolved(key.interface));
  for (const auto& [id, word] : compiled.next_hops) words.set(id, word);
  for (const auto& [id, word] : ways.words) words.set(id, word);
  return words;
}

lb::MacAddress placeholder_mac(std::size_t port) {
  return {{0x02, 0, 0, 0, 0, static_cast<std::uint8_t>(port + 1)}};
}

}  // namespace

lb::Result<json::object> trace_file(const TraceRequest& request) {
  const auto loaded = config::load_file(request.file);
  if (!loaded) {
    std::string all;
    for (const config::Diagnostic& e : loaded.error().errors)
      all += (all.empty() ? "" : "\n") + config::format(request.file, e);
    return lb::fail(std::move(all));
  }
  std::vector<lb::MacAddress> macs;  // the devices are not opened; any MAC will do
  for (std::size_t i = 0; i < loaded->model.ports.size(); ++i) macs.push_back(placeholder_mac(i));
  Compiler compiler(std::move(macs));
  const auto compiled = compiler.compile(loaded->model, 1);
  if (!compiled) return std::unexpected(compiled.error());
  return trace_packet(loaded->model, *compiled, request, std::nullopt);
}

lb::Result<json::object> trace_packet(const config::Model& model, const Compiled& compiled, const TraceRequest& request,
                                      const std::optional<dataplane::Flow>& known, const KernelWays& ways) {
  const config::Interface* in = arrival(model, request);
  if (in == nullptr) {
    return lb::fail(request.interface.empty()
                        ? "no interface is configured that the packet could come in on"
                        : fmt::format("there is no interface {}; `interfaces` lists what there is", request.interface));
  }
  const lb::Snapshot& snapshot = *compiled.snapshot;
  const auto entry = std::ranges::find(snapshot.interfaces, in->name, &lb::InterfaceEntry::name);
  if (entry == snapshot.interfaces.end()) return lb::fail("the interface belongs to another generation; try again");

  auto flows = dataplane::FlowTable::create({64, 64}, {1, 2});
  if (!flows) return std::unexpected(flows.error());
  auto counters = dataplane::WorkerCounters::create();
  if (!counters) return std::unexpected(counters.error());
  if (known) static_cast<void>(flows->insert(*known, 0));

  lb::TableContents contents = compiled.contents;
  std::ranges::copy(ways.routes, std::back_inserter(contents.routes));
  const lb::NextHops next_hops = words_of(compiled, contents, ways);

  Story story(compiled, request);
  const lb::PlainTables tables(contents);
  dataplane::MemoryIo io(*counters);
  dataplane::PacketPath<lb::PlainTables, dataplane::MemoryIo, StoryTracer> path(tables, io, *flows, *counters,
                                                                                next_hops, StoryTracer{&story});
  dataplane::MemoryFrame frame(probe_packet(request, entry->mac, entry->vlan));
  story.step("receive", fmt::format("on interface {}, port {}", in->name, in->port));
  dataplane::MemoryFrame* const frames[] = {&frame};
  path.process(frames, entry->port, snapshot, {1'000'000'000});
  return story.take();
}

}  // namespace weir::control
