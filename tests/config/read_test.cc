// Every key by itself: what it takes, both sides of each edge, and what it says to anything else.
#include <fmt/format.h>

#include <algorithm>

#include "tests/config/support.h"

namespace weir::config {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

Model model_of(std::string_view text) {
  auto loaded = load_text(text, "weir.yaml");
  if (loaded) return std::move(loaded->model);
  for (const auto& e : as_text(loaded.error().errors)) ADD_FAILURE() << e;
  return {};
}

TEST(Read, ATimerThatNothingUsesIsNotPassedOverInSilence) {
  const auto loaded =
      load_text("hash_key: \"00112233445566778899aabbccddeeff\"\nconntrack: {timeouts: {icmp: 5s}}\n", "f");
  ASSERT_TRUE(loaded);
  EXPECT_TRUE(std::ranges::any_of(loaded->warnings, [](const Diagnostic& w) {
    return w.where == Where{2, 30} && w.message.find("has no effect in this version") != std::string::npos;
  }));
}

TEST(Read, EveryKeyArrivesInTheModel) {
  const Model m = model_of(R"(
workers: [3]
memory: {huge_pages: never, mbufs: 2048, mbuf_bytes: 9216}
control: {socket: /tmp/w.sock, state_dir: /tmp/w}
hash_key: "00112233445566778899aabbccddeeff"
conntrack:
  capacity: 100
  wide_capacity: 64
  timeouts: {tcp_new: 1s, tcp_established: 32767s, tcp_closing: 2m, udp_new: 3000ms, udp: 1h, icmp: 5s}
ports:
  - {name: p0, device: 0000:03:00.0, queues: 2}
  - {name: p1, device: "net_af_xdp0,iface=eth1"}
interfaces:
  - {name: up, port: p0, vlan: 7, addresses: [198.51.100.1/24, 2001:db8:1::1/64], mac: 02:00:00:00:00:01, mtu: 9000, twin: false}
  - {name: lan, port: p1, twin: true}
announce: {segment: never, interfaces: [lan]}
transit: drop
routes: [{to: 0.0.0.0/0, via: 198.51.100.254}, {to: ::/0, via: fe80::1, interface: lan}]
neighbors: [{address: 198.51.100.254, mac: 12:34:56:01:02:03}]
stop: {grace: 1500ms}
services:
  - name: wëb
    vips: [{address: 203.0.113.10, port: 80}, {address: 203.0.113.10, port: 5000-5999}, {address: 203.0.113.10, port: all}]
    protocol: udp
    mode: dnat
    scheduler: maglev
    hash: flow
    maglev_size: 4099
    reject: icmp
    drain_timeout: never
    on_down: keep
    backends: [{address: 10.0.0.5, port: 8080, weight: 0}, {address: 10.0.0.6}]
)");
  EXPECT_EQ(m.file, "weir.yaml");
  EXPECT_EQ(m.workers, 1);
  EXPECT_THAT(m.worker_cores, ElementsAre(3u));
  EXPECT_EQ(m.memory, (Memory{HugePages::kNever, 2048, 9216}));
  EXPECT_EQ(m.control, (Control{"/tmp/w.sock", "/tmp/w"}));
  EXPECT_EQ(m.hash_key, lb::parse_hash_key("00112233445566778899aabbccddeeff"));
  using std::chrono::seconds;
  const Timeouts timeouts{seconds(1), seconds(32767), seconds(120), seconds(3), seconds(3600), seconds(5)};
  EXPECT_EQ(m.conntrack, (Conntrack{100, 64, timeouts}));
  ASSERT_EQ(m.ports.size(), 2u);
  EXPECT_EQ(m.ports[0].name, "p0");
  EXPECT_EQ(m.ports[0].device, "0000:03:00.0");
  EXPECT_EQ(m.ports[0].queues, 2);
  EXPECT_EQ(m.ports[1].device, "net_af_xdp0,iface=eth1");
  EXPECT_FALSE(m.ports[1].queues);
  ASSERT_EQ(m.interfaces.size(), 2u);
  const Interface& up = m.interfaces[0];
  EXPECT_EQ(up.name, "up");
  EXPECT_EQ(up.port, "p0");
  EXPECT_EQ(up.vlan, 7);
  EXPECT_THAT(up.addresses, ElementsAre(*lb::parse_prefix("198.51.100.1/24"), *lb::parse_prefix("2001:db8:1::1/64")));
  EXPECT_EQ(up.mac, lb::parse_mac("02:00:00:00:00:01"));
  EXPECT_EQ(up.mtu, 9000);
  EXPECT_EQ(up.where, (Where{14, 5}));
  EXPECT_EQ(m.interfaces[1].mtu, 1500);
  EXPECT_FALSE(m.interfaces[1].mac);
  EXPECT_FALSE(up.twin);
  EXPECT_TRUE(m.interfaces[1].twin);
  EXPECT_EQ(m.transit, Transit::kDrop);
  EXPECT_EQ(m.announce.segment, AnnounceSegment::kNever);
  EXPECT_THAT(*m.announce.interfaces, ElementsAre("lan"));
  ASSERT_EQ(m.routes.size(), 2u);
  EXPECT_EQ(m.routes[0].to, *lb::parse_prefix("0.0.0.0/0"));
  EXPECT_EQ(m.routes[0].via, *lb::parse_address("198.51.100.254"));
  EXPECT_EQ(m.routes[0].interface, "up");  // filled in
  EXPECT_EQ(m.routes[1].interface, "lan");
  ASSERT_EQ(m.neighbors.size(), 1u);
  EXPECT_EQ(m.neighbors[0].mac, lb::parse_mac("12:34:56:01:02:03"));
  EXPECT_EQ(m.neighbors[0].interface, "up");
  ASSERT_EQ(m.services.size(), 1u);
  const Service& s = m.services[0];
  EXPECT_EQ(s.name, "wëb");
  EXPECT_EQ(s.protocol, lb::Protocol::kUdp);
  EXPECT_EQ(s.maglev_size, 4099u);
  EXPECT_EQ(s.reject, Reject::kIcmp);
  ASSERT_EQ(s.vips.size(), 3u);
  EXPECT_EQ(s.vips[0].ports, (PortRange{80, 80, false}));
  EXPECT_EQ(s.vips[1].ports, (PortRange{5000, 5999, false}));
  EXPECT_EQ(s.vips[2].ports, (PortRange{1, 65535, true}));
  EXPECT_EQ(s.vips[1].where, (Where{23, 47}));
  ASSERT_EQ(s.backends.size(), 2u);
  EXPECT_EQ(s.backends[0].port, 8080);
  EXPECT_EQ(s.backends[0].weight, 0);
  EXPECT_EQ(s.backends[1].port, 0);
  EXPECT_EQ(s.backends[1].weight, 1);
}

TEST(Read, WhatTheFileLeavesOutHasItsDefault) {
  const Model m = model_of("{}");
  EXPECT_EQ(m.workers, 1);
  EXPECT_TRUE(m.worker_cores.empty());
  EXPECT_EQ(m.memory, Memory{});
  EXPECT_EQ(m.control, Control{});
  EXPECT_EQ(m.conntrack, Conntrack{});
  EXPECT_FALSE(m.hash_key);
  EXPECT_FALSE(m.announce.interfaces);
  EXPECT_EQ(m.announce.segment, AnnounceSegment::kAlways);
  EXPECT_TRUE(m.services.empty());
}

TEST(Read, NumbersHaveLimits) {
  struct Limit {
    const char* before;
    const char* after;
    std::uint64_t least, most;
  };
  const Limit limits[] = {
      {"memory: {mbufs: ", "}", 1024, 16777216},
      {"memory: {mbuf_bytes: ", "}", 1152, 65535},
      {"conntrack: {capacity: ", "}", 64, 268435456},
      {"conntrack: {wide_capacity: ", "}", 64, 268435456},
      {"ports: [{name: p0, device: net_null0, queues: ", "}]", 1, 128},
      {"ports: [{name: p0, device: net_null0}]\ninterfaces: [{name: lan, port: p0, vlan: ", "}]", 0, 4094},
      {"memory: {mbuf_bytes: 9146}\nports: [{name: p0, device: net_null0}]\ninterfaces: [{name: lan, port: p0, mtu: ",
       "}]", 68, 9000},
      {"workers: [", "]", 0, 1023},
      {"services: [{name: s, vips: [{address: 203.0.113.1, port: ", "}], backends: []}]", 1, 65535},
      {"services: [{name: s, vips: [{address: 203.0.113.1, port: 1}], backends: [{address: 10.0.0.5, port: ", "}]}]", 1,
       65535},
      {"services: [{name: s, vips: [{address: 203.0.113.1, port: 1}], backends: [{address: 10.0.0.5, weight: ", "}]}]",
       0, 65535},
  };
  for (const auto& [before, after, least, most] : limits) {
    const auto errors = [&](const std::string& value) { return errors_of(before + value + after); };
    const std::string range = fmt::format("from {} to {}", least, most);
    EXPECT_THAT(errors(std::to_string(least)), IsEmpty()) << before;
    EXPECT_THAT(errors(std::to_string(most)), IsEmpty()) << before;
    for (const std::string& value :
         {std::to_string(most + 1), std::to_string(least - 1), std::string("-1"),
          std::string("99999999999999999999999"), std::string("1.5"), std::string("true"), std::string("[]"),
          std::string("{}"), std::string("'7'"), std::string("1e3"), std::string("0x10"), std::string("010"),
          std::string("1_000"), std::string("80:80"), std::string("~"), std::string("")}) {
      if (least == 0 && value == std::to_string(least - 1)) continue;
      if (value.empty() && std::string_view(before).ends_with("[")) continue;                     // an empty list
      if (value == "'7'" && std::string_view(before).ends_with("203.0.113.1, port: ")) continue;  // a port may be text
      EXPECT_THAT(errors(value), ElementsAre(HasSubstr(range))) << before << value;
    }
  }
}

TEST(Read, WrongTypesNameTheExpectedOne) {
  expect({
      {"[]", {"1:1: the file: expected a mapping (key: value), found a list"}},
      {"weir", {"1:1: the file: expected a mapping (key: value), found the text 'weir'"}},
      {"memory: 5", {"1:9: memory: expected a mapping (key: value), found the number 5"}},
      {"memory:", {"1:1: memory: expected a mapping (key: value), found nothing"}},
      {"control: []", {"1:10: control: expected a mapping"}},
      {"conntrack: x", {"1:12: conntrack: expected a mapping"}},
      {"conntrack: {timeouts: 5s}", {"1:23: timeouts: expected a mapping"}},
      {"ports: {}", {"1:8: ports: expected a list, found a mapping"}},
      {"ports: [p0]", {"1:9: a port: expected a mapping (key: value), found the text 'p0'"}},
      {"interfaces: null", {"1:13: interfaces: expected a list, found null (nothing)"}},
      {"interfaces: [{name: a, port: p, addresses: 10.0.0.1/24}]\nports: [{name: p, device: d}]",
       {"1:44: addresses: expected a list, found the text"}},
      {"routes: 5", {"1:9: routes: expected a list"}},
      {"neighbors: [5]", {"1:13: a neighbor: expected a mapping"}},
      {"announce: always", {"1:11: announce: expected a mapping"}},
      {"announce: {interfaces: lan}", {"1:24: announce.interfaces: expected a list"}},
      {"stop: 0s", {"1:7: stop: expected a mapping"}},
      {"services: {}", {"1:11: services: expected a list"}},
      {"services: [x]", {"1:12: a service: expected a mapping"}},
      {"hash_key: []", {"1:11: hash_key: expected 32 hexadecimal digits"}},
      {"transit: {}", {"1:10: transit: expected kernel | drop, found a mapping"}},
      {"control: {socket: 5}", {"1:19: socket: expected a path, found the number 5; quote it"}},
      {"control: {metrics: 9901}", {"1:20: metrics: expected an address with a port such as 127.0.0.1:9901"}},
      {"control: {socket: [a]}", {"1:19: socket: expected a path, found a list"}},
      {service("80", "[5]"), {"3:9: vips: expected a list", "4:14: a backend: expected a mapping"}},
      {service("[~]", "~"), {"3:10: a VIP: expected a mapping", "4:13: backends: expected a list"}},
  });
}

TEST(Read, WhereMetricsAreServed) {
  EXPECT_FALSE(model_of("{}").control.metrics);
  EXPECT_EQ(model_of("control: {metrics: 127.0.0.1:9901}").control.metrics,
            (lb::SocketAddress{*lb::parse_address("127.0.0.1"), 9901}));
  EXPECT_EQ(model_of("control: {metrics: \"[::1]:9901\"}").control.metrics,
            (lb::SocketAddress{*lb::parse_address("::1"), 9901}));
  constexpr const char* kNot = " is not an address with a port such as 127.0.0.1:9901 or \"[::1]:9901\" in quotes";
  for (const std::string text : {"localhost:9901", "127.0.0.1", "127.0.0.1:0", "127.0.0.1:65536", "::1", "::1:9901"})
    expect({{"control: {metrics: \"" + text + "\"}", {"1:20: metrics: '" + text + "'" + kNot}}});
  expect({{"control: {metrics: 224.0.0.1:9901}", {"1:20: metrics: 224.0.0.1:9901 is a multicast address"}}});

  const auto warns = [](const char* text) {
    const auto loaded = load_text(text, "f");
    return loaded && std::ranges::any_of(loaded->warnings, [](const Diagnostic& w) {
             return w.message.find("without a password") != std::string::npos;
           });
  };
  EXPECT_TRUE(warns("control: {metrics: 0.0.0.0:9901}"));
  EXPECT_TRUE(warns("control: {metrics: 10.0.0.1:9901}"));
  EXPECT_FALSE(warns("control: {metrics: 127.0.0.1:9901}"));
  EXPECT_FALSE(warns("control: {metrics: \"[::1]:9901\"}"));
}

TEST(Read, UnknownAndRepeatedAndMissingKeys) {
  expect({
      {"memroy: {}", {"1:1: the file has no key 'memroy'; did you mean 'memory'?"}},
      {"frobnicate: {}", {"1:1: the file has no key 'frobnicate'"}},
      {"memory: {mbuf: 1}", {"1:10: memory has no key 'mbuf'; did you mean 'mbufs'?"}},
      {"control: {sokcet: x}", {"1:11: control has no key 'sokcet'; did you mean 'socket'?"}},
      {"conntrack: {timeout: {}}", {"1:13: conntrack has no key 'timeout'; did you mean 'timeouts'?"}},
      {"conntrack: {timeouts: {tcp_establish: 5s}}",
       {"1:24: timeouts has no key 'tcp_establish'; did you mean 'tcp_established'?"}},
      {"announce: {segments: never}", {"1:12: announce has no key 'segments'; did you mean 'segment'?"}},
      {"stop: {grce: 0s}", {"1:8: stop has no key 'grce'; did you mean 'grace'?"}},
      {"ports: [{nmae: p0, device: d}]",
       {"1:9: a port needs key 'name'", "1:10: a port has no key 'nmae'; did you mean 'name'?"}},
      {"interfaces: [{name: a, prot: p0}]",
       {"1:14: an interface needs key 'port'", "1:24: an interface has no key 'prot'; did you mean 'port'?"}},
      {"routes: [{too: 0.0.0.0/0}]",
       {"1:10: a route needs key 'to'", "1:10: a route needs key 'via'",
        "1:11: a route has no key 'too'; did you mean 'to'?"}},
      {"neighbors: [{}]", {"1:13: a neighbor needs key 'address'", "1:13: a neighbor needs key 'mac'"}},
      {"services: [{}]",
       {"1:12: a service needs key 'name'", "1:12: a service needs key 'vips'",
        "1:12: a service needs key 'backends'"}},
      {service("[{addres: 203.0.113.1}]", "[{weigth: 1}]"),
       {"3:10: a VIP needs key 'address'", "3:10: a VIP needs key 'port'",
        "3:11: a VIP has no key 'addres'; did you mean 'address'?", "4:14: a backend needs key 'address'",
        "4:15: a backend has no key 'weigth'; did you mean 'weight'?"}},
      {"workers: 1\nworkers: 1", {"2:1: the file has key 'workers' twice, first at 1:1; remove one"}},
      {"memory: {mbufs: 4096, mbufs: 4096}", {"1:23: memory has key 'mbufs' twice, first at 1:10"}},
      {"memory: {\"mbufs\": 4096, mbufs: 4096}", {"1:25: memory has key 'mbufs' twice"}},
      {"{? {a: 1} : 2}", {"1:4: the file: a key must be a word, found a mapping"}},
      {": 1", {"1:1: the file: a key must be a word, found nothing"}},
      {"\"a\\nb\": 1", {"1:1: the file has no key 'a\\nb'"}},
  });
}

TEST(Read, WhatComesLaterIsRefusedNotIgnored) {
  const std::string vips = "[{address: 203.0.113.1, port: 80}]", backends = "[]";
  for (const std::string& text : {
           std::string("snat_addresses: [10.0.0.240]"),
           std::string("tunnel: {source: 10.0.0.1}"),
           std::string("kubernetes: {profile: edge}"),
           std::string("mtu_exceeded: drop"),
           std::string("ports: [{name: p, device: d}]\ninterfaces: [{name: a, port: p, mtu_exceeded: fragment}]"),
           service("[{address: 203.0.113.0/24, port: 80}]", backends),
           service("[{address: \"2001:db8::/64\", port: 80}]", backends),
           service(vips, backends, "protocol: sctp"),
           service(vips, backends, "mode: fullnat"),
           service(vips, backends, "mode: dr"),
           service(vips, backends, "mode: ipip"),
           service(vips, backends, "mode: gre"),
           service(vips, backends, "mode: gue"),
           service(vips, backends, "scheduler: rr"),
           service(vips, backends, "scheduler: wrr"),
           service(vips, backends, "scheduler: lc"),
           service(vips, backends, "scheduler: wlc"),
           service(vips, backends, "scheduler: sed"),
           service(vips, backends, "scheduler: nq"),
           service(vips, backends, "scheduler: sh"),
           service(vips, backends, "scheduler: dh"),
           service(vips, backends, "scheduler: random"),
           service(vips, backends, "scheduler: p2c"),
           service(vips, backends, "hash: source"),
           service(vips, backends, "affinity: {client_ip: 3h}"),
           service(vips, backends, "source_ranges: [0.0.0.0/0]"),
           service(vips, backends, "health: {http: {path: /}}"),
           service(vips, backends, "drain_timeout: 5m"),
           service(vips, backends, "on_down: reset"),
       })
    EXPECT_THAT(errors_of(text), ElementsAre(HasSubstr("not in this version"))) << text;
  EXPECT_THAT(
      errors_of("ports: [{name: p, device: d}]\ninterfaces: [{name: a, port: p, twin: false}]"),
      IsEmpty());
}

TEST(Read, ATwinNeedsANameThatTheKernelGives) {
  for (const char* name : {".", "..", "all", "default", "lo"}) {
    const auto with = [&](const char* twin) {
      return fmt::format("ports: [{{name: p, device: d}}]\ninterfaces: [{{name: \"{}\", port: p, twin: {}}}]", name,
                         twin);
    };
    EXPECT_THAT(errors_of(with("true")),
                ElementsAre(testing::AllOf(StartsWith("2:14: interface"), HasSubstr("rename"))));
    EXPECT_THAT(errors_of(with("false")), IsEmpty());
  }
  const auto twin =
      model_of("ports: [{name: p, device: d}]\ninterfaces: [{name: abcdefghijklmno, port: p, twin: true}]");
  EXPECT_TRUE(twin.interfaces.at(0).twin);
  EXPECT_EQ(model_of("workers: 1").transit, Transit::kKernel);
  EXPECT_EQ(model_of("transit: kernel").transit, Transit::kKernel);
}

TEST(Read, AmbiguousScalarsAreRefusedWhereUnquoted) {
  for (const char* value :
       {"yes", "No", "on", "OFF", "y", "N", "~", "null", "010", "0x10", "80:80", "1_000", "1e3", "2026-11-20"}) {
    const auto named = [](std::string_view name) {
      return fmt::format("services: [{{name: {}, vips: [{{address: 203.0.113.1, port: 80}}], backends: []}}]", name);
    };
    EXPECT_THAT(errors_of(named(value)), ElementsAre(testing::AllOf(StartsWith("1:19: name: "), HasSubstr("ambiguous"),
                                                                    HasSubstr("quote it or write"))))
        << value;
    EXPECT_THAT(errors_of(named(fmt::format("\"{}\"", value))), IsEmpty()) << value;
    EXPECT_EQ(model_of(named(fmt::format("'{}'", value))).services.at(0).name, value);
  }
  expect({
      {"services: [{name: 1.10, vips: [{address: 203.0.113.1, port: 80}], backends: []}]",
       {"1:19: name: expected a name, found the number 1.10; quote it"}},
      {"services: [{name: 8080, vips: [{address: 203.0.113.1, port: 80}], backends: []}]",
       {"1:19: name: expected a name, found the number 8080; quote it"}},
      {"services: [{name: true, vips: [{address: 203.0.113.1, port: 80}], backends: []}]",
       {"1:19: name: expected a name, found true; quote it"}},
      {"memory: {huge_pages: off}", {"1:22: huge_pages: 'off' without quotes is ambiguous"}},
      {"ports: [{name: p, device: d}]\ninterfaces: [{name: a, port: p, twin: no}]", {"2:39: twin: 'no' is ambiguous"}},
      {"ports: [{name: p, device: d}]\ninterfaces: [{name: a, port: p, twin: \"false\"}]",
       {"2:39: twin: expected true or false without quotes"}},
      {"conntrack: {timeouts: {udp: 1e3}}", {"1:29: udp: '1e3' is"}},
  });
}

TEST(Read, Words) {
  expect({
      {"memory: {huge_pages: allways}",
       {"1:22: huge_pages: 'allways' is not known; write auto | always | never; did you mean 'always'?"}},
      {"announce: {segment: sometimes}", {"1:21: segment: 'sometimes' is not known; write always | never"}},
  });
}

TEST(Read, Durations) {
  const auto timeout = [](std::string_view d) { return fmt::format("conntrack: {{timeouts: {{udp: {}}}}}", d); };
  expect({
      {timeout("1s"), {}},
      {timeout("1000ms"), {}},
      {timeout("32767s"), {}},
      {timeout("\"300s\""), {}},
      {timeout("0s"), {"1:29: udp: 0s is out of range; write 1s to 32767s"}},
      {timeout("999ms"), {"1:29: udp: 999ms is out of range"}},
      {timeout("32768s"), {"1:29: udp: 32768s is out of range; write 1s to 32767s"}},
      {timeout("1d"), {"1:29: udp: 1d is out of range"}},
      {timeout("1500ms"), {"1:29: udp: 1500ms is not a whole number of seconds"}},
      {timeout("300"), {"1:29: udp: '300' has no unit; write one number with ms, s, m, h or d, such as 60s"}},
      {timeout("-5s"), {"1:29: udp: '-5s' is not a duration"}},
      {timeout("never"), {"1:29: udp: 'never' is not a duration"}},
      {timeout("5w"), {"1:29: udp: '5w' is not a duration"}},
      {timeout("99999999999999999999d"), {"1:29: udp: '99999999999999999999d' is longer than 100 years"}},
      {timeout("{}"), {"1:29: udp: expected one number with ms, s, m, h or d"}},
      {"stop: {grace: soon}", {"1:15: grace: 'soon' is not a duration"}},
      {"stop: {grace: 5}", {"1:15: grace: '5' has no unit; write one number with ms, s, m, h or d, such as 5s"}},
      {"stop: {grace: never}", {"1:15: grace: 'never' is not a duration"}},
      {"stop: {grace: 1h}", {}},
      {"stop: {grace: 3601s}", {"1:15: grace: 3601s is out of range; write 0s to 1h"}},
      {service("[{address: 203.0.113.1, port: 80}]", "[]", "drain_timeout: soon"),
       {"5:18: drain_timeout: 'soon' is not a duration"}},
  });
}

TEST(Read, HashKeys) {
  expect({
      {"hash_key: 00112233445566778899aabbccddeeff", {}},
      {"hash_key: \"00112233445566778899001122334455\"", {}},
      {"hash_key: 00112233445566778899001122334455",
       {"1:11: hash_key: this text of 32 characters is ambiguous without quotes"}},
      {"hash_key: \"00112233445566778899aabbccddeef\"", {"1:11: hash_key: this text of 31 characters is not a key"}},
      {"hash_key: \"00112233445566778899aabbccddeefg\"", {"1:11: hash_key: this text of 32 characters is not a key"}},
      {"hash_key: \"\"", {"1:11: hash_key: this text of 0 characters is not a key"}},
      {"hash_key:", {"1:1: hash_key has no value"}},
  });
  for (const auto& e : errors_of("hash_key: 00112233445566778899001122334455"))
    EXPECT_THAT(e, testing::Not(HasSubstr("0011")));
}

TEST(Read, Workers) {
  expect({
      {"workers: 1", {}},
      {"workers: [0]", {}},
      {"workers: 0", {"1:10: workers: 0 is out of range; write a number from 1 to 128"}},
      {"workers: 129", {"1:10: workers: 129 is out of range"}},
      {"workers: []", {"1:10: workers: the list of cores is empty"}},
      {"workers: [2, 2]", {"1:14: workers: core 2 is listed twice"}},
      {"workers: [x]", {"1:11: workers: core: expected a number from 0 to 1023"}},
      {"workers: 128", {}},
      {"workers: [2, 3]", {}},
      {"workers: 4\nconntrack: {capacity: 255}",
       {"1:1: conntrack.capacity: 255 flows over 4 workers leave 63 for each; write 256 or more"}},
  });
}

TEST(Read, Names) {
  const auto port = [](const std::string& name) { return "ports: [{name: " + name + ", device: d}]"; };
  const auto interface = [](const std::string& name) {
    return "ports: [{name: p, device: d}]\ninterfaces: [{port: p, name: " + name + "}]";
  };
  const auto named = [](const std::string& name) {
    return "services: [{name: " + name + ", vips: [{address: 203.0.113.1, port: 80}], backends: []}]";
  };
  const auto times = [](std::size_t n, std::string_view s) {
    std::string out;
    while (n-- > 0) out += s;
    return out;
  };
  expect({
      {port(times(64, "p")), {}},
      {port(times(65, "p")),
       {"1:16: name: 'pppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppp...' has 65 characters; write 1 "
        "to 64"}},
      {port("\"\""), {"1:16: name: '' has 0 characters; write 1 to 64"}},
      {port("\"a b\""), {"1:16: name: 'a b' has characters other than A-Z a-z 0-9 _ . -"}},
      {port("\"../p\""), {"1:16: name: '../p' has characters other than"}},
      {port("\"${p}\""), {"1:16: name"}},
      {port("é"), {"1:16: name"}},
      {interface(times(15, "i")), {}},
      {interface(times(16, "i")), {"2:30: name: 'iiiiiiiiiiiiiiii' has 16 characters; write 1 to 15"}},
      {named(times(253, "s")), {}},
      {named(times(253, "ß")), {}},
      {named(times(254, "s")), {"1:19: name: 'ssss"}},
      {named(times(4096, "s")), {"1:19: name: 'ssss"}},
      {named("'a \"b\" ${c} ../d'"), {}},
      {named("\"\""), {"1:19: name: '' has 0 characters"}},
      {named("\"a\\nb\""), {"1:19: name: 'a\\nb' has control characters"}},
      {named("\"a\\x1b[31m\""), {"1:19: name: 'a\\x1b[31m' has control characters"}},
      {named("\"a\\0\""), {"1:19: name: 'a\\x00' has control characters"}},
      {named("\"a\\x9b\""), {"1:19: name: 'a\\x9b' has control characters"}},
  });
}

TEST(Read, PathsAndDevices) {
  expect({
      {"control: {socket: /" + std::string(106, 's') + "}", {}},
      {"control: {socket: /" + std::string(107, 's') + "}", {"1:19: socket: the path has 108 bytes; write 1 to 107"}},
      {"control: {socket: \"\"}", {"1:19: socket: the path has 0 bytes"}},
      {"control: {state_dir: \"/a\\nb\"}", {"1:22: state_dir: '/a\\nb' has control characters"}},
      {"control: {state_dir: /" + std::string(4095, 's') + "}", {"1:22: state_dir: the path has 4096 bytes"}},
      {"ports: [{name: p, device: 03:00.0}]", {}},
      {"ports: [{name: p, device: " + std::string(255, 'd') + "}]", {}},
      {"ports: [{name: p, device: " + std::string(256, 'd') + "}]", {"1:27: device: it has 256 bytes; write 1 to 255"}},
      {"ports: [{name: p, device: \"\"}]", {"1:27: device: it has 0 bytes"}},
      {"ports: [{name: p, device: --no-huge}]",
       {"1:27: device: '--no-huge' is not a PCI address or a DPDK vdev string"}},
      {"ports: [{name: p, device: 5}]", {"1:27: device: expected a PCI address or a DPDK vdev string"}},
  });
}

TEST(Read, Addresses) {
  const auto vip = [](std::string_view a) { return service("[{port: 80, address: " + std::string(a) + "}]", "[]"); };
  const auto backend = [](std::string_view a) {
    return service("[{address: 203.0.113.1, port: 80}]", "[{address: " + std::string(a) + "}]");
  };
  expect({
      {vip("2001:db8::1"), {}},
      {vip("1:2:3:4:5:6:7:8"), {}},
      {vip("203.0.113"), {"3:30: address: '203.0.113' is not an IPv4 or IPv6 address"}},
      {vip("203.0.113.256"), {"3:30: address: '203.0.113.256' is not an IPv4 or IPv6 address; each of the four parts"}},
      {vip("203.0.113.010"), {"3:30: address: '203.0.113.010' is not"}},
      {vip("203.0.113.1:80"),
       {"3:30: address: '203.0.113.1:80' is not an IPv4 or IPv6 address; the port has its own key"}},
      {vip("\"[2001:db8::1]\""),
       {"3:30: address: '[2001:db8::1]' is not an IPv4 or IPv6 address; write it without brackets"}},
      {vip("\"::ffff:1.2.3.4\""),
       {"3:30: address: '::ffff:1.2.3.4' is not an IPv4 or IPv6 address; write IPv4 addresses as IPv4"}},
      {vip("\"fe80::1%eth0\""), {"3:30: address: 'fe80::1%eth0' is not an IPv4 or IPv6 address; zones"}},
      {vip("80:80"), {"3:30: address: '80:80' without quotes is ambiguous"}},
      {vip("5"), {"3:30: address: expected an address such as 192.0.2.1"}},
      {vip("~"), {"3:30: address: ~ without quotes is ambiguous"}},
      {vip(""), {"3:21: address has no value; write an address such as"}},
      {vip("203.0.113.0/33"), {"3:30: address: the length of '203.0.113.0/33' must be 0 to 32"}},
      {vip("\"2001:db8::/129\""), {"3:30: address: the length of '2001:db8::/129' must be 0 to 128"}},
      {vip("0.0.0.0"), {"3:30: address: 0.0.0.0 is the unspecified address; a VIP needs a host's address"}},
      {vip("\"::\""), {"3:30: address: :: is the unspecified address"}},
      {vip("127.0.0.1"), {"3:30: address: 127.0.0.1 is a loopback address"}},
      {vip("224.0.0.1"), {"3:30: address: 224.0.0.1 is a multicast address"}},
      {vip("255.255.255.255"), {"3:30: address: 255.255.255.255 is the broadcast address"}},
      {vip("0.1.2.3"), {"3:30: address: 0.1.2.3 is in 0.0.0.0/8"}},
      {vip("240.0.0.1"), {"3:30: address: 240.0.0.1 is in 240.0.0.0/4"}},
      {vip("fe80::1"), {"3:30: address: fe80::1 is link-local"}},
      {backend("127.0.0.1"), {"4:24: address: 127.0.0.1 is a loopback address; a backend needs a host's address"}},
      {backend("\"::1\""), {"4:24: address: ::1 is a loopback address"}},
      {backend("239.1.1.1"), {"4:24: address: 239.1.1.1 is a multicast address"}},
      {backend("ff02::1"), {"4:24: address: ff02::1 is a multicast address"}},
      {backend("0.0.0.0"), {"4:24: address: 0.0.0.0 is the unspecified address"}},
      {backend("fe80::5"), {"4:24: address: fe80::5 is link-local"}},
      {backend("10.0.0.0/24"),
       {"4:24: address: '10.0.0.0/24' is not an IPv4 or IPv6 address; write it without a prefix length"}},
  });
}

TEST(Read, InterfaceAddressesAndMacs) {
  const auto interface = [](std::string_view more) {
    return "ports: [{name: p, device: d}]\ninterfaces: [{name: a, port: p, " + std::string(more) + "}]";
  };
  const auto address = [&](std::string_view a) { return interface("addresses: [" + std::string(a) + "]"); };
  const auto mac = [&](std::string_view m) { return interface("mac: " + std::string(m)); };
  expect({
      {address(""), {}},
      {address("10.0.0.0/31, 10.0.1.1/32, 10.1.0.1/1, \"fd00::1/128\", fe80::1/64"), {}},
      {address("10.0.0.1"), {"2:45: addresses: '10.0.0.1' has no length; write it as 10.0.0.1/24"}},
      {address("10.0.0.1/33"), {"2:45: addresses: the length of '10.0.0.1/33' must be 0 to 32"}},
      {address("\"fd00::1/129\""), {"2:45: addresses: the length of 'fd00::1/129' must be 0 to 128"}},
      {address("10.0.0.1/x"), {"2:45: addresses: the length of '10.0.0.1/x' must be 0 to 32"}},
      {address("x/24"), {"2:45: addresses: 'x/24' is not an address with its length"}},
      {address("10.0.0.1/0"), {"2:45: addresses: 10.0.0.1/0 holds every address"}},
      {address("10.0.0.0/24"), {"2:45: addresses: 10.0.0.0/24 is its subnet's network address"}},
      {address("10.0.0.255/24"), {"2:45: addresses: 10.0.0.255/24 is its subnet's broadcast address"}},
      {address("127.0.0.1/8"), {"2:45: addresses: 127.0.0.1/8 is a loopback address"}},
      {address("\"ff02::1/64\""), {"2:45: addresses: ff02::1/64 is a multicast address"}},
      {mac("02:00:00:00:0a:01"), {}},
      {mac("02:00:00:00:0a"), {"2:38: mac: '02:00:00:00:0a' is not a MAC address"}},
      {mac("02:00:00:00:00"), {"2:38: mac: '02:00:00:00:00' without quotes is ambiguous"}},
      {mac("01:00:5e:00:00:01"), {"2:38: mac: 01:00:5e:00:00:01 is a multicast address"}},
      {mac("ff:ff:ff:ff:ff:ff"), {"2:38: mac: ff:ff:ff:ff:ff:ff is a multicast address"}},
      {mac("00:00:00:00:00:00"), {"2:38: mac: 00:00:00:00:00:00 is no address"}},
  });
}

TEST(Read, PortsOfVips) {
  const auto vip = [](std::string_view port) {
    return service("[{address: 203.0.113.1, port: " + std::string(port) + "}]", "[]");
  };
  expect({
      {vip("all"), {}},
      {vip("1-65535"), {}},
      {vip("\"5000-5999\""), {}},
      {vip("80-80"), {}},
      {vip("0-80"), {"3:39: port: '0-80' is out of range; write ports from 1 to 65535"}},
      {vip("80-65536"), {"3:39: port: '80-65536' is out of range"}},
      {vip("90-80"), {"3:39: port: '90-80' is the wrong way round; write 80-90"}},
      {vip("80-"),
       {"3:39: port: '80-' is not known; write a number from 1 to 65535, a range such as 5000-5999, or all"}},
      {vip("80 - 90"), {"3:39: port: '80 - 90' is not known"}},
      {vip("any"), {"3:39: port: 'any' is not known"}},
      {vip("80:80"), {"3:39: port: '80:80' is ambiguous"}},
      {vip("\"80\""), {"3:39: port: expected a number from 1 to 65535, found the text '80'; remove the quotes"}},
      {vip("[80]"), {"3:39: port: expected a number from 1 to 65535, found a list"}},
  });
  EXPECT_EQ(model_of(vip("80-80")).services.at(0).vips.at(0).ports, (PortRange{80, 80, false}));
}

TEST(Read, MaglevSizes) {
  const auto size = [](std::string_view n) {
    return service("[{address: 203.0.113.1, port: 80}]", "[]", "maglev_size: " + std::string(n));
  };
  expect({
      {size("11"), {}},
      {size("65537"), {}},
      {size("655373"), {}},
      {size("10"), {"5:16: maglev_size: 10 is out of range; write a number from 11 to 655373"}},
      {size("655374"), {"5:16: maglev_size: 655374 is out of range"}},
      {size("12"), {"5:16: maglev_size: 12 is not a prime; the next one is 13"}},
      {size("4100"), {"5:16: maglev_size: 4100 is not a prime; the next one is 4111"}},
      {size("65536"), {"5:16: maglev_size: 65536 is not a prime; the next one is 65537"}},
      {size("121"), {"5:16: maglev_size: 121 is not a prime; the next one is 127"}},  // a square
      {size("655372"), {"5:16: maglev_size: 655372 is not a prime; the next one is 655373"}},
  });
}

}  // namespace
}  // namespace weir::config
