#include "control/kernel_network.h"

#include <gtest/gtest.h>

#include <map>

#include "control/kernel_state.h"

namespace weir::control {
namespace {

using Effect = KernelState::Effect;
using lb::parse_address;
using lb::parse_mac;
using lb::parse_prefix;

constexpr LinkIndex kUplink{7};
constexpr LinkIndex kServers{9};

KernelNeighbor neighbor(const char* address, const char* mac, NeighborState state = NeighborState::kReachable) {
  return {.link = kServers, .address = *parse_address(address), .mac = *parse_mac(mac), .state = state};
}
KernelRoute route(const char* to, const char* via, std::uint32_t metric = 0) {
  return {.to = *parse_prefix(to), .metric = metric, .link = kUplink, .via = *parse_address(via)};
}

// ---- the difference ----

TEST(KernelDifference, OfEqualNetworksIsNothing) {
  const KernelNetwork n{.routes = {route("10.0.0.0/8", "198.51.100.254")},
                        .neighbors = {neighbor("10.0.0.5", "02:00:00:00:00:05")}};
  const KernelChanges changes = difference(n, n);
  EXPECT_FALSE(changes.need_generation());
  EXPECT_TRUE(changes.neighbors.empty());
}

TEST(KernelDifference, RoutesAddressesAndLinksNeedAGeneration) {
  const KernelNetwork empty;
  EXPECT_TRUE(difference(empty, {.routes = {route("10.0.0.0/8", "198.51.100.254")}}).in_routes);
  EXPECT_TRUE(difference(empty, {.addresses = {{kUplink, *parse_prefix("10.0.0.1/24")}}}).in_addresses);
  EXPECT_TRUE(difference(empty, {.links = {{.index = kUplink, .mtu = 1400}}}).in_links);
}

TEST(KernelDifference, ANeighborsChangesNeedNone) {
  const auto here = neighbor("10.0.0.5", "02:00:00:00:00:05");
  const auto there = neighbor("10.0.0.5", "02:00:00:00:00:06");
  const auto other = neighbor("10.0.0.6", "02:00:00:00:00:06");
  const KernelChanges changes = difference({.neighbors = {here, other}}, {.neighbors = {there}});
  EXPECT_FALSE(changes.need_generation());
  ASSERT_EQ(changes.neighbors.size(), 2U);
  EXPECT_EQ(changes.neighbors[0].mac, there.mac);
  EXPECT_EQ(changes.neighbors[1].address, other.address);
  EXPECT_EQ(changes.neighbors[1].state, NeighborState::kNone);
}

TEST(KernelDifference, AgeingFromReachableToStaleIsNoChange) {
  const auto fresh = neighbor("10.0.0.5", "02:00:00:00:00:05", NeighborState::kReachable);
  for (const auto state : {NeighborState::kStale, NeighborState::kDelay, NeighborState::kProbe})
    EXPECT_TRUE(difference({.neighbors = {fresh}}, {.neighbors = {neighbor("10.0.0.5", "02:00:00:00:00:05", state)}})
                    .neighbors.empty());
  const auto failed = neighbor("10.0.0.5", "02:00:00:00:00:05", NeighborState::kFailed);
  EXPECT_EQ(difference({.neighbors = {fresh}}, {.neighbors = {failed}}).neighbors.size(), 1U);
}

TEST(KernelNetwork, SortsRoutesToOnePrefixByMetric) {
  const KernelNetwork n =
      sorted({.routes = {route("10.0.0.0/8", "198.51.100.3", 300), route("10.0.0.0/8", "198.51.100.9", 100),
                         route("0.0.0.0/0", "198.51.100.1", 500)}});
  EXPECT_EQ(n.routes[0].to.length, 0);
  EXPECT_EQ(n.routes[1].metric, 100U);
  EXPECT_EQ(n.routes[2].metric, 300U);
}

// ---- the state that messages build ----

class KernelStateTest : public ::testing::Test {
 protected:
  Effect add(const KernelRoute& r, bool replaces = false) {
    return state_.apply(RouteMessage{.route = r, .replaces = replaces}, false);
  }
  Effect remove(const KernelRoute& r) { return state_.apply(RouteMessage{.route = r, .is_gone = true}, false); }

