#include "control/unix_listener.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <optional>
#include <thread>
#include <vector>

#include "tests/control/running_server.h"

namespace weir::control {
namespace {

using ::testing::HasSubstr;
using testing::TemporaryDirectory;

mode_t mode_of(const std::string& path) {
  struct stat found{};
  return ::lstat(path.c_str(), &found) == 0 ? found.st_mode : 0;
}

TEST(UnixListener, HasMode0660UnderAnyUmask) {
  TemporaryDirectory directory;
  for (const mode_t mask : {mode_t{0}, mode_t{0022}, mode_t{0077}}) {
    const mode_t before = ::umask(mask);
    const auto listener = UnixListener::open(directory.file("weir.sock"));
    ::umask(before);
    ASSERT_TRUE(listener) << listener.error().message;
    EXPECT_EQ(mode_of(directory.file("weir.sock")), mode_t{S_IFSOCK | 0660});
  }
}

TEST(UnixListener, MakesItsDirectoryBelowRunAndLeavesNothingElse) {
  TemporaryDirectory directory;
  const std::string path = directory.file("a/b/weir.sock");
  {
    const auto listener = UnixListener::open(path, directory.file(""));
    ASSERT_TRUE(listener) << listener.error().message;
    EXPECT_EQ(mode_of(directory.file("a/b")), mode_t{S_IFDIR | 0755});
    const std::filesystem::directory_iterator entries(directory.file("a/b"));
    EXPECT_EQ(std::distance(begin(entries), end(entries)), 1);
  }
  EXPECT_TRUE(std::filesystem::is_empty(directory.file("a/b")));
}

TEST(UnixListener, RefusesAMissingDirectoryElsewhere) {
  TemporaryDirectory directory;
  const std::string path = directory.file("rnu/weir.sock");
  const auto listener = UnixListener::open(path);
  ASSERT_FALSE(listener);
  EXPECT_THAT(listener.error().message, HasSubstr(path));
  EXPECT_FALSE(std::filesystem::exists(directory.file("rnu")));
}

TEST(UnixListener, RefusesWhileAnotherListensAndLeavesItAlone) {
  TemporaryDirectory directory;
  const std::string path = directory.file("weir.sock");
  const auto first = UnixListener::open(path);
  ASSERT_TRUE(first) << first.error().message;
  const auto second = UnixListener::open(path);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().message,
            "control socket " + path + " is in use by another weir; stop it or give another control.socket");
  EXPECT_TRUE(testing::RawClient(path).is_connected());
}

TEST(UnixListener, ReplacesWhatACrashLeftBehind) {
  TemporaryDirectory directory;
  const std::string path = directory.file("weir.sock");
  {
    auto crashed = UnixListener::open(path);
    ASSERT_TRUE(crashed) << crashed.error().message;
    FileDescriptor closed(crashed->release());
    std::filesystem::rename(path, path + ".kept");
  }
  std::filesystem::rename(path + ".kept", path);
  ASSERT_FALSE(testing::RawClient(path).is_connected());
  const auto next = UnixListener::open(path);
  ASSERT_TRUE(next) << next.error().message;
  EXPECT_TRUE(testing::RawClient(path).is_connected());
}

TEST(UnixListener, DoesNotUnlinkTheSocketOfItsSuccessor) {
  TemporaryDirectory directory;
  const std::string path = directory.file("weir.sock");
  std::optional<UnixListener> first(std::move(*UnixListener::open(path)));
  std::filesystem::remove(path);  // an operator cleans up under a running weir
  const auto second = UnixListener::open(path);
  ASSERT_TRUE(second) << second.error().message;
  first.reset();
  EXPECT_TRUE(testing::RawClient(path).is_connected());
}

TEST(UnixListener, LeavesAFileThatIsNoSocketAlone) {
  TemporaryDirectory directory;
  const std::string path = directory.write("weir.sock", "precious");
  const auto listener = UnixListener::open(path);
  ASSERT_FALSE(listener);
  EXPECT_THAT(listener.error().message, HasSubstr("not a socket"));
  EXPECT_TRUE(std::filesystem::is_regular_file(path));
}

TEST(UnixListener, RefusesAPathThatIsTooLong) {
  const auto listener = UnixListener::open("/tmp/" + std::string(100, 'x'));
  ASSERT_FALSE(listener);
  EXPECT_THAT(listener.error().message, HasSubstr("at most 103"));
}

TEST(UnixListener, OfManyStartingAtOnceOneWins) {
  TemporaryDirectory directory;
  const std::string path = directory.file("weir.sock");
  std::vector<std::optional<lb::Result<UnixListener>>> results(8);
  std::vector<std::thread> threads;
  for (auto& result : results) threads.emplace_back([&] { result.emplace(UnixListener::open(path)); });
  for (auto& thread : threads) thread.join();
  int winners = 0;
  for (const auto& result : results) winners += result->has_value() ? 1 : 0;
  EXPECT_EQ(winners, 1);
  EXPECT_TRUE(testing::RawClient(path).is_connected());
}

}  // namespace
}  // namespace weir::control
