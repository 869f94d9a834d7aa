// Frames in plain memory, for `weir trace`, tests and fuzzers.
#pragma once

#include <cstdint>
#include <cstring>
#include <deque>
#include <optional>
#include <span>
#include <vector>

#include "dataplane/counters.h"
#include "dataplane/punt.h"
#include "dataplane/side_rings.h"
#include "lb/ids.h"
#include "lb/owner.h"

namespace weir::dataplane {

/// A frame with room in front and behind, as an mbuf has.
class MemoryFrame {
 public:
  static constexpr std::size_t kHeadroom = 128;
  static constexpr std::size_t kTailroom = 128;

  explicit MemoryFrame(std::span<const std::uint8_t> bytes)
      : buffer_(kHeadroom + bytes.size() + kTailroom), length_(bytes.size()) {
    if (!bytes.empty()) std::memcpy(buffer_.data() + kHeadroom, bytes.data(), bytes.size());
  }

  [[nodiscard]] std::uint8_t* data() noexcept { return buffer_.data() + start_; }
  [[nodiscard]] std::size_t length() const noexcept { return length_; }
  [[nodiscard]] std::span<const std::uint8_t> bytes() const noexcept { return {buffer_.data() + start_, length_}; }

  /// Moves the start by `delta` and sets the length; the new start, or null if there is no room for it.
  [[nodiscard]] std::uint8_t* reshape(int delta, std::size_t length) noexcept {
    const auto start = static_cast<std::ptrdiff_t>(start_) + delta;
    if (start < 0 || static_cast<std::size_t>(start) + length > buffer_.size()) return nullptr;
    start_ = static_cast<std::size_t>(start);
    length_ = length;
    return data();
  }

  std::optional<std::uint32_t> rss_hash;  // as a NIC would tell it
  lb::PortIndex port{};                   // only while it is handed over

 private:
  std::vector<std::uint8_t> buffer_;
  std::size_t start_ = kHeadroom;
  std::size_t length_;
};

/// PacketPath's Io over MemoryFrames. Keeps what was sent, handed over or punted, in order. Frames belong to the
/// caller, who keeps alive what the path may hold; those that the path itself makes belong to this.
class MemoryIo {
 public:
  using Frame = MemoryFrame*;

  explicit MemoryIo(WorkerCounters& counters) : counters_(counters) {}

  [[nodiscard]] static std::uint8_t* data(Frame f) noexcept { return f->data(); }
  [[nodiscard]] static std::size_t length(Frame f) noexcept { return f->length(); }
  [[nodiscard]] static std::uint8_t* reshape(Frame f, int delta, std::size_t length) noexcept {
    return f->reshape(delta, length);
  }
  void transmit(lb::PortIndex port, Frame f) noexcept {
    counters_.sent.add();
    sent.push_back({port, f});
  }
  void drop(Frame, lb::PortIndex, lb::DropReason) noexcept {}
  void refused(std::span<const std::uint8_t>, lb::PortIndex, lb::DropReason) noexcept {}
  void hand_over(Frame f, lb::PortIndex port, lb::WorkerIndex to) noexcept {
    counters_.count(lb::Event::kHandedOver);
    f->port = port;
    handed_over.push_back({to, f});
  }
  [[nodiscard]] static lb::PortIndex port(Frame f) noexcept { return f->port; }
  bool punt(lb::InterfaceId interface, lb::PuntClass c, Frame f) noexcept {
    if (punted.size() >= (gives_way(c) ? most_punted / 2 : most_punted)) return false;
    punted.push_back({interface, f});
    return true;
  }
  [[nodiscard]] Frame make(std::size_t length) {
    if (made_.size() == most_made) return nullptr;
    return &made_.emplace_back(std::vector<std::uint8_t>(length));
  }
  void want(const Wanted& w) noexcept { wanted.push_back(w); }
  void claimed(const VipClaim& c) noexcept { claims.push_back(c); }
  [[nodiscard]] static std::optional<std::uint32_t> rss_hash(Frame f) noexcept { return f->rss_hash; }

  struct Sent {
    lb::PortIndex port;
    Frame frame;
  };
  std::vector<Sent> sent;  // reserve it where allocation matters
  struct HandedOver {
    lb::WorkerIndex to;
    Frame frame;
  };
  std::vector<HandedOver> handed_over;
  struct Punted {
    lb::InterfaceId interface;
    Frame frame;
  };
  std::vector<Punted> punted;
  std::size_t most_punted = SIZE_MAX;  // fewer: a twin that is behind; half of it for what gives way
  std::vector<Wanted> wanted;
  std::vector<VipClaim> claims;
  std::size_t most_made = SIZE_MAX;  // fewer: a pool that runs dry

 private:
  WorkerCounters& counters_;
  std::deque<MemoryFrame> made_;  // stay where they are
};

}  // namespace weir::dataplane
