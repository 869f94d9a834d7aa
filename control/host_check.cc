#include "control/host_check.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <set>
#include <sstream>
#include <system_error>
#include <utility>

#include "control/instance_lock.h"
#include "control/table.h"

namespace weir::control {

namespace {

namespace fs = std::filesystem;

/// The machine, as far as files tell of it. What is not there reads as empty.
class Host {
 public:
  explicit Host(std::string root) : root_(std::move(root)) {}

  [[nodiscard]] bool has(const std::string& path) const {
    std::error_code ignored;
    return fs::exists(root_ + path, ignored);
  }
  [[nodiscard]] std::string read(const std::string& path) const {
    std::ifstream file(root_ + path, std::ios::binary);
    std::string text{std::istreambuf_iterator<char>(file), {}};
    while (!text.empty() && (text.back() == '\n' || text.back() == '\0')) text.pop_back();
    return text;
  }
  [[nodiscard]] std::optional<std::uint64_t> number(const std::string& path) const {
    const std::string text = read(path);
    std::uint64_t n = 0;
    const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), n);
    return fault == std::errc{} && end != text.data() ? std::optional(n) : std::nullopt;
  }
  /// Names in a folder, sorted.
  [[nodiscard]] std::vector<std::string> names(const std::string& path) const {
    std::vector<std::string> out;
    std::error_code error;
    for (fs::directory_iterator it(root_ + path, error), end; !error && it != end; it.increment(error))
      out.push_back(it->path().filename());
    std::ranges::sort(out);
    return out;
  }
  /// Where a link leads to, its last part: a PCI device's `driver`.
  [[nodiscard]] std::string link(const std::string& path) const {
    std::error_code error;
    const fs::path to = fs::read_symlink(root_ + path, error);
    return error ? "" : to.filename().string();
  }
  /// The rest of the first line that begins with `word`, without colons and blanks before it.
  [[nodiscard]] std::string line_of(const std::string& path, std::string_view word) const {
    std::istringstream lines(read(path));
    for (std::string line; std::getline(lines, line);) {
      if (!line.starts_with(word)) continue;
      const auto at = line.find_first_not_of(": \t", word.size());
      return at == std::string::npos ? "" : line.substr(at);
    }
    return "";
  }

 private:
  std::string root_;
};

bool has_word(const std::string& text, std::string_view word) {
  std::istringstream words(text);
  for (std::string w; words >> w;)
    if (w == word) return true;
  return false;
}

/// "0-2,5" holds 1 and 5.
bool list_holds(const std::string& list, unsigned n) {
  std::istringstream parts(list);
  for (std::string part; std::getline(parts, part, ',');) {
    unsigned first = 0, last = 0;
    const char* const end = part.data() + part.size();
    const auto [dash, fault] = std::from_chars(part.data(), end, first);
    if (fault != std::errc{}) continue;
    last = first;
    if (dash != end && *dash == '-') std::from_chars(dash + 1, end, last);
    if (first <= n && n <= last) return true;
  }
  return false;
}

class Checker {
 public:
  Checker(const std::string& root, const config::Model* model, const HostNeeds& needs)
      : host_(root), model_(model), needs_(needs) {}

  std::vector<Finding> run() {
    processor();
    clock_source();
    huge_pages();
    if (model_ == nullptr) {
      cards();
    } else {
      for (const config::Port& p : model_->ports) port(p);
      cores();
      kernel_side();
    }
    privileges();
    return std::move(out_);
  }

 private:
  void processor();
  void clock_source();
  void huge_pages();
  void cards();
  void port(const config::Port& p);
  void card(const std::string& subject, const std::string& address);
  void vfio(const std::string& subject, const std::string& address);
  void kernel_interface(const std::string& subject, const std::string& device, const std::string& name);
  void other_instance(const std::string& subject, const std::string& name);
  void cores();
  void governor(unsigned core);
  void kernel_side();
  void privileges();

