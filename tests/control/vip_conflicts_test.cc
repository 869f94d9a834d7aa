#include "control/vip_conflicts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace weir::control {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::IsEmpty;
using testing::SizeIs;

constexpr lb::InterfaceId kUplink{1};
const lb::Address kVip = *lb::parse_address("203.0.113.10");
const lb::Address kVip6 = *lb::parse_address("2001:db8::10");

dataplane::VipClaim claim(const lb::Address& vip, std::uint8_t mac) {
  return {vip, kUplink, {{2, 0, 0, 0, 0, mac}}};
}

struct Conflicts : testing::Test {
  std::vector<VipConflicts::Told> due() {
    return conflicts.due([&](const lb::Address&, lb::InterfaceId) { return is_announced; }, now);
  }
  VipConflicts conflicts;
  VipConflicts::Time now{seconds(1000)};
  bool is_announced = true;
};

TEST_F(Conflicts, AreToldOnceWithWhoWhereAndHowOften) {
  conflicts.saw(claim(kVip, 7), now);
  conflicts.saw(claim(kVip, 8), now);
  conflicts.saw(claim(kVip6, 9), now);
  EXPECT_THAT(due(), IsEmpty()) << "it may be a fail-over";
  now += seconds(1);
  const auto told = due();
  ASSERT_THAT(told, SizeIs(2));
  const auto& first = told[0].vip == kVip ? told[0] : told[1];
  EXPECT_EQ(first.times, 2u);
  EXPECT_EQ(first.mac, (lb::MacAddress{{2, 0, 0, 0, 0, 8}}));
  EXPECT_EQ(first.interface, kUplink);
  EXPECT_THAT(due(), IsEmpty());
}

TEST_F(Conflicts, ThatGoOnAreToldEveryTenSeconds) {
  std::vector<std::uint64_t> told;
  for (int tenths = 0; tenths < 320; ++tenths, now += milliseconds(100)) {
    conflicts.saw(claim(kVip, 7), now);
    for (const auto& t : due()) told.push_back(t.times);
  }
  EXPECT_THAT(told, testing::ElementsAre(11, 100, 100, 100));
}

TEST_F(Conflicts, AreNoneIfTheVipHasMovedAwayMeanwhile) {
  conflicts.saw(claim(kVip, 7), now);
  is_announced = false;
  now += seconds(1);
  EXPECT_THAT(due(), IsEmpty());
  is_announced = true;
  now += seconds(1);
  EXPECT_THAT(due(), IsEmpty()) << "it is forgotten";
}

}  // namespace
}  // namespace weir::control
