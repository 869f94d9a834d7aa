#include "control/cli.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <vector>

#include "control/json_text.h"
#include "control/version.h"
#include "tests/control/running_server.h"

namespace weir::control {
namespace {

using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::MatchesRegex;
using testing::RunningServer;
using testing::TemporaryDirectory;

struct Outcome {
  int exit_code;
  std::string out;
  std::string err;
};

Outcome weir(std::vector<std::string> args) {
  std::vector<const char*> argv{"weir"};
  for (const std::string& a : args) argv.push_back(a.c_str());
  std::ostringstream out, err;
  const int exit_code = cli_main(static_cast<int>(argv.size()), argv.data(), out, err);
  return {exit_code, out.str(), err.str()};
}

/// A daemon that gives one answer and remembers the question.
class Daemon {
 public:
  explicit Daemon(Response answer)
      : server_([this, answer = std::move(answer)](Request r, const Responder& respond) {
          seen_ = std::move(r);
          respond(answer);
        }) {}

  Outcome asked(std::vector<std::string> args) {
    args.insert(args.end(), {"--socket", server_.path()});
    return weir(std::move(args));
  }
  [[nodiscard]] std::string socket() const { return server_.path(); }
  /// Of the last command; that has returned, so nobody writes.
  [[nodiscard]] const Request& seen() const { return seen_; }

