// The TAP devices and the thread behind them, with a real kernel: in a network namespace of this program's own.
#include "dataplane/twin.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <fstream>
#include <functional>
#include <optional>
#include <thread>

#include "tests/support/packet.h"

namespace weir::test {
namespace {

using dataplane::SideRings;
using dataplane::Tap;
using dataplane::Twin;
using std::chrono::steady_clock;
using ::testing::HasSubstr;

constexpr lb::MacAddress kMac{{2, 0, 0, 0, 1, 0}};

// What the kernel would say of itself (router solicitations, MLD) is no business of these tests.
bool enter_quiet_namespace() {
  static const bool done = [] {
    if (unshare(CLONE_NEWNET) != 0) return false;
    std::ofstream("/proc/sys/net/ipv6/conf/default/disable_ipv6") << 1;
    return true;
  }();
  return done;
}

// What the kernel says of a device: an SIOCGIF... request.
ifreq ask(const char* device, unsigned long what) {
  ifreq r{};
  std::strncpy(r.ifr_name, device, sizeof r.ifr_name - 1);
  const int fd = socket(AF_INET, SOCK_DGRAM, 0);
  if (ioctl(fd, what, &r) != 0) ADD_FAILURE() << device << ": " << strerror(errno);
  close(fd);
  return r;
}
lb::MacAddress mac_of(const char* device) {
  lb::MacAddress mac;
  std::memcpy(mac.bytes.data(), ask(device, SIOCGIFHWADDR).ifr_hwaddr.sa_data, 6);
  return mac;
}

bool soon(const std::function<bool()>& holds) {
  for (const auto until = steady_clock::now() + std::chrono::seconds(5); steady_clock::now() < until; usleep(200))
    if (holds()) return true;
  return holds();
}

// What the kernel sees on a device, and a way to send out of it.
class KernelSocket {
 public:
  explicit KernelSocket(const char* device) : fd_(socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK, htons(ETH_P_ALL))) {
    sockaddr_ll at{};
    at.sll_family = AF_PACKET;
    at.sll_protocol = htons(ETH_P_ALL);
    at.sll_ifindex = static_cast<int>(if_nametoindex(device));
    if (bind(fd_, reinterpret_cast<sockaddr*>(&at), sizeof at) != 0) ADD_FAILURE() << device << ": " << strerror(errno);
  }
  KernelSocket(const KernelSocket&) = delete;
  KernelSocket& operator=(const KernelSocket&) = delete;
  ~KernelSocket() { close(fd_); }

  /// False: the device's queue is full.
  [[nodiscard]] bool send(const Bytes& frame) const {
    return ::send(fd_, frame.data(), frame.size(), 0) == static_cast<ssize_t>(frame.size());
  }
  /// The next frame that came in; what goes out is passed over.
  [[nodiscard]] std::optional<Bytes> receive() const {
    Bytes frame(2048);
    sockaddr_ll from{};
    socklen_t length = sizeof from;
    for (ssize_t n;
         (n = recvfrom(fd_, frame.data(), frame.size(), 0, reinterpret_cast<sockaddr*>(&from), &length)) > 0;)
      if (from.sll_pkttype != PACKET_OUTGOING) return frame.resize(static_cast<std::size_t>(n)), frame;
    return std::nullopt;
  }

 private:
  int fd_;
};

class TwinTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!enter_quiet_namespace()) GTEST_SKIP() << "needs root, for a network namespace of its own";
  }
  static Tap tap(const std::string& name, std::uint16_t mtu = 1500) {
    auto made = Tap::open(name, kMac, mtu);
    if (!made) throw std::runtime_error(made.error().message);
    return std::move(*made);
  }
};

// ---- the device ----

TEST_F(TwinTest, ADeviceHasItsNameMacAndMtuAndIsUp) {
  {
    Tap up = tap("uplink", 9000);
    EXPECT_EQ(mac_of("uplink"), kMac);
    EXPECT_EQ(ask("uplink", SIOCGIFMTU).ifr_mtu, 9000);
    EXPECT_EQ(ask("uplink", SIOCGIFFLAGS).ifr_flags & IFF_UP, IFF_UP);
    constexpr lb::MacAddress kOther{{2, 0, 0, 0, 1, 7}};
    ASSERT_TRUE(up.set(kOther, 1400)) << "of a running device";
    EXPECT_EQ(mac_of("uplink"), kOther);
    EXPECT_EQ(ask("uplink", SIOCGIFMTU).ifr_mtu, 1400);
  }
  EXPECT_EQ(if_nametoindex("uplink"), 0u) << "it goes with the object";
  tap("fifteen_letters");
}

