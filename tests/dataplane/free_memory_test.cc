#include "dataplane/free_memory.h"

#include <gtest/gtest.h>

namespace weir::dataplane {
namespace {

constexpr std::size_t kMiB = std::size_t{1} << 20;
constexpr const char* kMeminfo =
    "MemTotal:       24684544 kB\nMemFree:        20344832 kB\nMemAvailable:    2097152 kB\nBuffers:          111 kB\n";

TEST(FreeMemory, IsWhatTheMachineHasAvailable) {
  EXPECT_EQ(free_memory({kMeminfo, {}}), 2048 * kMiB);
  EXPECT_EQ(free_memory({"", {}}), std::nullopt);
  EXPECT_EQ(free_memory({"MemAvailable:\n", {}}), std::nullopt);
}

TEST(FreeMemory, IsLessWhereACgroupIsLimited) {
  const CgroupFiles unlimited{"max\n", "1000\n", ""};
  const CgroupFiles root{};  // has no memory.max
  const CgroupFiles small{std::to_string(512 * kMiB) + "\n", std::to_string(112 * kMiB) + "\n", ""};
  EXPECT_EQ(free_memory({kMeminfo, {unlimited, root}}), 2048 * kMiB);
  EXPECT_EQ(free_memory({kMeminfo, {unlimited, small, root}}), 400 * kMiB);
  EXPECT_EQ(free_memory({"", {small}}), 400 * kMiB);
}

TEST(FreeMemory, AFileCacheIsFree) {
  const std::string stat = "anon 1\nfile 99\ninactive_file " + std::to_string(20 * kMiB) + "\nactive_file " +
                           std::to_string(30 * kMiB) + "\n";
  const auto max = std::to_string(100 * kMiB), full = std::to_string(100 * kMiB);
  EXPECT_EQ(free_memory({kMeminfo, {{max, full, stat}}}), 50 * kMiB);
  EXPECT_EQ(free_memory({kMeminfo, {{max, "10\n", stat}}}), 100 * kMiB) << "the two are not read at once";
  EXPECT_EQ(free_memory({kMeminfo, {{"10\n", full, ""}}}), 0u) << "a limit that was lowered";
}

TEST(FreeMemory, TooLittleIsSaidInMiB) {
  EXPECT_TRUE(check_memory(2048 * kMiB, {kMeminfo, {}}));
  EXPECT_TRUE(check_memory(99999 * kMiB, {"", {}})) << "nothing is known";
  const auto refused = check_memory(2049 * kMiB, {kMeminfo, {}});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message,
            "memory: 2049 MiB are needed for mbufs and tables, 2048 MiB are free; lower memory.mbufs or "
            "conntrack.capacity and wide_capacity, or add memory");
}

TEST(FreeMemory, ThisMachineSaysSomething) {
  const auto free = free_memory(read_memory_files());
  ASSERT_TRUE(free);
  EXPECT_GT(*free, kMiB);
}

}  // namespace
}  // namespace weir::dataplane
