// The program itself, in the foreground on a file of the test's own. WEIR is the program, set by meson.
#pragma once

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/json/parse.hpp>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>
#include <vector>

#include "control/http_client.h"
#include "tests/control/temporary_directory.h"

namespace weir::control::testing {

class RunningWeir {
 public:
  /// `rest` is all of weir.yaml but memory, control and conntrack. Waits until it answers or has ended.
  explicit RunningWeir(const std::string& rest) : RunningWeir(rest, Options{}) {}
  RunningWeir(const std::string& rest, const char* memory, std::string state_dir = "")
      : RunningWeir(rest, Options{.memory = memory}, std::move(state_dir)) {}

  struct Options {
    std::string memory = "{mbufs: 4096, huge_pages: never}";
    std::string control;                   // more keys of control: ", metrics: 127.0.0.1:9901"
    std::vector<std::string> arguments;    // of `weir run`, besides -c
    std::vector<std::string> environment;  // NAME=value, besides the test's own
  };
  RunningWeir(const std::string& rest, Options options, std::string state_dir = "")
      : options_(std::move(options)), state_dir_(state_dir.empty() ? directory_.file("state") : std::move(state_dir)) {
    configure(rest);
    const std::string file = directory_.file("weir.yaml"), log = directory_.file("log");
    const char* program = std::getenv("WEIR");
    if (program == nullptr) throw std::runtime_error("run through meson test, or set WEIR=build/control/weir");
    std::vector<const char*> argv{program, "run", "-c", file.c_str()};
    for (const std::string& a : options_.arguments) argv.push_back(a.c_str());
    argv.push_back(nullptr);
    std::vector<const char*> environment;
    for (const std::string& e : options_.environment) environment.push_back(e.c_str());  // the first of a name counts
    for (char** e = environ; *e != nullptr; ++e) environment.push_back(*e);
    environment.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 2, log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    const int error = posix_spawn(&pid_, program, &actions, nullptr, const_cast<char**>(argv.data()),
                                  const_cast<char**>(environment.data()));
    posix_spawn_file_actions_destroy(&actions);
    if (error != 0) throw std::runtime_error("cannot start weir");
    wait_for([&] { return has_ended() || request(socket(), "GET", "/v1/status", "", kPatience).has_value(); });
  }
  RunningWeir(const RunningWeir&) = delete;
  RunningWeir& operator=(const RunningWeir&) = delete;
  ~RunningWeir() {
    if (!has_ended()) kill(pid_, SIGKILL), waitpid(pid_, &status_, 0);
  }

  /// For the next configure().
  void change_control(std::string more_keys) { options_.control = std::move(more_keys); }
  void configure(const std::string& rest) {
    directory_.write("weir.yaml", "memory: " + options_.memory + "\ncontrol: {socket: " + socket() + ", state_dir: " +
                                      state_dir_ + options_.control +
                                      "}\nconntrack: {capacity: 100000, wide_capacity: 100000}\n" + rest);
  }
  HttpReply ask(const std::string& method, const std::string& target) const {
    auto reply = request(socket(), method, target, "", kPatience);
    return reply ? *reply : HttpReply{.status = 0, .body = reply.error().message};
  }
  boost::json::value get(const std::string& target) const {
    boost::system::error_code broken;
    return boost::json::parse(ask("GET", target).body, broken);
  }
  void signal(int number) const { kill(pid_, number); }
  /// What it wrote on stderr so far.
  [[nodiscard]] std::string log() const {
    std::ifstream file(directory_.file("log"));
    return {std::istreambuf_iterator<char>(file), {}};
  }
  [[nodiscard]] std::string socket() const { return directory_.file("weir.sock"); }
  [[nodiscard]] std::string file(const std::string& name) const { return directory_.file(name); }
  /// Its exit code; -1 while it runs.
  [[nodiscard]] int exit_code() { return has_ended() ? WEXITSTATUS(status_) : -1; }

  /// False if it does not come true in time.
  template <class F>
  static bool wait_for(F&& holds) {
    const auto end = std::chrono::steady_clock::now() + kPatience;
    while (!holds()) {
      if (std::chrono::steady_clock::now() > end) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return true;
  }

 private:
  static constexpr std::chrono::seconds kPatience{20};

  bool has_ended() {
    if (!ended_ && waitpid(pid_, &status_, WNOHANG) == pid_) ended_ = true;
    return ended_;
  }

  Options options_;
  TemporaryDirectory directory_;
  std::string state_dir_;
  pid_t pid_ = -1;
  int status_ = -1;
  bool ended_ = false;
};

}  // namespace weir::control::testing
