#include "config/diff.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <functional>
#include <map>
#include <set>
#include <utility>

#include "config/moved.h"

namespace weir::config {

namespace {

using lb::to_string;

// ---- values as they are written ----

std::string text(const std::string& s) {
  return s;
}
template <class T>
  requires std::integral<T>
std::string text(T n) {
  return std::to_string(n);
}
std::string text(std::chrono::seconds s) {
  return fmt::format("{}s", s.count());
}
std::string text(HugePages h) {
  static constexpr std::string_view kNames[] = {"auto", "always", "never"};
  return std::string(kNames[static_cast<std::size_t>(h)]);
}
std::string text(bool b) {
  return b ? "true" : "false";
}
std::string text(Transit t) {
  return t == Transit::kKernel ? "kernel" : "drop";
}
std::string text(AnnounceSegment s) {
  static constexpr std::string_view kNames[] = {"always", "never", "when_on_twin"};
  return std::string(kNames[static_cast<std::size_t>(s)]);
}
std::string text(std::chrono::milliseconds d) {
  return d.count() % 1000 == 0 ? fmt::format("{}s", d.count() / 1000) : fmt::format("{}ms", d.count());
}
std::string text(Reject r) {
  static constexpr std::string_view kNames[] = {"rst", "icmp", "drop"};
  return std::string(kNames[static_cast<std::size_t>(r)]);
}
std::string text(lb::Protocol p) {
  return std::string(lb::name(p));
}
std::string text(const lb::SocketAddress& a) {
  return to_string(a.address, a.port);
}
std::string text(const lb::MacAddress& m) {
  return to_string(m);
}
template <class T>
std::string text(const std::optional<T>& v) {
  return v ? text(*v) : "";
}
std::string text(const PortRange& p) {
  if (p.all) return "all";
  return p.is_single() ? std::to_string(p.first) : fmt::format("{}-{}", p.first, p.last);
}
std::string text(const std::optional<std::vector<std::string>>& names) {
  if (!names) return "";
  std::vector<std::string> sorted = *names;
  std::ranges::sort(sorted);
  return fmt::format("[{}]", fmt::join(sorted, ", "));
}
std::string backend_name(const Backend& b) {
  return b.port == 0 ? to_string(b.address) : to_string(b.address, b.port);
}
std::string vip_name(const Vip& v) {
  if (v.ports.is_single()) return to_string(v.address, v.ports.first);
  return fmt::format(fmt::runtime(v.address.is_v4() ? "{}:{}" : "[{}]:{}"), to_string(v.address), text(v.ports));
}
std::string workers_text(const Model& m) {
  return m.worker_cores.empty() ? text(m.workers) : fmt::format("[{}]", fmt::join(m.worker_cores, ", "));
}

// ---- what only a restart can change ----

// What a port was opened with for the sake of its interfaces: its MTU and the MAC addresses it takes.
struct PortNeeds {
  std::uint16_t mtu = 1500;
  std::set<lb::MacAddress> macs;
};
PortNeeds needs_of(const Model& m, const std::string& port) {
  PortNeeds needs;
  for (const Interface& i : m.interfaces) {
    if (i.port != port) continue;
    needs.mtu = std::max(needs.mtu, i.mtu);
    needs.macs.insert(i.mac.value_or(lb::MacAddress{}));
  }
  return needs;
}

constexpr std::string_view kRestart = "needs a restart";

// ---- the comparison ----

class Differ {
 public:
  Differ(const Model& now, const Model& next) : now_(now), next_(next) {
    out_.needs_restart = changes_that_need_restart(now, next);
  }

  Difference run() {
    settings();
    ports();
    interfaces();
    routes();
    neighbors();
    services();
    return std::move(out_);
  }

 private:
  void settings();
  void ports();
  void interfaces();
  void routes();
  void neighbors();
  void services();
  void service(const Service& a, const Service& b);
  void backend(const Service& of, const Backend& a, const Backend& b);