  void ok(const std::string& subject, std::string says) {
    out_.push_back({HostLevel::kOk, subject, std::move(says), ""});
  }
  void warn(const std::string& subject, std::string says, std::string remedy) {
    out_.push_back({HostLevel::kWarn, subject, std::move(says), std::move(remedy)});
  }
  void fail(const std::string& subject, std::string says, std::string remedy) {
    out_.push_back({HostLevel::kFail, subject, std::move(says), std::move(remedy)});
  }
  [[nodiscard]] bool any_device(std::string_view driver) const {
    return model_ != nullptr && std::ranges::any_of(model_->ports, [driver](const config::Port& p) {
             return p.device.find(driver) != std::string::npos;
           });
  }
  [[nodiscard]] bool any_twin() const {
    return model_ != nullptr && std::ranges::any_of(model_->interfaces, &config::Interface::twin);
  }

  Host host_;
  const config::Model* model_;
  HostNeeds needs_;
  std::vector<Finding> out_;
};

void Checker::processor() {
  const std::string flags = host_.line_of("/proc/cpuinfo", "flags");
  if (!needs_.avx2) return ok("processor", "this program needs nothing special");
  if (has_word(flags, "avx2")) return ok("processor", "has AVX2, which this program was built for");
  fail("processor", "has no AVX2, which this program was built for",
       "meson setup build -Dmarch=x86-64-v2, and build again");
}

void Checker::clock_source() {
  const std::string now = host_.read("/sys/devices/system/clocksource/clocksource0/current_clocksource");
  if (now.empty() || now == "tsc" || now == "kvm-clock" || now == "hyperv_clocksource_tsc_page")
    return ok("clock source", now.empty() ? "not told" : now);
  const bool has_tsc =
      has_word(host_.read("/sys/devices/system/clocksource/clocksource0/available_clocksource"), "tsc");
  warn("clock source", now + " takes a system call to read",
       has_tsc ? "echo tsc > /sys/devices/system/clocksource/clocksource0/current_clocksource"
               : "boot with tsc=reliable, if the firmware keeps the processors' counters together");
}

// Counts pages of every size; free ones are what a start can take.
void Checker::huge_pages() {
  const auto mode = model_ == nullptr ? config::HugePages::kAuto : model_->memory.huge_pages;
  if (mode == config::HugePages::kNever) return ok("huge pages", "not wanted (memory.huge_pages: never)");
  std::vector<std::string> found;
  std::uint64_t free_mib = 0;
  for (const std::string& size : host_.names("/sys/kernel/mm/hugepages")) {
    std::uint64_t kib = 0;
    if (const auto at = size.find('-'); at != std::string::npos)
      std::from_chars(size.data() + at + 1, size.data() + size.size(), kib);
    const std::uint64_t all = host_.number("/sys/kernel/mm/hugepages/" + size + "/nr_hugepages").value_or(0);
    const std::uint64_t free = host_.number("/sys/kernel/mm/hugepages/" + size + "/free_hugepages").value_or(0);
    free_mib += free * kib / 1024;
    if (all == 0) continue;
    std::string nodes;
    for (const std::string& node : host_.names("/sys/devices/system/node"))
      if (const auto here =
              host_.number(fmt::format("/sys/devices/system/node/{}/hugepages/{}/free_hugepages", node, size)))
        nodes += fmt::format("{}{} on {}", nodes.empty() ? "" : ", ", *here, node);
    found.push_back(
        fmt::format("{} free of {} of {} MiB{}", free, all, kib / 1024, nodes.empty() ? "" : " (" + nodes + ")"));
  }
  const bool is_mounted = host_.read("/proc/mounts").find(" hugetlbfs ") != std::string::npos;
  const std::string now = found.empty() ? "none" : fmt::format("{}", fmt::join(found, "; "));
  const std::string remedy = "sysctl -w vm.nr_hugepages=512 (1 GiB; for good: a line in /etc/sysctl.d/80-weir.conf)";
  if (free_mib == 0 && mode == config::HugePages::kAlways)
    return fail("huge pages", now + ", and memory.huge_pages is always", remedy);
  if (free_mib == 0)
    return warn("huge pages", now + (found.empty() ? "; Weir runs without, slower" : "; none is free"), remedy);
  if (!is_mounted)
    return warn("huge pages", now + ", but no hugetlbfs is mounted",
                "mkdir -p /dev/hugepages && mount -t hugetlbfs none /dev/hugepages");
  ok("huge pages", now);
}

