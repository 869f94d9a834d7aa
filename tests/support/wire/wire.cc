// A relay between Weir and the kernel: `wire --clients SOCKET:IFACE --servers SOCKET:IFACE [--queues N] [--seed S]
// [--seconds N]`.
//
//   veth IFACE  <- net_af_packet ->  wire  <- net_memif, N queues ->  Weir's port (role=server, the same socket)
//
// Every frame from a veth goes to Weir by a queue drawn at random, as the worst of NICs would deal it; what Weir sends
// goes out as it came. On the way it keeps the order of each flow (order.h). It stops at SIGTERM or after N seconds,
// and prints what it counted as JSON.
//
// A fault is a decision about one frame, made where spray() draws its queue: that is the place for more of them.
#include <rte_dev.h>
#include <rte_eal.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/wire/order.h"

namespace weir::wire {
namespace {

constexpr std::uint16_t kBurst = 32;
constexpr unsigned kMbufs = 16'384;

volatile std::sig_atomic_t g_stopping = 0;

struct Options {
  std::string socket[2], interface[2];  // [0]: towards clients, [1]: towards servers
  std::uint16_t queues = 2;
  std::uint64_t seed = 1;
  int seconds = 600;
};

Options parse(int argc, char** argv) {
  Options o;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string key = argv[i], value = argv[i + 1];
    if (key == "--clients" || key == "--servers") {
      const std::size_t side = key == "--servers", colon = value.rfind(':');
      if (colon == std::string::npos) throw std::runtime_error(key + " wants SOCKET:IFACE");
      o.socket[side] = value.substr(0, colon);
      o.interface[side] = value.substr(colon + 1);
    } else if (key == "--queues") {
      o.queues = static_cast<std::uint16_t>(std::stoul(value));
    } else if (key == "--seed") {
      o.seed = std::stoull(value);
    } else if (key == "--seconds") {
      o.seconds = std::stoi(value);
    } else {
      throw std::runtime_error("there is no option " + key);
    }
  }
  if (o.socket[0].empty() || o.socket[1].empty()) throw std::runtime_error("--clients and --servers are needed");
  return o;
}

struct Counts {
  std::uint64_t frames = 0, late = 0, dropped = 0;
};

/// One veth and its memif.
class Link {
 public:
  Link(const Options& o, std::size_t side, rte_mempool* pool) {
    const std::string n = std::to_string(side);
    veth_ = open("net_af_packet" + n, "iface=" + o.interface[side], 1, pool);
    memif_ = open("net_memif" + n, "role=client,socket-abstract=no,socket=" + o.socket[side], o.queues, pool);
    queues_ = o.queues;
  }

  /// A memif connects when it is asked whether it is up.
  [[nodiscard]] bool is_up() const {
    rte_eth_link link{};
    return rte_eth_link_get_nowait(memif_, &link) == 0 && link.link_status == RTE_ETH_LINK_UP;
  }
  [[nodiscard]] std::uint16_t from_veth(std::span<rte_mbuf*> frames) const {
    return rte_eth_rx_burst(veth_, 0, frames.data(), static_cast<std::uint16_t>(frames.size()));
  }
  [[nodiscard]] std::uint16_t from_weir(std::uint16_t queue, std::span<rte_mbuf*> frames) const {
    return rte_eth_rx_burst(memif_, queue, frames.data(), static_cast<std::uint16_t>(frames.size()));
  }
  [[nodiscard]] std::uint16_t queues() const { return queues_; }
  void to_weir(std::uint16_t queue, rte_mbuf* frame, Counts& counts) const { send(memif_, queue, frame, counts); }
  void to_veth(rte_mbuf* frame, Counts& counts) const { send(veth_, 0, frame, counts); }

 private:
  static std::uint16_t open(const std::string& device, const std::string& arguments, std::uint16_t queues,
                            rte_mempool* pool) {
    std::uint16_t id = 0;
    const rte_eth_conf conf{};
    bool ok = rte_eal_hotplug_add("vdev", device.c_str(), arguments.c_str()) == 0 &&
              rte_eth_dev_get_port_by_name(device.c_str(), &id) == 0 &&
              rte_eth_dev_configure(id, queues, queues, &conf) == 0;
    for (std::uint16_t q = 0; ok && q < queues; ++q)
      ok = rte_eth_rx_queue_setup(id, q, 1024, SOCKET_ID_ANY, nullptr, pool) == 0 &&
           rte_eth_tx_queue_setup(id, q, 1024, SOCKET_ID_ANY, nullptr) == 0;
    if (!ok || rte_eth_dev_start(id) != 0) throw std::runtime_error(device + "," + arguments + " does not open");
    return id;
  }

