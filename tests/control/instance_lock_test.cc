#include "control/instance_lock.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include <optional>

#include "tests/control/temporary_directory.h"

namespace weir::control {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

/// Names that no real weir on this machine holds.
std::string iface(const char* name) {
  return "t" + std::to_string(::getpid()) + name;
}

TEST(InstanceLock, KnowsWhatIsExclusive) {
  EXPECT_THAT(exclusive_devices("0000:3b:00.0"), ElementsAre(ExclusiveDevice{"0000:3b:00.0", true}));
  EXPECT_THAT(exclusive_devices("3B:00.1,mprq_en=1"), ElementsAre(ExclusiveDevice{"0000:3b:00.1", true}));
  EXPECT_THAT(exclusive_devices("net_af_xdp0,iface=eth1"), ElementsAre(ExclusiveDevice{"eth1", false}));
  EXPECT_THAT(exclusive_devices("net_af_packet0,qpairs=2,iface=eth1"), ElementsAre(ExclusiveDevice{"eth1", false}));
  EXPECT_THAT(exclusive_devices("net_pcap0,rx_iface=eth1,tx_iface=eth1"), ElementsAre(ExclusiveDevice{"eth1", false}));
  EXPECT_THAT(exclusive_devices("net_bonding0,mode=4,slave=0000:01:00.0,slave=0000:01:00.1"),
              ElementsAre(ExclusiveDevice{"0000:01:00.0", true}, ExclusiveDevice{"0000:01:00.1", true}));
  EXPECT_THAT(exclusive_devices("net_bonding0,slave=(net_af_packet0,iface=eth1),slave=(01:00.1)"),
              ElementsAre(ExclusiveDevice{"eth1", false}, ExclusiveDevice{"0000:01:00.1", true}));
  for (const char* nobodys : {"", "net_null0", "net_ring0", "net_pcap0,rx_pcap=in.pcap,tx_pcap=out.pcap",
                              "net_memif0,socket=/tmp/memif.sock", "net_af_xdp0,iface=", "net_tap0,mac=fixed"})
    EXPECT_THAT(exclusive_devices(nobodys), IsEmpty()) << nobodys;
}

TEST(InstanceLock, ASecondIsRefusedUntilTheFirstGoes) {
  const std::string one = iface("a"), other = iface("b");
  std::optional<InstanceLock> first;
  auto taken = InstanceLock::acquire({"net_af_xdp0,iface=" + one});
  ASSERT_TRUE(taken) << taken.error().message;
  first.emplace(std::move(*taken));
  // Another driver, another name, the same interface; and it lets go of what it had taken before.
  const auto second = InstanceLock::acquire({"net_af_packet7,iface=" + other, "net_af_packet8,iface=" + one});
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().message, "device " + one + " (net_af_packet8,iface=" + one +
                                        ") is in use by another weir; stop it or give the port another device");
  EXPECT_TRUE(InstanceLock::acquire({"net_af_packet7,iface=" + other}));
  first.reset();
  EXPECT_TRUE(InstanceLock::acquire({"net_af_xdp0,iface=" + one}));
}

TEST(InstanceLock, IsGoneWithItsProcess) {
  const std::string device = "net_af_xdp0,iface=" + iface("c");
  const pid_t child = ::fork();
  if (child == 0) {
    const auto lock = InstanceLock::acquire({device});
    ::_exit(lock ? 0 : 1);  // without destructors, as a crash
  }
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_EQ(status, 0);
  EXPECT_TRUE(InstanceLock::acquire({device}));
}

TEST(InstanceLock, APciDeviceIsLockedAcrossNetworkNamespaces) {
  testing::TemporaryDirectory directory;
  // Of a weir in another namespace, only its hold on the file reaches here.
  const FileDescriptor others(::open(directory.write("fffe:fe:1f.7.lock", "").c_str(), O_RDWR | O_CLOEXEC));
  ASSERT_EQ(::flock(others.get(), LOCK_EX), 0);
  const auto refused = InstanceLock::acquire({"fffe:fe:1f.7,a=b"}, directory.file(""));
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("in use by another weir"));
  ASSERT_EQ(::flock(others.get(), LOCK_UN), 0);
  EXPECT_TRUE(InstanceLock::acquire({"fffe:fe:1f.7"}, directory.file("")));
  EXPECT_TRUE(InstanceLock::acquire({"fffe:fe:1f.7"}, directory.file("made")));
}

TEST(InstanceLock, OneDeviceForTwoPortsIsNamedAsSuch) {
  const std::string name = iface("d");
  const auto lock = InstanceLock::acquire({"net_af_xdp0,iface=" + name, "net_af_packet0,iface=" + name});
  ASSERT_FALSE(lock);
  EXPECT_THAT(lock.error().message, HasSubstr("both stand on " + name));
}

TEST(InstanceLock, DevicesOfNobodyNeverClash) {
  const auto one = InstanceLock::acquire({"net_null0", "net_ring0"});
  const auto two = InstanceLock::acquire({"net_null0", "net_ring0"});
  EXPECT_TRUE(one && two);
}

}  // namespace
}  // namespace weir::control
