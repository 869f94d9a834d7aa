#include "tests/cases/lab.h"

#include <fmt/format.h>

namespace weir::test {

namespace {

// Twenty services on one server, a port each: for clients that reach many VIPs from one port.
std::string many_services() {
  std::string text;
  for (int i = 0; i < 20; ++i)
    text += fmt::format(
        "  - name: many-{0}\n"
        "    vips: [{{address: 203.0.113.{1}, port: 80}}, {{address: \"2001:db8:100::1:{0}\", port: 80}}]\n"
        "    protocol: tcp\n"
        "    backends: [{{address: 10.0.0.11, port: {2}}}, {{address: \"fd00::11\", port: {2}}}]\n",
        i, 100 + i, 9100 + i);
  return text;
}

std::string server_neighbors() {
  std::string text;
  for (int server = 5; server <= 23; ++server)
    text += fmt::format("  - {{address: 10.0.0.{0}, mac: \"{1}\"}}\n  - {{address: \"fd00::{0}\", mac: \"{1}\"}}\n",
                        server, server_mac(server));
  return text;
}

}  // namespace

std::string lab_yaml() {
  return R"(
hash_key: "000102030405060708090a0b0c0d0e0f"
conntrack: {capacity: 65536, wide_capacity: 65536}
interfaces:
  - {name: uplink, port: p0, mac: "02:00:00:00:01:00", addresses: [198.51.100.1/24, "2001:db8:1::1/64"]}
  - {name: servers, port: p0, vlan: 100, mac: "02:00:00:00:02:00", addresses: [10.0.0.1/24, "fd00::1/64"]}
  - {name: small, port: p0, vlan: 200, mac: "02:00:00:00:03:00", addresses: [10.2.0.1/24], mtu: 576}
  - {name: quiet, port: p0, vlan: 300, mac: "02:00:00:00:04:00", addresses: [10.3.0.1/24, "fd03::1/64"]}
announce: {segment: always, interfaces: [uplink, servers, small]}
routes:
  - {to: 192.0.2.0/24, via: 198.51.100.254}
  - {to: "2001:db8:2::/64", via: "2001:db8:1::fe"}
  - {to: 198.18.0.0/16, via: 198.51.100.253}       # no such neighbour
neighbors:
  - {address: 198.51.100.254, mac: "02:00:00:00:01:fe"}
  - {address: "2001:db8:1::fe", mac: "02:00:00:00:01:fe"}
  - {address: 198.51.100.20, mac: "02:00:00:00:01:20"}
  - {address: 10.2.0.5, mac: "02:00:00:00:03:05"}
)" + server_neighbors() +
         R"(
services:
  - name: web
    vips: [{address: 203.0.113.10, port: 80}, {address: "2001:db8:100::10", port: 80}]
    protocol: tcp
    backends: [{address: 10.0.0.5, port: 8080}, {address: "fd00::5", port: 8080}]
  - name: dns
    vips: [{address: 203.0.113.10, port: 53}, {address: "2001:db8:100::10", port: 53}]
    protocol: udp
    backends: [{address: 10.0.0.5, port: 5353}, {address: "fd00::5", port: 5353}]
  # Backends that get packets on the port they came to.
  - name: as-arrived
    vips: [{address: 203.0.113.11, port: 443}]
    protocol: tcp
    backends: [{address: 10.0.0.6}]
  - name: range
    vips: [{address: 203.0.113.12, port: 5000-5999}, {address: "2001:db8:100::12", port: 5000-5999}]
    protocol: tcp
    backends: [{address: 10.0.0.7}, {address: "fd00::7"}]
  - name: range-to-one
    vips: [{address: 203.0.113.12, port: 7000-7999}]
    protocol: tcp
    backends: [{address: 10.0.0.12, port: 9000}]
  # One address: exact in range in all.
  - {name: all, vips: [{address: 203.0.113.13, port: all}], protocol: tcp, backends: [{address: 10.0.0.8}]}
  - {name: all-udp, vips: [{address: 203.0.113.13, port: all}], protocol: udp, backends: [{address: 10.0.0.8}]}
  - name: in-all
    vips: [{address: 203.0.113.13, port: 1000-1999}]
    protocol: tcp
    backends: [{address: 10.0.0.13, port: 9001}]
  - name: in-range
    vips: [{address: 203.0.113.13, port: 1500}]
    protocol: tcp
    backends: [{address: 10.0.0.13, port: 9002}]
  - name: two-vips
    vips: [{address: 203.0.113.14, port: 80}, {address: 203.0.113.15, port: 80}]
    protocol: tcp
    backends: [{address: 10.0.0.9, port: 8080}]
  # One endpoint in two services.
  - {name: shared-a, vips: [{address: 203.0.113.16, port: 80}], protocol: tcp, backends: [{address: 10.0.0.10, port: 8080}]}
  - {name: shared-b, vips: [{address: 203.0.113.17, port: 81}], protocol: tcp, backends: [{address: 10.0.0.10, port: 8080}]}
  # The same server by a fixed port and by the port as it arrives.
  - {name: fixed, vips: [{address: 203.0.113.18, port: 80}], protocol: tcp, backends: [{address: 10.0.0.14, port: 80}]}
  - {name: sibling, vips: [{address: 203.0.113.19, port: 80}], protocol: tcp, backends: [{address: 10.0.0.14}]}
  - name: spread
    vips: [{address: 203.0.113.20, port: 80}]
    protocol: tcp
    backends: [{address: 10.0.0.21, port: 8080}, {address: 10.0.0.22, port: 8080}, {address: 10.0.0.23, port: 8080}]
  # Nobody there, each way of saying so.
  - {name: empty, vips: [{address: 203.0.113.30, port: 80}, {address: "2001:db8:100::30", port: 80}], protocol: tcp, backends: []}
  - {name: empty-udp, vips: [{address: 203.0.113.30, port: 53}, {address: "2001:db8:100::30", port: 53}], protocol: udp, backends: []}
  - {name: drained, vips: [{address: 203.0.113.31, port: 80}], protocol: tcp, backends: [{address: 10.0.0.5, port: 8082, weight: 0}]}
  - {name: empty-icmp, vips: [{address: 203.0.113.32, port: 80}, {address: "2001:db8:100::32", port: 80}], protocol: tcp, reject: icmp, backends: []}
  - {name: empty-drop, vips: [{address: 203.0.113.33, port: 80}], protocol: tcp, reject: drop, backends: []}
  - {name: loud, vips: [{address: 203.0.113.34, port: 80}], protocol: tcp, backends: [{address: 10.0.0.5, port: 8083}]}
  - {name: silent, vips: [{address: 203.0.113.34, port: 81}], protocol: tcp, reject: drop, backends: [{address: 10.0.0.5, port: 8084}]}
  # Hard to reach.
  - {name: small, vips: [{address: 203.0.113.40, port: 80}], protocol: udp, backends: [{address: 10.2.0.5, port: 8080}]}
  - {name: unresolved, vips: [{address: 203.0.113.41, port: 80}], protocol: tcp, backends: [{address: 10.0.0.99, port: 8080}]}
  - {name: routeless, vips: [{address: 203.0.113.42, port: 80}], protocol: tcp, backends: [{address: 10.99.0.5, port: 8080}]}
)" + many_services();
}

