#include "config/schema.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <set>

#include "config/load.h"
#include "config/outline.h"

namespace weir::config {
namespace {

namespace json = boost::json;

const json::value& at(const json::value& v, std::initializer_list<const char*> path) {
  const json::value* here = &v;
  for (const char* key : path) here = &here->at(key);
  return *here;
}

TEST(Schema, EveryKeyTheReaderTakesHasANoteAndEveryNoteAKey) {
  const auto noted = noted_paths();
  const auto keys = key_paths();
  EXPECT_GT(keys.size(), 60u);
  const std::set<std::string> notes(noted.begin(), noted.end()), known(keys.begin(), keys.end());
  EXPECT_EQ(notes.size(), noted.size()) << "a key has two notes";
  for (const std::string& key : known)
    EXPECT_TRUE(notes.contains(key)) << key << " is read and has no note: add a line to kNotes in config/schema.cc";
  for (const std::string& note : notes) EXPECT_TRUE(known.contains(note)) << note << " is noted and not read";
}

TEST(Schema, SaysWhatTheReaderWants) {
  const json::value s = schema();
  EXPECT_EQ(s.at("$schema"), "https://json-schema.org/draft/2020-12/schema");
  EXPECT_EQ(s.at("additionalProperties"), false);
  const json::value& service = at(s, {"properties", "services", "items"});
  EXPECT_EQ(service.at("required"), (json::array{"name", "vips", "backends"}));
  const json::value& weight = at(service, {"properties", "backends", "items", "properties", "weight"});
  EXPECT_EQ(weight.at("minimum"), 0);
  EXPECT_EQ(weight.at("maximum"), 65535);
  EXPECT_EQ(weight.at("default"), 1);
  EXPECT_EQ(at(service, {"properties", "reject", "enum"}), (json::array{"rst", "icmp", "drop"}));
  EXPECT_EQ(at(s, {"properties", "workers", "anyOf"}).as_array().size(), 2u) << "a number or a list of cores";
}

TEST(Schema, LeavesOutWhatIsNotInThisVersion) {
  const json::value s = schema();
  EXPECT_FALSE(s.at("properties").as_object().contains("kubernetes"));
  const json::value& service = at(s, {"properties", "services", "items", "properties"});
  EXPECT_FALSE(service.as_object().contains("affinity"));
  EXPECT_EQ(at(service, {"mode", "enum"}), (json::array{"dnat"}));
}

// A default that the schema tells and the reader does not have would be a lie: both files give one model.
TEST(Schema, DefaultsAreTheReadersOwn) {
  const std::string rest =
      "ports: [{name: p0, device: net_null0}]\n"
      "interfaces: [{name: lan, port: p0, addresses: [10.0.0.1/24]";
  const json::value s = schema();
  const auto value = [&s](std::initializer_list<const char*> path) {
    const json::value& v = at(s, path).at("default");
    return v.is_string() ? std::string(v.get_string()) : json::serialize(v);
  };
  const auto bare = load_text(rest + "}]\n", "weir.yaml");
  const auto written =
      load_text("workers: " + value({"properties", "workers"}) +
                    "\nmemory: {mbufs: " + value({"properties", "memory", "properties", "mbufs"}) +
                    ", mbuf_bytes: " + value({"properties", "memory", "properties", "mbuf_bytes"}) + ", huge_pages: " +
                    value({"properties", "memory", "properties", "huge_pages"}) + "}\nconntrack: {timeouts: {udp: " +
                    value({"properties", "conntrack", "properties", "timeouts", "properties", "udp"}) + "}}\n" + rest +
                    ", mtu: " + value({"properties", "interfaces", "items", "properties", "mtu"}) + "}]\n",
                "weir.yaml");
  ASSERT_TRUE(bare && written);
  EXPECT_EQ(bare->model.workers, written->model.workers);
  EXPECT_TRUE(bare->model.memory == written->model.memory);
  EXPECT_TRUE(bare->model.conntrack == written->model.conntrack);
  EXPECT_EQ(bare->model.interfaces.at(0).mtu, written->model.interfaces.at(0).mtu);
}

TEST(Schema, TextIsIndentedAndReadsAsTheSame) {
  const std::string text = schema_text();
  EXPECT_EQ(json::parse(text), json::value(schema()));
  EXPECT_THAT(text, testing::StartsWith("{\n  \"$schema\": "));
  EXPECT_TRUE(text.ends_with("}\n"));
}

}  // namespace
}  // namespace weir::config
