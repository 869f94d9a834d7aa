#include "control/url.h"

#include <gtest/gtest.h>

namespace weir::control {
namespace {

TEST(Url, WhatIsFormattedIsParsedBack) {
  const Query query{{"backend", "[fd00::5]:8080"}, {"service", "a b&c=d%/+\xc3\xa4"}, {"empty", ""}};
  const auto target = parse_target(format_target("/v1/flows", query));
  ASSERT_TRUE(target);
  EXPECT_EQ(target->path, "/v1/flows");
  EXPECT_EQ(target->query, query);
}

TEST(Url, ParsesByHand) {
  const auto target = parse_target("/v1/flows?mid_stream&client=192.0.2.7&&x=a=b");
  ASSERT_TRUE(target);
  EXPECT_EQ(target->query, (Query{{"client", "192.0.2.7"}, {"mid_stream", ""}, {"x", "a=b"}}));
  EXPECT_EQ(parse_target("/v1/a+b?")->path, "/v1/a+b");
}

TEST(Url, RefusesWhatIsBroken) {
  for (const char* text : {"", "v1", "*", "http://a/", "/%", "/%4", "/%4g", "/%-1", "/%00", "/?a=%00", "/?a=1&a=1"})
    EXPECT_FALSE(parse_target(text)) << text;
}

}  // namespace
}  // namespace weir::control