TEST_F(TwinTest, ANameThatIsTakenIsRefusedInWords) {
  const Tap first = tap("uplink");
  const auto second = Tap::open("uplink", kMac, 1500);
  ASSERT_FALSE(second);
  EXPECT_THAT(second.error().message, HasSubstr("twin uplink: an interface of this name exists already"));
  const auto lo = Tap::open("lo", kMac, 1500);
  ASSERT_FALSE(lo);
  EXPECT_THAT(lo.error().message, HasSubstr("twin lo: "));
}

// ---- the thread ----

class RunningTwin : public TwinTest {
 protected:
  static constexpr lb::InterfaceId kUplink{1}, kServers{2};
  void SetUp() override {
    TwinTest::SetUp();
    if (IsSkipped()) return;
    for (auto& r : rings_) {
      auto made = SideRings::create();
      ASSERT_TRUE(made);
      r = std::move(*made);
    }
    twin_.emplace(std::vector<SideRings*>{&rings_[0], &rings_[1]}, std::vector<int>{});
    const auto added = twin_->add(devices_);
    ASSERT_TRUE(added) << added.error().message;
    twin_->start();
  }
  SideRings& rings_of(lb::InterfaceId i) { return rings_[index(i) % 2]; }
  std::vector<Bytes> from_kernel(lb::InterfaceId i, std::size_t count) {
    std::vector<Bytes> frames;
    soon([&] {
      rings_of(i).from_twin->pop(SIZE_MAX, [&](const dataplane::FrameOf& of, std::span<const std::uint8_t> f) {
        EXPECT_EQ(of.interface, i);
        frames.emplace_back(f.begin(), f.end());
      });
      return frames.size() >= count;
    });
    return frames;
  }

  const std::vector<Twin::Device> devices_{{kUplink, "uplink", kMac, 1500}, {kServers, "servers", kMac, 1500}};
  SideRings rings_[2];
  std::optional<Twin> twin_;
};

TEST_F(RunningTwin, CarriesFramesBothWaysEachToItsDevice) {
  const KernelSocket uplink("uplink"), servers("servers");
  const Bytes a = packet().eth("02:00:00:00:01:00").ipv4("192.0.2.1", "192.0.2.2").udp(1, 2).bytes();
  const Bytes b = packet().eth("02:00:00:00:01:00").ipv4("192.0.2.1", "192.0.2.3").udp(1, 2).bytes();
  // Each worker has frames for each device.
  for (SideRings& r : rings_) {
    ASSERT_TRUE(r.to_twin->push({kUplink}, a));
    ASSERT_TRUE(r.to_twin->push({kServers}, b));
  }
  for (const auto& [socket, expected] : {std::pair(&uplink, &a), std::pair(&servers, &b)})
    for (int i = 0; i < 2; ++i) {
      std::optional<Bytes> got;
      EXPECT_TRUE(soon([&] { return got || (got = socket->receive()); }));
      EXPECT_EQ(got, *expected);
    }
  EXPECT_TRUE(uplink.send(a));
  EXPECT_TRUE(servers.send(b));
  EXPECT_EQ(from_kernel(kUplink, 1), std::vector<Bytes>{a});
  EXPECT_EQ(from_kernel(kServers, 1), std::vector<Bytes>{b});
  EXPECT_EQ(twin_->counts(kUplink).to_kernel, 2u);
  EXPECT_EQ(twin_->counts(kUplink).from_kernel, 1u);
  EXPECT_EQ(twin_->counts(kServers).refused, 0u);
}

TEST_F(RunningTwin, CarriesFramesWithinMilliseconds) {
  const KernelSocket uplink("uplink");
  const Bytes frame = packet().eth("02:00:00:00:01:00").ipv4("192.0.2.1", "192.0.2.2").udp(1, 2).bytes();
  std::vector<double> ms;
  for (int i = 0; i < 50; ++i) {
    usleep(3000);  // it has gone to sleep
    const auto began = steady_clock::now();
    ASSERT_TRUE(rings_of(kUplink).to_twin->push({kUplink}, frame));
    while (!uplink.receive())
      if (steady_clock::now() - began > std::chrono::seconds(5)) FAIL() << "lost";
    ms.push_back(std::chrono::duration<double, std::milli>(steady_clock::now() - began).count());
  }
  std::ranges::sort(ms);
  fmt::print("a frame reaches the kernel in {:.2f} ms (median), {:.2f} ms at most\n", ms[25], ms[49]);
  EXPECT_LT(ms[25], 10.0);
}

