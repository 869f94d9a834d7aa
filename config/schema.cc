#include "config/schema.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <functional>
#include <utility>

#include "config/model.h"
#include "config/outline.h"

namespace weir::config {

namespace {

namespace json = boost::json;

/// What the reader cannot tell of a key. `form` (JSON) stands in place of what the reader says of the value, where
/// that is only "a text", or where a text is taken beside it.
struct Note {
  std::string_view path;
  std::string_view says;
  std::string_view form = "";
  json::value (*default_value)() = nullptr;
};

// Texts with a form of their own.
constexpr std::string_view kForms = R"({
  "address": {"type": "string", "description": "an IPv4 or IPv6 address", "pattern": "^[0-9A-Fa-f:.]+$"},
  "prefix": {"type": "string", "description": "an address with its length: 192.0.2.1/24",
             "pattern": "^[0-9A-Fa-f:.]+/[0-9]{1,3}$"},
  "mac": {"type": "string", "description": "six pairs of hex digits joined by colons",
          "pattern": "^[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5}$"},
  "name": {"type": "string", "pattern": "^[A-Za-z0-9_.-]{1,64}$"},
  "interface_name": {"type": "string", "pattern": "^[A-Za-z0-9_.-]{1,15}$"},
  "duration": {"type": "string", "description": "one number with ms, s, m, h or d: 60s",
               "pattern": "^[0-9]+(ms|s|m|h|d)$"}
})";
constexpr std::string_view kAddress = R"({"$ref": "#/$defs/address"})";
constexpr std::string_view kPrefix = R"({"$ref": "#/$defs/prefix"})";
constexpr std::string_view kMac = R"({"$ref": "#/$defs/mac"})";
constexpr std::string_view kName = R"({"$ref": "#/$defs/name"})";
constexpr std::string_view kInterfaceName = R"({"$ref": "#/$defs/interface_name"})";

json::value seconds_text(std::chrono::seconds s) {
  return json::string(fmt::format("{}s", s.count()));
}

