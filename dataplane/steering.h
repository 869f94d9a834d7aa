// One worker's part in bringing packets to the owner of their flow (lb/owner.h).
//
// A port brings them there by itself where its hardware hashes as we ask it to. That is not believed but proved, by
// each worker for each port: until kProofs packets in a row carried the very hash that Owners computes, the owner is
// computed for every packet; after that only for a packet whose look-up finds nothing. One wrong hash, or one packet
// that a right hash brought to the wrong worker, and the port is not trusted any more. Packets without a hash prove
// nothing either way.
//
// Written by its worker; what control shows of it is a counter or a relaxed atomic.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "lb/counter.h"
#include "lb/ids.h"
#include "lb/owner.h"

namespace weir::dataplane {

class Steering {
 public:
  enum class Trust : std::uint8_t { kSoftware, kProving, kTrusted, kRefuted };
  static constexpr std::uint32_t kProofs = 64;

  /// `hashes` by PortIndex: does the port claim to hash by the owners' key? `owners` outlives it.
  Steering(const lb::Owners& owners, lb::WorkerIndex self, const std::vector<bool>& hashes)
      : owners_(owners), self_(self), ports_(hashes.size()) {
    for (std::size_t i = 0; i < hashes.size(); ++i) ports_[i].set(hashes[i] ? Trust::kProving : Trust::kSoftware);
  }

  [[nodiscard]] const lb::Owners& owners() const noexcept { return owners_; }
  [[nodiscard]] lb::WorkerIndex self() const noexcept { return self_; }
  [[nodiscard]] Trust trust(lb::PortIndex port) const noexcept { return ports_[index(port)].get(); }

  /// A packet came in by `port` with this hash, and ours is `expected`. False: that refutes the port.
  [[nodiscard]] bool prove(lb::PortIndex port, std::optional<std::uint32_t> hash, std::uint32_t expected) noexcept {
    Port& p = ports_[index(port)];
    if (!hash) return true;
    if (*hash != expected || owners_.at(expected) != self_) {
      p.set(Trust::kRefuted);
      return false;
    }
    p.proofs.add();
    if (p.proofs.get() == kProofs) p.set(Trust::kTrusted);
    return true;
  }

 private:
  struct Port {
    lb::SingleWriter<std::uint8_t> trust;
    lb::SingleWriter<std::uint32_t> proofs;
    [[nodiscard]] Trust get() const noexcept { return Trust(trust.get()); }
    void set(Trust t) noexcept { trust.set(static_cast<std::uint8_t>(t)); }
  };

  const lb::Owners& owners_;
  lb::WorkerIndex self_;
  std::vector<Port> ports_;
};

}  // namespace weir::dataplane
