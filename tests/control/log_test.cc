// The log's limit, its JSON, and that what a client can cause does not flood it.
#include "control/log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json/parse.hpp>
#include <sstream>

#include "tests/control/running_weir.h"

namespace weir::control {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::RunningWeir;

TEST(LogLimit, LetsTenOfAKindThroughInASecond) {
  LogLimit limit;
  const LogLimit::Time t{};
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(limit.allows("arp", t + i * 1ms));
  for (int i = 0; i < 5; ++i) EXPECT_FALSE(limit.allows("arp", t + 500ms));
  EXPECT_TRUE(limit.allows("reload", t + 500ms)) << "another kind has its own";
  EXPECT_THAT(limit.take_suppressed(t + 999ms), IsEmpty()) << "the second is not over";
  EXPECT_TRUE(limit.allows("arp", t + 1s));
}

TEST(LogLimit, TellsOnceWhatItLeftOut) {
  LogLimit limit;
  const LogLimit::Time t{};
  for (int i = 0; i < 1000; ++i) static_cast<void>(limit.allows("arp", t));
  const auto suppressed = limit.take_suppressed(t + 1s);
  ASSERT_EQ(suppressed.size(), 1u);
  EXPECT_EQ(suppressed.at("arp"), 990u);
  EXPECT_THAT(limit.take_suppressed(t + 2s), IsEmpty());
}

TEST(Log, NamesAreReadAndOthersAreNot) {
  EXPECT_EQ(parse_log_format("json"), LogFormat::kJson);
  EXPECT_EQ(parse_log_format("text"), LogFormat::kText);
  EXPECT_FALSE(parse_log_format("xml"));
  EXPECT_EQ(parse_log_level("debug"), LogLevel::kDebug);
  EXPECT_EQ(parse_log_level("error"), LogLevel::kError);
  EXPECT_FALSE(parse_log_level("warn"));
}

const std::string kYaml = "hash_key: \"00112233445566778899aabbccddeeff\"\nports: [{name: p0, device: net_null" +
                          std::to_string(getpid()) +
                          "}]\ninterfaces: [{name: lan, port: p0, addresses: [10.0.0.1/24]}]\n";

TEST(Log, AsJsonEveryLineIsOneObject) {
  RunningWeir weir(kYaml +
                       "services:\n- {name: web, vips: [{address: 203.0.113.1, port: 80}], protocol: tcp, "
                       "backends: [{address: 10.0.0.5}]}\n",
                   {.arguments = {"--log-format", "json"}});
  weir.configure("\xc3(: \"a\nb\"\n");  // whose refusal quotes bytes that are no UTF-8
  weir.ask("POST", "/v1/reload");
  weir.signal(SIGTERM);
  ASSERT_TRUE(RunningWeir::wait_for([&] { return weir.exit_code() == 0; })) << weir.log();
  std::istringstream lines(weir.log());
  int n = 0, of_reload = 0;
  for (std::string line; std::getline(lines, line); ++n) {
    boost::system::error_code broken;
    const auto value = boost::json::parse(line, broken);
    ASSERT_FALSE(broken) << line;
    const auto& object = value.as_object();
    EXPECT_EQ(object.at("time").as_string().size(), 24u) << line;
    EXPECT_TRUE(object.contains("level") && object.contains("message")) << line;
    if (object.contains("kind") && object.at("kind") == "reload") {
      ++of_reload;
      EXPECT_EQ(object.at("level"), "error");
      EXPECT_EQ(object.at("generation"), 1);
    }
  }
  EXPECT_GE(n, 4);  // warning, forwards, refused, stopping
  EXPECT_EQ(of_reload, 1) << weir.log();
}

TEST(Log, TheLevelLeavesOutWhatIsBelow) {
  RunningWeir weir(kYaml, {.arguments = {"--log-level", "error"}});
  weir.configure("nonsense: 1\n");
  weir.ask("POST", "/v1/reload");
  weir.signal(SIGTERM);
  ASSERT_TRUE(RunningWeir::wait_for([&] { return weir.exit_code() == 0; }));
  EXPECT_THAT(weir.log(), HasSubstr("error: reload refused"));
  EXPECT_EQ(weir.log().find("info:"), std::string::npos) << weir.log();
}

TEST(Log, AStormOfReloadsDoesNotFloodIt) {
  RunningWeir weir(kYaml);
  weir.configure("nonsense: 1\n");
  std::size_t asked = 0;
  ASSERT_TRUE(RunningWeir::wait_for([&] {
    for (int i = 0; i < 100; ++i, ++asked) EXPECT_EQ(weir.ask("POST", "/v1/reload").status, 422u);
    return weir.log().find("suppressed of kind reload") != std::string::npos;
  })) << weir.log();
  std::size_t lines = 0, suppressed = 0;
  std::istringstream log(weir.log());
  for (std::string line; std::getline(log, line);) {
    lines += line.find("reload refused") != std::string::npos;
    if (const auto at = line.find(" suppressed of kind reload"); at != std::string::npos)
      suppressed += std::stoul(line.substr(line.rfind(' ', at - 1)));
  }
  EXPECT_LT(lines, asked);
  EXPECT_LE(lines + suppressed, asked);
}

}  // namespace
}  // namespace weir::control
