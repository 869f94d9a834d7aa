#include <gtest/gtest.h>

#include "tests/dataplane/rte_rig.h"

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  ::testing::AddGlobalTestEnvironment(new weir::test::EalEnvironment);
  return RUN_ALL_TESTS();
}