 private:
  Request seen_;
  RunningServer server_;
};

TEST(Cli, UsageErrorsExitWith2) {
  for (const std::vector<std::string>& args : std::vector<std::vector<std::string>>{
           {},
           {"frob"},
           {"show"},
           {"show", "frobs"},
           {"show", "flows", "--bogus"},
           {"show", "flows", "-o", "xml"},
           {"show", "routes", "--service", "web"},
           {"run"},
           {"run", "-c", "-"},
           {"--socket"},
           {"--socket", "/tmp/weir.sock"},
           {"--socket", "/tmp/weir.sock", "frob"},
           {"show", "--socket=/tmp/weir.sock", "frobs"},
           {"check"},
           {"reload", "now"},
           {"trace", "tcp", "192.0.2.7:1"},
           {"trace", "icmp", "192.0.2.7:1", "203.0.113.10:80"},
           {"trace", "sctp", "192.0.2.7:1", "203.0.113.10:80"},
           {"trace", "tcp", "192.0.2.7", "203.0.113.10:80"},
           {"trace", "tcp", "192.0.2.7:1", "203.0.113.10"},
           {"trace", "tcp", "192.0.2.7:1", "[2001:db8::1]:80"},
           {"trace", "udp", "192.0.2.7:1", "203.0.113.10:53", "--mid-stream"},
           {"completion", "tcsh"},
           {"keygen", "--bogus"},
       }) {
    const Outcome o = weir(args);
    EXPECT_EQ(o.exit_code, kExitUsage) << ::testing::PrintToString(args);
    EXPECT_THAT(o.out, IsEmpty()) << ::testing::PrintToString(args);
    EXPECT_THAT(o.err, EndsWith("\n")) << ::testing::PrintToString(args);
  }
}

TEST(Cli, CommandsOfLaterVersionsSaySo) {
  for (const char* name : {"top", "import", "ipvsadm"}) {
    const Outcome o = weir({name, "-c", "weir.yaml", "--help"});
    EXPECT_EQ(o.exit_code, kExitUsage) << name;
    EXPECT_EQ(o.err, std::string("weir ") + name + ": not in this version\n");
  }
}

TEST(Cli, PrintsTheSchema) {
  const Outcome o = weir({"schema"});
  EXPECT_EQ(o.exit_code, kExitDone);
  EXPECT_THAT(o.out, AllOf(HasSubstr("json-schema.org/draft/2020-12"), HasSubstr("\"services\"")));
}

/// A file with one service of these backends.
std::string file_with(const std::string& backends, const std::string& more = "") {
  return "hash_key: \"00112233445566778899aabbccddeeff\"\n" + more +
         "ports: [{name: p0, device: net_null0}]\n"
         "interfaces: [{name: lan, port: p0, addresses: [10.0.0.1/24]}]\n"
         "services: [{name: web, vips: [{address: 203.0.113.10, port: 80}], backends: [" +
         backends + "]}]\n";
}

TEST(Cli, DiffComparesTwoFiles) {
  const TemporaryDirectory folder;
  const std::string now = folder.write("now.yaml", file_with("{address: 10.0.0.5}"));
  const std::string next = folder.write("next.yaml", file_with("{address: 10.0.0.5}, {address: 10.0.0.6}"));
  const Outcome o = weir({"diff", "-c", next, "--against", now});
  EXPECT_EQ(o.exit_code, kExitDone) << o.err;
  EXPECT_THAT(o.out, AllOf(HasSubstr("+  service web: backend 10.0.0.6"), HasSubstr("1 change\n"),
                           HasSubstr("% of its new IPv4 flows get another backend\nflows under way")));
  EXPECT_EQ(weir({"diff", "-c", next, "--against", now, "--exit-code"}).exit_code, kExitRefused);
  EXPECT_EQ(weir({"diff", "-c", now, "--against", now, "--exit-code"}).exit_code, kExitDone);
  EXPECT_EQ(weir({"diff", "-c", now, "--against", now}).out, "no changes\n");
  EXPECT_THAT(
      weir({"diff", "-c", next, "--against", now, "-o", "json"}).out,
      HasSubstr(R"({"changes":[{"change":"added","what":"backend","name":"10.0.0.6","service":"web"}],"moved":[)"));
}

TEST(Cli, DiffAsksTheDaemonForWhatRuns) {
  const TemporaryDirectory folder;
  const std::string next = folder.write("next.yaml", file_with("{address: 10.0.0.5}", "memory: {mbufs: 4096}\n"));
  Daemon daemon({200, "application/json",
                 boost::json::serialize(boost::json::object{
                     {"generation", 3}, {"file", "w.yaml"}, {"text", file_with("{address: 10.0.0.5}")}})});
  const Outcome o = daemon.asked({"diff", "-c", next});
  EXPECT_EQ(daemon.seen().path, "/v1/config");
  EXPECT_EQ(o.exit_code, kExitDone) << o.err;
  EXPECT_THAT(o.out, HasSubstr("a reload would refuse them all: memory can only change by a restart"));
}

TEST(Cli, DiffOfABadFileOrWithoutADaemon) {
  const TemporaryDirectory folder;
  const std::string bad = folder.write("bad.yaml", "workers: 0\n");
  const Outcome refused = weir({"diff", "-c", bad, "--against", bad});
  EXPECT_EQ(refused.exit_code, kExitRefused);
  EXPECT_THAT(refused.err, HasSubstr("bad.yaml:1:10: workers: 0 is out of range"));
  const std::string good = folder.write("good.yaml", file_with("{address: 10.0.0.5}"));
  const Outcome alone = weir({"diff", "-c", good, "--socket", folder.file("none.sock")});
  EXPECT_EQ(alone.exit_code, kExitUnreachable);
  EXPECT_THAT(alone.err, HasSubstr("none.sock"));
}

TEST(Cli, AMistypedCommandIsNamed) {
  EXPECT_THAT(weir({"frob"}).err, HasSubstr("\"frob\""));
  EXPECT_THAT(weir({"--socket", "/tmp/weir.sock", "frob"}).err, HasSubstr("\"frob\""));
  EXPECT_THAT(weir({"show", "frobs"}).err, AllOf(HasSubstr("\"frobs\""), HasSubstr("weir show --help")));
}

TEST(Cli, EveryCommandHelps) {
  for (const std::vector<std::string>& args : std::vector<std::vector<std::string>>{{"run"},
                                                                                    {"check"},
                                                                                    {"reload"},
                                                                                    {"show"},
                                                                                    {"trace"},
                                                                                    {"keygen"},
                                                                                    {"version"},
                                                                                    {"completion"},
                                                                                    {"show", "services"},
                                                                                    {"show", "backends"},
                                                                                    {"show", "flows"},
                                                                                    {"show", "ports"},
                                                                                    {"show", "routes"},
                                                                                    {"show", "neighbors"},
                                                                                    {"show", "drops"},
                                                                                    {"show", "config"},
                                                                                    {"show", "workers"}}) {
    std::vector<std::string> with_help = args;
    with_help.emplace_back("--help");
    const Outcome o = weir(with_help);
    EXPECT_EQ(o.exit_code, kExitDone);
    EXPECT_THAT(o.out, HasSubstr("Example: weir " + args[0])) << ::testing::PrintToString(args);
  }
  EXPECT_EQ(weir({"--help"}).exit_code, kExitDone);
}

TEST(Cli, VersionAndKeygen) {
  EXPECT_EQ(weir({"version"}).out, "weir " + std::string(version()) + "\n");
  EXPECT_EQ(weir({"--version"}).out, weir({"version"}).out);
  const Outcome one = weir({"keygen"}), two = weir({"keygen"});
  EXPECT_EQ(one.exit_code, kExitDone);
  EXPECT_THAT(one.out, MatchesRegex("[0-9a-f]{32}\n"));
  EXPECT_NE(one.out, two.out);
}

std::string completed(std::vector<std::string> words) {
  words.insert(words.begin(), {"complete", "--"});
  const Outcome o = weir(std::move(words));
  EXPECT_EQ(o.exit_code, kExitDone);
  return "\n" + o.out;
}

TEST(Cli, CompletesWhatTheParserTakes) {
  EXPECT_THAT(completed({""}), AllOf(HasSubstr("\nshow\n"), HasSubstr("\nkeygen\n"), HasSubstr("\nflush\n"),
                                     ::testing::Not(HasSubstr("ipvsadm"))));
  EXPECT_EQ(completed({"sh"}), "\nshow\n");
  EXPECT_EQ(completed({"--socket", "/tmp/weir.sock", "rel"}), "\nreload\n");
  EXPECT_THAT(completed({"show", ""}), AllOf(HasSubstr("\nflows\n"), HasSubstr("\ndrains\n")));
  EXPECT_THAT(completed({"show", "flows", "--"}),
              AllOf(HasSubstr("\n--client\n"), HasSubstr("\n--vip\n"), HasSubstr("\n--socket\n")));
  EXPECT_EQ(completed({"show", "flows", "--st"}), "\n--state\n");
  EXPECT_EQ(completed({"show", "flows", "--state", "e"}), "\nestablished\n");
  EXPECT_EQ(completed({"show", "flows", "--state=e"}), "\n--state=established\n");
  EXPECT_EQ(completed({"show", "flows", "--protocol", "tcp", "-o", ""}), "\ntable\njson\n");
  EXPECT_EQ(completed({"flush", ""}), "\nflows\n");
  EXPECT_EQ(completed({"trace", ""}), "\ntcp\nudp\n");
  EXPECT_EQ(completed({"trace", "tcp", "192"}), "\n");
  EXPECT_EQ(completed({"check", "-c", ""}), "\n:files\n");
  EXPECT_EQ(completed({"completion", "f"}), "\nfish\n");
  EXPECT_EQ(completed({"frob", "-"}).find("--client"), std::string::npos);
}

TEST(Cli, CompletesNamesThatTheDaemonHas) {
  Daemon daemon({200, "application/json", R"({"generation":3,"services":[{"name":"web"},{"name":"a b"},{"name":"www"}],
      "backends":[{"address":"10.0.0.5","port":8080},{"address":"10.0.0.5","port":8080},{"address":"fd00::5","port":null}]})"});
  const std::string socket = daemon.socket();
  EXPECT_EQ(completed({"--socket", socket, "show", "flows", "--service", "w"}), "\nweb\nwww\n");
  EXPECT_EQ(completed({"drain", "--socket", socket, "--service", "web", ""}), "\n10.0.0.5:8080\nfd00::5\n");
  EXPECT_EQ(daemon.seen().path, "/v1/backends");
  EXPECT_EQ(daemon.seen().query, (Query{{"service", "web"}}));
  EXPECT_EQ(completed({"show", "backends", "--socket=" + socket, "--backend", "10.0.0.5:"}), "\n10.0.0.5:8080\n");
  EXPECT_EQ(completed({"drain", "--socket", "/nowhere.sock", ""}).find("10.0.0.5"), std::string::npos);
}

TEST(Cli, CompletionScriptsAreShell) {
  TemporaryDirectory directory;
  for (const std::string shell : {"bash", "zsh", "fish"}) {
    const Outcome o = weir({"completion", shell});
    EXPECT_EQ(o.exit_code, kExitDone);
    EXPECT_THAT(o.out, HasSubstr(" complete -- ")) << shell;
    const std::string file = directory.write(shell, o.out);
    if (::system(("command -v " + shell + " >/dev/null").c_str()) == 0) {
      EXPECT_EQ(::system((shell + " -n " + file).c_str()), 0) << shell;
    }
  }
}

constexpr const char* kGoodFile = R"(
ports:
  - {name: p0, device: net_null0}
interfaces:
  - {name: uplink, port: p0, addresses: [198.51.100.1/24]}
services:
  - name: web
    vips: [{address: 203.0.113.10, port: 80}]
    protocol: tcp
    backends: [{address: 198.51.100.5, port: 8080}, {address: 198.51.100.6, port: 8080}]
)";

TEST(Cli, CheckOfAGoodFile) {
  TemporaryDirectory directory;
  const std::string file = directory.write("weir.yaml", kGoodFile);
  const Outcome o = weir({"check", "-c", file});
  EXPECT_EQ(o.exit_code, kExitDone) << o.err;
  EXPECT_EQ(o.out, file + ": good: 1 service, 2 backends, 1 interface\n");
  EXPECT_THAT(o.err, AllOf(HasSubstr(file + ":"), HasSubstr("warning: "), HasSubstr("hash_key")));
}

TEST(Cli, CheckNamesEveryProblemOfEveryFile) {
  TemporaryDirectory directory;
  const std::string good = directory.write("good.yaml", kGoodFile);
  const std::string bad = directory.write("bad.yaml", "workers: many\nprots: []\n");
  const std::string none = directory.file("none.yaml");
  const Outcome o = weir({"check", "-c", bad, none, good});
  EXPECT_EQ(o.exit_code, kExitRefused);
  EXPECT_THAT(o.out, HasSubstr(good));
  EXPECT_THAT(o.err, AllOf(HasSubstr(bad + ":1:10: "), HasSubstr(bad + ":2:1: "), HasSubstr(none + ": ")));
}

TEST(Cli, WithoutADaemonExitsWith3) {
  TemporaryDirectory directory;
  const std::string socket = directory.file("weir.sock");
  for (const std::vector<std::string>& args :
       std::vector<std::vector<std::string>>{{"reload"},
                                             {"show", "flows"},
                                             {"show", "drops", "-o", "json"},
                                             {"trace", "tcp", "192.0.2.7:1", "203.0.113.10:80"}}) {
    std::vector<std::string> all = args;
    all.insert(all.end(), {"--socket", socket});
    const Outcome o = weir(all);
    EXPECT_EQ(o.exit_code, kExitUnreachable);
    EXPECT_THAT(o.err, HasSubstr(socket));
    EXPECT_THAT(o.out, IsEmpty());
  }
}

TEST(Cli, TheSocketMayBeNamedAnywhere) {
  const std::string socket = "/nonexistent/weir.sock";
  for (const std::vector<std::string>& args :
       std::vector<std::vector<std::string>>{{"--socket", socket, "show", "flows"},
                                             {"--socket=" + socket, "show", "flows"},
                                             {"show", "--socket", socket, "flows"},
                                             {"show", "flows", "--socket", socket},
                                             {"--socket", socket, "reload"},
                                             {"--socket", socket, "trace", "tcp", "192.0.2.7:1", "203.0.113.10:80"}}) {
    const Outcome o = weir(args);
    EXPECT_EQ(o.exit_code, kExitUnreachable) << ::testing::PrintToString(args);
    EXPECT_THAT(o.err, HasSubstr(socket)) << ::testing::PrintToString(args);
  }
  for (const std::vector<std::string>& args :
       std::vector<std::vector<std::string>>{{"completion", "bash"}, {"completion", "zsh"}, {"version"}, {"keygen"}}) {
    std::vector<std::string> before = args, after = args;
    before.insert(before.begin(), {"--socket", socket});
    after.insert(after.end(), {"--socket", socket});
    EXPECT_EQ(weir(before).exit_code, kExitDone) << ::testing::PrintToString(args);
    EXPECT_EQ(weir(after).exit_code, kExitDone) << ::testing::PrintToString(args);
  }
}

TEST(Cli, JsonIsTheDaemonsOwn) {
  const std::string body = R"({"generation":3,"services":[ ]})";
  Daemon daemon({200, "application/json", body});
  const Outcome o = daemon.asked({"show", "services", "-o", "json"});
  EXPECT_EQ(o.exit_code, kExitDone);
  EXPECT_EQ(o.out, body + "\n");
  EXPECT_EQ(daemon.asked({"show", "services"}).out, "no services\n");
}

TEST(Cli, FiltersGoIntoTheQuery) {
  Daemon daemon({200, "application/json", R"({"generation":3,"flows":[]})"});
  const Outcome o = daemon.asked({"show", "flows", "--service", "a b", "--protocol", "tcp", "--client", "2001:db8::7",
                                  "--backend", "[fd00::5]:8080"});
  EXPECT_EQ(o.exit_code, kExitDone) << o.err;
  EXPECT_EQ(daemon.seen().path, "/v1/flows");
  EXPECT_EQ(daemon.seen().query,
            (Query{{"backend", "[fd00::5]:8080"}, {"client", "2001:db8::7"}, {"protocol", "tcp"}, {"service", "a b"}}));
}

TEST(Cli, DrainAndEnableSayWhatBecameOfIt) {
  Daemon daemon(
      {200, "application/json", R"({"generation":3,"changed":true,"services":["web"],"warnings":["w\u001b"]})"});
  const Outcome o = daemon.asked({"drain", "[fd00::5]:8080", "--service", "web"});
  EXPECT_EQ(o.exit_code, kExitDone) << o.err;
  EXPECT_EQ(o.out, "[fd00::5]:8080 is drained\n");
  EXPECT_EQ(o.err, "warning: w\\x1b\n");
  EXPECT_EQ(daemon.seen().method, "POST");
  EXPECT_EQ(daemon.seen().path, "/v1/drain");
  EXPECT_EQ(daemon.seen().query, (Query{{"backend", "[fd00::5]:8080"}, {"service", "web"}}));
  EXPECT_EQ(daemon.asked({"enable", "10.0.0.5"}).out, "10.0.0.5 is enabled\n");
  EXPECT_EQ(daemon.seen().path, "/v1/enable");
  EXPECT_EQ(daemon.asked({"drain", "web"}).exit_code, kExitUsage);
  EXPECT_EQ(daemon.asked({"drain"}).exit_code, kExitUsage);

  Daemon same({200, "application/json", R"({"generation":3,"changed":false,"services":["web"],"warnings":[]})"});
  EXPECT_EQ(same.asked({"drain", "10.0.0.5"}).out, "10.0.0.5 was drained already\n");
}

TEST(Cli, FlushSaysHowManyAndNeverGuessesAll) {
  Daemon daemon({200, "application/json", R"({"generation":3,"flushed":1})"});
  const Outcome o = daemon.asked({"flush", "flows", "--vip", "203.0.113.10:80", "--state", "closing"});
  EXPECT_EQ(o.exit_code, kExitDone) << o.err;
  EXPECT_EQ(o.out, "1 flow flushed\n");
  EXPECT_EQ(daemon.seen().method, "DELETE");
  EXPECT_EQ(daemon.seen().path, "/v1/flows");
  EXPECT_EQ(daemon.seen().query, (Query{{"state", "closing"}, {"vip", "203.0.113.10:80"}}));
  EXPECT_EQ(daemon.asked({"flush", "flows", "--all"}).exit_code, kExitDone);
  EXPECT_EQ(daemon.seen().query, (Query{{"all", "1"}}));
  for (const std::vector<std::string>& args :
       std::vector<std::vector<std::string>>{{"flush", "flows"},
                                             {"flush", "flows", "--all", "--service", "web"},
                                             {"flush"},
                                             {"flush", "flows", "--limit", "3"}})
    EXPECT_EQ(daemon.asked(args).exit_code, kExitUsage) << ::testing::PrintToString(args);
}

TEST(Cli, ARefusalExitsWith1AndItsSentence) {
  Daemon daemon({404, "application/json", error_json("no service \"wbe\"")});
  const Outcome o = daemon.asked({"show", "backends", "--service", "wbe"});
  EXPECT_EQ(o.exit_code, kExitRefused);
  EXPECT_EQ(o.err, "weir: no service \"wbe\"\n");
  EXPECT_THAT(o.out, IsEmpty());
}

TEST(Cli, ARefusalIsUtf8WhateverItQuotes) {
  EXPECT_EQ(error_json("no \"caf\xc3\xa9\""), "{\"error\":\"no \\\"caf\xc3\xa9\\\"\"}");
  EXPECT_EQ(error_json("a\xff\xc3(\xed\xa0\x80z"),
            "{\"error\":\"a\xef\xbf\xbd\xef\xbf\xbd(\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdz\"}");
}

TEST(Cli, AnAnswerThatIsNotJsonIsSaidToBeSo) {
  Daemon daemon({200, "text/plain", "hello"});
  EXPECT_EQ(daemon.asked({"show", "flows"}).exit_code, kExitRefused);
  EXPECT_EQ(daemon.asked({"reload"}).exit_code, kExitRefused);
  EXPECT_EQ(daemon.asked({"trace", "tcp", "192.0.2.7:1", "203.0.113.10:80"}).exit_code, kExitRefused);
}

TEST(Cli, ReloadPrintsTheGeneration) {
  Daemon daemon(
      {200, "application/json", R"({"generation":7,"changed":true,"warnings":["w.yaml:3:5: warning: no hash_key"]})"});
  const Outcome o = daemon.asked({"reload"});
  EXPECT_EQ(o.exit_code, kExitDone);
  EXPECT_EQ(o.out, "generation 7\n");
  EXPECT_EQ(o.err, "w.yaml:3:5: warning: no hash_key\n");
  EXPECT_EQ(daemon.seen().method, "POST");
  EXPECT_EQ(daemon.seen().path, "/v1/reload");

  Daemon same({200, "application/json", R"({"generation":7,"changed":false,"warnings":[]})"});
  EXPECT_EQ(same.asked({"reload"}).out, "generation 7 (unchanged)\n");
}

TEST(Cli, ARefusedReloadPrintsEveryProblem) {
  Daemon daemon({422, "application/json", R"({"errors":["w.yaml:3:5: one","w.yaml:9:1: two"]})"});
  const Outcome o = daemon.asked({"reload"});
  EXPECT_EQ(o.exit_code, kExitRefused);
  EXPECT_EQ(o.err, "w.yaml:3:5: one\nw.yaml:9:1: two\n");
  EXPECT_THAT(o.out, IsEmpty());
}

TEST(Cli, TraceAsksTheDaemon) {
  const std::string body = R"({"verdict":"drop","reason":"no_vip","steps":["vip: none owns 203.0.113.10"]})";
  Daemon daemon({200, "application/json", body});
  const Outcome o = daemon.asked(
      {"trace", "tcp", "[2001:db8::7]:40000", "[2001:db8:100::10]:80", "--mid-stream", "--interface", "uplink"});
  EXPECT_EQ(o.exit_code, kExitDone) << o.err;
  EXPECT_EQ(o.out, "vip: none owns 203.0.113.10\nverdict: drop (no_vip)\n");
  EXPECT_EQ(daemon.seen().path, "/v1/trace");
  EXPECT_EQ(daemon.seen().query, (Query{{"destination", "[2001:db8:100::10]:80"},
                                        {"interface", "uplink"},
                                        {"mid_stream", "1"},
                                        {"protocol", "tcp"},
                                        {"source", "[2001:db8::7]:40000"}}));
  EXPECT_EQ(daemon.asked({"trace", "udp", "192.0.2.7:1", "203.0.113.10:53", "-o", "json"}).out, body + "\n");
}

/// The process itself, for what cli_main() cannot show. WEIR is the program, set by meson.
class CliProcess : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_NE(::getenv("WEIR"), nullptr) << "run through meson test, or set WEIR=build/control/weir";
  }
  static int shell(const std::string& script) { return WEXITSTATUS(::system(("bash -c '" + script + "'").c_str())); }
};