  void add(ChangeKind kind, std::string what, std::string name, std::string effect = "", std::string of = "") {
    out_.changes.push_back({.kind = kind,
                            .what = std::move(what),
                            .service = std::move(of),
                            .name = std::move(name),
                            .effect = std::move(effect)});
  }
  template <class T>
  void setting(const char* path, const T& a, const T& b, std::string_view effect = "") {
    if (a == b) return;
    const std::string restart(needs_restart(path) ? kRestart : effect);
    out_.changes.push_back({.kind = ChangeKind::kChanged,
                            .what = "setting",
                            .name = path,
                            .before = text(a),
                            .after = text(b),
                            .effect = restart});
  }
  /// One key of a thing that both have.
  template <class T>
  void key(const char* what, const std::string& name, const char* key, const T& a, const T& b, std::string effect = "",
           const std::string& of = "") {
    if (a == b) return;
    out_.changes.push_back({.kind = ChangeKind::kChanged,
                            .what = what,
                            .service = of,
                            .name = name,
                            .key = key,
                            .before = text(a),
                            .after = text(b),
                            .effect = std::move(effect)});
  }
  /// Pairs the things of two lists by what identifies them. Removed ones come first, then the rest in the new order.
  template <class T, class Identity>
  void match(const std::vector<T>& before, const std::vector<T>& after, Identity identity,
             std::function<void(const T&)> removed, std::function<void(const T&)> added,
             std::function<void(const T&, const T&)> both) {
    std::map<std::invoke_result_t<Identity, const T&>, const T*> old, fresh;
    for (const T& t : before) old.emplace(identity(t), &t);
    for (const T& t : after) fresh.emplace(identity(t), &t);
    for (const T& t : before)
      if (!fresh.contains(identity(t))) removed(t);
    for (const T& t : after) {
      const auto at = old.find(identity(t));
      at == old.end() ? added(t) : both(*at->second, t);
    }
  }
  /// `path` or what holds it is among the keys that need a restart.
  [[nodiscard]] bool needs_restart(std::string_view path) const {
    return std::ranges::any_of(out_.needs_restart, [path](const std::string& k) {
      return path == k || (path.starts_with(k) && path[k.size()] == '.');
    });
  }
  [[nodiscard]] std::string restart_if(std::string_view path) const {
    return std::string(needs_restart(path) ? kRestart : "");
  }

