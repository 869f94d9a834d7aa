// A DPDK port: any device, opened, configured for our queues, started.
#pragma once

#include <rte_ethdev.h>
#include <rte_mempool.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "dataplane/rss.h"
#include "lb/address.h"
#include "lb/result.h"

namespace weir::dataplane {

struct FreeMempool {
  void operator()(rte_mempool* pool) const noexcept { rte_mempool_free(pool); }
};
using Mempool = std::unique_ptr<rte_mempool, FreeMempool>;

/// The workers' mbufs. Workers share this pool among themselves only (a preempted thread must not hold one up).
[[nodiscard]] lb::Result<Mempool> create_mempool(std::uint32_t mbufs, std::uint32_t mbuf_bytes, int socket);
/// Mbufs that a worker keeps at hand: its cache of the pool, half as many again before it gives any back, and bursts.
inline constexpr std::uint32_t kMbufsOfWorker = 512;
/// EAL memory that it takes in huge pages.
[[nodiscard]] std::size_t mempool_memory(std::uint32_t mbufs, std::uint32_t mbuf_bytes) noexcept;
/// And in pages of 4 KiB, where DPDK lets no mbuf cross from one into the next.
[[nodiscard]] std::size_t mempool_memory_in_small_pages(std::uint32_t mbufs, std::uint32_t mbuf_bytes) noexcept;

class Port {
 public:
  struct Options {
    std::string name;    // weir.yaml's, for messages
    std::string device;  // PCI address or vdev string
    std::uint16_t workers = 1;
    std::optional<std::uint16_t> queues;  // none: one per worker, or as many as the device has
    std::uint16_t mtu = 1500;             // the largest of its interfaces'
    lb::MacAddress wanted_mac;            // zero: the device's own
    bool many_macs = false;               // its interfaces use several, so it must take every frame
    PortSide side = PortSide::kBoth;
    lb::ToeplitzKey hash_key{};  // of all ports
  };
  /// Probes and configures the device; start() lets packets in. `pool` outlives the port.
  [[nodiscard]] static lb::Result<Port> open(const Options& options, rte_mempool* pool);

  Port(Port&& other) noexcept;
  Port& operator=(Port&&) = delete;
  ~Port();  // stops, closes and removes the device

  /// `queues` by worker: the receive queues it polls here. If the port hashes(), it is told to use them as `owners`
  /// want it.
  [[nodiscard]] lb::Result<void> start(const lb::Owners& owners, const std::vector<std::vector<std::uint16_t>>& queues);

  [[nodiscard]] std::uint16_t id() const noexcept { return id_; }
  [[nodiscard]] std::uint16_t rx_queues() const noexcept { return rx_queues_; }
  [[nodiscard]] std::uint16_t tx_queues() const noexcept { return tx_queues_; }
  /// Mbufs that its queues may hold, all of them full.
  [[nodiscard]] std::uint32_t most_mbufs() const noexcept { return most_mbufs_; }
  [[nodiscard]] const lb::MacAddress& mac() const noexcept { return mac_; }  // the device's own
  [[nodiscard]] const std::string& driver() const noexcept { return driver_; }
  /// A vdev, without a NIC behind that would mind being polled less often (Device::is_software()).
  [[nodiscard]] bool is_software() const noexcept { return is_software_; }
  /// It hashes by the owners' key; what each worker finds of it is another matter (dataplane/steering.h).
  [[nodiscard]] bool hashes() const noexcept { return why_no_hash_.empty(); }
  /// Else why not: "the device does not hash packets".
  [[nodiscard]] const std::string& why_no_hash() const noexcept { return why_no_hash_; }
  /// As the driver sees it now. Control thread.
  [[nodiscard]] bool is_link_up() const noexcept;
  [[nodiscard]] int socket() const noexcept { return rte_eth_dev_socket_id(id_); }

 private:
  Port() = default;
  [[nodiscard]] lb::Result<void> choose_queues(const Options& options, const rte_eth_dev_info& info);
  [[nodiscard]] int configure_hash(const Options& options, const rte_eth_dev_info& info, const rte_eth_conf& plain);
  [[nodiscard]] lb::Result<void> configure(const Options& options, rte_mempool* pool);

  std::uint16_t id_ = RTE_MAX_ETHPORTS;
  std::uint16_t rx_queues_ = 0;
  std::uint16_t tx_queues_ = 0;
  std::vector<std::uint16_t> members_;  // of a bond: they go after it
  lb::MacAddress mac_;
  std::string name_, driver_;
  std::string why_no_hash_ = "there is one worker";
  std::uint16_t reta_size_ = 0;
  std::uint32_t most_mbufs_ = 0;
  bool is_software_ = false;
  bool is_started_ = false;
};

}  // namespace weir::dataplane
