#include "control/show.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json/parse.hpp>

namespace weir::control {
namespace {

using ::testing::HasSubstr;

std::string shown(std::string_view noun, std::string_view answer) {
  return show_text(noun, boost::json::parse(answer));
}

TEST(Show, Services) {
  EXPECT_EQ(shown("services", R"({"generation": 3, "services": [
      {"name": "web", "protocol": "tcp", "mode": "dnat", "scheduler": "maglev",
       "vips": [{"address": "203.0.113.10", "port": 80}, {"address": "2001:db8::1", "port": "5000-5999"},
                {"address": "203.0.113.11", "port": "all"}],
       "backends": 3, "usable": 2, "connections": 12, "current": 4,
       "packets_in": 100, "packets_out": 90, "bytes_in": 6400, "bytes_out": 123456789012}]})"),
            "NAME  PROTOCOL  MODE  SCHEDULER  VIPS                                                        BACKENDS  "
            "USABLE  CONNECTIONS  CURRENT  PACKETS IN  PACKETS OUT  BYTES IN     BYTES OUT\n"
            "web   tcp       dnat  maglev     203.0.113.10:80, [2001:db8::1]:5000-5999, 203.0.113.11:all         3     "
            "  2           12        4         100           90      6400  123456789012\n");
}

TEST(Show, ALongListOfVipsIsCut) {
  std::string vips;
  for (int i = 0; i < 16; ++i)
    vips += (i == 0 ? "" : ",") + std::string(R"({"address": "203.0.113.)") + std::to_string(i) + R"(", "port": 80})";
  EXPECT_THAT(shown("services", R"({"services": [{"name": "web", "vips": [)" + vips + "]}]}"),
              HasSubstr("203.0.113.0:80, 203.0.113.1:80, 203.0.113.2:80 +13  "));
}

TEST(Show, BackendsWithAndWithoutAPort) {
  EXPECT_EQ(
      shown("backends", R"({"generation": 3, "backends": [
      {"service": "web", "address": "10.0.0.5", "port": 8080, "weight": 1, "state": "up", "reason": "",
       "connections": 1, "current": 1, "packets_in": 2, "packets_out": 3, "bytes_in": 4, "bytes_out": 5},
      {"service": "dns", "address": "fd00::5", "port": null, "weight": 0, "state": "draining", "reason": "weight 0",
       "connections": 0, "current": 0, "packets_in": 0, "packets_out": 0, "bytes_in": 0, "bytes_out": 0}]})"),
      "SERVICE  BACKEND        WEIGHT  STATE     REASON    CONNECTIONS  CURRENT  PACKETS IN  PACKETS OUT  BYTES IN  "
      "BYTES OUT\n"
      "web      10.0.0.5:8080       1  up        -                   1        1           2            3         4  "
      "        5\n"
      "dns      fd00::5             0  draining  weight 0            0        0           0            0         0  "
      "        0\n");
}

TEST(Show, FlowsSayWhenThereAreMore) {
  const std::string text = shown("flows", R"({"generation": 3, "total": 52100, "flows": [
      {"protocol": "tcp", "client": "192.0.2.7:40000", "vip": "203.0.113.10:80", "endpoint": "10.0.0.5:8080",
       "source": null, "state": "established", "expires_s": 7440, "worker": 0}]})");
  EXPECT_EQ(text,
            "PROTOCOL  CLIENT           VIP              ENDPOINT       SOURCE  STATE        EXPIRES  WORKER\n"
            "tcp       192.0.2.7:40000  203.0.113.10:80  10.0.0.5:8080  -       established     7440       0\n"
            "1 of 52100 flows; filters narrow the list (--help), --limit lengthens it\n");
}

TEST(Show, AnEmptyListSaysSo) {
  for (const char* noun : {"services", "backends", "flows", "ports", "routes", "neighbors", "workers"})
    EXPECT_EQ(shown(noun, std::string(R"({"generation": 1, ")") + noun + "\": []}"), std::string("no ") + noun + "\n");
}

