// The whole program between two pcap files: `weir run` on a net_pcap port reads a group's frames, and every byte that
// it sends must be what the case table says, in order. Drops by reason, conservation and the exit code as well.
//
// Left out here are the cases that move the clock or drain a token bucket (Case::mixes()); the path tests have them.
// The program's path stands in the environment variable WEIR.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <thread>

#include "control/http_client.h"
#include "lb/announce.h"
#include "tests/cases/case.h"
#include "tests/control/temporary_directory.h"
#include "tests/support/pcap_file.h"

extern char** environ;

namespace weir::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr std::chrono::seconds kPatience{60};  // under sanitizers on a busy machine

/// `weir run -c FILE`, its log kept; killed if nobody stops it.
class Program {
 public:
  Program(const std::string& config, std::string log) : log_(std::move(log)) {
    const char* weir = std::getenv("WEIR");
    if (weir == nullptr) throw std::runtime_error("the environment variable WEIR names the program to test");
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 2, log_.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    std::string words[] = {weir, "run", "-c", config};
    char* argv[] = {words[0].data(), words[1].data(), words[2].data(), words[3].data(), nullptr};
    const int error = posix_spawn(&pid_, weir, &actions, nullptr, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (error != 0) throw std::runtime_error(std::string("cannot start ") + weir);
  }
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;
  ~Program() {
    if (pid_ == 0) return;
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }

  [[nodiscard]] bool has_ended() {
    if (pid_ == 0) return true;
    if (waitpid(pid_, &status_, WNOHANG) == pid_) pid_ = 0;
    return pid_ == 0;
  }
  /// SIGTERM, and the exit code; -1 if it did not end by itself.
  [[nodiscard]] int stop() {
    if (pid_ != 0) kill(pid_, SIGTERM);
    for (const auto until = steady_clock::now() + kPatience; !has_ended() && steady_clock::now() < until;)
      std::this_thread::sleep_for(milliseconds(20));
    return pid_ == 0 && WIFEXITED(status_) ? WEXITSTATUS(status_) : -1;
  }
  [[nodiscard]] std::string log() const {
    std::ostringstream text;
    text << std::ifstream(log_).rdbuf();
    return text.str();
  }

 private:
  std::string log_;
  pid_t pid_ = 0;
  int status_ = 0;
};

std::uint64_t number(const boost::json::object& o, std::string_view key) {
  return o.at(key).to_number<std::uint64_t>();
}

/// /v1/drops, when `received` packets have been received and nothing is in flight any more; null if that never comes.
boost::json::object drops_at_rest(Program& weir, const std::string& socket, std::uint64_t received) {
  std::string last = "no answer";
  for (const auto until = steady_clock::now() + kPatience; steady_clock::now() < until && !weir.has_ended();) {
    if (const auto reply = control::request(socket, "GET", "/v1/drops", "", milliseconds(2000)); reply) {
      last = reply->body;
      const auto counts = boost::json::parse(reply->body).as_object();
      if (number(counts, "received") >= received && counts.at("difference").to_number<std::int64_t>() == 0)
        return counts;
    }
    std::this_thread::sleep_for(milliseconds(20));
  }
  ADD_FAILURE() << "weir did not take " << received << " packets and come to rest: " << last << "\n" << weir.log();
  return {};
}

// Does it tell the segment where an address is, without having been asked?
bool is_announcement(const Bytes& frame) {
  lb::Link link;
  if (lb::parse_link(frame, link)) return false;
  Bytes untagged(frame.begin(), frame.begin() + 12);
  untagged.insert(untagged.end(), frame.begin() + link.length - 2, frame.end());
  constexpr std::size_t kArpSender = 14 + 14, kNaTarget = 14 + 40 + 8;
  const auto is = [&](const lb::Address& address) {
    const lb::Announcement a = lb::announce(address, link.source);
    return std::ranges::equal(a.frame(), untagged);
  };
  const auto bytes_at = [&](std::size_t at, auto& bytes) {
    std::copy_n(untagged.data() + at, bytes.size(), bytes.data());
  };
  if (link.type == lb::kEtherArp && untagged.size() >= kArpSender + 4) {
    std::array<std::uint8_t, 4> v4;
    bytes_at(kArpSender, v4);
    return is(lb::Address::v4(lb::be32::from_raw(std::bit_cast<std::uint32_t>(v4))));
  }
  lb::Address v6;
  if (untagged.size() < kNaTarget + v6.bytes.size()) return false;
  bytes_at(kNaTarget, v6.bytes);
  return is(v6);
}

// What was sent without the announcements, which come when their time comes. (An answer to duplicate address detection
// looks like one; where the script wants it, it stays.)
std::vector<Bytes> without_announcements(const std::vector<CapturedPacket>& sent, const std::vector<Bytes>& script) {
  std::vector<Bytes> kept;
  for (const CapturedPacket& p : sent) {
    const bool is_wanted = kept.size() < script.size() && script[kept.size()] == p.bytes;
    if (is_wanted || !is_announcement(p.bytes)) kept.push_back(p.bytes);
  }
  return kept;
}

class PcapGroup : public ::testing::TestWithParam<const Group*> {};

TEST_P(PcapGroup, LeavesAsTheTableSays) {
  const Group& group = *GetParam();
  const Script script = mixed(group);
  const control::testing::TemporaryDirectory directory;
  ASSERT_TRUE(write_pcap(directory.file("in.pcap"), script.in));
  // The name is also what a second weir on this machine would be refused for.
  const std::string device = "net_pcap" + std::to_string(getpid()) + ",rx_pcap=" + directory.file("in.pcap") +
                             ",tx_pcap=" + directory.file("out.pcap");
  const std::string yaml = whole_yaml(group, device, directory.file("."));
  Program weir(directory.write("weir.yaml", yaml), directory.file("log"));

  const boost::json::object counts = drops_at_rest(weir, directory.file("weir.sock"), script.in.size());
  EXPECT_EQ(weir.stop(), 0) << weir.log();
  if (counts.empty()) return;

  EXPECT_EQ(number(counts, "received"), script.in.size());
  const auto& by_reason = counts.at("drops").as_object();
  ASSERT_EQ(by_reason.size(), lb::kDropReasons.size());
  std::uint64_t dropped = 0;
  for (std::size_t i = 0; i < script.drops.size(); ++i) {
    EXPECT_EQ(number(by_reason, lb::kDropReasons[i].name), script.drops[i]) << lb::kDropReasons[i].name;
    dropped += script.drops[i];
  }
  EXPECT_EQ(number(counts, "dropped"), dropped);
  const auto sent = read_pcap(directory.file("out.pcap"));
  ASSERT_TRUE(sent) << sent.error().message;
  const std::vector<Bytes> frames = without_announcements(*sent, script.out);
  expect_frames(script.out, frames);
  const std::uint64_t announced = number(counts, "sent") - script.out.size();  // until it was asked
  EXPECT_LE(announced, sent->size() - frames.size());
  EXPECT_EQ(number(counts, "generated"), script.out.size() + dropped - script.in.size() + announced);
}

std::vector<const Group*> all_groups() {
  std::vector<const Group*> all;
  for (const Group& g : groups())
    if (!g.has_twins) all.push_back(&g);
  return all;
}

INSTANTIATE_TEST_SUITE_P(Groups, PcapGroup, ::testing::ValuesIn(all_groups()),
                         [](const auto& group) { return group.param->name; });

TEST(PcapGroups, SayHowManyCasesRunHere) {
  std::size_t run = 0, left_out = 0;
  for (const Group* g : all_groups())
    for (const Case& c : g->cases) c.mixes() ? ++run : ++left_out;
  RecordProperty("cases", static_cast<int>(run));
  RecordProperty("left_out", static_cast<int>(left_out));
  std::printf("%zu cases; %zu more move the clock or drain a token bucket, and run on the path alone\n", run, left_out);
  EXPECT_GE(run, 280u);
}

}  // namespace
}  // namespace weir::test