TEST_F(CliProcess, AReaderThatGoesAwayIsNoCrash) {
  EXPECT_EQ(shell("{ sleep 0.2; exec $WEIR --help; } | true; exit ${PIPESTATUS[0]}"), 0);
}

// Real bash with Debian's bash-completion, the words as bash itself breaks them: at ':' and '=' too.
TEST_F(CliProcess, BashCompletesTheLine) {
  const TemporaryDirectory directory;
  Daemon daemon(
      {200, "application/json",
       R"({"generation":3,"backends":[{"address":"10.0.0.5","port":8080},{"address":"10.0.0.6","port":80}]})"});
  directory.write("weir.yaml", "");
  const auto completes = [&](const std::string& words, const std::string& line) {
    const std::string script = directory.write(
        "script", "source /usr/share/bash-completion/bash_completion || exit 9\nsource <($WEIR completion bash)\ncd " +
                      directory.file("") + "\nCOMP_WORDS=($WEIR " + words +
                      ")\nCOMP_CWORD=$((${#COMP_WORDS[@]} - 1))\n" + "COMP_LINE=\"$WEIR " + line +
                      "\"\nCOMP_POINT=${#COMP_LINE}\n_weir weir\necho \"${COMPREPLY[*]}\"\n");
    EXPECT_EQ(shell("bash " + script + " > " + directory.file("out") + " 2>/dev/null"), 0);
    std::ifstream out(directory.file("out"));
    std::string text;
    std::getline(out, text);
    return text;
  };
  const std::string socket = "--socket " + daemon.socket();
  EXPECT_EQ(completes("re", "re"), "reload");
  EXPECT_EQ(completes("show fl", "show fl"), "flows");
  EXPECT_EQ(completes("check -c weir.y", "check -c weir.y"), "weir.yaml");
  EXPECT_EQ(completes(socket + " drain 10.0.0.", socket + " drain 10.0.0."), "10.0.0.5:8080 10.0.0.6:80");
  EXPECT_EQ(completes(socket + " drain 10.0.0.5 : 8", socket + " drain 10.0.0.5:8"), "8080")
      << "bash puts it behind ':'";
  EXPECT_EQ(completes("show flows --sta", "show flows --sta"), "--state");
}

TEST_F(CliProcess, OutputThatCannotBeWrittenIsAnError) {
  EXPECT_EQ(shell("$WEIR --help >/dev/full 2>/dev/null"), kExitEnvironment);
}

}  // namespace
}  // namespace weir::control