// In the order of the reader's keys. ADD A LINE HERE for a key that the reader learns.
constexpr Note kNotes[] = {
    {"workers", "number of workers, or a list of the cores they run on", "", [] { return json::value(1); }},
    {"workers[]", "a core"},
    {"memory", "packet memory; a change needs a restart"},
    {"memory.huge_pages", "auto: use them if the machine has any", "", [] { return json::value("auto"); }},
    {"memory.mbufs", "packet buffers in all, split over the workers", "", [] { return json::value(Memory{}.mbufs); }},
    {"memory.mbuf_bytes", "data room of one packet buffer in bytes, headroom included", "",
     [] { return json::value(Memory{}.mbuf_bytes); }},
    {"control", "the daemon's own side; a change needs a restart"},
    {"control.socket", "where the API listens", R"({"type": "string", "minLength": 1, "maxLength": 107})",
     [] { return json::value(Control{}.socket); }},
    {"control.metrics", "TCP address where GET /metrics is answered; none by default",
     R"({"type": "string", "examples": ["127.0.0.1:9901", "[::1]:9901"]})"},
    {"control.state_dir", "where what must outlive the process is kept", R"({"type": "string", "minLength": 1})",
     [] { return json::value(Control{}.state_dir); }},
    {"hash_key", "equal on all boxes of a group; `weir keygen` prints one",
     R"({"type": "string", "pattern": "^[0-9A-Fa-f]{32}$"})"},
    {"conntrack", "the flow table"},
    {"conntrack.capacity", "IPv4 flows in all, split over the workers; a change needs a restart", "",
     [] { return json::value(Conntrack{}.capacity); }},
    {"conntrack.wide_capacity", "IPv6 flows and what finds no room among the others; a change needs a restart", "",
     [] { return json::value(Conntrack{}.wide_capacity); }},
    {"conntrack.timeouts", "idle times after which a flow is forgotten; whole seconds, 1s to 32767s"},
    {"conntrack.timeouts.tcp_new", "handshake not completed", "", [] { return seconds_text(Timeouts{}.tcp_new); }},
    {"conntrack.timeouts.tcp_established", "RFC 5382 REQ-5", "",
     [] { return seconds_text(Timeouts{}.tcp_established); }},
    {"conntrack.timeouts.tcp_closing", "after a FIN or RST", "", [] { return seconds_text(Timeouts{}.tcp_closing); }},
    {"conntrack.timeouts.udp_new", "not answered yet", "", [] { return seconds_text(Timeouts{}.udp_new); }},
    {"conntrack.timeouts.udp", "RFC 4787 REQ-5", "", [] { return seconds_text(Timeouts{}.udp); }},
    {"conntrack.timeouts.icmp", "no effect in this version", "", [] { return seconds_text(Timeouts{}.icmp); }},
    {"ports", "devices; a change needs a restart"},
    {"ports[]", "a device"},
    {"ports[].name", "its name in this file and in `weir show ports`", kName},
    {"ports[].device", "a PCI address or a DPDK vdev string such as net_af_xdp0,iface=eth1",
     R"({"type": "string", "minLength": 1, "maxLength": 255})"},
    {"ports[].queues", "receive queues; default: one for each worker, or as many as the device has"},
    {"interfaces", "what stands on the ports"},
    {"interfaces[]", "a port's untagged traffic, or one VLAN of it"},
    {"interfaces[].name", "at most 15 characters", kInterfaceName},
    {"interfaces[].port", "the port it stands on", kName},
    {"interfaces[].vlan", "its 802.1Q tag; 0: none", "", [] { return json::value(Interface{}.vlan); }},
    {"interfaces[].addresses", "the box's own, each with its subnet's length"},
    {"interfaces[].addresses[]", "an own address: 198.51.100.1/24", kPrefix},
    {"interfaces[].mac", "the address Weir uses; default: the device's own", kMac},
    {"interfaces[].mtu", "at least 1280 with an IPv6 address", "", [] { return json::value(Interface{}.mtu); }},
    {"interfaces[].twin", "a kernel TAP interface behind it", "", [] { return json::value(false); }},
    {"announce", "how VIPs are made known"},
    {"announce.segment", "whether ARP and ND are answered for VIPs", "", [] { return json::value("always"); }},
    {"announce.interfaces", "on these only; default: on every interface"},
    {"announce.interfaces[]", "an interface's name", kInterfaceName},
    {"transit", "what becomes of packets for nobody here: to the kernel, where the interface has a twin, or dropped",
     "", [] { return json::value("kernel"); }},
    {"routes", "static routes"},
    {"routes[]", "a route; connected subnets need none"},
    {"routes[].to", "destination, host bits clear", kPrefix},
    {"routes[].via", "next hop, of the same family", kAddress},
    {"routes[].interface", "needed where no interface's subnet holds the next hop", kInterfaceName},
    {"neighbors", "static ARP and ND entries"},
    {"neighbors[]", "an entry"},
    {"neighbors[].address", "the neighbour's address", kAddress},
    {"neighbors[].mac", "the neighbour's MAC address", kMac},
    {"neighbors[].interface", "needed where no interface's subnet holds it", kInterfaceName},
    {"stop", "what SIGTERM does"},
    {"stop.grace", "how long to wait, VIPs withdrawn, before the end", "", [] { return json::value("0s"); }},
    {"services", "VIPs and the backends behind them"},
    {"services[]", "one scheduler and one set of backends for its VIPs"},
    {"services[].name", "1 to 253 characters", R"({"type": "string", "minLength": 1, "maxLength": 253})"},
    {"services[].vips", "what clients reach"},
    {"services[].vips[]", "address and port, or ports"},
    {"services[].vips[].address", "one address", kAddress},
    {"services[].vips[].port", "80, 5000-5999 or all",
     R"({"anyOf": [{"type": "integer", "minimum": 1, "maximum": 65535},
                   {"type": "string", "pattern": "^(all|[0-9]{1,5}-[0-9]{1,5})$"}]})"},
    {"services[].protocol", "of all its VIPs", "", [] { return json::value("tcp"); }},
    {"services[].mode", "how packets reach a backend", "", [] { return json::value("dnat"); }},
    {"services[].scheduler", "how a new flow gets a backend", "", [] { return json::value("maglev"); }},
    {"services[].hash", "flow: by five-tuple", "", [] { return json::value("flow"); }},
    {"services[].maglev_size",
     "a prime; default: by the number of backends (4099, 65537 or 655373). A change moves "
     "almost every new flow"},
    {"services[].reject", "how a flow is refused that no backend can take", "", [] { return json::value("rst"); }},
    {"services[].backends", "the servers"},
    {"services[].backends[]", "a server"},
    {"services[].backends[].address", "its address; a VIP uses those of its own family", kAddress},
    {"services[].backends[].port", "default: the port as it arrived"},
    {"services[].backends[].weight", "0: draining", "", [] { return json::value(Backend{}.weight); }},
    {"services[].drain_timeout", "how long a removed backend's flows may go on", R"({"const": "never"})",
     [] { return json::value("never"); }},
    {"services[].on_down", "what becomes of the flows of a backend that is down", "",
     [] { return json::value("keep"); }},
};

