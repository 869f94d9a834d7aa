#include "config/diff.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <map>

#include "config/schema.h"
#include "tests/config/support.h"

namespace weir::config {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

/// Every key with a value that is not its default where there are two to choose from.
constexpr std::string_view kFile = R"(
workers: 1
memory: {huge_pages: auto, mbufs: 65536, mbuf_bytes: 2176}
control: {socket: /run/a.sock, state_dir: /var/a, metrics: 127.0.0.1:9901}
hash_key: "00112233445566778899aabbccddeeff"
conntrack: {capacity: 1000, wide_capacity: 500, timeouts: {tcp_new: 60s, tcp_established: 7440s, tcp_closing: 240s, udp_new: 30s, udp: 300s, icmp: 60s}}
ports:
  - {name: p0, device: net_null0, queues: 1}
interfaces:
  - {name: lan, port: p0, vlan: 5, addresses: [10.0.0.1/24, "fd00::1/64"], mac: "02:00:00:00:00:01", mtu: 1500, twin: false}
announce: {segment: always, interfaces: [lan]}
transit: drop
routes: [{to: 0.0.0.0/0, via: 10.0.0.254, interface: lan}]
neighbors: [{address: 10.0.0.5, mac: "02:00:00:00:00:05", interface: lan}]
stop: {grace: 0s}
services:
  - name: web
    vips: [{address: 203.0.113.10, port: 80}]
    protocol: tcp
    mode: dnat
    scheduler: maglev
    hash: flow
    maglev_size: 4099
    reject: rst
    drain_timeout: never
    on_down: keep
    backends: [{address: 10.0.0.5, port: 8080, weight: 1}, {address: 10.0.0.6, port: 8080, weight: 1}]
)";

Model model(std::string_view text) {
  const auto loaded = load_text(text, "weir.yaml");
  if (!loaded) throw std::runtime_error(testing::PrintToString(as_text(loaded.error().errors)));
  return loaded->model;
}

std::string with(std::string_view from, std::string_view to) {
  std::string text(kFile);
  const auto at = text.find(from);
  if (at == std::string::npos) throw std::runtime_error("no " + std::string(from));
  return text.replace(at, from.size(), to);
}

Difference changed(std::string_view from, std::string_view to) {
  return diff(model(kFile), model(with(from, to)));
}

/// "+ backend 10.0.0.7 (web)", "~ setting conntrack.timeouts.udp: 300s > 30s"
std::vector<std::string> as_text(const Difference& d) {
  std::vector<std::string> out;
  for (const Change& c : d.changes) {
    std::string line = std::string(name(c.kind)) + " " + c.what + " " + c.name;
    if (!c.service.empty()) line += " of " + c.service;
    if (!c.key.empty()) line += " " + c.key;
    if (!c.before.empty() || !c.after.empty()) line += ": " + c.before + " > " + c.after;
    if (!c.effect.empty()) line += " (" + c.effect + ")";
    out.push_back(line);
  }
  return out;
}

TEST(Diff, TheSameIsNoChangeInWhateverOrderItIsWritten) {
  const Difference d = diff(model(kFile), model(kFile));
  EXPECT_THAT(as_text(d), IsEmpty());
  EXPECT_THAT(d.moved, IsEmpty());
  EXPECT_THAT(d.needs_restart, IsEmpty());
  const Difference reordered =
      changed("{address: 10.0.0.5, port: 8080, weight: 1}, {address: 10.0.0.6, port: 8080, weight: 1}",
              "{address: 10.0.0.6, port: 8080}, {address: 10.0.0.5, port: 8080}");
  EXPECT_THAT(as_text(reordered), IsEmpty());
  EXPECT_THAT(reordered.moved, IsEmpty());
}