std::string trunk_yaml() {
  return R"(
hash_key: "000102030405060708090a0b0c0d0e0f"
conntrack: {capacity: 64, wide_capacity: 64, timeouts: {tcp_new: 5s, tcp_established: 20s, tcp_closing: 10s, udp_new: 3s, udp: 6s}}
interfaces:
  - {name: uplink, port: p0, vlan: 10, mac: "02:00:00:00:01:00", addresses: [198.51.100.1/24, "2001:db8:1::1/64"]}
  - {name: servers, port: p0, vlan: 100, mac: "02:00:00:00:02:00", addresses: [10.0.0.1/24, "fd00::1/64"]}
announce: {segment: never}
routes: [{to: 192.0.2.0/24, via: 198.51.100.254}]
neighbors:
  - {address: 198.51.100.254, mac: "02:00:00:00:01:fe"}
  - {address: 10.0.0.5, mac: "02:00:00:00:00:05"}
services:
  - {name: web, vips: [{address: 203.0.113.10, port: 80}], protocol: tcp, backends: [{address: 10.0.0.5, port: 8080}]}
  - {name: dns, vips: [{address: 203.0.113.10, port: 53}], protocol: udp, backends: [{address: 10.0.0.5, port: 5353}]}
)";
}

std::string server_mac(int server) {
  return fmt::format("02:00:00:00:00:{:02x}", server);
}

