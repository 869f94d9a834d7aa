// The checked configuration: what weir.yaml says, with defaults filled in and every rule of config/check.h held.
//
// A Model is a value. It comes only from config::load() (config/load.h) and is turned into a snapshot by
// control/compile.h. Places (`Where`) stay with what an operator may have to be pointed at later.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lb/address.h"
#include "lb/hash.h"
#include "lb/reject.h"

namespace weir::config {

/// A place in the file; both count from 1. {0, 0}: a default, written nowhere.
struct Where {
  std::uint32_t line = 0;
  std::uint32_t column = 0;
  constexpr bool operator==(const Where&) const noexcept = default;
};

enum class HugePages : std::uint8_t { kAuto, kAlways, kNever };

struct Memory {
  HugePages huge_pages = HugePages::kAuto;
  std::uint32_t mbufs = 65536;      // in all, split over the worker's pools
  std::uint32_t mbuf_bytes = 2176;  // data room of one mbuf, headroom included
  constexpr bool operator==(const Memory&) const noexcept = default;
};

struct Control {
  std::string socket = "/run/weir/weir.sock";
  std::string state_dir = "/var/lib/weir";
  std::optional<lb::SocketAddress> metrics;  // where GET /metrics is answered over TCP; none: nowhere
  bool operator==(const Control&) const noexcept = default;
};

/// Idle times after which a flow is forgotten; each 1 s to 32,767 s, whole seconds.
struct Timeouts {
  std::chrono::seconds tcp_new{60};
  std::chrono::seconds tcp_established{7440};  // RFC 5382 REQ-5: at least 2 h 4 min
  std::chrono::seconds tcp_closing{240};       // RFC 5382 REQ-5: at least 4 min
  std::chrono::seconds udp_new{30};
  std::chrono::seconds udp{300};  // RFC 4787 REQ-5: 5 min advised
  std::chrono::seconds icmp{60};  // read, with a warning; no flow of this version uses it
  constexpr bool operator==(const Timeouts&) const noexcept = default;
};

struct Conntrack {
  std::uint32_t capacity = 1'000'000;     // IPv4 flows, in all, split over workers
  std::uint32_t wide_capacity = 250'000;  // IPv6 flows and what finds no room among the others
  Timeouts timeouts;
  constexpr bool operator==(const Conntrack&) const noexcept = default;
};

struct Port {
  std::string name;
  std::string device;                   // PCI address or DPDK vdev string ("net_af_xdp0,iface=eth1")
  std::optional<std::uint16_t> queues;  // default: one per worker, or as many as the device has
  Where where;
};

struct Interface {
  std::string name;
  std::string port;                   // a Port's name
  std::uint16_t vlan = 0;             // 0: untagged; 1 to 4094
  std::vector<lb::Prefix> addresses;  // own address with its subnet's length
  std::optional<lb::MacAddress> mac;  // default: the device's own
  std::uint16_t mtu = 1500;           // 68 to 9,000; at least 1,280 with an IPv6 address
  bool twin = false;                  // a kernel TAP interface of this name behind it
  Where where;
};

/// What becomes of unicast packets that are for nobody here: to the kernel where the interface has a twin, or dropped.
enum class Transit : std::uint8_t { kKernel, kDrop };

/// When ARP and ND say that VIPs are here. kWhenOnTwin: an address that somebody (keepalived) has put on a twin, there.
enum class AnnounceSegment : std::uint8_t { kAlways, kNever, kWhenOnTwin };

struct Announce {
  AnnounceSegment segment = AnnounceSegment::kAlways;
  std::optional<std::vector<std::string>> interfaces;  // names; none given: every interface
};

/// What SIGTERM does.
struct OnStop {
  std::chrono::milliseconds grace{0};  // from the withdrawal of the VIPs to the end; at most an hour
};

struct Route {
  lb::Prefix to;          // host bits clear
  lb::Address via;        // same family
  std::string interface;  // filled in by the check when the file leaves it out
  Where where;
};

struct Neighbor {
  lb::Address address;
  lb::MacAddress mac;
  std::string interface;  // filled in by the check when the file leaves it out
  Where where;
};

/// Ports [first, last]; `port: all` is 1 to 65535 with all = true.
struct PortRange {
  std::uint16_t first = 0;
  std::uint16_t last = 0;
  bool all = false;
  [[nodiscard]] constexpr bool is_single() const noexcept { return first == last; }
  constexpr bool operator==(const PortRange&) const noexcept = default;
};

struct Vip {
  lb::Address address;
  PortRange ports;
  Where where;
};

struct Backend {
  lb::Address address;
  std::uint16_t port = 0;    // 0: as it arrived
  std::uint16_t weight = 1;  // 0: draining
  Where where;
};

using lb::Reject;

struct Service {
  std::string name;
  std::vector<Vip> vips;
  lb::Protocol protocol = lb::Protocol::kTcp;  // kTcp or kUdp
  std::optional<std::uint32_t> maglev_size;    // a prime; none: by the number of backends (lb/maglev.h)
  Reject reject = Reject::kRst;
  std::vector<Backend> backends;
  Where where;
};

struct Model {
  std::string file;                    // as given, for messages
  std::uint16_t workers = 1;           // number of workers
  std::vector<unsigned> worker_cores;  // given as a list of cores; empty: Weir picks
  Memory memory;
  Control control;
  std::optional<lb::HashKey> hash_key;  // none: the public default, with a warning
  Conntrack conntrack;
  std::vector<Port> ports;
  std::vector<Interface> interfaces;
  Announce announce;
  Transit transit = Transit::kKernel;
  OnStop stop;
  std::vector<Route> routes;
  std::vector<Neighbor> neighbors;
  std::vector<Service> services;
};

}  // namespace weir::config
