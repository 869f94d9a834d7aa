#include "control/compile.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>

namespace weir::control {
namespace {

using lb::Address;
using lb::be16;
using lb::EndpointEntry;
using lb::EndpointId;
using lb::NextHopId;
using lb::NextHopWord;
using lb::Protocol;
using lb::ServiceKey;
using lb::VipEntry;
using lb::VipId;
using testing::ElementsAre;
using testing::HasSubstr;

Address address(std::string_view text) {
  return *lb::parse_address(text);
}
lb::Prefix prefix(std::string_view text) {
  return *lb::parse_prefix(text);
}
lb::MacAddress mac(std::string_view text) {
  return *lb::parse_mac(text);
}

config::Vip vip(std::string_view a, std::uint16_t port) {
  return {address(a), {port, port, false}, {}};
}
config::Vip vip_range(std::string_view a, std::uint16_t first, std::uint16_t last) {
  return {address(a), {first, last, false}, {}};
}
config::Vip vip_all(std::string_view a) {
  return {address(a), {1, 65535, true}, {}};
}
config::Backend backend(std::string_view a, std::uint16_t port = 8080, std::uint16_t weight = 1) {
  return {address(a), port, weight, {}};
}

config::Service service(std::string name, std::vector<config::Vip> vips, std::vector<config::Backend> backends,
                        Protocol protocol = Protocol::kTcp) {
  config::Service s;
  s.name = std::move(name);
  s.vips = std::move(vips);
  s.backends = std::move(backends);
  s.protocol = protocol;
  return s;
}

/// Two interfaces on two ports; backends live in 10.0.0.0/8 and fd00::/16 on `servers`.
config::Model model(std::vector<config::Service> services) {
  config::Model m;
  m.ports = {{.name = "p0", .device = "net_null0"}, {.name = "p1", .device = "net_null1"}};
  m.interfaces = {
      {.name = "uplink", .port = "p0", .addresses = {prefix("198.51.100.1/24"), prefix("2001:db8:1::1/64")}},
      {.name = "servers", .port = "p1", .vlan = 7, .addresses = {prefix("10.0.0.1/8"), prefix("fd00::1/16")}}};
  m.services = std::move(services);
  return m;
}

const std::vector<lb::MacAddress> kPortMacs{mac("02:00:00:00:00:01"), mac("02:00:00:00:00:02")};

/// What a running Weir does with a Compiler.
class Running {
 public:
  const Compiled& load(const config::Model& m, const Overlay& overlay = {}) {
    auto compiled = compiler.compile(m, ++generation, overlay);
    EXPECT_TRUE(compiled.has_value()) << (compiled ? "" : compiled.error().message);
    if (compiled) now = std::move(*compiled);
    return now;
  }
  /// With this many flows for every id.
  bool collect(std::uint64_t flows) {
    return compiler.collect({[=](VipId) { return flows; }, [=](EndpointId) { return flows; }});
  }

  [[nodiscard]] VipId vip_id(std::string_view a, std::uint16_t port, Protocol p = Protocol::kTcp) const {
    const auto it = now.contents.vips.find({address(a), p, be16::from_host(port)});
    return it == now.contents.vips.end() ? VipId::kNone : it->second;
  }
  [[nodiscard]] const VipEntry& vip(std::string_view a, std::uint16_t port) const {
    return now.snapshot->vips[index(vip_id(a, port))];
  }
  [[nodiscard]] EndpointId endpoint_id(std::string_view a, std::uint16_t port = 8080,
                                       Protocol p = Protocol::kTcp) const {
    const auto it = now.contents.endpoints.find({address(a), p, be16::from_host(port)});
    return it == now.contents.endpoints.end() ? EndpointId::kNone : it->second;
  }
  [[nodiscard]] const EndpointEntry& endpoint(std::string_view a, std::uint16_t port = 8080) const {
    return now.snapshot->endpoints[index(endpoint_id(a, port))];
  }
  [[nodiscard]] const lb::AddressEntry& address_entry(std::string_view a) const {
    return now.snapshot->addresses[index(now.contents.addresses.at(address(a)))];
  }
  [[nodiscard]] NextHopWord word(NextHopId id) const {
    for (const auto& [hop, word] : now.next_hops)
      if (hop == id) return word;
    ADD_FAILURE() << "next hop " << index(id) << " has no word";
    return {};
  }
  [[nodiscard]] NextHopId route(std::string_view a) const {
    return lb::PlainTables(now.contents).find_route(address(a));
  }

