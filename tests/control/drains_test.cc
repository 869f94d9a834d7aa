#include "control/drains.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "tests/control/temporary_directory.h"

namespace weir::control {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::TemporaryDirectory;

lb::Address address(const char* text) {
  return *lb::parse_address(text);
}

/// web: 10.0.0.5:80 and 10.0.0.6:80; dns: 10.0.0.5:53 and 10.0.0.5:80; range: 10.0.0.9 without a port.
config::Model model() {
  const config::Vip vip{.address = address("203.0.113.10"), .ports = {80, 80}, .where = {}};
  const auto backend = [](const char* a, std::uint16_t port) {
    return config::Backend{.address = address(a), .port = port, .where = {}};
  };
  config::Model m;
  m.services.push_back({.name = "web", .vips = {vip}, .backends = {backend("10.0.0.5", 80), backend("10.0.0.6", 80)}});
  m.services.push_back({.name = "dns", .vips = {vip}, .backends = {backend("10.0.0.5", 53), backend("10.0.0.5", 80)}});
  m.services.push_back({.name = "range", .vips = {vip}, .backends = {backend("10.0.0.9", 0)}});
  return m;
}

DrainRequest request(const char* a, std::uint16_t port, const char* service = "", bool is_drain = true) {
  return {.is_drain = is_drain, .address = address(a), .port = port, .service = service, .now_s = 1'700'000'000};
}

std::string refusal(const DrainRequest& r, const std::vector<Drain>& now = {}) {
  const auto edit = edit_drains(model(), now, r);
  return edit ? "" : edit.error().message;
}

std::vector<std::string> as_text(const std::vector<Drain>& drains) {
  std::vector<std::string> out;
  for (const Drain& d : drains) out.push_back(lb::to_string(d.address, d.port) + " " + d.service);
  return out;
}

TEST(Drains, OneCommandDrainsInEveryServiceOrInOne) {
  const auto all = edit_drains(model(), {}, request("10.0.0.5", 80));
  ASSERT_TRUE(all);
  EXPECT_TRUE(all->is_changed);
  EXPECT_THAT(all->services, ElementsAre("web", "dns"));
  EXPECT_THAT(as_text(all->drains), ElementsAre("10.0.0.5:80 "));
  const auto one = edit_drains(model(), {}, request("10.0.0.5", 80, "dns"));
  EXPECT_THAT(as_text(one->drains), ElementsAre("10.0.0.5:80 dns"));
  const auto wider = edit_drains(model(), one->drains, request("10.0.0.5", 80));
  EXPECT_THAT(as_text(wider->drains), ElementsAre("10.0.0.5:80 ")) << "the wider one covers the other";
  const auto narrower = edit_drains(model(), wider->drains, request("10.0.0.5", 80, "web"));
  EXPECT_FALSE(narrower->is_changed);
}

TEST(Drains, DrainingTwiceKeepsTheFirstTime) {
  auto later = request("10.0.0.6", 80);
  later.now_s += 60;
  const auto again = edit_drains(model(), edit_drains(model(), {}, request("10.0.0.6", 80))->drains, later);
  EXPECT_FALSE(again->is_changed);
  EXPECT_EQ(again->drains.at(0).since_s, 1'700'000'000);
}

TEST(Drains, AnUnknownBackendIsRefusedWithTheNearest) {
  EXPECT_EQ(refusal(request("10.0.0.5", 81)), "there is no backend 10.0.0.5:81; there is 10.0.0.5:53, 10.0.0.5:80");
  EXPECT_EQ(refusal(request("10.0.0.5", 81, "web")), "service web has no backend 10.0.0.5:81; there is 10.0.0.5:80");
  EXPECT_EQ(refusal(request("10.0.0.6", 0)), "there is no backend 10.0.0.6; there is 10.0.0.6:80");
  EXPECT_EQ(refusal(request("10.0.1.6", 80)), "there is no backend 10.0.1.6:80; did you mean '10.0.0.6:80'?");
  EXPECT_EQ(refusal(request("10.0.0.5", 80, "wbe")), "there is no service \"wbe\"; did you mean 'web'?");
  EXPECT_EQ(refusal(request("10.0.0.6", 80, "dns")),
            "service dns has no backend 10.0.0.6:80; did you mean '10.0.0.5:80'?");
}

TEST(Drains, TheLastOneOfAServiceIsDrainedWithAWarning) {
  const auto edit = edit_drains(model(), {}, request("10.0.0.9", 0));
  ASSERT_TRUE(edit);
  EXPECT_THAT(edit->warnings, ElementsAre("service range: no IPv4 backend is left that takes new flows; its clients "
                                          "are refused"));
  EXPECT_THAT(edit_drains(model(), {}, request("10.0.0.6", 80))->warnings, IsEmpty());
}

TEST(Drains, EnableEndsThemAll) {
  const std::vector<Drain> now{{.address = address("10.0.0.5"), .port = 80, .service = "dns", .since_s = 1},
                               {.address = address("10.0.0.5"), .port = 80, .service = "web", .since_s = 1}};
  EXPECT_THAT(edit_drains(model(), now, request("10.0.0.5", 80, "", false))->drains, IsEmpty());
  EXPECT_THAT(as_text(edit_drains(model(), now, request("10.0.0.5", 80, "dns", false))->drains),
              ElementsAre("10.0.0.5:80 web"));
  EXPECT_FALSE(edit_drains(model(), {}, request("10.0.0.5", 80, "", false))->is_changed);
  const std::vector<Drain> everywhere{{.address = address("10.0.0.5"), .port = 80, .service = "", .since_s = 1}};
  EXPECT_EQ(refusal(request("10.0.0.5", 80, "web", false), everywhere),
            "10.0.0.5:80 is drained in every service; `weir enable 10.0.0.5:80` without --service ends that");
}

TEST(Drains, WhatHasLeftTheFileIsKeptAndCanBeEnabled) {
  const std::vector<Drain> gone{{.address = address("10.0.0.77"), .port = 80, .service = "old", .since_s = 1}};
  const auto edit = edit_drains(model(), gone, request("10.0.0.6", 80));
  EXPECT_THAT(as_text(edit->drains), ElementsAre("10.0.0.6:80 ", "10.0.0.77:80 old"));
  EXPECT_THAT(edit_drains(model(), gone, request("10.0.0.77", 80, "", false))->drains, IsEmpty());
  EXPECT_THAT(edit_drains(model(), gone, request("10.0.0.77", 80, "old", false))->drains, IsEmpty());
}

TEST(Drains, EnablingOneOfWeightZeroSaysThatItStaysDraining) {
  config::Model m = model();
  m.services[0].backends[0].weight = 0;
  EXPECT_THAT(edit_drains(m, {}, request("10.0.0.5", 80, "web", false))->warnings,
              ElementsAre("service web: 10.0.0.5:80 stays draining, its weight is 0 in the file"));
}

TEST(DrainFile, WhatIsSavedIsLoaded) {
  const TemporaryDirectory directory;
  const std::string state = directory.file("a/b");
  EXPECT_THAT(load_drains(state, 1).drains, IsEmpty());
  EXPECT_EQ(load_drains(state, 1).problem, "") << "nothing stored is no problem";
  const std::vector<Drain> drains{
      {.address = address("10.0.0.5"), .port = 80, .service = "caf\xc3\xa9 \"1\"", .since_s = 7},
      {.address = address("fd00::5"), .port = 0, .service = "", .since_s = 8}};
  ASSERT_TRUE(save_drains(state, drains));
  EXPECT_EQ(load_drains(state, 1).drains, drains);
  ASSERT_TRUE(save_drains(state, {}));
  EXPECT_THAT(load_drains(state, 1).drains, IsEmpty());
  EXPECT_FALSE(std::filesystem::exists(state + "/drains.json.new"));
}

TEST(DrainFile, ABrokenOneIsKeptUnderAnotherName) {
  for (const char* text :
       {"", "{", "[]", R"({"version": 2, "drains": []})", R"({"version": 1})",
        R"({"version": 1, "drains": [{"address": "10.0.0.5"}]})",
        R"({"version": 1, "drains": [{"address": "x", "port": 1, "service": "", "since_s": 1}]})",
        R"({"version": 1, "drains": [{"address": "10.0.0.5", "port": 65536, "service": "", "since_s": 1}]})"}) {
    const TemporaryDirectory directory;
    const std::string path = directory.write("drains.json", text);
    const std::string state = std::filesystem::path(path).parent_path();
    const StoredDrains stored = load_drains(state, 1234);
    EXPECT_THAT(stored.drains, IsEmpty());
    EXPECT_THAT(stored.problem,
                AllOf(HasSubstr(path + " cannot be read"), HasSubstr("kept as " + path + ".broken-1234")));
    EXPECT_FALSE(std::filesystem::exists(path));
    std::ifstream aside(path + ".broken-1234");
    EXPECT_EQ(std::string(std::istreambuf_iterator<char>(aside), {}), text);
  }
}

TEST(DrainFile, WhereItCannotBeWrittenItSaysWhatToDo) {
  const TemporaryDirectory directory;
  const std::string file = directory.write("file", "");
  const auto saved = save_drains(file + "/state", {});
  ASSERT_FALSE(saved);
  EXPECT_THAT(saved.error().message, AllOf(HasSubstr("cannot be made"), HasSubstr("set control.state_dir")));
}

TEST(Drains, TimesAreUtc) {
  EXPECT_EQ(utc_text(1'700'000'000), "2023-11-14T22:13:20Z");
}

}  // namespace
}  // namespace weir::control
