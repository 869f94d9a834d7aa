#include "dataplane/port.h"

#include <linux/capability.h>
#include <net/if.h>
#include <rte_dev.h>
#include <rte_devargs.h>
#include <rte_errno.h>
#include <rte_mbuf.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <utility>

#include "dataplane/device.h"
#include "dataplane/eal.h"

namespace weir::dataplane {

namespace {

constexpr std::uint16_t kDescriptors = 1024;
constexpr std::uint32_t kMempoolCache = 256;

std::string with_log(std::string message) {
  const std::string log = Eal::take_log();
  return log.empty() ? message : message + " (DPDK: " + log + ")";
}

// What DPDK would say in a dozen log lines, if at all.
lb::Result<void> check_device(const std::string& name, const Device& device) {
  for (const Device& member : device.members)
    if (auto ok = check_device(name, member); !ok) return ok;
  if (const std::string interface = device.option("iface"); !interface.empty()) {
    if (device.name.starts_with("net_tap") || if_nametoindex(interface.c_str()) != 0) return {};
    return lb::fail("port " + name + ": there is no network interface " + interface +
                    " here; `ip link` lists what there is");
  }
  if (const std::string file = device.option("rx_pcap"); !file.empty() && access(file.c_str(), R_OK) != 0)
    return lb::fail("port " + name + ": cannot read " + file + ": " + std::strerror(errno));
  return {};
}

// What sockets, XDP programs, tap devices and NICs need. A container's root may lack some. libxdp asks the kernel for a
// program by its id, which takes CAP_SYS_ADMIN.
bool has_permissions(bool is_xdp) {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2]{};
  if (syscall(SYS_capget, &header, data) != 0) return geteuid() == 0;
  const auto has = [&](unsigned c) { return (data[c / 32].effective >> (c % 32) & 1) != 0; };
  return has(CAP_NET_RAW) && has(CAP_NET_ADMIN) && has(CAP_IPC_LOCK) &&
         (has(CAP_SYS_ADMIN) || (has(CAP_BPF) && !is_xdp));
}

bool needs_permissions(const Device& device) {
  return device.is_pci() || device.name.starts_with("net_tap") || !device.option("iface").empty();
}

// Drivers say EINVAL or nothing at all where it is a permission that they lack.
std::string permission_hint(const Device& device) {
  for (const Device& member : device.members)
    if (std::string hint = permission_hint(member); !hint.empty()) return hint;
  const bool is_xdp = device.name.starts_with("net_af_xdp");
  if (!needs_permissions(device) || has_permissions(is_xdp)) return "";
  const std::string wanted =
      std::string("CAP_NET_RAW, CAP_NET_ADMIN, CAP_IPC_LOCK and ") + (is_xdp ? "CAP_SYS_ADMIN" : "CAP_BPF");
  if (geteuid() == 0) return "; root lacks capabilities here: give its container " + wanted;
  return "; run weir as root (it becomes another with --user) or with " + wanted;
}

// Why a device did not open. Of drivers' -1, which reads as EPERM, nothing is made where no permission is missing:
// most return it for anything.
std::string open_failure(const Device& device, int error) {
  const std::string hint = permission_hint(device);
  if (!hint.empty() || device.is_pci()) return std::string(": ") + rte_strerror(-error) + hint;
  return (error == -EPERM ? "" : std::string(": ") + rte_strerror(-error)) + "; are its arguments right?";
}

// vdevs are called by their driver's name and a number.
lb::Result<void> check_driver(const std::string& name, const Device& device) {
  if (device.is_pci()) return {};
  rte_devargs found{};
  const bool is_known = rte_devargs_parse(&found, device.name.c_str()) == 0;
  rte_devargs_reset(&found);
  if (is_known) return {};
  const std::string driver = device.name.substr(0, device.name.find_last_not_of("0123456789") + 1);
  return lb::fail("port " + name + ": no DPDK driver is called " + driver +
                  "; net_af_xdp and net_af_packet are, and a number follows: net_af_xdp0,iface=eth1");
}

// Makes it a port of DPDK's; a bond's members go before the bond. `text` is for messages.
lb::Result<std::uint16_t> probe(const std::string& name, const Device& device, const std::string& text) {
  if (auto ok = check_driver(name, device); !ok) return std::unexpected(ok.error());
  const std::string arguments = device.arguments.empty() ? "" : "," + device.arguments;
  const int error = device.is_pci() ? rte_dev_probe((device.name + arguments).c_str())
                                    : rte_eal_hotplug_add("vdev", device.name.c_str(), device.arguments.c_str());
  if (error < 0 && error != -EEXIST)  // a PCI device may be there from EAL's start
    return lb::fail(with_log("port " + name + ": device " + text + " does not open" + open_failure(device, error)));
  std::uint16_t id = 0;
  if (rte_eth_dev_get_port_by_name(device.name.c_str(), &id) == 0) return id;
  return lb::fail(with_log("port " + name + ": no such device: " + text +
                           (device.is_pci() ? "; is it bound to vfio-pci? `dpdk-devbind.py --status` tells" : "")));
}

std::optional<bool> is_running(unsigned if_index) noexcept {
  ifreq request{};
  if (if_indextoname(if_index, request.ifr_name) == nullptr) return std::nullopt;
  const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return std::nullopt;
  const bool is_known = ioctl(fd, SIOCGIFFLAGS, &request) == 0;
  close(fd);
  return is_known ? std::optional((request.ifr_flags & IFF_RUNNING) != 0) : std::nullopt;
}

}  // namespace