// A key that the reader learns must be seen by diff: this asks for a case for each.
TEST(Diff, SeesEveryKeyThatTheReaderTakes) {
  struct Edit {
    std::string_view from, to;
  };
  const std::map<std::string_view, Edit> edits{
      {"workers", {"workers: 1", "workers: [0]"}},
      {"memory.huge_pages", {"huge_pages: auto", "huge_pages: never"}},
      {"memory.mbufs", {"mbufs: 65536", "mbufs: 4096"}},
      {"memory.mbuf_bytes", {"mbuf_bytes: 2176", "mbuf_bytes: 4096"}},
      {"control.socket", {"/run/a.sock", "/run/b.sock"}},
      {"control.state_dir", {"/var/a", "/var/b"}},
      {"control.metrics", {"127.0.0.1:9901", "127.0.0.1:9902"}},
      {"hash_key", {"\"0011", "\"0012"}},
      {"conntrack.capacity", {"{capacity: 1000", "{capacity: 2000"}},
      {"conntrack.wide_capacity", {"wide_capacity: 500", "wide_capacity: 600"}},
      {"conntrack.timeouts.tcp_new", {"tcp_new: 60s", "tcp_new: 61s"}},
      {"conntrack.timeouts.tcp_established", {"tcp_established: 7440s", "tcp_established: 2h"}},
      {"conntrack.timeouts.tcp_closing", {"tcp_closing: 240s", "tcp_closing: 241s"}},
      {"conntrack.timeouts.udp_new", {"udp_new: 30s", "udp_new: 31s"}},
      {"conntrack.timeouts.udp", {"udp: 300s", "udp: 30s"}},
      {"conntrack.timeouts.icmp", {"icmp: 60s", "icmp: 61s"}},
      {"ports[].name", {"name: p0, device", "name: p1, device"}},
      {"ports[].device", {"net_null0", "net_null1"}},
      {"ports[].queues", {", queues: 1", ""}},
      {"interfaces[].name", {"name: lan", "name: wan"}},
      {"interfaces[].port", {"name: lan, port: p0", "name: lan, port: p1"}},
      {"interfaces[].vlan", {"vlan: 5", "vlan: 6"}},
      {"interfaces[].addresses[]", {"10.0.0.1/24", "10.0.0.2/24"}},
      {"interfaces[].mac", {", mac: \"02:00:00:00:00:01\"", ""}},
      {"stop.grace", {"grace: 0s", "grace: 5s"}},
      {"interfaces[].mtu", {"mtu: 1500", "mtu: 1400"}},
      {"interfaces[].twin", {"twin: false", "twin: true"}},
      {"transit", {"transit: drop", "transit: kernel"}},
      {"announce.segment", {"segment: always", "segment: never"}},
      {"announce.interfaces[]", {", interfaces: [lan]}", "}"}},
      {"routes[].to", {"0.0.0.0/0", "192.0.2.0/24"}},
      {"routes[].via", {"10.0.0.254", "10.0.0.253"}},
      {"neighbors[].address", {"address: 10.0.0.5, mac", "address: 10.0.0.7, mac"}},
      {"neighbors[].mac", {"02:00:00:00:00:05", "02:00:00:00:00:06"}},
      {"services[].name", {"name: web", "name: shop"}},
      {"services[].vips[].address", {"203.0.113.10", "203.0.113.11"}},
      {"services[].vips[].port", {"port: 80}", "port: 80-81}"}},
      {"services[].protocol", {"protocol: tcp", "protocol: udp"}},
      {"services[].maglev_size", {"maglev_size: 4099", "maglev_size: 65537"}},
      {"services[].reject", {"reject: rst", "reject: drop"}},
      {"services[].backends[].address", {"address: 10.0.0.6", "address: 10.0.0.7"}},
      {"services[].backends[].port", {"10.0.0.5, port: 8080", "10.0.0.5, port: 8081"}},
      {"services[].backends[].weight", {"weight: 1", "weight: 2"}},
  };
  // Keys of one value only in this version, and those that need two edits at once.
  const std::set<std::string_view> without{"services[].mode",
                                           "services[].hash",
                                           "services[].scheduler",
                                           "services[].drain_timeout",
                                           "services[].on_down",
                                           "interfaces[].port",
                                           "routes[].interface",
                                           "neighbors[].interface",
                                           "interfaces[].name",
                                           "ports[].name",
                                           "workers[]"};
  for (const std::string& path : key_paths()) {
    const bool is_leaf = std::ranges::none_of(key_paths(), [&](const std::string& other) {
      return other != path && (other.starts_with(path + ".") || other.starts_with(path + "["));
    });
    if (without.contains(path) || (!is_leaf && path != "workers")) continue;
    const auto edit = edits.find(path);
    if (edit == edits.end()) {
      ADD_FAILURE() << path << " has no case: teach config/diff.cc to see it, and add an edit here";
      continue;
    }
    EXPECT_THAT(as_text(changed(edit->second.from, edit->second.to)), testing::Not(IsEmpty())) << path;
  }
}

TEST(Diff, SettingsAreNamedByTheirPath) {
  EXPECT_THAT(as_text(changed("udp: 300s", "udp: 5m")), IsEmpty());
  EXPECT_THAT(as_text(changed("udp: 300s", "udp: 30s")),
              ElementsAre("changed setting conntrack.timeouts.udp: 300s > 30s"));
}

