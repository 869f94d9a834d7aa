// Packets that wait for a neighbour. The first packet to a next hop that the kernel has not resolved is rewritten as
// if it were sent, and held while the kernel asks; a SYN lost instead would cost its client a second.
//
// A small budget in all and for each next hop: whoever sends to addresses where nobody is gets three packets' worth.
// One worker's own; in order of arrival, so that packets leave in the order in which they came.
#pragma once

#include <array>
#include <cstdint>

#include "lb/address.h"
#include "lb/ids.h"

namespace weir::dataplane {

template <class Frame>
class HeldFrames {
 public:
  static constexpr std::size_t kMost = 64;
  static constexpr std::size_t kMostEach = 3;                  // as Linux long had (net.ipv4.neigh.*.unres_qlen)
  static constexpr std::uint64_t kPatienceNs = 1'000'000'000;  // the client's first retransmission (RFC 6298)

  struct Entry {
    Frame frame{};                                    // rewritten, behind the link header that it came with
    lb::NextHopId next_hop = lb::NextHopId::kNone;    // when it came
    lb::EndpointId endpoint = lb::EndpointId::kNone;  // goes to it; none: by route to `destination`
    lb::Address destination;
    std::uint64_t until_ns = 0;
    lb::PortIndex port{};  // it came by
    std::uint16_t ip_offset = 0;
    std::uint16_t ip_length = 0;
    bool is_v4 = true;
  };

  [[nodiscard]] bool is_empty() const noexcept { return size_ == 0; }
  [[nodiscard]] bool has(lb::NextHopId next_hop, const lb::Address& destination) const noexcept {
    return count(next_hop, destination) > 0;
  }
  [[nodiscard]] bool has_room(lb::NextHopId next_hop, const lb::Address& destination) const noexcept {
    return size_ < kMost && count(next_hop, destination) < kMostEach;
  }
  /// has_room() said so.
  void add(const Entry& e) noexcept { entries_[size_++] = e; }

  /// `stays(Entry&)` false: it is taken out.
  template <class Stays>
  void keep_if(Stays&& stays) noexcept {
    std::size_t kept = 0;
    for (std::size_t i = 0; i < size_; ++i)
      if (stays(entries_[i])) entries_[kept++] = entries_[i];
    size_ = kept;
  }

 private:
  [[nodiscard]] std::size_t count(lb::NextHopId next_hop, const lb::Address& destination) const noexcept {
    std::size_t same = 0;
    for (std::size_t i = 0; i < size_; ++i)
      if (entries_[i].next_hop == next_hop && entries_[i].destination == destination) ++same;
    return same;
  }

  std::array<Entry, kMost> entries_;
  std::size_t size_ = 0;
};

}  // namespace weir::dataplane
