#include "control/notify.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <cstring>
#include <functional>
#include <vector>

#include "control/file_descriptor.h"
#include "control/heartbeat.h"
#include "tests/control/running_weir.h"
#include "tests/control/temporary_directory.h"

namespace weir::control {
namespace {

using namespace std::chrono_literals;
using ::testing::MatchesRegex;

/// What systemd would read.
class Listener {
 public:
  Listener() : fd_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0)) {
    sockaddr_un a{};
    a.sun_family = AF_UNIX;
    const std::string path = directory_.file("notify");
    std::memcpy(a.sun_path, path.data(), path.size());
    EXPECT_EQ(::bind(fd_.get(), reinterpret_cast<const sockaddr*>(&a), sizeof(a)), 0);
    ::setenv("NOTIFY_SOCKET", path.c_str(), 1);
  }
  ~Listener() { ::unsetenv("NOTIFY_SOCKET"); }
  std::string next() {
    char text[512];
    const ssize_t n = ::recv(fd_.get(), text, sizeof(text), 0);
    return n < 0 ? "(nothing)" : std::string(text, static_cast<std::size_t>(n));
  }

 private:
  testing::TemporaryDirectory directory_;
  FileDescriptor fd_;
};

TEST(Notify, TellsSystemd) {
  Listener systemd;
  notify_ready("forwarding\nREADY=0");
  EXPECT_EQ(systemd.next(), "READY=1\nSTATUS=forwarding READY=0");
  notify_reloading();
  EXPECT_THAT(systemd.next(), MatchesRegex("RELOADING=1\nMONOTONIC_USEC=[0-9]+"));
  notify_status("12 services");
  EXPECT_EQ(systemd.next(), "STATUS=12 services");
  notify_stopping({});
  EXPECT_EQ(systemd.next(), "STOPPING=1");
  notify_stopping(std::chrono::seconds(5));
  EXPECT_EQ(systemd.next(), "STOPPING=1\nEXTEND_TIMEOUT_USEC=35000000");
}

// The control loop of a daemon with one worker, for half a second at most and until `n` datagrams have come.
int pings_of(Listener& systemd, const std::function<std::uint64_t()>& loops, int n) {
  boost::asio::io_context io;
  const Heartbeat heartbeat(io, [&] { return std::vector<std::uint64_t>{loops()}; });
  int pings = 0;
  const auto end = std::chrono::steady_clock::now() + (n == 0 ? 500ms : 20'000ms);
  do {
    io.run_for(10ms);
    for (std::string s = systemd.next(); s != "(nothing)"; s = systemd.next()) {
      EXPECT_EQ(s, "WATCHDOG=1");
      ++pings;
    }
  } while ((n == 0 || pings < n) && std::chrono::steady_clock::now() < end);
  return pings;
}

TEST(Notify, TheWatchdogHearsOfUsOnlyWhileWorkersTurn) {
  Listener systemd;
  std::uint64_t loops = 0;
  ::unsetenv("WATCHDOG_PID");
  ::setenv("WATCHDOG_USEC", "40000", 1);
  EXPECT_GE(pings_of(systemd, [&] { return ++loops; }, 3), 3);
  EXPECT_EQ(pings_of(systemd, [&] { return loops; }, 0), 0) << "a worker that hangs";
  ::unsetenv("WATCHDOG_USEC");
  EXPECT_EQ(pings_of(systemd, [&] { return ++loops; }, 0), 0) << "nobody watches";
}

TEST(Notify, ADaemonPingsTheWatchdog) {
  Listener systemd;  // sets NOTIFY_SOCKET, which the daemon inherits
  testing::RunningWeir weir("ports: [{name: p0, device: net_null" + std::to_string(getpid()) +
                                "}]\ninterfaces: [{name: lan, port: p0, addresses: [10.0.0.1/24]}]\n",
                            {.environment = {"WATCHDOG_USEC=1000000"}});
  int pings = 0;
  EXPECT_TRUE(testing::RunningWeir::wait_for([&] {
    pings += systemd.next() == "WATCHDOG=1";
    return pings >= 3;
  })) << weir.log();
}

TEST(Notify, WithoutSystemdNothingHappens) {
  ::unsetenv("NOTIFY_SOCKET");
  notify_ready("forwarding");
  notify_stopping({});
}

}  // namespace
}  // namespace weir::control