lb::Result<Mempool> create_mempool(std::uint32_t mbufs, std::uint32_t mbuf_bytes, int socket) {
  rte_mempool* pool = rte_pktmbuf_pool_create("weir_mbufs", mbufs, std::min(kMempoolCache, mbufs / 4), 0,
                                              static_cast<std::uint16_t>(mbuf_bytes), socket);
  if (pool == nullptr) {
    return lb::fail(with_log("no EAL memory for " + std::to_string(mbufs) + " mbufs of " + std::to_string(mbuf_bytes) +
                             " bytes: " + rte_strerror(rte_errno) + "; lower memory.mbufs"));
  }
  return Mempool(pool);
}

std::size_t mempool_memory(std::uint32_t mbufs, std::uint32_t mbuf_bytes) noexcept {
  return std::size_t{mbufs} * (mbuf_bytes + sizeof(rte_mbuf) + 128 + 16);
}

std::size_t mempool_memory_in_small_pages(std::uint32_t mbufs, std::uint32_t mbuf_bytes) noexcept {
  constexpr std::size_t kPage = 4096;
  const std::size_t one = mempool_memory(1, mbuf_bytes);
  const std::size_t pages_each = (one + kPage - 1) / kPage, in_a_page = std::max<std::size_t>(kPage / one, 1);
  return (mbufs + in_a_page - 1) / in_a_page * pages_each * kPage;
}

// A transmit queue for each worker where it is a NIC's; vdevs want their queues in pairs.
lb::Result<void> Port::choose_queues(const Options& options, const rte_eth_dev_info& info) {
  const std::uint16_t most = std::min(info.max_rx_queues, info.max_tx_queues);
  rx_queues_ = options.queues.value_or(std::min(options.workers, most));
  if (rx_queues_ == 0 || rx_queues_ > most) {
    return lb::fail("port " + name_ + " has " + std::to_string(most) + (most == 1 ? " queue" : " queues") + ", not " +
                    std::to_string(std::max<unsigned>(rx_queues_, 1)) + "; lower its `queues`" +
                    (is_software_ ? ", or give the device more by its arguments" : ""));
  }
  tx_queues_ = is_software_ ? rx_queues_ : std::min(std::max(rx_queues_, options.workers), info.max_tx_queues);
  return {};
}

lb::Result<Port> Port::open(const Options& options, rte_mempool* pool) {
  const Device device = parse_device(options.device);
  if (auto ok = check_device(options.name, device); !ok) return std::unexpected(ok.error());
  static_cast<void>(Eal::take_log());  // what comes from here on is this port's

  Port port;
  port.name_ = options.name;
  port.is_software_ = device.is_software();
  for (const Device& member : device.members) {
    const auto id = probe(options.name, member, member.name + " in " + options.device);
    if (!id) return std::unexpected(id.error());
    port.members_.push_back(*id);
  }
  const auto id = probe(options.name, device, options.device);
  if (!id) return std::unexpected(id.error());
  port.id_ = *id;
  if (auto done = port.configure(options, pool); !done) return std::unexpected(done.error());
  return port;
}

// With our hash if the device says that it can, and plainly if that is not so.
int Port::configure_hash(const Options& options, const rte_eth_dev_info& info, const rte_eth_conf& plain) {
  if (options.workers > 1) {
    lb::ToeplitzKey key = options.hash_key;  // DPDK's interface wants it writable
    const RssRequest request{options.workers, options.side, key};
    why_no_hash_ = why_no_rss(request, info, rx_queues_).value_or("");
    if (why_no_hash_.empty()) {
      rte_eth_conf conf = plain;
      conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
      conf.rxmode.offloads |= RTE_ETH_RX_OFFLOAD_RSS_HASH;
      conf.rx_adv_conf.rss_conf = {
          .rss_key = key.data(), .rss_key_len = info.hash_key_size, .rss_hf = rss_types(options.side)};
      reta_size_ = info.reta_size;
      if (rte_eth_dev_configure(id_, rx_queues_, tx_queues_, &conf) == 0) return 0;
      why_no_hash_ = "the device refused to hash by our key";
    }
  }
  return rte_eth_dev_configure(id_, rx_queues_, tx_queues_, &plain);
}