TEST(Diff, WhatNeedsARestartIsMarked) {
  const Difference d = changed("mbufs: 65536", "mbufs: 4096");
  EXPECT_THAT(as_text(d), ElementsAre("changed setting memory.mbufs: 65536 > 4096 (needs a restart)"));
  EXPECT_THAT(d.needs_restart, ElementsAre("memory"));
  EXPECT_THAT(as_text(changed("mtu: 1500", "mtu: 1600")),
              ElementsAre("changed interface lan mtu: 1500 > 1600 (needs a restart)"));
  EXPECT_THAT(changed("mtu: 1500", "mtu: 1400").needs_restart, IsEmpty());
}

TEST(Diff, TheHashKeyIsNeverPrinted) {
  const Difference d = changed("\"0011", "\"ab12");
  ASSERT_EQ(d.changes.size(), 1u);
  EXPECT_THAT(as_text(d).front(), AllOf(HasSubstr("moves almost every new flow"), testing::Not(HasSubstr("ab12"))));
  ASSERT_EQ(d.moved.size(), 1u);
  EXPECT_EQ(d.moved[0].why, "hash_key");
  EXPECT_NEAR(*d.moved[0].share, 0.5, 0.01) << "two equal backends: half of the flows find the same one by chance";
}

TEST(Diff, ABackendAddedMovesItsShare) {
  const Difference d = changed("weight: 1}]", "weight: 1}, {address: 10.0.0.7, port: 8080}]");
  EXPECT_THAT(as_text(d), ElementsAre("added backend 10.0.0.7:8080 of web"));
  ASSERT_EQ(d.moved.size(), 1u);
  EXPECT_EQ(d.moved[0].family, lb::Family::kIpv4);
  EXPECT_NEAR(*d.moved[0].share, 1.0 / 3, 0.05) << "a third goes to the new one, little else moves";
  EXPECT_EQ(d.moved[0].why, "");
}

TEST(Diff, ADrainedOneIsSaidAndMovesItsHalf) {
  const Difference d = changed("10.0.0.5, port: 8080, weight: 1", "10.0.0.5, port: 8080, weight: 0");
  EXPECT_THAT(as_text(d), ElementsAre("changed backend 10.0.0.5:8080 of web weight: 1 > 0 (draining: keeps its flows, "
                                      "gets no new ones)"));
  EXPECT_NEAR(*d.moved.at(0).share, 0.5, 0.01);
}

TEST(Diff, AnotherMaglevSizeMovesAlmostEveryFlow) {
  std::string few = "backends: [", many = few;
  for (int i = 1; i <= 41; ++i) {
    const std::string backend = "{address: 10.0.0." + std::to_string(100 + i) + "}, ";
    if (i <= 40) few += backend;
    many += backend;
  }
  const auto file = [](const std::string& backends) {
    std::string text = with("    maglev_size: 4099\n", "");
    return text.replace(text.find("backends: ["), std::string::npos, backends + "]\n");
  };
  const Difference d = diff(model(file(few)), model(file(many)));
  EXPECT_THAT(as_text(d), ElementsAre("added backend 10.0.0.141 of web"));
  ASSERT_EQ(d.moved.size(), 1u);
  EXPECT_EQ(d.moved[0].why, "maglev size 4099 to 65537");
  EXPECT_GT(*d.moved[0].share, 0.9);
}

TEST(Diff, LargeTablesAreNotEstimated) {
  const Model now = model(kFile), next = model(with("weight: 1", "weight: 2"));
  const Difference d = diff(now, next, 8197);  // one entry too few
  ASSERT_EQ(d.moved.size(), 1u);
  EXPECT_FALSE(d.moved[0].share);
  EXPECT_TRUE(diff(now, next, 8198).moved[0].share);
}

TEST(Diff, ServicesVipsAndAddressesComeAndGo) {
  EXPECT_THAT(as_text(changed("name: web", "name: shop")),
              ElementsAre("removed service web (its VIPs' flows end)", "added service shop"));
  EXPECT_THAT(as_text(changed("port: 80}", "port: all}")),
              ElementsAre("removed vip 203.0.113.10:80 of web (its flows end)", "added vip 203.0.113.10:all of web"));
  EXPECT_THAT(as_text(changed("\"fd00::1/64\"", "\"fd00::2/64\"")),
              ElementsAre("removed address lan fd00::1/64", "added address lan fd00::2/64"));
}

}  // namespace
}  // namespace weir::config
