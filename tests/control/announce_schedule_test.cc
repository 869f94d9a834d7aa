#include "control/announce_schedule.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

namespace weir::control {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::IsEmpty;

constexpr lb::InterfaceId kUplink{1}, kServers{2};

AnnouncedPlace place(std::uint32_t number, lb::InterfaceId interface = kUplink, std::uint8_t mac = 1) {
  return {lb::Address::v4(lb::be32::from_host(0xcb007100 + number)), interface, {{2, 0, 0, 0, 0, mac}}};
}
std::vector<AnnouncedPlace> places(std::uint32_t count) {
  std::vector<AnnouncedPlace> all;
  for (std::uint32_t i = 0; i < count; ++i) all.push_back(place(i));
  return all;
}

/// A clock that ticks as the announcer's does, and what was sent when, in milliseconds.
class Played {
 public:
  AnnounceSchedule schedule;
  AnnounceSchedule::Time now{seconds(1000)};

  std::map<AnnouncedPlace, std::vector<int>> play(milliseconds span) {
    std::map<AnnouncedPlace, std::vector<int>> sent;
    const auto start = now;
    for (; now <= start + span; now += milliseconds(20)) {
      std::size_t at_once = 0;
      while (const auto p = schedule.next(now)) {
        sent[*p].push_back(static_cast<int>((now - start) / milliseconds(1)));
        ++at_once, ++total;
      }
      most_at_once = std::max(most_at_once, at_once);
    }
    return sent;
  }
  std::size_t most_at_once = 0, total = 0;
};

TEST(AnnounceSchedule, WhatAppearsIsAnnouncedAtOnceAfterOneSecondAndAfterThree) {
  Played p;
  p.schedule.follow({place(1)}, p.now);
  EXPECT_THAT(p.play(seconds(10))[place(1)], ElementsAre(0, 1000, 3000));
  p.schedule.follow({place(1), place(2)}, p.now);
  const auto sent = p.play(seconds(10));
  EXPECT_EQ(sent.size(), 1u) << "what was there stays as it is";
  EXPECT_THAT(sent.at(place(2)), ElementsAre(0, 1000, 3000));
}

TEST(AnnounceSchedule, WhatIsGoneIsAnnouncedNoMoreAndWhatReturnsBeginsAnew) {
  Played p;
  p.schedule.follow({place(1), place(2)}, p.now);
  EXPECT_EQ(p.play(milliseconds(500)).size(), 2u);
  p.schedule.follow({place(2)}, p.now);
  EXPECT_EQ(p.schedule.find(place(1).vip, kUplink), nullptr);
  EXPECT_THAT(p.play(seconds(10))[place(1)], IsEmpty());
  p.schedule.follow({place(1), place(2)}, p.now);
  const auto sent = p.play(seconds(10));
  EXPECT_THAT(sent.at(place(1)), ElementsAre(0, 1000, 3000));
  EXPECT_FALSE(sent.contains(place(2)));
}

TEST(AnnounceSchedule, AnotherMacIsNews) {
  Played p;
  p.schedule.follow({place(1)}, p.now);
  p.play(seconds(10));
  p.schedule.follow({place(1, kUplink, 9)}, p.now);
  const auto sent = p.play(seconds(10));
  EXPECT_THAT(sent.at(place(1, kUplink, 9)), ElementsAre(0, 1000, 3000));
  EXPECT_EQ(sent.size(), 1u);
}

TEST(AnnounceSchedule, ALinkThatComesUpBeginsAllOfItsInterfaceAnewOnce) {
  Played p;
  p.schedule.follow({place(1), place(2), place(1, kServers)}, p.now);
  p.play(milliseconds(100));
  p.schedule.begin_again(kUplink, p.now);
  p.schedule.begin_again(kUplink, p.now);  // it flaps
  const auto sent = p.play(seconds(10));
  EXPECT_THAT(sent.at(place(1)), ElementsAre(0, 1000, 3000));
  EXPECT_THAT(sent.at(place(2)), ElementsAre(0, 1000, 3000));
  EXPECT_THAT(sent.at(place(1, kServers)), testing::SizeIs(2)) << "goes on";
}

TEST(AnnounceSchedule, TenThousandVipsGoOutAtAPaceEveryFirstBeforeAnySecond) {
  Played p;
  p.schedule.follow(places(10'000), p.now);
  const auto first = p.play(seconds(19));
  for (const auto& [each, times] : first) ASSERT_EQ(times.size(), 1u);
  EXPECT_NEAR(static_cast<double>(p.total), 19 * 500, 50);
  EXPECT_LE(p.most_at_once, 21u);  // 40 ms of the pace, and one
  p.play(seconds(60));
  EXPECT_EQ(p.total, 30'000u);
}

TEST(AnnounceSchedule, ADefenceIsOneAnnouncement) {
  Played p;
  p.schedule.follow({place(1)}, p.now);
  p.play(seconds(10));
  p.schedule.defend(place(1), p.now);
  EXPECT_THAT(p.play(seconds(10))[place(1)], ElementsAre(0));
}

}  // namespace
}  // namespace weir::control