TEST_F(RunningTwin, LeavesFramesInTheDeviceWhileTheWorkerIsBehind) {
  const KernelSocket uplink("uplink");
  const Bytes frame = packet().eth("02:00:00:00:01:00").ipv4("192.0.2.1", "192.0.2.2").udp(1, 2).filler(1400).bytes();
  for (int i = 0; i < 2000; ++i) static_cast<void>(uplink.send(frame));
  usleep(50'000);
  const auto before = twin_->counts(kUplink).from_kernel;
  EXPECT_LT(before, 1000u) << "a ring of 1 MiB takes no more of these";
  EXPECT_GT(from_kernel(kUplink, static_cast<std::size_t>(before) + 1).size(), before) << "it goes on from there";
}

TEST_F(RunningTwin, AddsAndRemovesDevicesWhileItRuns) {
  auto more = devices_;
  more.push_back({lb::InterfaceId{3}, "dmz", kMac, 1500});
  ASSERT_TRUE(twin_->add(more));
  EXPECT_NE(if_nametoindex("dmz"), 0u);
  ASSERT_TRUE(twin_->add(more)) << "what is there stays";

  // One that cannot be made: none is.
  auto impossible = more;
  impossible.push_back({lb::InterfaceId{4}, "fine", kMac, 1500});
  impossible.push_back({lb::InterfaceId{5}, "lo", kMac, 1500});
  EXPECT_FALSE(twin_->add(impossible));
  EXPECT_EQ(if_nametoindex("fine"), 0u);

  twin_->keep({devices_[0]});
  // The thread may be asleep on them for a little longer.
  EXPECT_TRUE(soon([] { return if_nametoindex("servers") == 0 && if_nametoindex("dmz") == 0; }));
  EXPECT_FALSE(twin_->counts(kServers).exists);
  // A worker that does not know yet may still send there.
  ASSERT_TRUE(rings_[0].to_twin->push({kServers}, Bytes(60)));
  EXPECT_TRUE(soon([&] { return rings_[0].to_twin->is_empty(); }));
}

TEST_F(RunningTwin, LeavesADeviceAloneThatSomebodyRemovedUntilItIsAddedAgain) {
  ASSERT_EQ(std::system("ip link del uplink"), 0);
  EXPECT_TRUE(soon([&] { return twin_->counts(kUplink).is_gone; }));
  EXPECT_FALSE(twin_->counts(kServers).is_gone);
  const std::clock_t before = std::clock();  // of all threads; this one sleeps
  usleep(200'000);
  EXPECT_LT(std::clock() - before, CLOCKS_PER_SEC / 10) << "the thread polls what can only fail";

  const auto added = twin_->add(devices_);
  ASSERT_TRUE(added) << added.error().message;
  EXPECT_FALSE(twin_->counts(kUplink).is_gone);
  const KernelSocket uplink("uplink");
  const Bytes frame = packet().eth("02:00:00:00:01:00").ipv4("192.0.2.1", "192.0.2.2").udp(1, 2).bytes();
  ASSERT_TRUE(rings_of(kUplink).to_twin->push({kUplink}, frame));
  std::optional<Bytes> got;
  EXPECT_TRUE(soon([&] { return got || (got = uplink.receive()); }));
  EXPECT_EQ(got, frame);
  EXPECT_TRUE(uplink.send(frame));
  EXPECT_EQ(from_kernel(kUplink, 1), std::vector<Bytes>{frame});
}

TEST_F(RunningTwin, LetsControlInWhileItIsBusy) {
  std::atomic<bool> is_over{false};
  std::thread worker([&] {
    const Bytes frame(60, 0x11);
    while (!is_over) static_cast<void>(rings_[0].to_twin->push({kUplink}, frame));
  });
  auto longest = steady_clock::duration::zero();
  for (int i = 0; i < 50; ++i) {
    const auto began = steady_clock::now();
    EXPECT_TRUE(twin_->counts(kUplink).exists);
    longest = std::max(longest, steady_clock::now() - began);
  }
  is_over = true;
  worker.join();
  EXPECT_LT(longest, std::chrono::milliseconds(500));
}

}  // namespace
}  // namespace weir::test
