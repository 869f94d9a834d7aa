#include "config/suggest.h"

#include <gtest/gtest.h>

namespace weir::config {
namespace {

TEST(EditDistance, CountsWhatItTakes) {
  EXPECT_EQ(edit_distance("", ""), 0u);
  EXPECT_EQ(edit_distance("", "abc"), 3u);
  EXPECT_EQ(edit_distance("abc", ""), 3u);
  EXPECT_EQ(edit_distance("weight", "weight"), 0u);
  EXPECT_EQ(edit_distance("Weight", "wEIGHT"), 0u);
  EXPECT_EQ(edit_distance("wieght", "weight"), 1u);  // a swap
  EXPECT_EQ(edit_distance("weigth", "weight"), 1u);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3u);
}

TEST(Nearest, IsTheWordThatWasMeantOrNone) {
  constexpr std::string_view kKnown[] = {"name", "vips", "port", "ports", "backends", "protocol", "mode"};
  EXPECT_EQ(nearest("backend", kKnown), "backends");
  EXPECT_EQ(nearest("bakcends", kKnown), "backends");
  EXPECT_EQ(nearest("vip", kKnown), "vips");
  EXPECT_EQ(nearest("prot", kKnown), "port");
  EXPECT_EQ(nearest("Mode", kKnown), "mode");
  EXPECT_EQ(nearest("frobnicate", kKnown), "");
  EXPECT_EQ(nearest("", kKnown), "");
  EXPECT_EQ(nearest(std::string(1 << 20, 'n'), kKnown), "");
  EXPECT_EQ(did_you_mean("nmae", kKnown), "; did you mean 'name'?");
  EXPECT_EQ(did_you_mean("frobnicate", kKnown), "");
}

}  // namespace
}  // namespace weir::config
