#include <gtest/gtest.h>

#include <filesystem>

#include "config/load.h"

namespace weir::config {
namespace {

TEST(Examples, LoadWithoutErrorsOrWarnings) {
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(WEIR_EXAMPLES)) {
    if (entry.path().extension() != ".yaml") continue;
    ++files;
    const auto loaded = load_file(entry.path());
    if (!loaded) {
      for (const Diagnostic& d : loaded.error().errors) ADD_FAILURE() << format(entry.path().native(), d);
      continue;
    }
    for (const Diagnostic& d : loaded->warnings) ADD_FAILURE() << format_warning(entry.path().native(), d);
    EXPECT_EQ(loaded->model.file, entry.path());
    EXPECT_FALSE(loaded->model.services.empty()) << entry.path();
  }
  EXPECT_GE(files, 4);
}

}  // namespace
}  // namespace weir::config
