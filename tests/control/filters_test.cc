#include "control/filters.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace weir::control {
namespace {

std::string refusal(std::string_view path, const Query& query) {
  const auto ok = check_query(path, query);
  return ok ? "" : ok.error().message;
}

TEST(Filters, AKeyThatThePathDoesNotTakeIsRefused) {
  EXPECT_EQ(refusal("/v1/flows", {{"clinet", "192.0.2.7"}}),
            "/v1/flows has no filter \"clinet\"; did you mean 'client'?");
  EXPECT_EQ(refusal("/v1/routes", {{"service", "web"}}), "/v1/routes has no filter \"service\"");
  for (const char* path : {"/v1/services", "/v1/backends", "/v1/flows", "/v1/ports", "/v1/routes", "/v1/neighbors",
                           "/v1/workers", "/v1/drops", "/v1/config", "/v1/status", "/v1/trace", "/v1/reload"}) {
    EXPECT_NE(refusal(path, {{"x\x1b", "1"}}), "") << path;
    EXPECT_EQ(refusal(path, {}), "") << path;
  }
  EXPECT_EQ(refusal("/v1/flow", {{"x", "1"}}), "") << "a path that is not known is a 404 whatever its query";
}

TEST(Filters, AValueThatCannotBeReadIsRefused) {
  EXPECT_EQ(refusal("/v1/flows", {{"client", "192.0.2.7:x"}}),
            "client \"192.0.2.7:x\" is no address; write 10.0.0.5:8080, [fd00::5]:8080 or 10.0.0.5");
  EXPECT_EQ(refusal("/v1/flows", {{"client", "192.0.2.7:1"}}), "");
  EXPECT_EQ(refusal("/v1/flows", {{"state", "open"}}), "state \"open\" is none of new, replied, established, closing");
  EXPECT_EQ(refusal("/v1/flows", {{"worker", "one"}}), "worker \"one\" is no number; `weir show workers` lists them");
  for (const char* bad : {"", "0", "100001", "-1", "1e3"}) EXPECT_NE(refusal("/v1/flows", {{"limit", bad}}), "") << bad;
  for (const char* good : {"1", "100000"}) EXPECT_EQ(refusal("/v1/flows", {{"limit", good}}), "") << good;
  EXPECT_EQ(refusal("/v1/flows", {{"protocol", "sctp"}}), "protocol \"sctp\" is neither tcp nor udp");
  for (const char* bad : {"", "web", "10.0.0.5:0", "10.0.0.5:65536", "fd00::5:x", "[fd00::5]"})
    EXPECT_NE(refusal("/v1/backends", {{"backend", bad}}), "") << bad;
  for (const char* good : {"10.0.0.5", "10.0.0.5:8080", "fd00::5", "[fd00::5]:8080"})
    EXPECT_EQ(refusal("/v1/backends", {{"backend", good}}), "") << good;
  for (const char* bad : {"", "2", "true", "01"}) EXPECT_NE(refusal("/v1/trace", {{"mid_stream", bad}}), "") << bad;
  for (const char* good : {"0", "1"}) EXPECT_EQ(refusal("/v1/trace", {{"mid_stream", good}}), "") << good;
}

TEST(Filters, AFlushTakesAllAndNoLimit) {
  const auto flush = [](const Query& query) { return check_query("/v1/flows", query, "DELETE").has_value(); };
  EXPECT_TRUE(flush({{"all", "1"}}));
  EXPECT_TRUE(flush({{"vip", "203.0.113.10:80"}, {"state", "closing"}}));
  EXPECT_FALSE(flush({{"limit", "10"}}));
  EXPECT_FALSE(flush({{"all", "yes"}}));
  EXPECT_NE(refusal("/v1/flows", {{"all", "1"}}), "") << "only a flush takes it";
  EXPECT_EQ(flush_filters().size(), 7u);
}

TEST(Filters, ABackendOfEveryPortMatchesAnyPort) {
  const auto address = *lb::parse_address("10.0.0.5");
  const config::Backend on_80{.address = address, .port = 80, .where = {}}, on_any{.address = address, .where = {}};
  EXPECT_TRUE(parse_backend_filter("10.0.0.5")->matches(on_80));
  EXPECT_TRUE(parse_backend_filter("10.0.0.5:80")->matches(on_80));
  EXPECT_TRUE(parse_backend_filter("10.0.0.5:81")->matches(on_any));
  EXPECT_FALSE(parse_backend_filter("10.0.0.5:81")->matches(on_80));
  EXPECT_FALSE(parse_backend_filter("10.0.0.6")->matches(on_80));
}

}  // namespace
}  // namespace weir::control
