#include "control/numa.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>

namespace weir::control {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::vector<unsigned> numbers(const std::vector<Core>& cores) {
  std::vector<unsigned> out;
  for (const Core& c : cores) out.push_back(c.number);
  return out;
}

// Two sockets, cores dealt in turn as many BIOSes do.
const std::vector<Core> kCores{{0, 0}, {1, 1}, {2, 0}, {3, 1}, {4, 0}, {5, 1}};

TEST(Numa, PutsMemoryWhereMostNicsAre) {
  const auto socket = [](std::vector<Placed> ports) { return choose_socket(ports); };
  EXPECT_EQ(socket({}), kAnySocket);
  EXPECT_EQ(socket({{"port p0"}, {"port p1"}}), kAnySocket);
  EXPECT_EQ(socket({{"port p0", 1}, {"port p1"}}), 1);
  EXPECT_EQ(socket({{"port p0", 0}, {"port p1", 1}, {"port p2", 1}}), 1);
  EXPECT_EQ(socket({{"port p0", 1}, {"port p1", 0}}), 0);
}

TEST(Numa, PutsWorkersOnTheHighestCoresOfThatSocket) {
  EXPECT_THAT(numbers(choose_cores(kCores, 2, 0)), ElementsAre(4, 2));
  EXPECT_THAT(numbers(choose_cores(kCores, 2, kAnySocket)), ElementsAre(5, 4));
}

TEST(Numa, TakesCoresOfAnySocketWhereThatOneHasTooFew) {
  EXPECT_THAT(numbers(choose_cores(kCores, 4, 1)), ElementsAre(5, 4, 3, 2));
  EXPECT_THAT(numbers(choose_cores(kCores, 7, 1)), IsEmpty());
}

TEST(Numa, WarnsOfWhatIsFarAndOfNothingElse) {
  const std::vector<Placed> ports{{"port p0", 0}, {"port p1", 1}, {"port p2"}};
  const std::vector<Placed> workers{{"worker 0 on core 4", 0}, {"worker 1 on core 5", 1}};
  EXPECT_THAT(socket_warnings(ports, workers, 0),
              ElementsAre(AllOf(HasSubstr("port p1 is on NUMA socket 1"), HasSubstr("packets on socket 0")),
                          AllOf(HasSubstr("worker 1 on core 5"), HasSubstr("list cores of socket 0"))));
  EXPECT_THAT(socket_warnings(ports, workers, kAnySocket), IsEmpty());
}

TEST(Numa, ReadsThisMachine) {
  EXPECT_GE(socket_of_core(static_cast<unsigned>(sched_getcpu())), kAnySocket);
  EXPECT_EQ(socket_of_core(1'000'000), kAnySocket);
  EXPECT_EQ(socket_of_pci("ffff:ff:1f.7"), kAnySocket);
}

}  // namespace
}  // namespace weir::control
