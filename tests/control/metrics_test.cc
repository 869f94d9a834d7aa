// The metrics: their text, their list against docs/metrics.md, and scrapes that come together.
#include "control/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <cmath>
#include <fstream>
#include <future>
#include <iterator>
#include <vector>

#include "control/exposition.h"
#include "control/scrapes.h"
#include "tests/control/exposition_text.h"

namespace weir::control {
namespace {

using testing::ExpositionText;

TEST(Exposition, WritesWhatAReaderReads) {
  Exposition out(0);
  out.single(Metric::kGeneration, 7);
  out.begin(Metric::kBackendBytesIn);
  out.add({"web", "10.0.0.5:80"},
          9'007'199'254'740'991.0);  // 2^53 - 1: the last that a double tells from its neighbour
  out.add({"web", "[fd00::5]:80"}, 0);
  const ExpositionText text(out.take());
  EXPECT_EQ(text.value("weir_generation"), 7);
  EXPECT_EQ(text.value("weir_backend_bytes_in_total", "{service=\"web\",backend=\"10.0.0.5:80\"}"), 9007199254740991.0);
  EXPECT_EQ(text.value("weir_backend_bytes_in_total", "{service=\"web\",backend=\"[fd00::5]:80\"}"), 0);
  EXPECT_EQ(text.families().at("weir_generation").type, "gauge");
  EXPECT_EQ(text.families().at("weir_backend_bytes_in_total").type, "counter");
}

TEST(Exposition, EscapesWhatALabelMayHold) {
  const std::string name = "a\"b\\c\nd# {e}=\xff";
  Exposition out(0);
  out.begin(Metric::kServiceFlows);
  out.add({name}, 1);
  EXPECT_EQ(ExpositionText(out.take()).value("weir_service_flows", "{service=\"" + name + "\"}"), 1);
}

TEST(Exposition, AFamilyOfManyBatchesIsOneFamily) {
  constexpr int kSeries = 5000;
  Exposition out(0);
  out.begin(Metric::kServiceFlows);
  for (int i = 0; i < kSeries; ++i) out.add({"s" + std::to_string(i)}, i);
  out.begin(Metric::kServiceRefused);
  for (int i = 0; i < kSeries; ++i) out.add({"s" + std::to_string(i)}, 2 * i);
  const ExpositionText text(out.take());
  for (int i = 0; i < kSeries; ++i) {
    EXPECT_EQ(text.value("weir_service_flows", "{service=\"s" + std::to_string(i) + "\"}"), i);
    EXPECT_EQ(text.value("weir_service_refused_total", "{service=\"s" + std::to_string(i) + "\"}"), 2 * i);
  }
  EXPECT_EQ(text.families().at("weir_service_flows").series.size(), kSeries);
}

// The rows of the manual's tables, as docs/metrics.md must have them; in any order, in any of its tables.
std::vector<std::string> rows_of_the_list() {
  std::vector<std::string> rows;
  for (const MetricInfo& m : metrics()) {
    std::string labels;
    for (const char c : m.labels) labels += c == ' ' ? std::string("`, `") : std::string(1, c);
    rows.push_back("| `" + std::string(m.name) + "` | " + (m.is_counter ? "counter" : "gauge") + " | " +
                   (labels.empty() ? "" : "`" + labels + "` ") + "| " + std::string(m.help) + " |");
  }
  return rows;
}

TEST(Metrics, TheManualListsThemAllAndNoOthers) {
  std::ifstream file(WEIR_DOCS "/metrics.md");
  ASSERT_TRUE(file);
  std::vector<std::string> rows;
  for (std::string line; std::getline(file, line);)
    if (line.starts_with("| `weir_")) rows.push_back(line);
  EXPECT_THAT(rows, ::testing::UnorderedElementsAreArray(rows_of_the_list()));
}

TEST(Metrics, NamesFollowPrometheusRules) {
  for (const MetricInfo& m : metrics()) {
    EXPECT_TRUE(m.name.starts_with("weir_")) << m.name;
    EXPECT_EQ(m.name.find_first_not_of("abcdefghijklmnopqrstuvwxyz_"), std::string_view::npos) << m.name;
    EXPECT_FALSE(m.help.empty()) << m.name;
    EXPECT_EQ(m.help.find_first_of("\\\n|"), std::string_view::npos)
        << m.name << ": neither Prometheus' nor the manual's";
  }
}

// ---- scrapes ----

struct Answers {
  std::vector<Response> all;
  Responder responder() {
    return [this](Response r) { all.push_back(std::move(r)); };
  }
};

// The io_context's work, until `n` answers have come.
void run_until(boost::asio::io_context& io, const Answers& answers, std::size_t n) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (answers.all.size() < n && std::chrono::steady_clock::now() < end) {
    io.restart();
    io.run_for(std::chrono::milliseconds(5));
  }
}

TEST(Scrapes, WhoAsksWhileOneIsMadeGetsTheSameText) {
  boost::asio::io_context io;
  std::promise<void> go;
  std::atomic<int> made = 0;
  Scrapes scrapes(io, [&] {
    return [&made, wait = std::make_shared<std::future<void>>(go.get_future())] {
      wait->wait();
      return "weir_x " + std::to_string(++made) + "\n";
    };
  });
  Answers answers;
  for (int i = 0; i < 3; ++i) scrapes.ask(answers.responder());
  EXPECT_TRUE(answers.all.empty());
  go.set_value();
  run_until(io, answers, 3);
  ASSERT_EQ(answers.all.size(), 3u);
  EXPECT_EQ(made, 1);
  for (const Response& r : answers.all) {
    EXPECT_EQ(r.status, 200u);
    EXPECT_EQ(r.content_type, "text/plain; version=0.0.4; charset=utf-8");
    EXPECT_EQ(r.shared, answers.all.front().shared) << "a copy of its own";
  }
}

TEST(Scrapes, TextsThatNobodyFinishesDoNotPileUp) {
  boost::asio::io_context io;
  int made = 0;
  Scrapes scrapes(io, [&] { return [&made] { return std::to_string(++made); }; });
  Answers answers;
  for (std::size_t n = 1; n <= Scrapes::kMostTexts; ++n) {
    scrapes.ask(answers.responder());
    run_until(io, answers, n);
  }
  scrapes.ask(answers.responder());  // the others are still held by `answers`
  ASSERT_EQ(answers.all.size(), Scrapes::kMostTexts + 1);
  EXPECT_EQ(answers.all.back().status, 503u);
  EXPECT_THAT(answers.all.back().body, ::testing::HasSubstr("earlier scrapes are still being read"));

  answers.all.clear();
  scrapes.ask(answers.responder());
  run_until(io, answers, 1);
  ASSERT_EQ(answers.all.size(), 1u);
  EXPECT_EQ(answers.all.front().status, 200u);
  EXPECT_EQ(*answers.all.front().shared, std::to_string(Scrapes::kMostTexts + 1));
}

TEST(Scrapes, TheTcpPortServesNothingElse) {
  boost::asio::io_context io;
  Scrapes scrapes(io, [] { return [] { return std::string("weir_x 1\n"); }; });
  Answers answers;
  for (const char* path : {"/", "/v1/status", "/v1/config", "/v1/reload", "/metrics/", "/metric"})
    scrapes.handle({.method = "GET", .path = path, .query = {}, .body = ""}, answers.responder());
  scrapes.handle({.method = "POST", .path = "/metrics", .query = {}, .body = ""}, answers.responder());
  ASSERT_EQ(answers.all.size(), 7u);
  for (std::size_t i = 0; i < 6; ++i) EXPECT_EQ(answers.all[i].status, 404u);
  EXPECT_EQ(answers.all.back().status, 405u);
}

}  // namespace
}  // namespace weir::control