TEST(Show, DropsThatHappenedAndTheBalance) {
  EXPECT_EQ(shown("drops", R"({"drops": {"no_vip": 12, "ip_ttl": 0, "martian": 3}, "received": 1015, "injected": 0,
                              "generated": 2, "sent": 1002, "dropped": 15, "punted": 0, "held": 0, "difference": 0})"),
            "REASON   PACKETS\n"
            "no_vip        12\n"
            "martian        3\n"
            "\n"
            "BALANCE     PACKETS\n"
            "received       1015\n"
            "injected          0\n"
            "generated         2\n"
            "sent           1002\n"
            "dropped          15\n"
            "punted            0\n"
            "held              0\n"
            "difference        0\n");
  EXPECT_THAT(shown("drops", R"({"drops": {"no_vip": 0}})"), HasSubstr("no drops\n"));
}

TEST(Show, ConfigIsTheFileItself) {
  EXPECT_EQ(shown("config", R"({"generation": 1, "file": "w.yaml", "text": "workers: 1\nports: []"})"),
            "workers: 1\nports: []\n");
}

TEST(Show, WorkersWithTheStepsTheyName) {
  EXPECT_EQ(shown("workers", R"({"generation": 1, "workers": [
      {"worker": 0, "core": 2, "packets": 1000, "packets_per_burst": 12.25, "busy": 0.5, "flows": 7,
       "step_ns": {"receive": 1.5, "parse": 2}}]})"),
            "WORKER  CORE  PACKETS  A BURST    BUSY  FLOWS  HANDED OVER  TAKEN OVER  RECEIVE NS  PARSE NS\n"
            "     0     2     1000     12.2  50.0 %      7            -           -         1.5       2.0\n");
}

TEST(Show, SurvivesAnAnswerOfAnotherShape) {
  for (const Noun& noun : nouns())
    for (const char* answer :
         {"null", "[]", "{}", "7", R"({"services": [1, null, {}], "backends": [[]], "flows": 3, "drops": [],
           "text": 1, "workers": [{"step_ns": 1}], "ports": [{"name": {"a": []}}], "routes": [""], "neighbors": {}})"})
      EXPECT_FALSE(shown(noun.name, answer).empty()) << noun.name << " " << answer;
  EXPECT_FALSE(trace_text(boost::json::parse(R"({"steps": [1, {}], "backend": 3, "candidates": [null]})")).empty());
}

TEST(Show, ATraceThatForwards) {
  EXPECT_EQ(trace_text(boost::json::parse(R"({"verdict": "forward", "reason": "new flow", "service": "web",
      "vip": "203.0.113.10:80", "candidates": [{"address": "10.0.0.4", "port": 8080, "share": 0.6667},
      {"address": "10.0.0.5", "port": 8080, "share": 0.3333}], "backend": {"address": "10.0.0.5", "port": 8080},
      "snat": false, "next_hop": "10.0.0.5", "steps": ["parse: tcp SYN", "vip: web"]})")),
            "parse: tcp SYN\n"
            "vip: web\n"
            "verdict: forward to 10.0.0.5:8080 (service web, 33.3 % of new flows)\n");
}

TEST(Show, AShareIsOfNewFlowsOnly) {
  const auto verdict = [](const std::string& reason) {
    return trace_text(boost::json::parse(R"({"verdict": "forward", "reason": ")" + reason + R"(", "service": "web",
        "candidates": [{"address": "10.0.0.5", "port": 80, "share": 1}], "backend": {"address": "10.0.0.5", "port": 80}})"));
  };
  EXPECT_EQ(verdict("new flow"), "verdict: forward to 10.0.0.5:80 (service web, 100.0 % of new flows)\n");
  EXPECT_EQ(verdict("known flow"), "verdict: forward to 10.0.0.5:80 (service web, known flow)\n");
  EXPECT_EQ(verdict("adopted flow"), "verdict: forward to 10.0.0.5:80 (service web, adopted flow)\n");
}

TEST(Show, TracesThatDoNot) {
  EXPECT_EQ(trace_text(boost::json::parse(R"({"verdict": "drop", "reason": "martian", "service": null, "steps": []})")),
            "verdict: drop (martian)\n");
  EXPECT_EQ(trace_text(boost::json::parse(R"({"verdict": "refuse", "reason": "no_backend", "service": "web",
      "backend": null, "candidates": [], "steps": ["choose: no usable backend"]})")),
            "choose: no usable backend\nverdict: refuse (no_backend, service web)\n");
}

}  // namespace
}  // namespace weir::control