  KernelState state_{std::map<LinkIndex, std::string>{{kUplink, "uplink"}, {kServers, "servers"}}};
};

TEST_F(KernelStateTest, AddsReplacesAndRemovesRoutes) {
  EXPECT_EQ(add(route("10.0.0.0/8", "198.51.100.3")), Effect::kNetwork);
  EXPECT_EQ(add(route("10.1.0.0/16", "198.51.100.3")), Effect::kNetwork);
  EXPECT_EQ(add(route("10.0.0.0/8", "198.51.100.4"), true), Effect::kNetwork);
  EXPECT_EQ(add(route("10.0.0.0/8", "198.51.100.4"), true), Effect::kNothing) << "the same again";
  EXPECT_EQ(remove(route("10.0.0.0/8", "198.51.100.4")), Effect::kNetwork);
  EXPECT_EQ(remove(route("10.0.0.0/8", "198.51.100.4")), Effect::kNothing);
  EXPECT_EQ(state_.network().routes, std::vector{route("10.1.0.0/16", "198.51.100.3")});
}

TEST_F(KernelStateTest, ASecondRouteToOnePrefixHasToBeReadAgain) {
  add(route("10.0.0.0/8", "198.51.100.3"));
  EXPECT_EQ(add(route("10.0.0.0/8", "198.51.100.4")), Effect::kUnsure);

  KernelState read(std::map<LinkIndex, std::string>{{kUplink, "uplink"}});
  read.apply(RouteMessage{.route = route("10.0.0.0/8", "198.51.100.3")}, true);
  read.apply(RouteMessage{.route = route("10.0.0.0/8", "198.51.100.4")}, true);
  ASSERT_EQ(read.route_count(), 1U);
  EXPECT_EQ(read.network().routes[0].via, *parse_address("198.51.100.3")) << "the kernel uses the first";
  EXPECT_EQ(read.apply(RouteMessage{.route = route("10.0.0.0/8", "198.51.100.3"), .is_gone = true}, false),
            Effect::kUnsure)
      << "the second remains";
}

TEST_F(KernelStateTest, ARouteThatMovesToAnotherDeviceIsGone) {
  add(route("10.0.0.0/8", "198.51.100.3"));
  EXPECT_EQ(state_.apply(
                RouteMessage{.route = route("10.0.0.0/8", "192.0.2.1"), .is_elsewhere = true, .replaces = true}, false),
            Effect::kNetwork);
  EXPECT_EQ(state_.route_count(), 0U);
}

TEST_F(KernelStateTest, ALinkThatGoesDownMayHaveTakenRoutesWithIt) {
  const KernelLink up{.index = kUplink, .name = "uplink", .mtu = 1500, .is_up = true, .has_carrier = true};
  EXPECT_EQ(state_.apply(LinkMessage{.link = up}, true), Effect::kNetwork) << "in a reading, which has the routes too";
  KernelLink smaller = up;
  smaller.mtu = 1400;
  EXPECT_EQ(state_.apply(LinkMessage{.link = smaller}, false), Effect::kNetwork);
  KernelLink down = smaller;
  down.is_up = false;
  EXPECT_EQ(state_.apply(LinkMessage{.link = down}, false), Effect::kUnsure);
  EXPECT_EQ(state_.network().link(kUplink)->interface, "uplink");
  EXPECT_EQ(state_.apply(LinkMessage{.link = down, .is_gone = true}, false), Effect::kUnsure);
  EXPECT_EQ(state_.network().link(kUplink)->name, "") << "gone";
}

TEST_F(KernelStateTest, AnAddressThatLeavesMayHaveTakenRoutesWithIt) {
  const KernelAddress own{kUplink, *parse_prefix("198.51.100.1/24")};
  EXPECT_EQ(state_.apply(AddressMessage{.address = own}, false), Effect::kNetwork);
  EXPECT_EQ(state_.apply(AddressMessage{.address = own}, false), Effect::kNothing);
  EXPECT_EQ(state_.apply(AddressMessage{.address = own, .is_gone = true}, false), Effect::kUnsure);
}

TEST_F(KernelStateTest, TellsOfANeighborOnlyWhatWorkersWouldNotice) {
  const auto apply = [&](const KernelNeighbor& n) { return state_.apply(NeighborMessage{.neighbor = n}, false); };
  EXPECT_EQ(apply(neighbor("10.0.0.5", "00:00:00:00:00:00", NeighborState::kIncomplete)), Effect::kNothing);
  EXPECT_EQ(apply(neighbor("10.0.0.5", "02:00:00:00:00:05")), Effect::kNeighbor);
  EXPECT_EQ(apply(neighbor("10.0.0.5", "02:00:00:00:00:05", NeighborState::kStale)), Effect::kNothing);
  EXPECT_EQ(apply(neighbor("10.0.0.5", "02:00:00:00:00:06", NeighborState::kStale)), Effect::kNeighbor);
  EXPECT_EQ(apply(neighbor("10.0.0.5", "02:00:00:00:00:06", NeighborState::kFailed)), Effect::kNeighbor);
  const NeighborMessage gone{.neighbor = neighbor("10.0.0.5", "00:00:00:00:00:00"), .is_gone = true};
  EXPECT_EQ(state_.apply(gone, false), Effect::kNeighbor) << "after a failure too, as `ip neigh flush` tells it";
  EXPECT_EQ(state_.apply(gone, false), Effect::kNothing);
}

}  // namespace
}  // namespace weir::control
