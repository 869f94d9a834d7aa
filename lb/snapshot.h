// The snapshot: everything the workers read about the configuration, immutable, behind one pointer.
//
// Control builds the next one aside (control/compile.h), publishes it with one store (dataplane/rcu.h) and frees the
// old one after a grace period. The arrays come in chunks of 256 and Maglev tables behind shared pointers, so that
// what did not change is shared between generations. Ids are stable over generations (lb/id_registry.h).
//
// Beside the snapshot stand tables that are edited in place and answer with ids: VIPs, endpoints, addresses, routes
// (dataplane/rte_tables.h; plain ones for `weir trace` in lb/plain_tables.h). Entries are added before the publish
// and deleted after the grace period; an id whose entry here is not live is a miss.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "lb/backend_set.h"
#include "lb/chunked.h"
#include "lb/flow_state.h"
#include "lb/hash.h"
#include "lb/ids.h"
#include "lb/reject.h"

namespace weir::lb {

struct VipEntry {
  Address address;
  std::shared_ptr<const BackendSet> set;  // of the VIP's family; null: not live
  std::uint16_t first_port = 0;           // host order; first == last for a single port
  std::uint16_t last_port = 0;
  Protocol protocol = Protocol::kTcp;
  Reject reject = Reject::kRst;
  std::uint32_t service = 0;  // position in Snapshot::service_names, for trace and show

  [[nodiscard]] bool is_live() const noexcept { return set != nullptr; }
  [[nodiscard]] bool is_single_port() const noexcept { return first_port == last_port; }
};

struct alignas(32) EndpointEntry {
  Address address;
  be16 port;  // 0: as it arrived
  Protocol protocol = Protocol::kTcp;
  bool is_live = false;           // false: a miss
  bool has_left = false;          // some VIP no longer has it: see BackendSet::contains()
  VipId sole_vip = VipId::kNone;  // the one VIP it serves; none if it serves several or none
  NextHopId next_hop = NextHopId::kNone;
  EndpointId any_port_sibling = EndpointId::kNone;  // same address and protocol, port as it arrived
};
static_assert(sizeof(EndpointEntry) == 32);

/// An address that Weir answers for: of VIPs, of an interface, or (refused by check) neither.
struct AddressEntry {
  struct PortSpan {
    std::uint16_t first, last;
    VipId vip;
  };
  bool is_vip = false;
  bool is_kept_on_twins = false;        // it is a VIP that is ours only while a twin has it (`announce: when_on_twin`)
  std::vector<InterfaceId> on_twin_of;  // then: the interfaces whose twins have it now
  std::vector<InterfaceId> own_on;      // it is these interfaces' own address; several: fe80:: ones
  Reject reject = Reject::kRst;         // for ports that no VIP has: the quietest of its services'
  std::vector<PortSpan> tcp_spans;      // ranges ascending and disjoint; `port: all` last
  std::vector<PortSpan> udp_spans;

  [[nodiscard]] bool is_live() const noexcept { return is_vip || !own_on.empty(); }
  [[nodiscard]] bool is_own_on(InterfaceId i) const noexcept {
    return std::find(own_on.begin(), own_on.end(), i) != own_on.end();
  }
  /// Ranges come before `all`, so the first span that holds the port is the most specific.
  [[nodiscard]] VipId find_span(Protocol protocol, be16 port) const noexcept {
    for (const PortSpan& s : protocol == Protocol::kTcp ? tcp_spans : udp_spans)
      if (s.first <= port.host() && port.host() <= s.last) return s.vip;
    return VipId::kNone;
  }
};

struct InterfaceEntry {
  std::string name;  // empty: not live
  PortIndex port{};
  std::uint16_t vlan = 0;
  std::uint16_t mtu = 1500;
  MacAddress mac;
  bool announces_vips = true;    // ARP and ND say that VIPs are here
  bool has_twin = false;         // what is for this box itself goes to the kernel
  std::vector<be32> broadcasts;  // its subnets' broadcast addresses
};

/// One packet's way out: the interface and the next hop's MAC, in one word so that a change is one store. A word
/// without a MAC is unresolved; it still says the interface where that is known, so that somebody can be asked.
class NextHopWord {
 public:
  constexpr NextHopWord() noexcept = default;
  NextHopWord(InterfaceId interface, const MacAddress& mac) noexcept : bits_(std::uint64_t{index(interface)} << 48) {
    std::memcpy(&bits_, mac.bytes.data(), 6);
  }
  [[nodiscard]] static constexpr NextHopWord from_bits(std::uint64_t bits) noexcept {
    NextHopWord w;
    w.bits_ = bits;
    return w;
  }
  [[nodiscard]] constexpr std::uint64_t bits() const noexcept { return bits_; }
  [[nodiscard]] static constexpr NextHopWord unresolved(InterfaceId interface) noexcept {
    return from_bits(std::uint64_t{index(interface)} << 48);
  }
  [[nodiscard]] constexpr bool is_resolved() const noexcept { return (bits_ & kMacBits) != 0; }
  [[nodiscard]] constexpr InterfaceId interface() const noexcept { return InterfaceId(bits_ >> 48); }
  [[nodiscard]] MacAddress mac() const noexcept {
    MacAddress m;
    std::memcpy(m.bytes.data(), &bits_, 6);
    return m;
  }

 private:
  static constexpr std::uint64_t kMacBits = 0xffff'ffff'ffff;
  std::uint64_t bits_ = 0;
};

struct Snapshot {
  std::uint64_t generation = 0;
  HashKey selection_key;
  Timeouts timeouts;
  bool is_withdrawn = false;                           // the process is about to end: VIPs are announced no more
  bool has_port_spans = false;                         // any range or all-port VIP at all
  bool transit_to_kernel = false;                      // unicast packets for nobody here, where there is a twin
  Chunked<VipEntry> vips;                              // by VipId
  Chunked<EndpointEntry> endpoints;                    // by EndpointId
  Chunked<AddressEntry> addresses;                     // by AddressId
  std::vector<InterfaceEntry> interfaces;              // by InterfaceId; [0] is unused
  std::vector<std::vector<InterfaceId>> by_port_vlan;  // [PortIndex][VLAN id, 4,096 of them]
  std::shared_ptr<const std::vector<std::string>> service_names;

  /// Whether ARP and ND say that the VIP is behind this interface. Where it is not, its packets are balanced all the
  /// same: they come by a route, or from a neighbour that has not heard of the fail-over yet.
  [[nodiscard]] bool announces(const AddressEntry& vip, InterfaceId i) const noexcept {
    return vip.is_vip && !is_withdrawn && interfaces[index(i)].announces_vips &&
           (!vip.is_kept_on_twins || std::ranges::find(vip.on_twin_of, i) != vip.on_twin_of.end());
  }
  /// Whether the VIP speaks for itself (echo), wherever the packet came in.
  [[nodiscard]] bool owns(const AddressEntry& vip) const noexcept {
    return vip.is_vip && !is_withdrawn && (!vip.is_kept_on_twins || !vip.on_twin_of.empty());
  }

  [[nodiscard]] InterfaceId interface_of(PortIndex port, std::uint16_t vlan) const noexcept {
    return by_port_vlan[index(port)][vlan];
  }
};

}  // namespace weir::lb
