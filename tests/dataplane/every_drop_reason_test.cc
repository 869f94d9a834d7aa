// Every drop reason and every event has a case that makes it happen. Who adds one to lb/drop_reason.h adds a case.
#include <gtest/gtest.h>

#include "tests/dataplane/rig.h"

namespace weir::test {
namespace {

// Reasons that need more than frames in memory, with the test that makes them happen.
bool has_a_test_of_its_own(lb::DropReason reason) {
  return reason == lb::DropReason::kTxFull ||        // rte_path_test.cc: DropsWhatAFullPortDoesNotTake
         reason == lb::DropReason::kHandoverFull ||  // workers_test.cc: DropsWhatAFullRingDoesNotTake
         // twin_path_test.cc
         reason == lb::DropReason::kPuntBgp || reason == lb::DropReason::kTwinFull ||
         reason == lb::DropReason::kMbufAlloc || reason == lb::DropReason::kInjectBad;
}

// Events of more than one worker: workers_test.cc and steering_test.cc.
bool has_a_test_of_its_own(lb::Event event) {
  return event == lb::Event::kHandedOver || event == lb::Event::kTakenOver || event == lb::Event::kHandedToSend ||
         event == lb::Event::kSteeringRefuted || event == lb::Event::kHeldSent ||
         event == lb::Event::kPuntedBgp;  // twin_path_test.cc
}

// What really happens, not what the table says: that the two agree is path_test.cc's business.
TEST(Cases, MakeEveryDropReasonAndEveryEventHappen) {
  std::vector<std::uint64_t> drops(lb::kDropReasons.size()), events(lb::kEvents.size());
  for (const Group& group : groups()) {
    for (const Case& c : group.cases) {
      PlainRig rig(compiled(group));
      std::uint64_t now = kSecond;
      for (const Step& s : c.steps()) {
        now += static_cast<std::uint64_t>(s.passes.count()) * kSecond;
        for (unsigned n = 0; s.in && n < s.times; ++n) static_cast<void>(rig.process({&*s.in, 1}, now));
      }
      const Counts counts(rig.counters());
      for (std::size_t i = 0; i < drops.size(); ++i) drops[i] += counts.drops[i];
      for (std::size_t i = 0; i < events.size(); ++i) events[i] += counts.events[i];
    }
  }
  for (std::size_t i = 0; i < drops.size(); ++i)
    EXPECT_NE(drops[i] > 0, has_a_test_of_its_own(lb::DropReason(i))) << lb::kDropReasons[i].name;
  for (std::size_t i = 0; i < events.size(); ++i)
    EXPECT_NE(events[i] > 0, has_a_test_of_its_own(lb::Event(i))) << lb::kEvents[i].name;
}

}  // namespace
}  // namespace weir::test
