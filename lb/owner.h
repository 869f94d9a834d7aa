// Whose flow it is: one function of one (address, port), the same in both directions and for every mode.
//
//   owner(a, p) = lane[T(a || p) mod 128]
//
// (a, p) is the client's socket: the source of a packet to a VIP, the destination of one from an endpoint. T is
// Toeplitz if any port hashes in hardware (its key is programmed into all of those, and entry i of their indirection
// tables is lane[i mod 128], so that a port delivers a packet where this function says), and a keyed hash otherwise,
// which nobody outside can aim at one lane. It never depends on service, mode, policy or affinity.
//
// Lanes are dealt to workers round-robin. Immutable once made; read by every worker.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>

#include "lb/address.h"
#include "lb/hash.h"
#include "lb/toeplitz.h"

namespace weir::lb {

inline constexpr std::size_t kLanes = 128;  // and so the most workers there can be

/// Counts from 0.
using WorkerIndex = std::uint8_t;

class Owners {
 public:
  /// By a keyed hash; `key` is random and secret. 1 to kLanes workers.
  Owners(unsigned workers, const HashKey& key) noexcept : key_(key) { deal(workers); }
  /// By Toeplitz, as ports with `key` do.
  Owners(unsigned workers, const ToeplitzKey& key) noexcept : toeplitz_(key) { deal(workers); }

  /// T(a || p). The same as a port's RSS hash where T is Toeplitz.
  [[nodiscard]] std::uint32_t hash(const Address& a, be16 p) const noexcept {
    return toeplitz_ ? by_toeplitz(a, p) : by_key(a, p);
  }
  [[nodiscard]] WorkerIndex at(std::uint32_t hash) const noexcept { return lanes_[hash % kLanes]; }
  [[nodiscard]] WorkerIndex operator()(const Address& a, be16 p) const noexcept { return at(hash(a, p)); }
  [[nodiscard]] std::span<const WorkerIndex, kLanes> lanes() const noexcept { return lanes_; }
  [[nodiscard]] unsigned workers() const noexcept { return workers_; }

 private:
  void deal(unsigned workers) noexcept {
    workers_ = workers;
    for (std::size_t i = 0; i < kLanes; ++i) lanes_[i] = static_cast<WorkerIndex>(i % workers);
  }
  [[nodiscard]] std::uint32_t by_key(const Address& a, be16 p) const noexcept {
    if (a.is_v4())
      return static_cast<std::uint32_t>(sip_hash(key_, std::uint64_t{a.to_v4().raw()} << 16 | p.raw()) >> 32);
    std::uint64_t words[2];
    std::memcpy(words, a.bytes.data(), 16);
    return static_cast<std::uint32_t>(sip_hash(key_, words[0], words[1], std::uint64_t{p.raw()}) >> 32);
  }
  [[nodiscard]] std::uint32_t by_toeplitz(const Address& a, be16 p) const noexcept {
    std::uint8_t input[kToeplitzInputBytes];
    const std::size_t length = a.is_v4() ? 4 : 16;
    const std::uint16_t port = p.raw();
    std::memcpy(input, a.bytes.data() + (16 - length), length);
    std::memcpy(input + length, &port, 2);
    return (*toeplitz_)({input, length + 2});
  }

  HashKey key_;
  std::optional<Toeplitz> toeplitz_;
  std::array<WorkerIndex, kLanes> lanes_{};
  unsigned workers_ = 1;
};

}  // namespace weir::lb