  // A full queue is waited for a while: the relay itself is to lose nothing.
  static void send(std::uint16_t port, std::uint16_t queue, rte_mbuf* frame, Counts& counts) {
    using std::chrono::steady_clock;
    ++counts.frames;
    if (rte_eth_tx_burst(port, queue, &frame, 1) == 1) return;
    for (const auto until = steady_clock::now() + std::chrono::milliseconds(20); steady_clock::now() < until;)
      if (rte_eth_tx_burst(port, queue, &frame, 1) == 1) return;
    ++counts.dropped;
    rte_pktmbuf_free(frame);
  }

  std::uint16_t veth_ = 0, memif_ = 0, queues_ = 1;
};

std::span<const std::uint8_t> bytes_of(const rte_mbuf* m) {
  return {rte_pktmbuf_mtod(m, const std::uint8_t*), m->data_len};
}

class Relay {
 public:
  Relay(const Options& o, rte_mempool* pool) : links_{Link(o, 0, pool), Link(o, 1, pool)}, random_(o.seed) {}

  [[nodiscard]] bool is_up() const { return links_[0].is_up() && links_[1].is_up(); }
  /// True: something moved.
  bool poll() {
    bool moved = false;
    for (std::size_t side = 0; side < 2; ++side) {
      std::array<rte_mbuf*, kBurst> frames;
      std::uint16_t n = links_[side].from_veth(frames);
      for (std::uint16_t i = 0; i < n; ++i) spray(side, frames[i]);
      moved |= n > 0;
      for (std::uint16_t q = 0; q < links_[side].queues(); ++q) {
        n = links_[side].from_weir(q, frames);
        for (std::uint16_t i = 0; i < n; ++i) deliver(side, frames[i]);
        moved |= n > 0;
      }
    }
    return moved;
  }

  void report() const {
    std::printf("{\"clients_to_servers\": %s, \"servers_to_clients\": %s}\n", text(0).c_str(), text(1).c_str());
    std::fflush(stdout);
  }

 private:
  // From the veth of `side` into Weir.
  void spray(std::size_t side, rte_mbuf* frame) {
    if (const auto seen = read(bytes_of(frame), side == 0 ? Way::kFromClients : Way::kToClients))
      order_[side].in(*seen);
    links_[side].to_weir(static_cast<std::uint16_t>(random_() % links_[side].queues()), frame, into_[side]);
  }

  // From Weir out of the veth of `side`; it went in on the other.
  void deliver(std::size_t side, rte_mbuf* frame) {
    if (const auto seen = read(bytes_of(frame), side == 0 ? Way::kToClients : Way::kFromClients))
      out_[1 - side].late += !order_[1 - side].out(*seen);
    links_[side].to_veth(frame, out_[1 - side]);
  }

  [[nodiscard]] std::string text(std::size_t way) const {
    return "{\"in\": " + std::to_string(into_[way].frames) + ", \"out\": " + std::to_string(out_[way].frames) +
           ", \"late\": " + std::to_string(out_[way].late) + ", \"flows\": " + std::to_string(order_[way].flows()) +
           ", \"dropped\": " + std::to_string(into_[way].dropped + out_[way].dropped) + "}";
  }

  std::array<Link, 2> links_;
  std::mt19937_64 random_;
  std::array<Order, 2> order_;  // by the side where frames went in
  std::array<Counts, 2> into_, out_;
};

int run(const Options& o) {
  const std::string prefix = "--file-prefix=wire-" + std::to_string(getpid());
  std::vector<std::string> words = {"wire",     "--no-huge",      "--no-shconf",         "-m",  "128",
                                    "--no-pci", "--no-telemetry", "--log-level=warning", prefix};
  std::vector<char*> argv;
  for (std::string& w : words) argv.push_back(w.data());
  if (rte_eal_init(static_cast<int>(argv.size()), argv.data()) < 0) throw std::runtime_error("DPDK does not start");
  rte_mempool* pool = rte_pktmbuf_pool_create("wire", kMbufs - 1, 256, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
  if (pool == nullptr) throw std::runtime_error("no memory for frames");
  Relay relay(o, pool);
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(o.seconds);
  while (!relay.is_up()) {
    if (g_stopping != 0 || std::chrono::steady_clock::now() > until) throw std::runtime_error("Weir is not there");
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  std::printf("ready\n");
  std::fflush(stdout);
  while (g_stopping == 0 && std::chrono::steady_clock::now() < until)
    if (!relay.poll()) std::this_thread::sleep_for(std::chrono::microseconds(20));
  relay.report();
  return 0;
}

}  // namespace
}  // namespace weir::wire

int main(int argc, char** argv) {
  std::signal(SIGTERM, [](int) { weir::wire::g_stopping = 1; });
  std::signal(SIGINT, [](int) { weir::wire::g_stopping = 1; });
  try {
    return weir::wire::run(weir::wire::parse(argc, argv));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "wire: %s\n", error.what());
    return 1;
  }
}
