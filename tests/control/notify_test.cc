#include "control/notify.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstring>

#include "control/file_descriptor.h"
#include "tests/control/temporary_directory.h"

namespace weir::control {
namespace {

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

TEST(Notify, WithoutSystemdNothingHappens) {
  ::unsetenv("NOTIFY_SOCKET");
  notify_ready("forwarding");
  notify_stopping({});
}

}  // namespace
}  // namespace weir::control
