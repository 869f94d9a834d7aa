// What a flow is going through, in six bits, and how long it may stay silent in it.
//
// Theory of operation. Weir tracks no sequence numbers (design: the ends judge those), so every transition must be
// harmless when the segment that caused it was forged:
//   1. A flow is *confirmed* when its backend has replied and the client has sent again. Only a segment with ACK
//      and without RST counts as sending again: a spoofed client can cause a second SYN, and its victim answers a
//      SYN-ACK with RST, but neither proves that the client takes part.
//   2. FIN or RST puts a flow on the closing timer; it frees nothing. A later segment takes that back:
//      - after RST, any segment without RST (if the connection is dead, its end answers with RST again);
//      - after a FIN of one side, a segment without FIN from that same side;
//      - after FINs of both sides, only one with payload: the last ACK of an orderly close carries none.
//   3. UDP flows know only replied and confirmed.
#pragma once

#include <cstdint>

#include "lb/headers.h"

namespace weir::lb {

/// Whole seconds of the workers' clock, modulo 2^16. Differences are right while they stay under 2^15.
using Tick = std::uint16_t;

/// Idle times in seconds, 1 to 32,767. The defaults are the configuration's.
struct Timeouts {
  Tick tcp_new = 60;
  Tick tcp_established = 7440;
  Tick tcp_closing = 240;
  Tick udp_new = 30;
  Tick udp = 300;
  constexpr bool operator==(const Timeouts&) const noexcept = default;
};

enum class Direction : std::uint8_t { kForward, kReply };  // client to VIP; endpoint to client

class FlowState {
 public:
  static constexpr unsigned kBits = 6;

  constexpr FlowState() noexcept = default;
  [[nodiscard]] static constexpr FlowState from_bits(std::uint8_t bits) noexcept { return FlowState(bits); }
  [[nodiscard]] static constexpr FlowState opened(bool udp) noexcept { return FlowState(udp ? kUdp : 0); }

  [[nodiscard]] constexpr std::uint8_t bits() const noexcept { return bits_; }
  [[nodiscard]] constexpr bool is_udp() const noexcept { return (bits_ & kUdp) != 0; }
  [[nodiscard]] constexpr bool is_replied() const noexcept { return (bits_ & kReplied) != 0; }
  [[nodiscard]] constexpr bool is_confirmed() const noexcept { return (bits_ & kConfirmed) != 0; }
  [[nodiscard]] constexpr bool is_closing() const noexcept { return (bits_ & kAnyClosing) != 0; }

  /// The state after one more packet. `tcp_flags` and `payload_length` are ignored for UDP.
  [[nodiscard]] constexpr FlowState after(Direction d, std::uint8_t tcp_flags,
                                          std::uint16_t payload_length) const noexcept {
    std::uint8_t b = bits_;
    if (d == Direction::kReply) b |= kReplied;
    if (is_udp()) {
      if (d == Direction::kForward && (b & kReplied) != 0) b |= kConfirmed;
      return FlowState(b);
    }
    const bool is_rst = (tcp_flags & kTcpRst) != 0;
    if (d == Direction::kForward && (b & kReplied) != 0 && (tcp_flags & kTcpAck) != 0 && !is_rst) b |= kConfirmed;
    if (is_rst) return FlowState(b | kReset);
    b = static_cast<std::uint8_t>(b & ~kReset);

    const std::uint8_t own_fin = d == Direction::kForward ? kClientFin : kEndpointFin;
    const bool both_closed = (b & kBothFins) == kBothFins;
    if ((tcp_flags & kTcpFin) != 0) {
      b |= own_fin;
    } else if (!both_closed || payload_length > 0) {
      b = static_cast<std::uint8_t>(b & ~own_fin);
    }
    return FlowState(b);
  }

  [[nodiscard]] constexpr Tick timeout(const Timeouts& t) const noexcept {
    if (is_udp()) return is_confirmed() ? t.udp : t.udp_new;
    if (!is_confirmed()) return t.tcp_new;
    return is_closing() ? t.tcp_closing : t.tcp_established;
  }

  /// "new", "replied", "established", "closing".
  [[nodiscard]] constexpr const char* name() const noexcept {
    if (is_closing()) return "closing";
    if (is_confirmed()) return "established";
    return is_replied() ? "replied" : "new";
  }

  constexpr bool operator==(const FlowState&) const noexcept = default;

 private:
  static constexpr std::uint8_t kReplied = 1;
  static constexpr std::uint8_t kConfirmed = 2;
  static constexpr std::uint8_t kClientFin = 4;
  static constexpr std::uint8_t kEndpointFin = 8;
  static constexpr std::uint8_t kReset = 16;
  static constexpr std::uint8_t kUdp = 32;
  static constexpr std::uint8_t kBothFins = kClientFin | kEndpointFin;
  static constexpr std::uint8_t kAnyClosing = kBothFins | kReset;

  constexpr explicit FlowState(int bits) noexcept : bits_(static_cast<std::uint8_t>(bits)) {}
  std::uint8_t bits_ = 0;
};

}  // namespace weir::lb
