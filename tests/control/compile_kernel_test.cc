// What the compiler makes of the kernel's network beside the file.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "control/compile.h"

namespace weir::control {
namespace {

using lb::InterfaceId;
using lb::NextHopId;
using lb::NextHopWord;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr LinkIndex kUplink{7}, kServers{9};

lb::Address address(std::string_view text) {
  return *lb::parse_address(text);
}
lb::Prefix prefix(std::string_view text) {
  return *lb::parse_prefix(text);
}
lb::MacAddress mac(std::string_view text) {
  return *lb::parse_mac(text);
}
KernelRoute route(std::string_view to, LinkIndex link, std::string_view via, std::uint32_t metric = 0) {
  return {.to = prefix(to), .metric = metric, .link = link, .via = via.empty() ? lb::Address{} : address(via)};
}

/// Both interfaces have twins; one service with a backend on each side of a route.
config::Model model() {
  config::Model m;
  m.ports = {{.name = "p0", .device = "net_null0"}, {.name = "p1", .device = "net_null1"}};
  m.interfaces = {{.name = "uplink", .port = "p0", .addresses = {prefix("198.51.100.1/24")}, .twin = true},
                  {.name = "servers", .port = "p1", .addresses = {prefix("10.0.0.1/24")}, .twin = true}};
  config::Service web;
  web.name = "web";
  web.vips = {{address("203.0.113.10"), {80, 80, false}, {}}};
  web.backends = {{address("10.0.0.5"), 8080, 1, {}}, {address("10.1.0.5"), 8080, 1, {}}};
  m.services = {web};
  return m;
}

class CompileKernelTest : public ::testing::Test {
 protected:
  const Compiled& load(const config::Model& m, KernelNetwork kernel) {
    kernel.links = {{.index = kUplink, .interface = "uplink", .name = "uplink", .mtu = uplink_mtu_, .is_up = true},
                    {.index = kServers, .interface = "servers", .name = "servers", .mtu = 1500, .is_up = true}};
    auto compiled = compiler_.compile(m, 1, {.kernel = std::make_shared<KernelNetwork>(std::move(kernel))});
    EXPECT_TRUE(compiled) << compiled.error().message;
    return now_ = std::move(*compiled);
  }
  NeighborRoutes neighbors(const std::vector<std::pair<NextHopKey, bool>>& is_there) {
    NeighborRoutes routes = compiler_.prepare_neighbors(is_there);
    compiler_.accept_neighbors();
    return routes;
  }
  [[nodiscard]] InterfaceId id(std::string_view name) const {
    const auto& all = now_.snapshot->interfaces;
    return InterfaceId(
        static_cast<std::uint16_t>(std::ranges::find(all, name, &lb::InterfaceEntry::name) - all.begin()));
  }
  [[nodiscard]] NextHopKey key(std::string_view interface, std::string_view a) const {
    return {id(interface), address(a)};
  }
  [[nodiscard]] const NextHopInfo* info(std::string_view interface, std::string_view a) const {
    return now_.next_hop_index->find(key(interface, a));
  }
  [[nodiscard]] NextHopId way_to(std::string_view a) const {
    return lb::PlainTables(now_.contents).find_route(address(a));
  }
  [[nodiscard]] NextHopId hop_of_backend(std::string_view a) const {
    const auto id = now_.contents.endpoints.at({address(a), lb::Protocol::kTcp, lb::be16::from_host(8080)});
    return now_.snapshot->endpoints[index(id)].next_hop;
  }