  const Model& now_;
  const Model& next_;
  Difference out_;
};

void Differ::settings() {
  const Model &a = now_, &b = next_;
  setting("workers", workers_text(a), workers_text(b));
  setting("memory.huge_pages", a.memory.huge_pages, b.memory.huge_pages);
  setting("memory.mbufs", a.memory.mbufs, b.memory.mbufs);
  setting("memory.mbuf_bytes", a.memory.mbuf_bytes, b.memory.mbuf_bytes);
  setting("control.socket", a.control.socket, b.control.socket);
  setting("control.state_dir", a.control.state_dir, b.control.state_dir);
  setting("control.metrics", a.control.metrics, b.control.metrics);
  if (a.hash_key != b.hash_key) {  // the keys themselves stay out of logs
    const auto shown = [](const Model& m) { return std::string(m.hash_key ? "(a key)" : "(the public default)"); };
    out_.changes.push_back({.kind = ChangeKind::kChanged,
                            .what = "setting",
                            .name = "hash_key",
                            .before = shown(a),
                            .after = b.hash_key && a.hash_key ? "(another key)" : shown(b),
                            .effect = "moves almost every new flow of every service"});
  }
  setting("conntrack.capacity", a.conntrack.capacity, b.conntrack.capacity);
  setting("conntrack.wide_capacity", a.conntrack.wide_capacity, b.conntrack.wide_capacity);
  const Timeouts &s = a.conntrack.timeouts, &t = b.conntrack.timeouts;
  setting("conntrack.timeouts.tcp_new", s.tcp_new, t.tcp_new);
  setting("conntrack.timeouts.tcp_established", s.tcp_established, t.tcp_established);
  setting("conntrack.timeouts.tcp_closing", s.tcp_closing, t.tcp_closing);
  setting("conntrack.timeouts.udp_new", s.udp_new, t.udp_new);
  setting("conntrack.timeouts.udp", s.udp, t.udp);
  setting("conntrack.timeouts.icmp", s.icmp, t.icmp);
  setting("stop.grace", a.stop.grace, b.stop.grace);
  setting("announce.segment", a.announce.segment, b.announce.segment);
  setting("announce.interfaces", text(a.announce.interfaces), text(b.announce.interfaces));
  setting("transit", a.transit, b.transit);
}

void Differ::ports() {
  match<Port>(
      now_.ports, next_.ports, [](const Port& p) { return p.name; },
      [&](const Port& p) { add(ChangeKind::kRemoved, "port", p.name, restart_if("ports")); },
      [&](const Port& p) { add(ChangeKind::kAdded, "port", p.name, restart_if("ports")); },
      [&](const Port& a, const Port& b) {
        key("port", b.name, "device", a.device, b.device, restart_if("ports"));
        key("port", b.name, "queues", a.queues, b.queues, restart_if("ports"));
      });
  const bool is_reordered = std::ranges::is_permutation(now_.ports, next_.ports, {}, &Port::name, &Port::name) &&
                            !std::ranges::equal(now_.ports, next_.ports, {}, &Port::name, &Port::name);
  if (is_reordered)
    out_.changes.push_back(
        {.kind = ChangeKind::kChanged, .what = "setting", .name = "ports", .effect = "another order; needs a restart"});
}

void Differ::interfaces() {
  match<Interface>(
      now_.interfaces, next_.interfaces, [](const Interface& i) { return i.name; },
      [&](const Interface& i) { add(ChangeKind::kRemoved, "interface", i.name, "its packets are dropped"); },
      [&](const Interface& i) {
        const bool restart = needs_restart("interfaces.mtu") || needs_restart("interfaces.mac");
        add(ChangeKind::kAdded, "interface", i.name, restart ? std::string(kRestart) : "");
      },
      [&](const Interface& a, const Interface& b) {
        key("interface", b.name, "port", a.port, b.port);
        key("interface", b.name, "vlan", a.vlan, b.vlan);
        key("interface", b.name, "mac", a.mac, b.mac, restart_if("interfaces.mac"));
        key("interface", b.name, "mtu", a.mtu, b.mtu, restart_if("interfaces.mtu"));
        key("interface", b.name, "twin", a.twin, b.twin, restart_if("interfaces.twin"));
        match<lb::Prefix>(
            a.addresses, b.addresses, [](const lb::Prefix& p) { return p; },
            [&](const lb::Prefix& p) { add(ChangeKind::kRemoved, "address", b.name + " " + to_string(p)); },
            [&](const lb::Prefix& p) { add(ChangeKind::kAdded, "address", b.name + " " + to_string(p)); },
            [](const lb::Prefix&, const lb::Prefix&) {});
      });
}

void Differ::routes() {
  match<Route>(
      now_.routes, next_.routes, [](const Route& r) { return r.to; },
      [&](const Route& r) { add(ChangeKind::kRemoved, "route", to_string(r.to)); },
      [&](const Route& r) { add(ChangeKind::kAdded, "route", to_string(r.to)); },
      [&](const Route& a, const Route& b) {
        key("route", to_string(b.to), "via", to_string(a.via), to_string(b.via));
        key("route", to_string(b.to), "interface", a.interface, b.interface);
      });
}

void Differ::neighbors() {
  match<Neighbor>(
      now_.neighbors, next_.neighbors, [](const Neighbor& n) { return std::pair(n.interface, n.address); },
      [&](const Neighbor& n) { add(ChangeKind::kRemoved, "neighbor", to_string(n.address)); },
      [&](const Neighbor& n) { add(ChangeKind::kAdded, "neighbor", to_string(n.address)); },
      [&](const Neighbor& a, const Neighbor& b) { key("neighbor", to_string(b.address), "mac", a.mac, b.mac); });
}

void Differ::services() {
  match<Service>(
      now_.services, next_.services, [](const Service& s) { return s.name; },
      [&](const Service& s) { add(ChangeKind::kRemoved, "service", s.name, "its VIPs' flows end"); },
      [&](const Service& s) { add(ChangeKind::kAdded, "service", s.name); },
      [&](const Service& a, const Service& b) { service(a, b); });
}

void Differ::service(const Service& a, const Service& b) {
  key("service", b.name, "protocol", a.protocol, b.protocol, "its VIPs' flows end");
  key("service", b.name, "maglev_size", a.maglev_size, b.maglev_size);
  key("service", b.name, "reject", a.reject, b.reject);
  match<Vip>(
      a.vips, b.vips, vip_name,
      [&](const Vip& v) { add(ChangeKind::kRemoved, "vip", vip_name(v), "its flows end", b.name); },
      [&](const Vip& v) { add(ChangeKind::kAdded, "vip", vip_name(v), "", b.name); }, [](const Vip&, const Vip&) {});
  match<Backend>(
      a.backends, b.backends, backend_name,
      [&](const Backend& x) {
        add(ChangeKind::kRemoved, "backend", backend_name(x),
            b.protocol == lb::Protocol::kTcp ? "keeps its flows until they end" : "its flows move at once", b.name);
      },
      [&](const Backend& x) {
        add(ChangeKind::kAdded, "backend", backend_name(x), x.weight == 0 ? "draining: gets no new flows" : "", b.name);
      },
      [&](const Backend& x, const Backend& y) { backend(b, x, y); });
}

void Differ::backend(const Service& of, const Backend& a, const Backend& b) {
  const std::string_view effect = b.weight == 0   ? "draining: keeps its flows, gets no new ones"
                                  : a.weight == 0 ? "no longer draining"
                                                  : "";
  key("backend", backend_name(b), "weight", a.weight, b.weight, std::string(effect), of.name);
}

}  // namespace

std::string_view name(ChangeKind kind) noexcept {
  static constexpr std::string_view kNames[] = {"added", "removed", "changed"};
  return kNames[static_cast<std::size_t>(kind)];
}

std::vector<std::string> changes_that_need_restart(const Model& now, const Model& next) {
  std::vector<std::string> keys;
  const auto differs = [&](bool d, const char* key) {
    if (d && std::ranges::find(keys, key) == keys.end()) keys.emplace_back(key);
  };
  differs(now.workers != next.workers || now.worker_cores != next.worker_cores, "workers");
  differs(!(now.memory == next.memory), "memory");
  differs(now.control.socket != next.control.socket, "control.socket");
  differs(now.control.state_dir != next.control.state_dir, "control.state_dir");
  differs(now.control.metrics != next.control.metrics, "control.metrics");
  differs(now.conntrack.capacity != next.conntrack.capacity, "conntrack.capacity");
  differs(now.conntrack.wide_capacity != next.conntrack.wide_capacity, "conntrack.wide_capacity");
  differs(!std::ranges::equal(now.ports, next.ports,
                              [](const Port& a, const Port& b) {
                                return a.name == b.name && a.device == b.device && a.queues == b.queues;
                              }),
          "ports");
  for (const Port& p : now.ports) {
    const PortNeeds before = needs_of(now, p.name), after = needs_of(next, p.name);
    differs(after.mtu > before.mtu, "interfaces.mtu");
    differs(!std::ranges::includes(before.macs, after.macs), "interfaces.mac");
  }
  return keys;
}

Difference diff(const Model& now, const Model& next, std::size_t most_entries) {
  Difference out = Differ(now, next).run();
  out.moved = moved_flows(now, next, most_entries);
  return out;
}

}  // namespace weir::config
