// Files: what is read, what is refused without waiting.
#include "config/load.h"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "tests/config/support.h"

namespace weir::config {
namespace {

using testing::ElementsAre;

class LoadFile : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/weir_load_XXXXXX";
    ASSERT_NE(mkdtemp(name), nullptr);
    directory_ = name;
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  std::string write(const std::string& name, std::string_view text) {
    const std::string path = directory_ / name;
    std::ofstream(path, std::ios::binary) << text;
    return path;
  }
  static std::vector<std::string> errors(const std::string& path) {
    const auto loaded = load_file(path);
    std::vector<std::string> out;
    if (!loaded)
      for (const Diagnostic& d : loaded.error().errors) out.push_back(format("weir.yaml", d));
    return out;
  }

  std::filesystem::path directory_;
};

TEST_F(LoadFile, SaysTheSameOfAFileAsOfItsText) {
  const std::string text = "workers: 0\nmemroy: {}\n";
  EXPECT_THAT(errors(write("a", text)),
              ElementsAre("weir.yaml:1:10: workers: 0 is out of range; write a number from 1 to 128",
                          "weir.yaml:2:1: the file has no key 'memroy'; did you mean 'memory'?"));
  const std::string good =
      service("[{address: 203.0.113.1, port: 80}]", "[{address: 10.0.0.5}]") + std::string(kNetwork);
  const auto loaded = load_file(write("b", good));
  ASSERT_TRUE(loaded);
  EXPECT_EQ(loaded->model.services.size(), 1u);
  EXPECT_EQ(loaded->model.file, directory_ / "b");
}

TEST_F(LoadFile, RefusesWhatIsNoRegularFile) {
  const std::string missing = directory_ / "missing";
  EXPECT_THAT(errors(missing), ElementsAre("weir.yaml: cannot be opened: No such file or directory"));
  std::filesystem::create_symlink(missing, directory_ / "dangling");
  EXPECT_THAT(errors(directory_ / "dangling"), ElementsAre("weir.yaml: cannot be opened: No such file or directory"));
  EXPECT_THAT(errors(directory_), ElementsAre("weir.yaml: is a directory; name a file"));
  EXPECT_THAT(errors("/dev/zero"), ElementsAre("weir.yaml: is not a regular file; name one, or - for standard input"));
  const std::string fifo = directory_ / "fifo";
  ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
  EXPECT_THAT(errors(fifo),
              ElementsAre("weir.yaml: is not a regular file; name one, or - for standard input"));  // at once
  EXPECT_THAT(errors(""), ElementsAre("weir.yaml: cannot be opened: No such file or directory"));
}

TEST_F(LoadFile, RefusesALargeFileUnread) {
  const std::string path = write("large", "stop: {}\n");
  std::filesystem::resize_file(path, (std::uintmax_t{64} << 20) + 1);  // a hole: reading it would find NULs
  EXPECT_THAT(errors(path), ElementsAre("weir.yaml: is larger than 64 MiB; split off what is not Weir's"));
}

TEST_F(LoadFile, EveryCutOfAFileLoadsOrIsRefusedInWords) {
  const std::string text =
      service("[{address: 203.0.113.1, port: 80}]", "[{address: 10.0.0.5}]") + std::string(kNetwork);
  for (std::size_t n = 0; n < text.size(); ++n) {
    const auto loaded = load_text(std::string_view(text).substr(0, n), "weir.yaml");
    if (!loaded) {
      ASSERT_FALSE(loaded.error().errors.empty());
      for (const Diagnostic& d : loaded.error().errors) {
        EXPECT_FALSE(d.message.empty());
        EXPECT_GE(d.where.line, 1u);
      }
    }
  }
}

TEST(Format, IsFileLineColumnMessage) {
  EXPECT_EQ(format("weir.yaml", {{12, 7}, "x"}), "weir.yaml:12:7: x");
  EXPECT_EQ(format_warning("weir.yaml", {{12, 7}, "x"}), "weir.yaml:12:7: warning: x");
  EXPECT_EQ(format("weir.yaml", {{}, "x"}), "weir.yaml: x");
  EXPECT_EQ(format("a\nb", {{1, 1}, "x"}), "a\\nb:1:1: x");
}

}  // namespace
}  // namespace weir::config