lb::Result<void> Port::configure(const Options& options, rte_mempool* pool) {
  const auto refuse = [&](const std::string& what, int error) {
    return lb::fail(with_log("port " + name_ + " (" + options.device + "): " + what + ": " + rte_strerror(-error) +
                             permission_hint(parse_device(options.device))));
  };
  rte_eth_dev_info info;
  if (const int error = rte_eth_dev_info_get(id_, &info); error < 0) return refuse("no device information", error);
  driver_ = info.driver_name;
  if (auto done = choose_queues(options, info); !done) return done;
  rte_eth_conf conf{};
  conf.rxmode.mtu = std::clamp(options.mtu, info.min_mtu, info.max_mtu);
  if (const int error = configure_hash(options, info, conf); error < 0)
    return refuse("does not take the configuration", error);
  std::uint16_t rx = kDescriptors, tx = kDescriptors;
  rte_eth_dev_adjust_nb_rx_tx_desc(id_, &rx, &tx);
  most_mbufs_ = std::uint32_t{rx_queues_} * rx + std::uint32_t{tx_queues_} * tx;
  const auto socket = static_cast<unsigned>(rte_eth_dev_socket_id(id_));
  for (std::uint16_t q = 0; q < rx_queues_; ++q) {
    if (const int error = rte_eth_rx_queue_setup(id_, q, rx, socket, nullptr, pool); error < 0)
      return refuse("receive queue " + std::to_string(q), error);
    if (const int error = rte_eth_tx_queue_setup(id_, q, tx, socket, nullptr); error < 0)
      return refuse("transmit queue " + std::to_string(q), error);
  }
  // Not every driver can; then frames of that size are dropped by it or arrive anyway.
  rte_eth_dev_set_mtu(id_, options.mtu);

  rte_ether_addr own{};
  rte_eth_macaddr_get(id_, &own);
  std::memcpy(mac_.bytes.data(), own.addr_bytes, 6);
  bool take_all = options.many_macs;
  if (!options.wanted_mac.is_zero() && options.wanted_mac != mac_) {
    rte_ether_addr wanted;
    std::memcpy(wanted.addr_bytes, options.wanted_mac.bytes.data(), 6);
    // The kernel interface under a software port keeps its own MAC; there, seeing every frame is the way.
    take_all |= is_software_ || rte_eth_dev_default_mac_addr_set(id_, &wanted) != 0;
  }
  if (take_all) rte_eth_promiscuous_enable(id_);
  // Neighbour solicitations come to multicast addresses.
  if (rte_eth_allmulticast_enable(id_) != 0) rte_eth_promiscuous_enable(id_);
  return {};
}

lb::Result<void> Port::start(const lb::Owners& owners, const std::vector<std::vector<std::uint16_t>>& queues) {
  if (const int error = rte_eth_dev_start(id_); error < 0)
    return lb::fail(with_log("port " + name_ + " does not start: " + rte_strerror(-error)));
  is_started_ = true;
  if (!hashes()) return {};
  // After the start, at which some drivers write a table of their own.
  std::vector<rte_eth_rss_reta_entry64> table = reta(owners, reta_size_, queues);
  if (const int error = rte_eth_dev_rss_reta_update(id_, table.data(), reta_size_); error < 0)
    why_no_hash_ = std::string("the device refused our indirection table: ") + rte_strerror(-error);
  return {};
}

Port::Port(Port&& other) noexcept
    : id_(std::exchange(other.id_, RTE_MAX_ETHPORTS)),
      rx_queues_(other.rx_queues_),
      tx_queues_(other.tx_queues_),
      members_(std::exchange(other.members_, {})),
      mac_(other.mac_),
      name_(std::move(other.name_)),
      driver_(std::move(other.driver_)),
      why_no_hash_(std::move(other.why_no_hash_)),
      reta_size_(other.reta_size_),
      most_mbufs_(other.most_mbufs_),
      is_software_(other.is_software_),
      is_started_(std::exchange(other.is_started_, false)) {}

Port::~Port() {
  if (is_started_) rte_eth_dev_stop(id_);
  if (id_ != RTE_MAX_ETHPORTS) rte_eth_dev_close(id_);
  for (const std::uint16_t member : members_) rte_eth_dev_close(member);
}

// The drivers that stand on a kernel interface (net_af_packet, net_af_xdp) say "up" for ever, so the kernel is asked.
bool Port::is_link_up() const noexcept {
  rte_eth_dev_info info{};
  if (rte_eth_dev_info_get(id_, &info) == 0 && info.if_index != 0)
    if (const auto running = is_running(info.if_index)) return *running;
  rte_eth_link link{};
  return rte_eth_link_get_nowait(id_, &link) == 0 && link.link_status == RTE_ETH_LINK_UP;
}

}  // namespace weir::dataplane