void Checker::cards() {
  bool is_any = false;
  for (const std::string& address : host_.names("/sys/bus/pci/devices")) {
    if (!host_.read("/sys/bus/pci/devices/" + address + "/class").starts_with("0x02")) continue;
    is_any = true;
    const std::string driver = host_.link("/sys/bus/pci/devices/" + address + "/driver");
    const auto nets = host_.names("/sys/bus/pci/devices/" + address + "/net");
    ok("card " + address, fmt::format("driver {}{}", driver.empty() ? "none" : driver,
                                      nets.empty() ? "" : fmt::format(", the kernel's {}", fmt::join(nets, ", "))));
  }
  if (!is_any) ok("cards", "no PCI network card; ports can stand on kernel interfaces (net_af_xdp, net_af_packet)");
}

void Checker::port(const config::Port& p) {
  const std::string subject = "port " + p.name;
  for (const ExclusiveDevice& d : exclusive_devices(p.device)) {
    other_instance(subject, d.name);
    if (d.is_pci)
      card(subject, d.name);
    else if (d.name.starts_with("net_"))
      continue;  // the vdev itself; what it stands on comes by itself
    else
      kernel_interface(subject, p.device, d.name);
  }
  if (p.device.starts_with("net_tap") && !host_.has("/dev/net/tun"))
    fail(subject, "/dev/net/tun is not there", "modprobe tun");
}

void Checker::card(const std::string& subject, const std::string& address) {
  static const std::set<std::string> kBifurcated{"mlx4_core", "mlx5_core", "mana"};  // DPDK works beside the kernel's
  static const std::set<std::string> kUio{"uio_pci_generic", "igb_uio"};
  const std::string path = "/sys/bus/pci/devices/" + address;
  if (!host_.has(path))
    return fail(subject, fmt::format("there is no PCI device {}", address),
                "weir check --host lists the cards; change `device`");
  if (!host_.read(path + "/class").starts_with("0x02"))
    return fail(subject, address + " is no network card", "weir check --host lists the cards; change `device`");
  const std::string driver = host_.link(path + "/driver");
  if (kBifurcated.contains(driver)) return ok(subject, fmt::format("{} stays with {}", address, driver));
  if (driver == "vfio-pci") return vfio(subject, address);
  if (kUio.contains(driver)) return ok(subject, fmt::format("{} is bound to {}", address, driver));
  const auto nets = host_.names(path + "/net");
  const std::string of_kernel =
      nets.empty() ? "" : fmt::format(" as {}, whose traffic (SSH too) ends", fmt::join(nets, ", "));
  const bool has_module = host_.has("/sys/bus/pci/drivers/vfio-pci");
  fail(subject,
       driver.empty() ? address + " has no driver"
                      : fmt::format("{} belongs to the kernel's {}{}", address, driver, of_kernel),
       fmt::format("{}{}dpdk-devbind.py --bind=vfio-pci {}", has_module ? "" : "modprobe vfio-pci && ",
                   nets.empty() ? "" : fmt::format("ip link set {} down && ", nets.front()), address));
}

