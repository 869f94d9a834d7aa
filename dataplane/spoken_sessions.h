// The BGP connections on which the kernel speaks, told by the segments that it sends: what belongs to one of them goes
// by a token bucket of its own, where a flood to port 179 cannot follow. A segment counts if it has data. A handshake
// has none, and whoever completes one that the daemon behind the kernel does not care to answer has gained nothing; a
// BGP daemon answers those that it is configured to talk to. The kernel's FIN or RST ends it: whoever was answered in
// order to be refused is forgotten.
//
// One for all workers: the one that sends the kernel's frames need not be the one that receives the answers. Slots of
// one atomic word each, hash and presence in one; a lost race or a collision costs a session its bucket until its next
// segment with data (a keepalive will do), nothing else. A session that ended without a word keeps its slot until
// another needs it.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <cstring>

#include "lb/hash.h"
#include "lb/headers.h"
#include "lb/parse.h"

namespace weir::dataplane {

class SpokenSessions {
 public:
  /// `key` is random: a stranger who knew it could look for addresses and ports that share a session's tag.
  explicit SpokenSessions(const lb::HashKey& key) noexcept : key_(key) {}

  /// A segment that the kernel sends to or from port 179.
  void sent(const lb::Packet& p) noexcept {
    if ((p.tcp_flags & lb::kTcpSyn) != 0) return;
    const std::uint64_t tag = tag_of(p.destination, p.destination_port, p.source, p.source_port);
    std::atomic<std::uint64_t>* const two = &slots_[tag % kSlots & ~std::size_t{1}];
    if ((p.tcp_flags & (lb::kTcpFin | lb::kTcpRst)) != 0) return forget(two, tag);
    if (p.payload_length == 0) return;
    for (std::size_t i = 0; i < 2; ++i)
      if (two[i].load(std::memory_order_relaxed) == tag) return;
    const std::size_t free = two[0].load(std::memory_order_relaxed) == 0 ? 0 : 1;
    two[free].store(tag, std::memory_order_relaxed);
  }
  /// Whether a segment that comes in belongs to one.
  [[nodiscard]] bool has(const lb::Packet& p) const noexcept {
    const std::uint64_t tag = tag_of(p.source, p.source_port, p.destination, p.destination_port);
    const std::atomic<std::uint64_t>* const two = &slots_[tag % kSlots & ~std::size_t{1}];
    return two[0].load(std::memory_order_relaxed) == tag || two[1].load(std::memory_order_relaxed) == tag;
  }

 private:
  static constexpr std::size_t kSlots = 4096;  // 32 KiB, for hundreds of sessions

  // Only if it is still that session's: another worker may have put another there.
  static void forget(std::atomic<std::uint64_t>* two, std::uint64_t tag) noexcept {
    for (std::size_t i = 0; i < 2; ++i) {
      std::uint64_t expected = tag;
      two[i].compare_exchange_strong(expected, 0, std::memory_order_relaxed);
    }
  }

  [[nodiscard]] std::uint64_t tag_of(const lb::Address& peer, lb::be16 peer_port, const lb::Address& own,
                                     lb::be16 own_port) const noexcept {
    std::uint64_t p[2], o[2];
    std::memcpy(p, peer.bytes.data(), sizeof p);
    std::memcpy(o, own.bytes.data(), sizeof o);
    const std::uint64_t ports = std::uint64_t{peer_port.raw()} << 16 | own_port.raw();
    return lb::sip_hash(key_, p[0], p[1], lb::sip_hash(key_, o[0], o[1], ports)) | 1;  // 0 is an empty slot
  }

  lb::HashKey key_;
  std::array<std::atomic<std::uint64_t>, kSlots> slots_{};  // written: the worker that injects; read: workers; 0: none
};

}  // namespace weir::dataplane
