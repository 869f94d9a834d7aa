#include "control/host_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/control/temporary_directory.h"

namespace weir::control {
namespace {

namespace fs = std::filesystem;

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

/// A machine out of files: a good one, until a test changes it.
class Machine {
 public:
  Machine() {
    file("/proc/cpuinfo", "processor\t: 0\nflags\t\t: fpu sse2 avx2\n");
    file("/proc/mounts", "none /dev/hugepages hugetlbfs rw 0 0\nbpf /sys/fs/bpf bpf rw 0 0\n");
    file("/proc/net/protocols", "protocol  size\nPACKET  1\nXDP  1\n");
    file("/proc/net/unix", "Num RefCount\n");
    file("/proc/self/status", "Name:\tweir\nCapEff:\t000001ffffffffff\n");
    file("/proc/self/limits", "Limit  Soft\nMax locked memory         unlimited  unlimited  bytes\n");
    file("/sys/devices/system/clocksource/clocksource0/current_clocksource", "tsc\n");
    file("/sys/devices/system/cpu/online", "0-7\n");
    file("/sys/devices/system/cpu/isolated", "2-3\n");
    file("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", "512\n");
    file("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "500\n");
    file("/sys/devices/system/node/node0/hugepages/hugepages-2048kB/free_hugepages", "500\n");
    file("/dev/net/tun", "");
    file("/proc/sys/net/ipv4/ip_forward", "1\n");
    file("/proc/sys/net/ipv4/conf/all/rp_filter", "2\n");
    card("0000:03:00.0", "vfio-pci");
    link("/sys/bus/pci/devices/0000:03:00.0/iommu_group", "../../../../kernel/iommu_groups/7");
    file("/sys/kernel/iommu_groups/7/devices/0000:03:00.0", "");
    file("/sys/class/net/eth1/flags", "0x1083\n");
    model.ports.push_back({.name = "p0", .device = "0000:03:00.0", .queues = {}, .where = {}});
    model.interfaces.push_back({.name = "lan", .port = "p0", .addresses = {}, .mac = {}, .where = {}});
    model.worker_cores = {2};
  }

  void file(const std::string& path, const std::string& text) {
    fs::create_directories(fs::path(root() + path).parent_path());
    std::ofstream(root() + path) << text;
  }
  void link(const std::string& path, const std::string& to) {
    fs::create_directories(fs::path(root() + path).parent_path());
    fs::remove(root() + path);
    fs::create_symlink(to, root() + path);
  }
  void remove(const std::string& path) { fs::remove_all(root() + path); }
  void card(const std::string& address, const std::string& driver) {
    file("/sys/bus/pci/devices/" + address + "/class", "0x020000\n");
    remove("/sys/bus/pci/devices/" + address + "/driver");
    if (driver.empty()) return;
    fs::create_directories(root() + "/sys/bus/pci/drivers/" + driver);
    link("/sys/bus/pci/devices/" + address + "/driver", "../../../../bus/pci/drivers/" + driver);
  }
  void device(const std::string& text) { model.ports.front().device = text; }

  [[nodiscard]] std::string root() const { return directory_.file("root"); }
  [[nodiscard]] std::vector<Finding> findings(bool with_file = true) const {
    return check_host(root(), with_file ? &model : nullptr, {.avx2 = true});
  }
  /// Without the good ones.
  [[nodiscard]] std::string bad() const {
    std::string out;
    for (const Finding& f : findings())
      if (f.level != HostLevel::kOk) out += host_text({f});
    return out;
  }

  config::Model model;

 private:
  testing::TemporaryDirectory directory_;
};

TEST(HostCheck, AGoodMachineHasNothingToMend) {
  const Machine m;
  EXPECT_EQ(m.bad(), "");
  EXPECT_FALSE(has_failure(m.findings()));
  EXPECT_THAT(host_text(m.findings()),
              AllOf(HasSubstr("ok    huge pages: 500 free of 512 of 2 MiB (500 on node0)\n"),
                    HasSubstr("ok    port p0: 0000:03:00.0 is bound to vfio-pci, IOMMU group 7\n"),
                    HasSubstr("ok    cores: 2 isolated\n")));
}

TEST(HostCheck, AnEmptyMachineIsToldNotCrashed) {
  const testing::TemporaryDirectory empty;
  const Machine m;
  EXPECT_TRUE(has_failure(check_host(empty.file("none"), &m.model, {.avx2 = true})));
  EXPECT_THAT(host_text(check_host(empty.file("none"), nullptr, {.avx2 = false})), HasSubstr("no PCI network card"));
}

TEST(HostCheck, HugePages) {
  Machine m;
  m.file("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", "0");
  m.file("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "0");
  EXPECT_THAT(m.bad(), AllOf(HasSubstr("warn  huge pages: none"), HasSubstr("mend: sysctl -w vm.nr_hugepages=512")));
  m.model.memory.huge_pages = config::HugePages::kAlways;
  EXPECT_THAT(m.bad(), HasSubstr("FAIL  huge pages: none, and memory.huge_pages is always"));
  m.model.memory.huge_pages = config::HugePages::kNever;
  EXPECT_EQ(m.bad(), "");
  Machine unmounted;
  unmounted.file("/proc/mounts", "bpf /sys/fs/bpf bpf rw 0 0\n");
  EXPECT_THAT(unmounted.bad(), HasSubstr("mend: mkdir -p /dev/hugepages && mount -t hugetlbfs"));
}

TEST(HostCheck, ACardMustBeBound) {
  Machine m;
  m.card("0000:03:00.0", "ixgbe");
  m.file("/sys/bus/pci/devices/0000:03:00.0/net/eth3/flags", "");
  EXPECT_EQ(m.bad(),
            "FAIL  port p0: 0000:03:00.0 belongs to the kernel's ixgbe as eth3, whose traffic (SSH too) ends; mend: ip "
            "link set eth3 down && dpdk-devbind.py --bind=vfio-pci 0000:03:00.0\n");
  m.remove("/sys/bus/pci/drivers/vfio-pci");
  EXPECT_THAT(m.bad(), HasSubstr("mend: modprobe vfio-pci && "));
  m.card("0000:03:00.0", "");
  EXPECT_THAT(m.bad(), HasSubstr("0000:03:00.0 has no driver"));
  m.card("0000:03:00.0", "mlx5_core");
  EXPECT_EQ(m.bad(), "");
  m.device("0000:04:00.0");
  EXPECT_THAT(m.bad(), HasSubstr("there is no PCI device 0000:04:00.0"));
  m.device("03:00.0");
  EXPECT_EQ(m.bad(), "") << "the short form is the same card";
}

TEST(HostCheck, VfioNeedsAnIommu) {
  Machine m;
  m.remove("/sys/bus/pci/devices/0000:03:00.0/iommu_group");
  EXPECT_THAT(m.bad(), AllOf(HasSubstr("FAIL  port p0"), HasSubstr("intel_iommu=on")));
  m.file("/sys/module/vfio/parameters/enable_unsafe_noiommu_mode", "Y\n");
  EXPECT_THAT(m.bad(), HasSubstr("warn  port p0: 0000:03:00.0 is bound to vfio-pci without an IOMMU"));
  Machine shared;
  shared.card("0000:03:00.1", "ixgbe");
  shared.file("/sys/kernel/iommu_groups/7/devices/0000:03:00.1", "");
  EXPECT_THAT(shared.bad(), HasSubstr("shares IOMMU group 7 with 0000:03:00.1, which belongs to ixgbe"));
}

TEST(HostCheck, KernelInterfaces) {
  Machine m;
  m.device("net_af_xdp0,iface=eth1");
  EXPECT_EQ(m.bad(), "");
  m.file("/sys/class/net/eth1/flags", "0x1003\n");
  EXPECT_THAT(m.bad(), HasSubstr("mend: ip link set eth1 arp off"));
  m.file("/sys/class/net/eth1/flags", "0x1082\n");
  EXPECT_THAT(m.bad(), HasSubstr("mend: ip link set eth1 up"));
  m.file("/proc/mounts", "");
  m.model.memory.huge_pages = config::HugePages::kNever;
  EXPECT_THAT(m.bad(), HasSubstr("mend: mount -t bpf bpf /sys/fs/bpf"));
  m.file("/proc/net/protocols", "protocol\nPACKET 1\n");
  EXPECT_THAT(m.bad(), HasSubstr("FAIL  port p0: this kernel has no AF_XDP"));
  m.device("net_af_packet0,iface=eth9");
  EXPECT_THAT(m.bad(), HasSubstr("FAIL  port p0: there is no interface eth9"));
}

TEST(HostCheck, AnotherWeirIsSeen) {
  Machine m;
  m.file("/proc/net/unix", "Num\n0000: 00000002 00000000 00010000 0001 01 123 @weir-0000:03:00.0\n");
  EXPECT_THAT(m.bad(), HasSubstr("warn  port p0: 0000:03:00.0 is held by a weir that runs"));
}

TEST(HostCheck, CoresClockAndProcessor) {
  Machine m;
  m.model.worker_cores = {1, 9};
  m.file("/sys/devices/system/cpu/cpu1/cpufreq/scaling_governor", "powersave\n");
  EXPECT_THAT(m.bad(), AllOf(HasSubstr("warn  cores: core 1 is not kept free"), HasSubstr("mend: boot with isolcpus=1"),
                             HasSubstr("mend: cpupower -c 1 frequency-set -g performance"),
                             HasSubstr("FAIL  cores: workers names core 9, and this machine has 0-7")));
  m.model.worker_cores = {2};
  m.file("/sys/devices/system/clocksource/clocksource0/current_clocksource", "hpet\n");
  EXPECT_THAT(m.bad(), HasSubstr("warn  clock source: hpet"));
  m.file("/proc/cpuinfo", "flags : fpu sse2\n");
  EXPECT_THAT(m.bad(), HasSubstr("FAIL  processor: has no AVX2"));
}

TEST(HostCheck, TwinsWantTunForwardingAndLooseReversePaths) {
  Machine m;
  m.remove("/dev/net/tun");
  m.file("/proc/sys/net/ipv4/ip_forward", "0\n");
  m.file("/proc/sys/net/ipv4/conf/all/rp_filter", "1\n");
  EXPECT_EQ(m.bad(), "") << "without a twin they do not matter";
  m.model.interfaces.front().twin = true;
  EXPECT_THAT(m.bad(), AllOf(HasSubstr("FAIL  twins: /dev/net/tun is not there; mend: modprobe tun"),
                             HasSubstr("sysctl -w net.ipv4.ip_forward=1"), HasSubstr("net.ipv4.conf.all.rp_filter=2")));
  m.model.transit = config::Transit::kDrop;
  EXPECT_THAT(m.bad(), Not(HasSubstr("ip_forward")));
}

TEST(HostCheck, PrivilegesAreNamed) {
  Machine m;
  m.device("net_af_xdp0,iface=eth1");
  m.file("/proc/self/status", "CapEff:\t0000000000003000\n");  // NET_ADMIN, NET_RAW
  m.file("/proc/self/limits", "Max locked memory         8388608              8388608              bytes\n");
  EXPECT_THAT(m.bad(), AllOf(HasSubstr("this user has no CAP_IPC_LOCK, CAP_BPF"), HasSubstr("at most 8388608 bytes")));
}

TEST(HostCheck, WithoutAFileTheCardsAreListed) {
  Machine m;
  m.card("0000:05:00.0", "e1000e");
  m.file("/sys/bus/pci/devices/0000:05:00.0/net/eno1/flags", "");
  m.file("/sys/bus/pci/devices/0000:06:00.0/class", "0x030000\n");
  const std::string text = host_text(m.findings(false));
  EXPECT_THAT(text, AllOf(HasSubstr("ok    card 0000:03:00.0: driver vfio-pci\n"),
                          HasSubstr("ok    card 0000:05:00.0: driver e1000e, the kernel's eno1\n"),
                          Not(HasSubstr("0000:06:00.0"))));
}

}  // namespace
}  // namespace weir::control