Packet from_client() {
  return packet().eth(kUplinkMac, kRouterMac);
}
Packet to_client() {
  return packet().eth(kRouterMac, kUplinkMac);
}
Packet from_server(int server) {
  return packet().eth(kServersMac, server_mac(server)).vlan(kServersVlan);
}
Packet to_server(int server) {
  return packet().eth(server_mac(server), kServersMac).vlan(kServersVlan);
}

namespace {

Packet add_ip(Packet p, const std::string& source, const std::string& destination, std::uint8_t ttl) {
  if (source.find(':') == std::string::npos) return p.ipv4(source, destination, {.ttl = ttl});
  return p.ipv6(source, destination, {.hop_limit = ttl});
}

Packet add_transport(Packet p, bool udp, std::uint16_t source, std::uint16_t destination, std::uint8_t flags,
                     std::string_view data) {
  if (udp) {
    p.udp(source, destination);
  } else {
    p.tcp(source, destination, flags, {.seq = 1000, .ack = (flags & kAck) != 0 ? 2000u : 0u});
  }
  return p.payload(data);
}

}  // namespace

std::string Talk::server_address() const {
  return fmt::format("{}{}", vip.find(':') == std::string::npos ? "10.0.0." : "fd00::", server);
}
Packet Talk::asked(std::uint8_t flags, std::string_view data) const {
  return add_transport(add_ip(from_client(), client, vip, 64), udp, client_port, vip_port, flags, data);
}
Packet Talk::asked_on(std::uint8_t flags, std::string_view data) const {
  return add_transport(add_ip(to_server(server), client, server_address(), 63), udp, client_port, server_port, flags,
                       data);
}
Packet Talk::told(std::uint8_t flags, std::string_view data) const {
  return add_transport(add_ip(from_server(server), server_address(), client, 64), udp, server_port, client_port, flags,
                       data);
}
Packet Talk::told_on(std::uint8_t flags, std::string_view data) const {
  return add_transport(add_ip(to_client(), vip, client, 63), udp, vip_port, client_port, flags, data);
}

Talk web() {
  return {.client_port = fresh_port()};
}
Talk web6() {
  return {.client = std::string(kClient6), .client_port = fresh_port(), .vip = std::string(kWeb6)};
}
Talk dns() {
  return {.client_port = fresh_port(), .vip_port = 53, .server_port = 5353, .udp = true};
}
Talk dns6() {
  return {.client = std::string(kClient6),
          .client_port = fresh_port(),
          .vip = std::string(kWeb6),
          .vip_port = 53,
          .server_port = 5353,
          .udp = true};
}

Case& ask(Case& c, const Talk& t, std::uint8_t flags, std::string_view data) {
  return c.in(t.asked(flags, data)).out(t.asked_on(flags, data));
}
Case& tell(Case& c, const Talk& t, std::uint8_t flags, std::string_view data) {
  return c.in(t.told(flags, data)).out(t.told_on(flags, data));
}
Case& open(Case& c, const Talk& t) {
  ask(c, t, kSyn);
  tell(c, t, kSyn | kAck);
  return ask(c, t, kAck);
}

const std::vector<Group>& groups() {
  static const std::vector<Group> all = [] {
    Group lab{.name = "lab", .yaml = lab_yaml(), .cases = {}};
    for (Cases& cases : std::vector<Cases>{dnat_cases(), service_cases(), link_cases(), ipv4_cases(), ipv6_cases(),
                                           transport_cases(), flow_cases(), answer_cases(), refuse_cases()})
      for (Case& c : cases) lab.cases.push_back(std::move(c));
    return std::vector<Group>{std::move(lab),
                              {.name = "trunk", .yaml = trunk_yaml(), .cases = trunk_cases()},
                              {.name = "twin", .yaml = twin_yaml(), .cases = twin_cases(), .has_twins = true}};
  }();
  return all;
}

}  // namespace weir::test