void Checker::vfio(const std::string& subject, const std::string& address) {
  const std::string group = host_.link("/sys/bus/pci/devices/" + address + "/iommu_group");
  const std::string unsafe = host_.read("/sys/module/vfio/parameters/enable_unsafe_noiommu_mode");
  if (group.empty() && unsafe != "Y")
    return fail(subject, address + " is bound to vfio-pci, and this machine has no IOMMU switched on",
                "boot with intel_iommu=on (or amd_iommu=on) iommu=pt; in a virtual machine: echo 1 > "
                "/sys/module/vfio/parameters/enable_unsafe_noiommu_mode");
  if (group.empty())
    return warn(subject, address + " is bound to vfio-pci without an IOMMU: the card may write anywhere in memory",
                "boot with intel_iommu=on (or amd_iommu=on) iommu=pt");
  for (const std::string& other : host_.names("/sys/kernel/iommu_groups/" + group + "/devices")) {
    const std::string driver = host_.link("/sys/bus/pci/devices/" + other + "/driver");
    if (!driver.empty() && driver != "vfio-pci" && driver != "pcieport")
      return fail(subject,
                  fmt::format("{} shares IOMMU group {} with {}, which belongs to {}", address, group, other, driver),
                  "dpdk-devbind.py --bind=vfio-pci " + other);
  }
  ok(subject, fmt::format("{} is bound to vfio-pci, IOMMU group {}", address, group));
}

void Checker::kernel_interface(const std::string& subject, const std::string& device, const std::string& name) {
  const bool is_xdp = device.find("af_xdp") != std::string::npos;
  if (!host_.has("/sys/class/net/" + name))
    return fail(subject, "there is no interface " + name, "ip link; change `device` or make the interface first");
  const std::string protocols = host_.read("/proc/net/protocols");
  if (is_xdp && !protocols.empty() && !has_word(protocols, "XDP"))
    return fail(subject, "this kernel has no AF_XDP", "use net_af_packet, or a kernel with CONFIG_XDP_SOCKETS");
  if (!is_xdp && !protocols.empty() && !has_word(protocols, "PACKET"))
    return fail(subject, "this kernel has no AF_PACKET", "modprobe af_packet");
  if (is_xdp && host_.read("/proc/mounts").find(" bpf ") == std::string::npos)
    return warn(subject, "no bpffs is mounted, libxdp will complain", "mount -t bpf bpf /sys/fs/bpf");
  std::uint64_t flags = 0;
  const std::string text = host_.read("/sys/class/net/" + name + "/flags");
  if (text.starts_with("0x")) std::from_chars(text.data() + 2, text.data() + text.size(), flags, 16);
  constexpr std::uint64_t kUp = 0x1, kNoArp = 0x80;  // IFF_UP, IFF_NOARP of linux/if.h
  if ((flags & kUp) == 0) return warn(subject, name + " is down", fmt::format("ip link set {} up", name));
  if ((flags & kNoArp) == 0)
    return warn(subject, fmt::format("the kernel answers ARP on {} beside Weir, if it has an address there", name),
                fmt::format("ip link set {} arp off", name));
  ok(subject, fmt::format("{} is there and up{}", name, is_xdp ? ", the kernel has AF_XDP" : ""));
}

void Checker::other_instance(const std::string& subject, const std::string& name) {
  if (has_word(host_.read("/proc/net/unix"), "@weir-" + name))
    warn(subject, name + " is held by a weir that runs", "systemctl stop weir, before another is started");
}

void Checker::cores() {
  const std::string online = host_.read("/sys/devices/system/cpu/online");
  const std::string isolated = host_.read("/sys/devices/system/cpu/isolated");
  bool is_good = true;
  for (const unsigned core : model_->worker_cores) {
    if (!online.empty() && !list_holds(online, core)) {
      fail("cores", fmt::format("workers names core {}, and this machine has {}", core, online), "change `workers`");
      is_good = false;
    } else if (!list_holds(isolated, core)) {
      warn("cores", fmt::format("core {} is not kept free of the kernel's other work", core),
           fmt::format("boot with isolcpus={0} nohz_full={0} rcu_nocbs={0}", core));
      is_good = false;
    }
    governor(core);
  }
  if (model_->worker_cores.empty()) {
    governor(0);
    ok("cores", fmt::format("{} of {}, which Weir picks", model_->workers, online.empty() ? "?" : online));
  } else if (is_good) {
    ok("cores", fmt::format("{} isolated", fmt::join(model_->worker_cores, ", ")));
  }
}