  Compiler compiler{kPortMacs};
  std::uint64_t generation = 0;
  Compiled now;
};

config::Model two_services() {
  return model({service("web", {vip("203.0.113.10", 80)}, {backend("10.0.0.5"), backend("10.0.0.6")}),
                service("mail", {vip("203.0.113.11", 25)}, {backend("10.0.0.7", 25), backend("10.0.0.8", 25)})});
}

config::Model many_services(std::uint32_t services, std::uint32_t backends) {
  config::Model m = model({});
  for (std::uint32_t s = 0; s < services; ++s) {
    config::Service one;
    one.name = "s" + std::to_string(s);
    one.vips = {{Address::v4(lb::be32::from_host(0xcb000000 + s)), {80, 80, false}, {}}};
    one.maglev_size = 251;
    for (std::uint32_t b = 0; b < backends; ++b)
      one.backends.push_back({Address::v4(lb::be32::from_host(0x0a000100 + s * backends + b)), 8080, 1, {}});
    m.services.push_back(std::move(one));
  }
  return m;
}

// ---- what is shared between generations ----

TEST(Compile, AnUnchangedServiceSharesItsBackendsAndTable) {
  Running w;
  config::Model m = two_services();
  w.load(m);
  const auto web = w.vip("203.0.113.10", 80).set;
  const auto mail = w.vip("203.0.113.11", 25).set;
  m.services[1].backends.push_back(backend("10.0.0.9", 25));
  w.load(m);
  EXPECT_EQ(w.vip("203.0.113.10", 80).set, web);
  EXPECT_NE(w.vip("203.0.113.11", 25).set, mail);
}

TEST(Compile, TheSameModelAgainSharesEverything) {
  Running w;
  const config::Model m = many_services(600, 2);
  const auto before = w.load(m).snapshot;
  const auto after = w.load(m).snapshot;
  EXPECT_EQ(after->generation, before->generation + 1);
  ASSERT_GE(before->vips.chunk_count(), 3u);
  for (std::size_t i = 0; i < before->vips.chunk_count(); ++i) EXPECT_EQ(after->vips.chunk(i), before->vips.chunk(i));
  for (std::size_t i = 0; i < before->endpoints.chunk_count(); ++i)
    EXPECT_EQ(after->endpoints.chunk(i), before->endpoints.chunk(i));
  for (std::size_t i = 0; i < before->addresses.chunk_count(); ++i)
    EXPECT_EQ(after->addresses.chunk(i), before->addresses.chunk(i));
}

TEST(Compile, OneChangedBackendCopiesTheChunksItIsInAndNoOther) {
  Running w;
  config::Model m = many_services(1200, 2);
  const auto before = w.load(m).snapshot;
  m.services[700].backends[0].weight = 5;
  const auto after = w.load(m).snapshot;
  std::size_t vip_chunks = 0, endpoint_chunks = 0;
  for (std::size_t i = 0; i < before->vips.chunk_count(); ++i)
    vip_chunks += after->vips.chunk(i) != before->vips.chunk(i);
  for (std::size_t i = 0; i < before->endpoints.chunk_count(); ++i)
    endpoint_chunks += after->endpoints.chunk(i) != before->endpoints.chunk(i);
  EXPECT_EQ(vip_chunks, 1u);
  EXPECT_EQ(endpoint_chunks, 0u);
}

TEST(Compile, AnOlderSnapshotIsNotChangedByALaterOne) {
  Running w;
  config::Model m = two_services();
  const auto old = w.load(m).snapshot;
  const VipId id = w.vip_id("203.0.113.10", 80);
  const auto set = old->vips[index(id)].set;
  const EndpointId e5 = w.endpoint_id("10.0.0.5");
  m.services.erase(m.services.begin());
  w.load(m);
  EXPECT_EQ(old->vips[index(id)].set, set);
  EXPECT_FALSE(old->endpoints[index(e5)].has_left);
  EXPECT_FALSE(w.now.snapshot->vips[index(id)].is_live());
}

// ---- ids ----

TEST(Compile, IdsAreStableOverReloadsAndReordering) {
  Running w;
  config::Model m = many_services(50, 4);
  const auto before = w.load(m).contents;
  std::mt19937_64 random(1);
  for (int i = 0; i < 5; ++i) {
    std::ranges::shuffle(m.services, random);
    for (auto& s : m.services) std::ranges::shuffle(s.backends, random);
    const auto& after = w.load(m).contents;
    EXPECT_EQ(after.vips, before.vips);
    EXPECT_EQ(after.endpoints, before.endpoints);
    EXPECT_EQ(after.addresses, before.addresses);
    EXPECT_EQ(w.compiler.retired_count(), 0u);
  }
}

TEST(Compile, IdZeroIsNeverGivenAndEntryZeroIsNeverLive) {
  Running w;
  w.load(two_services());
  for (const auto& [key, id] : w.now.contents.vips) EXPECT_NE(id, VipId::kNone);
  for (const auto& [key, id] : w.now.contents.endpoints) EXPECT_NE(id, EndpointId::kNone);
  for (const auto& [key, id] : w.now.contents.addresses) EXPECT_NE(id, lb::AddressId::kNone);
  EXPECT_FALSE(w.now.snapshot->vips[0].is_live());
  EXPECT_FALSE(w.now.snapshot->endpoints[0].is_live);
  EXPECT_FALSE(w.now.snapshot->addresses[0].is_live());
}

TEST(Compile, EveryIdInTheContentsIsLiveInTheSnapshot) {
  Running w;
  w.load(many_services(300, 3));
  for (const auto& [key, id] : w.now.contents.vips) {
    const VipEntry& v = w.now.snapshot->vips[index(id)];
    EXPECT_TRUE(v.is_live() && v.address == key.address && v.protocol == key.protocol &&
                v.first_port == key.port.host());
  }
  for (const auto& [key, id] : w.now.contents.endpoints) {
    const EndpointEntry& e = w.now.snapshot->endpoints[index(id)];
    EXPECT_TRUE(e.is_live && e.address == key.address && e.protocol == key.protocol && e.port == key.port);
  }
}

// ---- endpoints that leave ----

TEST(Compile, ARemovedEndpointStaysInTheTablesUntilNoFlowIsLeft) {
  Running w;
  config::Model m = two_services();
  w.load(m);
  const EndpointId id = w.endpoint_id("10.0.0.6");
  const NextHopId hop = w.endpoint("10.0.0.6").next_hop;
  m.services[0].backends.pop_back();
  for (int reloads = 0; reloads < 3; ++reloads) {
    w.load(m);
    EXPECT_EQ(w.endpoint_id("10.0.0.6"), id);
    EXPECT_TRUE(w.endpoint("10.0.0.6").is_live);
    EXPECT_TRUE(w.endpoint("10.0.0.6").has_left);
    EXPECT_EQ(w.endpoint("10.0.0.6").next_hop, hop) << "its flows still need a way out";
    EXPECT_EQ(w.endpoint("10.0.0.6").sole_vip, VipId::kNone) << "it serves no VIP, so nothing is adopted";
    EXPECT_FALSE(w.vip("203.0.113.10", 80).set->contains(id));
    EXPECT_FALSE(w.collect(1));
    EXPECT_EQ(w.compiler.retired_count(), 1u);
  }
  EXPECT_TRUE(w.collect(0)) << "the tables should shrink";
  EXPECT_EQ(w.compiler.retired_count(), 0u);
  w.load(m);
  EXPECT_EQ(w.endpoint_id("10.0.0.6"), EndpointId::kNone);
  EXPECT_FALSE(w.now.snapshot->endpoints[index(id)].is_live);
  EXPECT_FALSE(w.collect(0));
}

TEST(Compile, AnEndpointThatComesBackHasItsId) {
  Running w;
  config::Model m = two_services();
  w.load(m);
  const EndpointId id = w.endpoint_id("10.0.0.6");
  const config::Model without = [&] {
    auto c = m;
    c.services[0].backends.pop_back();
    return c;
  }();
  w.load(without);
  w.load(m);
  EXPECT_EQ(w.endpoint_id("10.0.0.6"), id);
  EXPECT_TRUE(w.vip("203.0.113.10", 80).set->contains(id));
  EXPECT_EQ(w.endpoint("10.0.0.6").sole_vip, w.vip_id("203.0.113.10", 80));
}

TEST(Compile, AnEndpointThatLeavesOneOfTwoServicesHasLeftUntilItsFlowsEnd) {
  Running w;
  config::Model m = model({service("a", {vip("203.0.113.10", 80)}, {backend("10.0.0.5"), backend("10.0.0.6")}),
                           service("b", {vip("203.0.113.11", 80)}, {backend("10.0.0.5")})});
  w.load(m);
  EXPECT_FALSE(w.endpoint("10.0.0.5").has_left);
  m.services[0].backends.erase(m.services[0].backends.begin());
  w.load(m);
  EXPECT_TRUE(w.endpoint("10.0.0.5").has_left);
  EXPECT_FALSE(w.endpoint("10.0.0.6").has_left);
  EXPECT_FALSE(w.vip("203.0.113.10", 80).set->contains(w.endpoint_id("10.0.0.5")));
  EXPECT_TRUE(w.vip("203.0.113.11", 80).set->contains(w.endpoint_id("10.0.0.5")));
  EXPECT_EQ(w.endpoint("10.0.0.5").sole_vip, w.vip_id("203.0.113.11", 80));
  static_cast<void>(w.collect(3));
  w.load(m);
  EXPECT_TRUE(w.endpoint("10.0.0.5").has_left) << "three flows may be of the VIP that lost it";
  static_cast<void>(w.collect(0));
  w.load(m);
  EXPECT_FALSE(w.endpoint("10.0.0.5").has_left);
}

TEST(Compile, ADrainedBackendHasNotLeft) {
  Running w;
  config::Model m = two_services();
  w.load(m);
  m.services[0].backends[0].weight = 0;
  w.load(m);
  EXPECT_FALSE(w.endpoint("10.0.0.5").has_left);
  EXPECT_TRUE(w.vip("203.0.113.10", 80).set->contains(w.endpoint_id("10.0.0.5")));
  for (const std::uint16_t entry : w.vip("203.0.113.10", 80).set->table.entries()) ASSERT_EQ(entry, 1);
}

// ---- VIPs ----

TEST(Compile, ABackendDrainedByCommandIsAsOneOfWeightZero) {
  Running w;
  config::Model m = two_services();
  w.load(m);
  const auto everywhere = Drain{.address = address("10.0.0.5"), .port = 8080};
  const auto drained = w.load(m, {.drains = {everywhere}}).snapshot;
  const auto set = w.vip("203.0.113.10", 80).set;
  for (std::uint64_t hash = 0; hash < 100; ++hash)
    EXPECT_EQ(set->choose(hash << 57), w.endpoint_id("10.0.0.6")) << "only the other one gets new flows";
  EXPECT_FALSE(w.endpoint("10.0.0.5").has_left) << "and the drained one keeps its own";

  Drain elsewhere = everywhere;
  elsewhere.service = "mail";
  w.load(m, {.drains = {elsewhere}});
  bool is_chosen = false;
  for (std::uint64_t hash = 0; hash < 100; ++hash)
    is_chosen |= w.vip("203.0.113.10", 80).set->choose(hash << 57) == w.endpoint_id("10.0.0.5");
  EXPECT_TRUE(is_chosen) << "a drain of another service's backend is none of this one's";
}

TEST(Compile, ARemovedVipIsAMissAtOnceAndItsIdRestsUntilNoFlowIsLeft) {
  Running w;
  config::Model m = two_services();
  w.load(m);
  const VipId id = w.vip_id("203.0.113.10", 80);
  const config::Service web = m.services[0];
  m.services.erase(m.services.begin());
  w.load(m);
  EXPECT_EQ(w.vip_id("203.0.113.10", 80), VipId::kNone);
  EXPECT_FALSE(w.now.snapshot->vips[index(id)].is_live());
  EXPECT_FALSE(w.now.contents.addresses.contains(address("203.0.113.10")));
  static_cast<void>(w.collect(1));
  EXPECT_EQ(w.compiler.vip_id({address("203.0.113.10"), Protocol::kTcp, 80, 80}), id);
  static_cast<void>(w.collect(0));
  EXPECT_EQ(w.compiler.vip_id({address("203.0.113.10"), Protocol::kTcp, 80, 80}), VipId::kNone);
}

TEST(Compile, AVipThatMovesToAnotherServiceKeepsItsIdAndLeavesTheOldBackends) {
  Running w;
  config::Model m = model(
      {service("a", {vip("203.0.113.10", 80), vip("203.0.113.12", 80)}, {backend("10.0.0.5"), backend("10.0.0.6")}),
       service("b", {vip("203.0.113.11", 80)}, {backend("10.0.0.6"), backend("10.0.0.7")})});
  w.load(m);
  const VipId id = w.vip_id("203.0.113.10", 80);
  m.services[1].vips.push_back(m.services[0].vips[0]);
  m.services[0].vips.erase(m.services[0].vips.begin());
  w.load(m);
  EXPECT_EQ(w.vip_id("203.0.113.10", 80), id);
  EXPECT_EQ(w.vip("203.0.113.10", 80).set, w.vip("203.0.113.11", 80).set);
  EXPECT_EQ(w.now.snapshot->service_names->at(w.vip("203.0.113.10", 80).service), "b");
  EXPECT_TRUE(w.endpoint("10.0.0.5").has_left);
  EXPECT_FALSE(w.endpoint("10.0.0.6").has_left) << "it serves the VIP in both services";
  EXPECT_FALSE(w.endpoint("10.0.0.7").has_left);
}

TEST(Compile, ARenamedServiceMovesNothing) {
  Running w;
  config::Model m = two_services();
  w.load(m);
  const auto set = w.vip("203.0.113.10", 80).set;
  m.services[0].name = "www";
  w.load(m);
  EXPECT_EQ(w.vip("203.0.113.10", 80).set->table, set->table);
  EXPECT_EQ(w.vip("203.0.113.10", 80).set->members, set->members);
  EXPECT_FALSE(w.endpoint("10.0.0.5").has_left);
  EXPECT_EQ(w.now.snapshot->service_names->at(w.vip("203.0.113.10", 80).service), "www");
}

TEST(Compile, AVipTakesTheBackendsOfItsOwnFamily) {
  Running w;
  w.load(model({service("web", {vip("203.0.113.10", 80), vip("2001:db8:100::10", 80)},
                        {backend("10.0.0.5"), backend("fd00::5")}),
                service("none", {vip("203.0.113.11", 80)}, {})}));
  EXPECT_THAT(w.vip("203.0.113.10", 80).set->members, ElementsAre(w.endpoint_id("10.0.0.5")));
  EXPECT_THAT(w.vip("2001:db8:100::10", 80).set->members, ElementsAre(w.endpoint_id("fd00::5")));
  EXPECT_TRUE(w.vip("203.0.113.11", 80).is_live()) << "a VIP without backends is owned, and refuses";
  EXPECT_TRUE(w.vip("203.0.113.11", 80).set->table.empty());
}

TEST(Compile, TheSoleVipIsTheOneVipThatAnEndpointServes) {
  Running w;
  config::Model m = model({service("one", {vip("203.0.113.10", 80)}, {backend("10.0.0.5"), backend("10.0.0.6")}),
                           service("two", {vip("203.0.113.11", 80), vip("203.0.113.12", 80)}, {backend("10.0.0.7")}),
                           service("shares", {vip("203.0.113.13", 80)}, {backend("10.0.0.6")}),
                           service("udp", {vip("203.0.113.13", 80)}, {backend("10.0.0.5")}, Protocol::kUdp)});
  w.load(m);
  EXPECT_EQ(w.endpoint("10.0.0.5").sole_vip, w.vip_id("203.0.113.10", 80));
  EXPECT_EQ(w.endpoint("10.0.0.6").sole_vip, VipId::kNone);
  EXPECT_EQ(w.endpoint("10.0.0.7").sole_vip, VipId::kNone);
  m.services.erase(m.services.begin() + 2);
  m.services[1].vips.pop_back();
  w.load(m);
  EXPECT_EQ(w.endpoint("10.0.0.6").sole_vip, w.vip_id("203.0.113.10", 80));
  EXPECT_EQ(w.endpoint("10.0.0.7").sole_vip, w.vip_id("203.0.113.11", 80));
}

TEST(Compile, AFixedPortKnowsItsSiblingOfAnyPort) {
  Running w;
  config::Model m = model({service("fixed", {vip("203.0.113.10", 80)}, {backend("10.0.0.5"), backend("10.0.0.6")}),
                           service("any", {vip("203.0.113.11", 90)}, {backend("10.0.0.5", 0)}),
                           service("udp", {vip("203.0.113.11", 90)}, {backend("10.0.0.6", 0)}, Protocol::kUdp)});
  w.load(m);
  const EndpointId any = w.endpoint_id("10.0.0.5", 0);
  EXPECT_EQ(w.endpoint("10.0.0.5").any_port_sibling, any);
  EXPECT_EQ(w.endpoint("10.0.0.6").any_port_sibling, EndpointId::kNone);
  EXPECT_EQ(w.endpoint("10.0.0.5", 0).any_port_sibling, EndpointId::kNone);
  // While the sibling is retired its flows go on, and replies to them must be found.
  m.services.erase(m.services.begin() + 1);
  w.load(m);
  EXPECT_EQ(w.endpoint("10.0.0.5").any_port_sibling, any);
  static_cast<void>(w.collect(0));
  w.load(m);
  EXPECT_EQ(w.endpoint("10.0.0.5").any_port_sibling, EndpointId::kNone);
}

TEST(Compile, RangesComeBeforeAllPortsAndASinglePortIsInNeither) {
  Running w;
  EXPECT_FALSE(w.load(two_services()).snapshot->has_port_spans);
  w.load(model({service("all", {vip_all("203.0.113.10")}, {backend("10.0.0.5", 0)}),
                service("high", {vip_range("203.0.113.10", 6000, 6999)}, {backend("10.0.0.6", 0)}),
                service("low", {vip_range("203.0.113.10", 5000, 5999)}, {backend("10.0.0.7", 0)}),
                service("udp", {vip_range("203.0.113.10", 1, 100)}, {backend("10.0.0.7", 0)}, Protocol::kUdp),
                service("one", {vip("203.0.113.10", 5500)}, {backend("10.0.0.8", 0)})}));
  EXPECT_TRUE(w.now.snapshot->has_port_spans);
  const auto& entry = w.address_entry("203.0.113.10");
  ASSERT_EQ(entry.tcp_spans.size(), 3u);
  EXPECT_EQ(entry.tcp_spans[0].first, 5000);
  EXPECT_EQ(entry.tcp_spans[1].first, 6000);
  EXPECT_EQ(entry.tcp_spans[2].first, 1);
  ASSERT_EQ(entry.udp_spans.size(), 1u);
  const auto serves = [&](Protocol p, std::uint16_t port) {
    const VipId id = entry.find_span(p, be16::from_host(port));
    return id == VipId::kNone ? "nobody" : w.now.snapshot->service_names->at(w.now.snapshot->vips[index(id)].service);
  };
  EXPECT_EQ(serves(Protocol::kTcp, 4999), "all");
  EXPECT_EQ(serves(Protocol::kTcp, 5000), "low");
  EXPECT_EQ(serves(Protocol::kTcp, 5999), "low");
  EXPECT_EQ(serves(Protocol::kTcp, 6999), "high");
  EXPECT_EQ(serves(Protocol::kTcp, 65535), "all");
  EXPECT_EQ(serves(Protocol::kUdp, 100), "udp");
  EXPECT_EQ(serves(Protocol::kUdp, 101), "nobody");
  EXPECT_EQ(w.now.contents.vips.size(), 1u);
}

TEST(Compile, AClosedPortIsRefusedAsQuietlyAsTheQuietestService) {
  Running w;
  config::Model m = model({service("a", {vip("203.0.113.10", 80), vip("203.0.113.11", 80)}, {}),
                           service("b", {vip("203.0.113.10", 81)}, {})});
  m.services[1].reject = config::Reject::kDrop;
  w.load(m);
  EXPECT_EQ(w.address_entry("203.0.113.10").reject, lb::Reject::kDrop);
  EXPECT_EQ(w.address_entry("203.0.113.11").reject, lb::Reject::kRst);
  EXPECT_EQ(w.vip("203.0.113.10", 80).reject, lb::Reject::kRst);
  std::ranges::reverse(m.services);
  w.load(m);
  EXPECT_EQ(w.address_entry("203.0.113.10").reject, lb::Reject::kDrop);
}

// ---- interfaces and ways out ----

TEST(Compile, InterfacesTakeTheirPortsMacUnlessGivenOne) {
  Running w;
  config::Model m = two_services();
  m.interfaces[1].mac = mac("02:00:00:00:00:aa");
  m.announce.interfaces = std::vector<std::string>{"uplink"};
  w.load(m);
  const lb::Snapshot& s = *w.now.snapshot;
  const auto uplink = s.interface_of(lb::PortIndex{0}, 0);
  const auto servers = s.interface_of(lb::PortIndex{1}, 7);
  ASSERT_NE(uplink, lb::InterfaceId::kNone);
  ASSERT_NE(servers, lb::InterfaceId::kNone);
  EXPECT_EQ(s.interface_of(lb::PortIndex{1}, 0), lb::InterfaceId::kNone);
  EXPECT_EQ(s.interface_of(lb::PortIndex{0}, 7), lb::InterfaceId::kNone);
  EXPECT_EQ(s.interfaces[index(uplink)].mac, kPortMacs[0]);
  EXPECT_EQ(s.interfaces[index(servers)].mac, mac("02:00:00:00:00:aa"));
  EXPECT_TRUE(s.interfaces[index(uplink)].announces_vips);
  EXPECT_FALSE(s.interfaces[index(servers)].announces_vips);
  EXPECT_EQ(w.address_entry("198.51.100.1").own_on, std::vector{uplink});
  EXPECT_EQ(w.address_entry("fd00::1").own_on, std::vector{servers});
  EXPECT_FALSE(w.address_entry("fd00::1").is_vip);
}

// ---- where VIPs are announced ----

struct Announced {
  bool on_uplink, on_servers, owned;
  bool operator==(const Announced&) const = default;
};
Announced announced(const Running& w, std::string_view vip) {
  const lb::Snapshot& s = *w.now.snapshot;
  const lb::AddressEntry& entry = w.address_entry(vip);
  return {s.announces(entry, s.interface_of(lb::PortIndex{0}, 0)),
          s.announces(entry, s.interface_of(lb::PortIndex{1}, 7)), s.owns(entry)};
}

TEST(Compile, VipsAreAnnouncedOnTheInterfacesNamedUnlessNeverOrWithdrawn) {
  Running w;
  config::Model m = two_services();
  w.load(m);
  EXPECT_EQ(announced(w, "203.0.113.10"), (Announced{true, true, true}));
  EXPECT_EQ(announced(w, "198.51.100.1"), (Announced{false, false, false})) << "no VIP";
  m.announce.interfaces = std::vector<std::string>{"uplink"};
  w.load(m);
  EXPECT_EQ(announced(w, "203.0.113.10"), (Announced{true, false, true}));
  w.load(m, {.is_withdrawn = true});
  EXPECT_EQ(announced(w, "203.0.113.10"), (Announced{false, false, false}));
  EXPECT_TRUE(w.vip("203.0.113.10", 80).is_live()) << "its packets are balanced on";
  m.announce.segment = config::AnnounceSegment::kNever;
  w.load(m);
  EXPECT_EQ(announced(w, "203.0.113.10"), (Announced{false, false, true})) << "reached by a route";
}

TEST(Compile, AVipKeptOnTwinsIsAnnouncedWhereATwinHasItNow) {
  Running w;
  config::Model m = two_services();
  m.announce.segment = config::AnnounceSegment::kWhenOnTwin;
  w.load(m);
  EXPECT_EQ(announced(w, "203.0.113.10"), (Announced{false, false, false}));
  EXPECT_TRUE(w.vip("203.0.113.10", 80).is_live()) << "its packets are balanced all the same";
  constexpr LinkIndex kUplink{7}, kServers{8};
  KernelNetwork kernel{
      .links = {{.index = kUplink, .interface = "uplink"}, {.index = kServers, .interface = "servers"}},
      .addresses = {{kServers, prefix("10.0.0.99/8")}, {kUplink, prefix("203.0.113.10/32")}}};
  const auto on_twins = [](const KernelNetwork& k) { return Overlay{.kernel = std::make_shared<KernelNetwork>(k)}; };
  w.load(m, on_twins(kernel));
  EXPECT_EQ(announced(w, "203.0.113.10"), (Announced{true, false, true}));
  EXPECT_EQ(announced(w, "203.0.113.11"), (Announced{false, false, false})) << "another VIP";
  kernel.addresses.push_back({kServers, prefix("203.0.113.10/24")});
  w.load(m, on_twins(kernel));
  EXPECT_EQ(announced(w, "203.0.113.10"), (Announced{true, true, true}));
  m.announce.interfaces = std::vector<std::string>{"servers"};
  w.load(m, on_twins(kernel));
  EXPECT_EQ(announced(w, "203.0.113.10"), (Announced{false, true, true}));
  w.load(m);
  EXPECT_EQ(announced(w, "203.0.113.10"), (Announced{false, false, false})) << "the twins have lost it";
}

TEST(Compile, InterfaceIdsAreStableOverReordering) {
  Running w;
  config::Model m = two_services();
  w.load(m);
  const auto before = w.now.snapshot->interface_of(lb::PortIndex{1}, 7);
  std::ranges::reverse(m.interfaces);
  w.load(m);
  EXPECT_EQ(w.now.snapshot->interface_of(lb::PortIndex{1}, 7), before);
}

TEST(Compile, AConnectedBackendIsReachedThroughItsNeighbourEntry) {
  Running w;
  config::Model m = two_services();
  m.neighbors = {{address("10.0.0.5"), mac("02:00:00:00:00:05"), "servers"}};
  w.load(m);
  const NextHopWord known = w.word(w.endpoint("10.0.0.5").next_hop);
  EXPECT_TRUE(known.is_resolved());
  EXPECT_EQ(known.mac(), mac("02:00:00:00:00:05"));
  EXPECT_EQ(known.interface(), w.now.snapshot->interface_of(lb::PortIndex{1}, 7));
  EXPECT_FALSE(w.word(w.endpoint("10.0.0.6").next_hop).is_resolved());
  EXPECT_NE(w.endpoint("10.0.0.5").next_hop, w.endpoint("10.0.0.6").next_hop);
  // A neighbour change is one word: same id.
  const NextHopId hop = w.endpoint("10.0.0.5").next_hop;
  m.neighbors[0].mac = mac("02:00:00:00:00:55");
  const auto before = w.now.snapshot;
  w.load(m);
  EXPECT_EQ(w.endpoint("10.0.0.5").next_hop, hop);
  EXPECT_EQ(w.word(hop).mac(), mac("02:00:00:00:00:55"));
  EXPECT_EQ(w.now.snapshot->endpoints.chunk(0), before->endpoints.chunk(0));
  m.neighbors.clear();
  w.load(m);
  EXPECT_FALSE(w.word(w.endpoint("10.0.0.5").next_hop).is_resolved());
}

TEST(Compile, BackendsAndClientsBehindAGatewayGoToIt) {
  Running w;
  config::Model m = model({service("web", {vip("203.0.113.10", 80)}, {backend("192.168.1.5"), backend("192.168.2.5")}),
                           service("lost", {vip("2001:db8:100::10", 80)}, {backend("2001:db8:2::5")})});
  m.routes = {{prefix("192.168.0.0/16"), address("10.0.0.254"), "servers", {}},
              {prefix("192.168.2.0/24"), address("10.0.0.253"), "servers", {}},
              {prefix("0.0.0.0/0"), address("198.51.100.254"), "uplink", {}}};
  m.neighbors = {{address("10.0.0.254"), mac("02:00:00:00:02:54"), "servers"},
                 {address("198.51.100.254"), mac("02:00:00:00:01:54"), "uplink"}};
  w.load(m);
  EXPECT_EQ(w.word(w.endpoint("192.168.1.5").next_hop).mac(), mac("02:00:00:00:02:54"));
  EXPECT_FALSE(w.word(w.endpoint("192.168.2.5").next_hop).is_resolved()) << "the longer route's gateway is unknown";
  EXPECT_EQ(w.endpoint("2001:db8:2::5").next_hop, NextHopId::kNone) << "no route";
  EXPECT_EQ(w.word(w.route("8.8.8.8")).mac(), mac("02:00:00:00:01:54"));
  EXPECT_EQ(w.route("192.168.1.5"), w.endpoint("192.168.1.5").next_hop);
  EXPECT_EQ(w.word(w.route("10.0.0.254")).mac(), mac("02:00:00:00:02:54")) << "a neighbour is a host route";
  EXPECT_FALSE(w.word(w.route("10.0.0.99")).is_resolved()) << "on the link, but nobody has told its MAC";
  EXPECT_EQ(w.route("2001:db8:9::1"), NextHopId::kNone);
}

TEST(Compile, OfEqualPrefixesTheRouteSomeoneWroteWins) {
  Running w;
  config::Model m = model({service("web", {vip("203.0.113.10", 80)}, {backend("10.0.0.5")})});
  m.routes = {{prefix("10.0.0.0/8"), address("10.0.0.254"), "servers", {}}};
  m.neighbors = {{address("10.0.0.254"), mac("02:00:00:00:02:54"), "servers"}};
  w.load(m);
  EXPECT_EQ(w.word(w.endpoint("10.0.0.5").next_hop).mac(), mac("02:00:00:00:02:54"));
  EXPECT_EQ(w.word(w.route("10.1.2.3")).mac(), mac("02:00:00:00:02:54"));
}

TEST(Compile, ALinkLocalNeighbourIsANextHopAndNoRoute) {
  Running w;
  config::Model m = model({});
  m.routes = {{prefix("::/0"), address("fe80::1"), "uplink", {}}};
  m.neighbors = {{address("fe80::1"), mac("02:00:00:00:00:11"), "uplink"},
                 {address("fe80::1"), mac("02:00:00:00:00:22"), "servers"}};
  w.load(m);
  EXPECT_EQ(w.word(w.route("2001:db8:9::1")).mac(), mac("02:00:00:00:00:11"));
  for (const auto& [p, hop] : w.now.contents.routes) EXPECT_FALSE(p.address.is_link_local_v6());
}

TEST(Compile, TimersKeyAndGenerationComeFromTheModel) {
  Running w;
  config::Model m = two_services();
  m.conntrack.timeouts.tcp_closing = std::chrono::seconds(241);
  m.hash_key = lb::HashKey{1, 2};
  EXPECT_EQ(w.load(m).snapshot->timeouts.tcp_closing, 241);
  EXPECT_EQ(w.now.snapshot->selection_key, (lb::HashKey{1, 2}));
  EXPECT_EQ(w.now.snapshot->generation, 1u);
  m.hash_key.reset();
  EXPECT_EQ(w.load(m).snapshot->selection_key, lb::kPublicHashKey);
}

// ---- refusing ----

TEST(Compile, ARefusedModelChangesNothing) {
  Running w;
  config::Model m = model({service("web", {vip("203.0.113.10", 80)}, {backend("10.0.0.5"), backend("10.0.0.6")}),
                           service("gone", {vip("203.0.113.11", 80)}, {backend("10.0.0.7")})});
  w.load(m);
  const Compiled before = w.now;

  // More VIPs than there are ids, behind a service that lost a backend and one that is new.
  config::Model too_much = model({service("web", {vip("203.0.113.10", 80)}, {backend("10.0.0.6"), backend("10.0.0.9")}),
                                  service("huge", {}, {backend("10.0.0.10")})});
  for (std::uint32_t n = 0; n < 65'535; ++n)
    too_much.services[1].vips.push_back(
        {address("203.0.113.99"), {std::uint16_t(n + 1), std::uint16_t(n + 1), false}, {}});
  const auto refused = w.compiler.compile(too_much, 99);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("service huge: no VIP id left"));
  EXPECT_EQ(w.compiler.retired_count(), 0u);

  w.load(m);
  EXPECT_EQ(w.now.contents.vips, before.contents.vips);
  EXPECT_EQ(w.now.contents.endpoints, before.contents.endpoints);
  EXPECT_EQ(w.now.contents.addresses, before.contents.addresses);
  EXPECT_EQ(w.now.contents.routes, before.contents.routes);
  EXPECT_FALSE(w.endpoint("10.0.0.5").has_left) << "no VIP has lost it";
  EXPECT_EQ(w.now.snapshot->vips.chunk(0), before.snapshot->vips.chunk(0));
  EXPECT_EQ(w.now.snapshot->endpoints.chunk(0), before.snapshot->endpoints.chunk(0));
}

// ---- equal choices ----

/// (address, port) of the backend that a flow gets, however ids were given.
std::pair<Address, std::uint16_t> choice(const Compiled& c, const ServiceKey& vip_key, const Address& client,
                                         be16 client_port) {
  const VipEntry& v = c.snapshot->vips[index(c.contents.vips.at(vip_key))];
  const EndpointId id = v.set->choose(
      lb::selection_hash(c.snapshot->selection_key, v.protocol, client, client_port, v.address, vip_key.port));
  const EndpointEntry& e = c.snapshot->endpoints[index(id)];
  return {e.address, e.port.host()};
}

TEST(Compile, AHundredThousandFlowsChooseTheSameBackendsInAnotherProcessAndAnotherOrder) {
  std::mt19937_64 random(1);
  config::Model m = model({});
  m.hash_key = lb::HashKey{random(), random()};
  for (std::uint32_t s = 0; s < 20; ++s) {
    config::Service one;
    one.name = "s" + std::to_string(s);
    one.protocol = s % 3 == 0 ? Protocol::kUdp : Protocol::kTcp;
    for (const bool v6 : {false, true}) {
      Address a = Address::v4(lb::be32::from_host(0xcb007100 + s));
      if (v6) a = address("2001:db8:100::1"), a.bytes[15] = static_cast<std::uint8_t>(s);
      one.vips.push_back({a, {80, 80, false}, {}});
      for (std::uint32_t b = 0; b < 2 + s * 3; ++b) {
        Address to = Address::v4(lb::be32::from_host(0x0a000100 + s % 7 * 256 + b));
        if (v6)
          to = address("fd00::1"), to.bytes[13] = static_cast<std::uint8_t>(s % 7),
          to.bytes[15] = static_cast<std::uint8_t>(b);
        one.backends.push_back({to, 8080, static_cast<std::uint16_t>(1 + random() % 9), {}});
      }
    }
    m.services.push_back(std::move(one));
  }

  Running first;
  first.load(m);
  // Another process: its ids come otherwise, since other things were configured before.
  config::Model shuffled = m;
  std::ranges::shuffle(shuffled.services, random);
  for (auto& s : shuffled.services) {
    std::ranges::shuffle(s.backends, random);
    std::ranges::shuffle(s.vips, random);
  }
  Running second;
  second.load(many_services(5, 5));
  second.load(shuffled);
  // And the first one after a reload with the lists in another order.
  Running reloaded;
  reloaded.load(m);
  reloaded.load(shuffled);

  const std::vector<std::pair<ServiceKey, VipId>> vips(first.now.contents.vips.begin(), first.now.contents.vips.end());
  for (int i = 0; i < 100'000; ++i) {
    const ServiceKey& key = vips[random() % vips.size()].first;
    Address client = Address::v4(lb::be32::from_host(static_cast<std::uint32_t>(random())));
    if (!key.address.is_v4()) {
      const std::uint64_t words[2] = {random(), random()};
      client = Address::v6(words);
    }
    const be16 port = be16::from_host(static_cast<std::uint16_t>(random()));
    const auto expected = choice(first.now, key, client, port);
    ASSERT_EQ(choice(second.now, key, client, port), expected);
    ASSERT_EQ(choice(reloaded.now, key, client, port), expected);
  }
}

TEST(Compile, AddingABackendMovesFewFlowsOfItsServiceAndNoneOfOthers) {
  Running w;
  config::Model m = many_services(2, 10);
  for (auto& s : m.services) s.maglev_size = 65'537;
  w.load(m);
  const Compiled before = w.now;
  m.services[0].backends.push_back(backend("10.9.9.9"));
  w.load(m);
  std::mt19937_64 random(1);
  for (std::uint32_t s = 0; s < 2; ++s) {
    const ServiceKey key(m.services[s].vips[0].address, Protocol::kTcp, be16::from_host(80));
    int moved = 0;
    for (int i = 0; i < 20'000; ++i) {
      const Address client = Address::v4(lb::be32::from_host(static_cast<std::uint32_t>(random())));
      const be16 port = be16::from_host(static_cast<std::uint16_t>(random()));
      moved += choice(w.now, key, client, port) != choice(before, key, client, port);
    }
    EXPECT_NEAR(moved, s == 0 ? 20'000 / 11 : 0, s == 0 ? 300 : 0);
  }
}

}  // namespace
}  // namespace weir::control