  Compiler compiler_{{mac("02:00:00:00:00:01"), mac("02:00:00:00:00:02")}};
  Compiled now_;
  std::uint16_t uplink_mtu_ = 1500;
};

TEST_F(CompileKernelTest, RoutesLeadBackendsAndPacketsToTheirGateway) {
  load(model(),
       {.routes = {route("10.1.0.0/16", kServers, "10.0.0.254"), route("0.0.0.0/0", kUplink, "198.51.100.9")}});
  ASSERT_NE(info("servers", "10.0.0.254"), nullptr);
  EXPECT_EQ(hop_of_backend("10.1.0.5"), info("servers", "10.0.0.254")->id);
  EXPECT_EQ(way_to("10.1.9.9"), info("servers", "10.0.0.254")->id);
  EXPECT_EQ(way_to("192.0.2.1"), info("uplink", "198.51.100.9")->id);
  EXPECT_TRUE(info("uplink", "198.51.100.9")->is_kept) << "a gateway";
  EXPECT_TRUE(info("servers", "10.0.0.5")->is_kept) << "a backend on-link";
  load(model(), {});
  EXPECT_EQ(hop_of_backend("10.1.0.5"), NextHopId::kNone);
  EXPECT_EQ(way_to("192.0.2.1"), NextHopId::kNone);
  EXPECT_THAT(now_.released,
              ::testing::UnorderedElementsAre(key("servers", "10.0.0.254"), key("uplink", "198.51.100.9")));
}

TEST_F(CompileKernelTest, TheLowestMetricCounts) {
  load(model(), {.routes = {route("10.1.0.0/16", kServers, "10.0.0.253", 200),
                            route("10.1.0.0/16", kServers, "10.0.0.252", 100)}});
  EXPECT_EQ(way_to("10.1.0.5"), info("servers", "10.0.0.252")->id);
  EXPECT_EQ(info("servers", "10.0.0.253"), nullptr);
}

TEST_F(CompileKernelTest, TheFileComesFirst) {
  config::Model m = model();
  m.routes = {{prefix("10.1.0.0/16"), address("10.0.0.9"), "servers", {}}};
  m.neighbors = {{address("10.0.0.5"), mac("02:00:00:00:00:05"), "servers", {}}};
  load(m, {.routes = {route("10.1.0.0/16", kServers, "10.0.0.254"), route("10.0.0.0/24", kUplink, "")}});
  EXPECT_EQ(way_to("10.1.0.5"), info("servers", "10.0.0.9")->id);
  EXPECT_EQ(info("servers", "10.0.0.254"), nullptr);
  EXPECT_TRUE(info("servers", "10.0.0.5")->is_static);
  EXPECT_FALSE(info("servers", "10.0.0.5")->is_kept);
  EXPECT_THAT(now_.next_hops,
              ::testing::Contains(::testing::Pair(info("servers", "10.0.0.5")->id,
                                                  ::testing::Property(&NextHopWord::mac, mac("02:00:00:00:00:05")))));
}

TEST_F(CompileKernelTest, AnUnreachableRouteIsNoRoute) {
  load(model(), {.routes = {route("10.0.0.0/25", LinkIndex::kNone, ""), route("0.0.0.0/0", kUplink, "198.51.100.9")}});
  EXPECT_EQ(way_to("10.0.0.77"), NextHopId::kNone);
  EXPECT_EQ(hop_of_backend("10.0.0.5"), NextHopId::kNone);
  EXPECT_NE(way_to("10.0.0.200"), NextHopId::kNone);
}

TEST_F(CompileKernelTest, RoutesByOtherDevicesDoNotCount) {
  load(model(), {.routes = {route("10.1.0.0/16", LinkIndex{99}, "10.0.0.254")}});
  EXPECT_EQ(way_to("10.1.0.5"), NextHopId::kNone);
}

TEST_F(CompileKernelTest, AddressesOnATwinAreOurs) {
  load(model(), {.addresses = {{kUplink, prefix("198.51.100.77/24")}, {kUplink, prefix("203.0.113.10/32")}}});
  const auto entry = [&](std::string_view a) -> const lb::AddressEntry& {
    return now_.snapshot->addresses[index(now_.contents.addresses.at(address(a)))];
  };
  EXPECT_TRUE(entry("198.51.100.77").is_own_on(id("uplink")));
  EXPECT_FALSE(entry("198.51.100.77").is_own_on(id("servers")));
  EXPECT_TRUE(entry("203.0.113.10").own_on.empty()) << "a VIP stays a VIP";
  load(model(), {});
  EXPECT_FALSE(now_.contents.addresses.contains(address("198.51.100.77")));
}

TEST_F(CompileKernelTest, TheSmallerMtuCounts) {
  uplink_mtu_ = 1400;
  EXPECT_EQ(load(model(), {}).snapshot->interfaces[index(id("uplink"))].mtu, 1400);
  uplink_mtu_ = 9000;
  EXPECT_EQ(load(model(), {}).snapshot->interfaces[index(id("uplink"))].mtu, 1500);
}

TEST_F(CompileKernelTest, WordsOfFollowedNextHopsAreControlsFromTheStart) {
  load(model(), {});
  ASSERT_EQ(now_.new_followed.size(), 1U) << "10.0.0.5; there is no way to the other";
  EXPECT_EQ(now_.new_followed[0].first, key("servers", "10.0.0.5"));
  EXPECT_THAT(now_.kept, ElementsAre(key("servers", "10.0.0.5")));
  for (const auto& [hop, word] : now_.next_hops) EXPECT_NE(hop, now_.new_followed[0].second);
  load(model(), {});
  EXPECT_THAT(now_.new_followed, IsEmpty()) << "its word goes on as it is: nothing is lost by a reload";
  EXPECT_THAT(now_.kept, IsEmpty());

  config::Model m = model();
  m.neighbors = {{address("10.0.0.5"), mac("02:00:00:00:00:05"), "servers", {}}};
  load(m, {});
  EXPECT_THAT(now_.released, ElementsAre(key("servers", "10.0.0.5"))) << "the file has it now";
  load(model(), {});
  EXPECT_EQ(now_.new_followed.size(), 1U) << "and now the kernel again";
}

// ---- neighbours, the short way ----

TEST_F(CompileKernelTest, ANeighborOnLinkGetsAHostRoute) {
  load(model(), {});
  const auto routes = neighbors({{key("uplink", "198.51.100.2"), true}, {key("uplink", "192.0.2.1"), true}});
  ASSERT_EQ(routes.changes.routes.put.size(), 1U) << "the other is on no subnet of it";
  EXPECT_EQ(routes.changes.routes.put[0].first, prefix("198.51.100.2/32"));
  EXPECT_EQ(routes.added[0].first, key("uplink", "198.51.100.2"));
  EXPECT_THAT(neighbors({{key("uplink", "198.51.100.2"), true}}).added, IsEmpty()) << "known";

  load(model(), {});
  EXPECT_EQ(way_to("198.51.100.2"), routes.added[0].second) << "a generation keeps it";
  EXPECT_THAT(now_.changes.routes.put, IsEmpty());
  EXPECT_THAT(now_.changes.routes.removed, IsEmpty());
  EXPECT_THAT(now_.new_followed, IsEmpty());
  EXPECT_FALSE(info("uplink", "198.51.100.2")->is_kept) << "a client is not asked after for ever";

  const auto gone = neighbors({{key("uplink", "198.51.100.2"), false}});
  EXPECT_THAT(gone.changes.routes.removed, ElementsAre(prefix("198.51.100.2/32")));
  EXPECT_THAT(gone.removed, ElementsAre(key("uplink", "198.51.100.2")));
  load(model(), {});
  EXPECT_THAT(now_.changes.routes.removed, IsEmpty());
  EXPECT_EQ(info("uplink", "198.51.100.2"), nullptr);
}

TEST_F(CompileKernelTest, OfANeighborNamedTwiceTheLastCounts) {
  load(model(), {});
  const NextHopKey client = key("uplink", "198.51.100.2");
  const auto came = neighbors({{client, true}, {client, false}, {client, true}});
  EXPECT_EQ(came.changes.routes.put.size(), 1U);
  EXPECT_THAT(came.changes.routes.removed, IsEmpty());
  const auto back = neighbors({{client, false}, {client, true}});
  EXPECT_THAT(back.changes.routes.put, IsEmpty()) << "it has its route";
  EXPECT_THAT(back.changes.routes.removed, IsEmpty());
  const auto gone = neighbors({{client, false}, {client, true}, {client, false}});
  EXPECT_THAT(gone.changes.routes.put, IsEmpty());
  EXPECT_THAT(gone.changes.routes.removed, ElementsAre(prefix("198.51.100.2/32")));
}

TEST_F(CompileKernelTest, NeighborsTakeNoMoreThanTheTablesHaveForThem) {
  // The file has two connected routes.
  compiler_.set_table_room(Compiler::kMaxKernelRoutes4 + 2 * 2 + 2 + 1, 0);
  load(model(), {});
  const NextHopKey first = key("uplink", "198.51.100.2"), second = key("uplink", "198.51.100.3");
  EXPECT_EQ(neighbors({{first, true}}).left_out, 0U);
  const auto more = neighbors({{second, true}});
  EXPECT_EQ(more.left_out, 1U);
  EXPECT_THAT(more.changes.routes.put, IsEmpty());
  load(model(), {});
  EXPECT_EQ(now_.neighbors_left_out, 1U);
  EXPECT_NE(info("uplink", "198.51.100.2"), nullptr) << "the one that had its route keeps it";
  EXPECT_EQ(info("uplink", "198.51.100.3"), nullptr);
  static_cast<void>(neighbors({{first, false}}));
  load(model(), {});
  EXPECT_NE(info("uplink", "198.51.100.3"), nullptr) << "there is room now";
}

TEST_F(CompileKernelTest, ANeighborStandsBeforeAHostRouteOnLinkAndGivesItBack) {
  const KernelNetwork kernel{.routes = {route("192.0.2.9/32", kUplink, "")}};
  load(model(), kernel);
  const NextHopId own = way_to("192.0.2.9");
  const auto there = neighbors({{key("uplink", "192.0.2.9"), true}});
  ASSERT_EQ(there.changes.routes.put.size(), 1U);
  EXPECT_EQ(there.changes.routes.added, 0U) << "the table has the prefix";
  load(model(), kernel);
  EXPECT_EQ(way_to("192.0.2.9"), there.added[0].second);
  EXPECT_THAT(now_.changes.routes.put, IsEmpty()) << "a generation leaves it to the neighbor";
  const auto gone = neighbors({{key("uplink", "192.0.2.9"), false}});
  EXPECT_THAT(gone.changes.routes.removed, IsEmpty());
  EXPECT_THAT(gone.changes.routes.put, ElementsAre(::testing::Pair(prefix("192.0.2.9/32"), own)));
  load(model(), kernel);
  EXPECT_EQ(way_to("192.0.2.9"), own);
  EXPECT_THAT(now_.changes.routes.put, IsEmpty());
}

TEST_F(CompileKernelTest, ANeighborIsRoutedOnceItsSubnetIsThere) {
  load(model(), {});
  EXPECT_THAT(neighbors({{key("uplink", "192.0.2.9"), true}}).added, IsEmpty());
  load(model(), {.routes = {route("192.0.2.0/24", kUplink, "")}});
  ASSERT_NE(info("uplink", "192.0.2.9"), nullptr);
  EXPECT_EQ(way_to("192.0.2.9"), info("uplink", "192.0.2.9")->id);
  EXPECT_EQ(now_.new_followed.size(), 1U);
}

TEST_F(CompileKernelTest, ABackendsNextHopOutlivesItsNeighborRoute) {
  load(model(), {});
  const NextHopId hop = hop_of_backend("10.0.0.5");
  const auto there = neighbors({{key("servers", "10.0.0.5"), true}});
  ASSERT_EQ(there.added.size(), 1U);
  EXPECT_EQ(there.added[0].second, hop);
  const auto gone = neighbors({{key("servers", "10.0.0.5"), false}});
  EXPECT_EQ(gone.changes.routes.removed.size(), 1U);
  EXPECT_THAT(gone.removed, IsEmpty());
  EXPECT_EQ(compiler_.retired_count(), 0U);
}

TEST_F(CompileKernelTest, AFilesHostRouteIsNotTakenByANeighbor) {
  config::Model m = model();
  m.routes = {{prefix("198.51.100.2/32"), address("198.51.100.9"), "uplink", {}}};
  load(m, {});
  EXPECT_THAT(neighbors({{key("uplink", "198.51.100.2"), true}}).added, IsEmpty());
  load(model(), {});
  EXPECT_NE(info("uplink", "198.51.100.2"), nullptr) << "the file no longer has it";
  load(m, {});
  EXPECT_EQ(way_to("198.51.100.2"), info("uplink", "198.51.100.9")->id);
  ASSERT_EQ(now_.changes.routes.put.size(), 1U) << "the table's entry changes and is not removed";
  EXPECT_THAT(now_.changes.routes.removed, IsEmpty());
}

}  // namespace
}  // namespace weir::control
