#include "dataplane/queue_plan.h"

#include <gtest/gtest.h>

#include <vector>

namespace weir::dataplane {
namespace {

std::vector<unsigned> receivers(const QueuePlan& plan, std::size_t port, unsigned queues) {
  std::vector<unsigned> workers;
  for (unsigned q = 0; q < queues; ++q) workers.push_back(plan.receiver(port, q));
  return workers;
}

TEST(QueuePlan, GivesAWorkerTheSameQueueOfEachPortWhereThereIsOneForEach) {
  const QueuePlan plan(3, {{3, 3}, {3, 3}});
  for (const std::size_t port : {0u, 1u}) {
    EXPECT_EQ(receivers(plan, port, 3), (std::vector<unsigned>{0, 1, 2}));
    for (unsigned w = 0; w < 3; ++w) {
      EXPECT_EQ(plan.sender(port, w).worker, w);
      EXPECT_EQ(plan.sender(port, w).queue, w);
    }
  }
}

TEST(QueuePlan, GoesOnFromPortToPortWhereQueuesAreFewer) {
  const QueuePlan plan(3, {{1, 1}, {2, 2}, {1, 1}});
  EXPECT_EQ(receivers(plan, 0, 1), (std::vector<unsigned>{0}));
  EXPECT_EQ(receivers(plan, 1, 2), (std::vector<unsigned>{1, 2}));
  EXPECT_EQ(receivers(plan, 2, 1), (std::vector<unsigned>{0}));
}

TEST(QueuePlan, DealsMoreQueuesThanWorkersRound) {
  EXPECT_EQ(receivers(QueuePlan(2, {{5, 5}}), 0, 5), (std::vector<unsigned>{0, 1, 0, 1, 0}));
}

// The sender of a queue is the same worker for everybody, so that no queue is ever used by two.
TEST(QueuePlan, GivesEachTransmitQueueToOneWorkerOnly) {
  for (const unsigned workers : {1u, 2u, 3u, 5u, 128u})
    for (std::uint16_t queues = 1; queues <= 8; ++queues) {
      const QueuePlan plan(workers, {{3, 3}, {queues, queues}});
      std::vector<int> user(queues, -1);
      for (unsigned w = 0; w < workers; ++w) {
        const auto s = plan.sender(1, w);
        ASSERT_LT(s.queue, queues);
        if (user[s.queue] >= 0) {
          ASSERT_EQ(user[s.queue], s.worker);
        }
        user[s.queue] = s.worker;
        const auto again = plan.sender(1, s.worker);  // who has the queue sends itself
        ASSERT_EQ(again.worker, s.worker);
        ASSERT_EQ(again.queue, s.queue);
      }
    }
}

}  // namespace
}  // namespace weir::dataplane
