#include "control/port_sides.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/load.h"

namespace weir::control {
namespace {

using dataplane::PortSide;
using ::testing::ElementsAre;

std::vector<PortSide> sides_of(const std::string& ports, const std::string& interfaces, const std::string& routes) {
  const auto loaded = config::load_text("ports: [" + ports + "]\ninterfaces: [" + interfaces + "]\nroutes: [" + routes +
                                            "]\nservices: [{name: a, vips: [{address: 203.0.113.1, port: 80}], "
                                            "backends: [{address: 10.0.0.5, port: 80}]}]",
                                        "weir.yaml");
  if (!loaded) {
    for (const auto& e : loaded.error().errors) ADD_FAILURE() << e.message;
    return {};
  }
  return port_sides(loaded->model);
}

const std::string kTwo = "{name: p0, device: net_null0}, {name: p1, device: net_null1}";
const std::string kTwoArms =
    "{name: up, port: p0, addresses: [198.51.100.1/24]}, {name: down, port: p1, addresses: [10.0.0.1/24]}";

TEST(PortSides, OfTwoArmsAreClientsAndServers) {
  const std::string route = "{to: 0.0.0.0/0, via: 198.51.100.254, interface: up}";
  EXPECT_THAT(sides_of(kTwo, kTwoArms, route), ElementsAre(PortSide::kClients, PortSide::kServers));
}

TEST(PortSides, FollowTheLongestPrefixToABackend) {
  const std::string routes =
      "{to: 0.0.0.0/0, via: 198.51.100.254, interface: up}, {to: 10.0.0.0/16, via: 172.16.0.2, interface: down}";
  EXPECT_THAT(sides_of(kTwo,
                       "{name: up, port: p0, addresses: [198.51.100.1/24]}, "
                       "{name: down, port: p1, addresses: [172.16.0.1/24]}",
                       routes),
              ElementsAre(PortSide::kClients, PortSide::kServers));
}

TEST(PortSides, AreBothOnOneArmAndWhereTheDefaultRouteLeadsPastServers) {
  EXPECT_THAT(sides_of("{name: p0, device: net_null0}",
                       "{name: up, port: p0, addresses: [198.51.100.1/24]}, "
                       "{name: down, port: p0, vlan: 7, addresses: [10.0.0.1/24]}",
                       ""),
              ElementsAre(PortSide::kBoth));
  EXPECT_THAT(sides_of(kTwo, kTwoArms, "{to: 0.0.0.0/0, via: 10.0.0.254, interface: down}"),
              ElementsAre(PortSide::kClients, PortSide::kBoth));
}

}  // namespace
}  // namespace weir::control
