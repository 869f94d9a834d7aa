#include "config/read.h"

#include <sys/un.h>

#include <algorithm>

#include "config/scalar.h"
#include "config/text.h"

namespace weir::config {

namespace {

using Need = Key::Need;

constexpr std::uint32_t kLeastMbufs = 1'024;
constexpr std::uint32_t kMostMbufs = 16'777'216;
constexpr std::uint32_t kLeastMbufBytes = 1'152;  // DPDK's headroom of 128 and the 1,024 that every driver accepts
constexpr std::uint32_t kMostMbufBytes = 65'535;  // rte_pktmbuf_pool_create() takes 16 bits
constexpr std::uint64_t kLeastFlows = 64;
constexpr std::uint64_t kMostFlows = 268'435'456;  // 2^28: 6 GiB of IPv4 records
constexpr std::uint64_t kMostWorkers = 128;        // owner lanes (design, the owner)
constexpr std::uint64_t kMostCore = 1'023;
constexpr std::uint64_t kMostTimeout_s = 32'767;  // half of the 16 bits of one-second ticks in a flow's record
constexpr std::chrono::hours kMostGrace{1};       // who waits longer for a stop has forgotten it
constexpr std::uint64_t kMostVlan = 4'094;        // IEEE 802.1Q: 4,095 is reserved
constexpr std::uint64_t kLeastMtu = 68;           // RFC 791
constexpr std::uint64_t kMostMtu = 9'000;
constexpr std::size_t kLongestPortName = 64;
constexpr std::size_t kLongestInterfaceName = 15;  // IFNAMSIZ without its NUL; a twin is named like its interface
constexpr std::size_t kLongestDevice = 255;
constexpr std::size_t kLongestPath = 4'095;  // PATH_MAX without its NUL
constexpr std::size_t kLongestSocket = sizeof(sockaddr_un::sun_path) - 1;

void read_workers(const Node& node, Values& values, Model& model) {
  Problems& problems = values.problems();
  if (node.kind != NodeKind::kSequence) {
    values.number_into(model.workers, node, "workers", 1, kMostWorkers);
    return;
  }
  std::vector<unsigned> cores;
  const std::size_t before = problems.error_count();
  values.items(node, "workers", [&](const Node& item) {
    unsigned core = 0;
    if (!values.number_into(core, item, "workers: core", 0, kMostCore)) return;
    if (std::ranges::find(cores, core) != cores.end())
      problems.error(item.where, "workers: core {} is listed twice; remove one", core);
    cores.push_back(core);
  });
  if (problems.error_count() != before) return;
  if (cores.empty()) {
    problems.error(node.where, "workers: the list of cores is empty; write a number of workers or one core at least");
  } else if (cores.size() > kMostWorkers) {
    problems.error(node.where, "workers: {} cores are listed, and there may be {} workers at most; list fewer",
                   cores.size(), kMostWorkers);
  } else {
    model.workers = static_cast<std::uint16_t>(cores.size());
    model.worker_cores = cores;
  }
}

void read_memory(const Node& node, Values& values, Draft& draft) {
  Memory& memory = draft.model.memory;
  const std::size_t before = values.problems().error_count();
  static constexpr Key kKeys[] = {{"huge_pages"}, {"mbufs"}, {"mbuf_bytes"}};
  static constexpr Word kHugePages[] = {{"auto"}, {"always"}, {"never"}};  // in the order of enum HugePages
  values.fields(node, "memory", kKeys, [&](std::string_view key, const Node& value) {
    if (key == "huge_pages") {
      if (const auto i = values.word(value, key, kHugePages)) memory.huge_pages = static_cast<HugePages>(*i);
    } else if (key == "mbufs") {
      values.number_into(memory.mbufs, value, key, kLeastMbufs, kMostMbufs);
    } else {
      values.number_into(memory.mbuf_bytes, value, key, kLeastMbufBytes, kMostMbufBytes);
    }
  });
  draft.memory_whole = values.problems().error_count() == before;
}

void read_path(const Node& node, std::string_view key, std::size_t longest, Values& values, std::string& out) {
  const auto text = values.text(node, key, "a path");
  if (!text) return;
  if (text->empty() || text->size() > longest) {
    values.problems().error(node.where, "{}: the path has {} bytes; write 1 to {}", key, text->size(), longest);
  } else if (has_control_character(*text)) {
    values.problems().error(node.where, "{}: {} has control characters; remove them", key, show(*text));
  } else {
    out = *text;
  }
}

/// Without a default port, so that nothing listens unless somebody wrote where.
void read_metrics(const Node& node, Values& values, Control& control) {
  constexpr std::string_view kExpected = "an address with a port such as 127.0.0.1:9901 or \"[::1]:9901\" in quotes";
  const auto text = values.text(node, "metrics", kExpected);
  if (!text) return;
  control.metrics = lb::parse_socket_address(*text);
  if (!control.metrics) {
    values.problems().error(node.where, "metrics: {} is not {}", show(*text), kExpected);
  } else if (control.metrics->address.is_multicast()) {
    values.problems().error(node.where, "metrics: {} is a multicast address; write one of this machine's own", *text);
  } else if (!control.metrics->address.is_loopback()) {
    values.problems().warn(
        node.where, "metrics: whoever reaches {} reads names and counters of every service, without a password", *text);
  }
}

void read_control(const Node& node, Values& values, Control& control) {
  static constexpr Key kKeys[] = {{"socket"}, {"state_dir"}, {"metrics"}};
  values.fields(node, "control", kKeys, [&](std::string_view key, const Node& value) {
    if (key == "socket") {
      read_path(value, key, kLongestSocket, values, control.socket);
    } else if (key == "metrics") {
      read_metrics(value, values, control);
    } else {
      read_path(value, key, kLongestPath, values, control.state_dir);
    }
  });
}

/// The key itself stays out of messages: they end up in logs.
void read_hash_key(const Node& node, Values& values, Draft& draft) {
  constexpr std::string_view kExpected = "32 hexadecimal digits in quotes, as `weir keygen` prints them";
  draft.has_hash_key = true;
  if (node.kind == NodeKind::kScalar) {
    const bool is_text = node.quoted || classify_plain(node.text).kind == PlainKind::kText;
    if (is_text) draft.model.hash_key = lb::parse_hash_key(node.text);
    if (draft.model.hash_key) return;
    const std::string_view why = is_text ? "is not a key" : "is ambiguous without quotes";
    values.problems().error(node.where, "hash_key: this text of {} characters {}; write {}",
                            count_characters(node.text), why, kExpected);
  } else {
    static_cast<void>(values.text(node, "hash_key", kExpected));
  }
}

void read_timeout(const Node& node, std::string_view key, Values& values, std::chrono::seconds& out) {
  using std::chrono::milliseconds, std::chrono::seconds;
  const auto d = values.duration(node, key, "60s");
  if (!d) return;
  if (*d < seconds(1) || *d > seconds(kMostTimeout_s)) {
    values.problems().error(node.where, "{}: {} is out of range; write 1s to {}s", key, node.text, kMostTimeout_s);
  } else if (*d % seconds(1) != milliseconds(0)) {
    values.problems().error(node.where, "{}: {} is not a whole number of seconds; flows are timed in seconds", key,
                            node.text);
  } else {
    out = std::chrono::duration_cast<seconds>(*d);
  }
}

void read_timeouts(const Node& node, Values& values, Timeouts& t) {
  static constexpr Key kKeys[] = {{"tcp_new"}, {"tcp_established"}, {"tcp_closing"}, {"udp_new"}, {"udp"}, {"icmp"}};
  values.fields(node, "timeouts", kKeys, [&](std::string_view key, const Node& value) {
    std::chrono::seconds* const all[] = {&t.tcp_new, &t.tcp_established, &t.tcp_closing, &t.udp_new, &t.udp, &t.icmp};
    for (std::size_t i = 0; i < std::size(all); ++i)
      if (key == kKeys[i].name) read_timeout(value, key, values, *all[i]);
    if (key == "icmp")
      values.problems().warn(value.where, "icmp: has no effect in this version, which keeps no ICMP flows");
  });
}

void read_conntrack(const Node& node, Values& values, Conntrack& conntrack) {
  static constexpr Key kKeys[] = {{"capacity"}, {"wide_capacity"}, {"timeouts"}};
  values.fields(node, "conntrack", kKeys, [&](std::string_view key, const Node& value) {
    if (key == "capacity") {
      values.number_into(conntrack.capacity, value, key, kLeastFlows, kMostFlows);
    } else if (key == "wide_capacity") {
      values.number_into(conntrack.wide_capacity, value, key, kLeastFlows, kMostFlows);
    } else {
      read_timeouts(value, values, conntrack.timeouts);
    }
  });
}

/// 0000:03:00.0 or 03:00.0: unquoted, YAML 1.1 may take it for a number to the base 60; a device it is.
bool is_pci_address(std::string_view t) {
  constexpr std::string_view kForms[] = {"hhhh:hh:hh.o", "hh:hh.o"};
  return std::ranges::any_of(kForms, [&](std::string_view form) {
    return std::ranges::equal(t, form, [](char c, char f) {
      const bool is_hex = std::string_view("0123456789abcdefABCDEF").contains(c);
      return f == 'h' ? is_hex : f == 'o' ? c >= '0' && c <= '7' : c == f;
    });
  });
}

void read_device(const Node& node, Values& values, std::string& out) {
  const auto text = values.text(
      node, "device", "a PCI address or a DPDK vdev string such as \"net_af_xdp0,iface=eth1\"", is_pci_address);
  if (!text) return;
  if (text->empty() || text->size() > kLongestDevice) {
    values.problems().error(node.where, "device: it has {} bytes; write 1 to {}", text->size(), kLongestDevice);
  } else if (has_control_character(*text) || text->starts_with('-')) {
    values.problems().error(node.where,
                            "device: {} is not a PCI address or a DPDK vdev string such as \"net_af_xdp0,iface=eth1\"",
                            show(*text));
  } else {
    out = *text;
  }
}

void read_port(const Node& node, Values& values, Draft& draft) {
  static constexpr Key kKeys[] = {{"name", Need::kRequired}, {"device", Need::kRequired}, {"queues"}};
  const std::size_t before = values.problems().error_count();
  Port port{.where = node.where};
  values.fields(node, "a port", kKeys, [&](std::string_view key, const Node& value) {
    if (key == "name") {
      if (auto name = read_name(value, key, kLongestPortName, values)) port.name = *std::move(name);
    } else if (key == "device") {
      read_device(value, values, port.device);
    } else if (const auto n = values.number(value, key, 1, kMostWorkers)) {
      port.queues = static_cast<std::uint16_t>(*n);
    }
  });
  draft.ports_whole &= values.problems().error_count() == before;
  if (!port.name.empty()) draft.model.ports.push_back(std::move(port));
}

std::optional<lb::MacAddress> read_mac(const Node& node, std::string_view key, Values& values) {
  const auto is_mac = [](std::string_view t) { return lb::parse_mac(t).has_value(); };
  const auto text = values.text(node, key, "a MAC address such as \"02:00:00:00:00:01\"", is_mac);
  if (!text) return std::nullopt;
  const auto mac = lb::parse_mac(*text);
  if (!mac) {
    values.problems().error(node.where, "{}: {} is not a MAC address; write six pairs of hex digits joined by colons",
                            key, show(*text));
  } else if (mac->is_zero() || mac->is_group()) {
    values.problems().error(node.where, "{}: {} is {}; write the address of one card", key, *text,
                            mac->is_zero() ? "no address" : "a multicast address");
    return std::nullopt;
  }
  return mac;
}

void read_interface_address(const Node& node, Values& values, Interface& interface) {
  const auto prefix = read_prefix(node, "addresses", values);
  if (!prefix) return;
  Problems& problems = values.problems();
  std::string_view why;
  const std::uint32_t host_mask =
      prefix->address.is_v4() ? static_cast<std::uint32_t>((std::uint64_t{1} << (32 - prefix->length)) - 1) : 0;
  const std::uint32_t host = prefix->address.is_v4() ? prefix->address.to_v4().host() & host_mask : 0;
  if (is_unusable(prefix->address, why)) {
    problems.error(node.where, "addresses: {} is {}; write the interface's own address", to_string(*prefix), why);
  } else if (prefix->length == 0) {
    problems.error(node.where,
                   "addresses: {} holds every address; write the subnet's length, and a default route for the rest",
                   to_string(*prefix));
  } else if (prefix->address.is_v4() && prefix->length <= 30 && (host == 0 || host == host_mask)) {
    problems.error(node.where, "addresses: {} is its subnet's {} address; write the interface's own address",
                   to_string(*prefix), host == 0 ? "network" : "broadcast");
  } else {
    interface.addresses.push_back(*prefix);
  }
}

/// Names that no kernel interface can be given; characters and length are read_name()'s business.
bool is_reserved_device(std::string_view name) {
  constexpr std::string_view kReserved[] = {".", "..", "all", "default", "lo"};
  return std::ranges::find(kReserved, name) != std::end(kReserved);
}

void read_interface(const Node& node, Values& values, Draft& draft) {
  static constexpr Key kKeys[] = {
      {"name", Need::kRequired},     {"port", Need::kRequired}, {"vlan"}, {"addresses"}, {"mac"}, {"mtu"}, {"twin"},
      {"mtu_exceeded", Need::kLater}};
  Problems& problems = values.problems();
  const std::size_t before = problems.error_count();
  Interface interface{.where = node.where};
  values.fields(node, "an interface", kKeys, [&](std::string_view key, const Node& value) {
    if (key == "name") {
      if (auto name = read_name(value, key, kLongestInterfaceName, values)) interface.name = *std::move(name);
    } else if (key == "port") {
      if (auto name = read_name(value, key, kLongestPortName, values)) interface.port = *std::move(name);
    } else if (key == "vlan") {
      values.number_into(interface.vlan, value, key, 0, kMostVlan);
    } else if (key == "addresses") {
      values.items(value, key, [&](const Node& item) { read_interface_address(item, values, interface); });
    } else if (key == "mac") {
      interface.mac = read_mac(value, key, values);
    } else if (key == "mtu") {
      values.number_into(interface.mtu, value, key, kLeastMtu, kMostMtu);
    } else {
      interface.twin = values.boolean(value, key).value_or(false);
    }
  });
  if (interface.twin && is_reserved_device(interface.name))
    problems.error(node.where, "interface {}: the kernel keeps this name for itself, so its twin cannot have it; {}",
                   show(interface.name), "rename the interface");
  draft.interfaces_whole &= problems.error_count() == before;
  if (!interface.name.empty()) draft.model.interfaces.push_back(std::move(interface));
}

void read_announce(const Node& node, Values& values, Draft& draft) {
  static constexpr Key kKeys[] = {{"segment"}, {"interfaces"}};
  static constexpr Word kSegments[] = {
      {"always"}, {"never"}, {"when_on_twin"}};  // in the order of AnnounceSegment
  values.fields(node, "announce", kKeys, [&](std::string_view key, const Node& value) {
    Announce& announce = draft.model.announce;
    if (key == "segment") {
      draft.announce_segment_at = value.where;
      if (const auto i = values.word(value, key, kSegments)) announce.segment = static_cast<AnnounceSegment>(*i);
      return;
    }
    announce.interfaces.emplace();
    values.items(value, "announce.interfaces", [&](const Node& item) {
      if (auto name = read_name(item, "announce.interfaces", kLongestInterfaceName, values)) {
        announce.interfaces->push_back(*std::move(name));
        draft.announce_interfaces_at.push_back(item.where);
      }
    });
  });
}

void read_route(const Node& node, Values& values, Draft& draft) {
  static constexpr Key kKeys[] = {{"to", Need::kRequired}, {"via", Need::kRequired}, {"interface"}};
  const std::size_t before = values.problems().error_count();
  Route route{.where = node.where};
  values.fields(node, "a route", kKeys, [&](std::string_view key, const Node& value) {
    if (key == "to") {
      if (const auto to = read_prefix(value, key, values)) route.to = *to;
    } else if (key == "via") {
      if (const auto via = read_address(value, key, values)) route.via = *via;
    } else if (auto name = read_name(value, key, kLongestInterfaceName, values)) {
      route.interface = *std::move(name);
    }
  });
  const bool is_whole = values.problems().error_count() == before;
  draft.routes_whole &= is_whole;
  if (is_whole) draft.model.routes.push_back(std::move(route));
}

void read_neighbor(const Node& node, Values& values, Draft& draft) {
  static constexpr Key kKeys[] = {{"address", Need::kRequired}, {"mac", Need::kRequired}, {"interface"}};
  const std::size_t before = values.problems().error_count();
  Neighbor neighbor{.where = node.where};
  values.fields(node, "a neighbor", kKeys, [&](std::string_view key, const Node& value) {
    if (key == "address") {
      if (const auto address = read_address(value, key, values)) neighbor.address = *address;
    } else if (key == "mac") {
      if (const auto mac = read_mac(value, key, values)) neighbor.mac = *mac;
    } else if (auto name = read_name(value, key, kLongestInterfaceName, values)) {
      neighbor.interface = *std::move(name);
    }
  });
  const bool is_whole = values.problems().error_count() == before;
  draft.routes_whole &= is_whole;
  if (is_whole) draft.model.neighbors.push_back(std::move(neighbor));
}

void read_stop(const Node& node, Values& values, OnStop& stop) {
  static constexpr Key kKeys[] = {{"grace"}};
  values.fields(node, "stop", kKeys, [&](std::string_view, const Node& value) {
    const auto grace = values.duration(value, "grace", "5s");
    if (!grace) return;
    if (*grace > kMostGrace) {
      values.problems().error(value.where, "grace: {} is out of range; write 0s to 1h", value.text);
    } else {
      stop.grace = *grace;
    }
  });
}

Draft read_file(const Node& root, Values& values) {
  static constexpr Key kKeys[] = {{"workers"},
                                  {"memory"},
                                  {"control"},
                                  {"hash_key"},
                                  {"conntrack"},
                                  {"ports"},
                                  {"interfaces"},
                                  {"announce"},
                                  {"transit"},
                                  {"routes"},
                                  {"neighbors"},
                                  {"stop"},
                                  {"services"},
                                  {"snat_addresses", Need::kLater},
                                  {"tunnel", Need::kLater},
                                  {"kubernetes", Need::kLater},
                                  {"mtu_exceeded", Need::kLater}};
  static constexpr Word kTransit[] = {{"kernel"}, {"drop"}};  // in the order of enum Transit
  Draft draft{.root = root.where};
  Model& model = draft.model;
  const auto each = [&](const Node& list, std::string_view key, auto read_item, bool& whole) {
    whole &= values.items(list, key, [&](const Node& item) { read_item(item, values, draft); });
  };

  values.fields(root, "the file", kKeys, [&](std::string_view key, const Node& value) {
    bool services_whole = true;
    if (key == "workers") read_workers(value, values, model);
    if (key == "memory") read_memory(value, values, draft);
    if (key == "control") read_control(value, values, model.control);
    if (key == "hash_key") read_hash_key(value, values, draft);
    if (key == "conntrack") read_conntrack(value, values, model.conntrack);
    if (key == "ports") each(value, key, read_port, draft.ports_whole);
    if (key == "interfaces") each(value, key, read_interface, draft.interfaces_whole);
    if (key == "announce") read_announce(value, values, draft);
    if (key == "transit")
      if (const auto i = values.word(value, key, kTransit)) model.transit = static_cast<Transit>(*i);
    if (key == "routes") each(value, key, read_route, draft.routes_whole);
    if (key == "neighbors") each(value, key, read_neighbor, draft.routes_whole);
    if (key == "stop") read_stop(value, values, model.stop);
    if (key == "services") each(value, key, read_service, services_whole);
  });
  return draft;
}

}  // namespace

Draft read_model(const Tree& tree, Problems& problems) {
  Values values(problems);
  return read_file(tree.root(), values);
}

Outline outline_file() {
  Outline outline;
  Problems problems;  // of shapes that stand for no value
  Values values(problems, &outline);
  static_cast<void>(read_file(Node{.kind = NodeKind::kMap}, values));
  return outline;
}

}  // namespace weir::config