void Checker::governor(unsigned core) {
  const std::string now = host_.read(fmt::format("/sys/devices/system/cpu/cpu{}/cpufreq/scaling_governor", core));
  if (!now.empty() && now != "performance")
    warn("cores", fmt::format("core {} runs by the {} governor, and wakes slowly", core, now),
         fmt::format("cpupower -c {} frequency-set -g performance", core));
}

// What twins and transit want of the kernel.
void Checker::kernel_side() {
  if (!any_twin()) return;
  if (host_.has("/dev/net/tun"))
    ok("twins", "/dev/net/tun is there");
  else
    fail("twins", "/dev/net/tun is not there", "modprobe tun");
  if (model_->transit == config::Transit::kKernel && host_.read("/proc/sys/net/ipv4/ip_forward") == "0")
    warn("transit", "the kernel forwards nothing (ip_forward is 0), so `transit: kernel` ends there",
         "sysctl -w net.ipv4.ip_forward=1, or write transit: drop");
  for (const char* where : {"all", "default"})
    if (host_.read(fmt::format("/proc/sys/net/ipv4/conf/{}/rp_filter", where)) == "1")
      return warn("twins",
                  fmt::format("rp_filter is strict ({}): what comes in by another way than back is lost", where),
                  fmt::format("sysctl -w net.ipv4.conf.{}.rp_filter=2", where));
}

void Checker::privileges() {
  const std::string text = host_.line_of("/proc/self/status", "CapEff");
  std::uint64_t held = 0;
  std::from_chars(text.data(), text.data() + text.size(), held, 16);
  const std::pair<unsigned, std::string_view> wanted[] = {
      {12, "CAP_NET_ADMIN"}, {13, "CAP_NET_RAW"}, {14, "CAP_IPC_LOCK"}, {39, "CAP_BPF"}};  // linux/capability.h
  std::vector<std::string_view> missing;
  for (const auto& [bit, name] : wanted)
    if ((held >> bit & 1) == 0 && (bit != 39 || any_device("af_xdp"))) missing.push_back(name);
  if (missing.empty())
    ok("privileges", "the capabilities that Weir keeps are held");
  else
    warn("privileges", fmt::format("this user has no {}", fmt::join(missing, ", ")),
         "start weir by its unit (packaging/weir.service), or as root with --user weir");
  const std::string memlock = host_.line_of("/proc/self/limits", "Max locked memory");
  if (!memlock.empty() && !memlock.starts_with("unlimited") && !missing.empty())
    warn("locked memory", fmt::format("at most {} bytes", memlock.substr(0, memlock.find(' '))),
         "LimitMEMLOCK=infinity in the unit, or ulimit -l unlimited");
  else
    ok("locked memory", "not limited for this user");
}

}  // namespace

HostNeeds built_for() noexcept {
#ifdef __AVX2__
  return {.avx2 = true};
#else
  return {};
#endif
}

std::vector<Finding> check_host(const std::string& root, const config::Model* model, const HostNeeds& needs) {
  return Checker(root, model, needs).run();
}

std::string host_text(const std::vector<Finding>& findings) {
  static constexpr std::string_view kNames[] = {"ok  ", "warn", "FAIL"};
  std::string out;
  for (const Finding& f : findings)
    out += printable(fmt::format("{}  {}: {}{}{}", kNames[static_cast<std::size_t>(f.level)], f.subject, f.says,
                                 f.remedy.empty() ? "" : "; mend: ", f.remedy)) +
           "\n";
  return out;
}

bool has_failure(const std::vector<Finding>& findings) noexcept {
  return std::ranges::any_of(findings, [](const Finding& f) { return f.level == HostLevel::kFail; });
}

}  // namespace weir::control