const Note* note_of(std::string_view path) {
  const auto at = std::ranges::find(kNotes, path, &Note::path);
  return at == std::end(kNotes) ? nullptr : at;
}

json::object schema_of(const Outline& o, const std::string& path);

json::object map_schema(const Outline& o, const std::string& path) {
  json::object properties;
  json::array required;
  for (const Outline::Field& f : o.fields) {
    properties[f.name] = schema_of(f.value, path.empty() ? f.name : path + "." + f.name);
    if (f.is_required) required.emplace_back(f.name);
  }
  json::object out{{"type", "object"}, {"properties", std::move(properties)}};
  if (!required.empty()) out["required"] = std::move(required);
  out["additionalProperties"] = false;
  return out;
}

/// Every shape the reader takes here.
json::array shapes_of(const Outline& o, const std::string& path) {
  json::array shapes;
  const auto add = [&shapes](json::object shape) { shapes.emplace_back(std::move(shape)); };
  if (o.number) add({{"type", "integer"}, {"minimum", o.number->first}, {"maximum", o.number->second}});
  if (o.is_bool) add({{"type", "boolean"}});
  if (o.is_duration) add({{"$ref", "#/$defs/duration"}});
  if (!o.words.empty()) add({{"enum", json::array(o.words.begin(), o.words.end())}});
  if (o.is_text) add({{"type", "string"}});
  if (o.item != nullptr) add({{"type", "array"}, {"items", schema_of(*o.item, path + "[]")}});
  if (o.is_map) add(map_schema(o, path));
  return shapes;
}

json::object schema_of(const Outline& o, const std::string& path) {
  const Note* note = note_of(path);
  json::object out;
  if (note != nullptr) out["description"] = note->says;
  if (note != nullptr && note->default_value != nullptr) out["default"] = note->default_value();
  json::object shape;
  if (note != nullptr && !note->form.empty()) {
    shape = json::parse(note->form).as_object();
  } else {
    json::array shapes = shapes_of(o, path);
    shape = shapes.size() == 1 ? shapes.front().as_object() : json::object{{"anyOf", std::move(shapes)}};
  }
  for (auto& [key, value] : shape) out[key] = std::move(value);
  return out;
}

void collect_paths(const Outline& o, const std::string& path, std::vector<std::string>& out) {
  if (!path.empty()) out.push_back(path);
  if (o.item != nullptr) collect_paths(*o.item, path + "[]", out);
  for (const Outline::Field& f : o.fields) collect_paths(f.value, path.empty() ? f.name : path + "." + f.name, out);
}

bool is_flat(const json::value& v) {
  const auto is_leaf = [](const json::value& x) { return !x.is_object() && !x.is_array(); };
  return !v.is_object() && (!v.is_array() || std::ranges::all_of(v.get_array(), is_leaf));
}

/// Boost.JSON 1.81 writes one line only.
void write(const json::value& v, std::size_t indent, std::string& out) {
  if (is_flat(v) || (v.is_object() && v.get_object().empty())) {
    out += json::serialize(v);
    return;
  }
  const std::string pad(indent + 2, ' ');
  bool is_first = true;
  const auto begin_line = [&] { out += std::exchange(is_first, false) ? "\n" + pad : ",\n" + pad; };
  out += v.is_object() ? "{" : "[";
  if (v.is_object()) {
    for (const auto& [key, value] : v.get_object()) {
      begin_line();
      out += json::serialize(json::string(key)) + ": ";
      write(value, indent + 2, out);
    }
  } else {
    for (const json::value& item : v.get_array()) {
      begin_line();
      write(item, indent + 2, out);
    }
  }
  out += "\n" + std::string(indent, ' ') + (v.is_object() ? "}" : "]");
}

}  // namespace

json::object schema() {
  json::object out{
      {"$schema", "https://json-schema.org/draft/2020-12/schema"},
      {"title", "weir.yaml"},
      {"description", "The configuration of Weir, a layer-4 load balancer. `weir check` judges the rest."}};
  for (auto& [key, value] : map_schema(outline_file(), "")) out[key] = std::move(value);
  out["$defs"] = json::parse(kForms);
  return out;
}

std::string schema_text() {
  std::string out;
  write(schema(), 0, out);
  return out + "\n";
}

std::vector<std::string_view> noted_paths() {
  std::vector<std::string_view> out;
  for (const Note& n : kNotes) out.push_back(n.path);
  return out;
}

std::vector<std::string> key_paths() {
  std::vector<std::string> out;
  collect_paths(outline_file(), "", out);
  return out;
}

}  // namespace weir::config
