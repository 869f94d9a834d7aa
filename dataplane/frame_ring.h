// Frames from one thread to one other, as copies in plain memory: what the kernel gets and gives (the twin), what
// control wants sent, what a capture sees.
//
// Copies, because an mbuf must not cross: whoever frees one to the workers' pool could be preempted in the middle and
// hold every worker up. What takes this way is rate-limited or asked for, so a copy of it costs nothing that counts.
//
// Theory of operation: a ring of bytes with one producer and one consumer. A record is a Meta, a length and the
// frame, rounded up to 16 bytes, and never wraps: what is left at the end is skipped by a record without a frame.
//   1. The producer alone writes tail_, the consumer alone head_; both only grow, and are places modulo the size.
//   2. Bytes from head_ to tail_ are records; the consumer reads them, the producer writes none of them.
//   3. A full ring refuses; neither side ever waits.
#pragma once

#include <atomic>
#include <bit>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <type_traits>

#include "dataplane/mapping.h"
#include "lb/result.h"

namespace weir::dataplane {

/// `Meta`: what goes with each frame; plain bytes.
template <class Meta>
  requires std::is_trivially_copyable_v<Meta>
class FrameRing {
 public:
  /// `bytes`: a power of two, at least 64 KiB. Pages are committed on touch, all of them once the ring has gone round.
  [[nodiscard]] static lb::Result<std::unique_ptr<FrameRing>> create(std::size_t bytes, const char* what) {
    auto memory = Mapping::create(bytes, what);
    if (!memory) return std::unexpected(memory.error());
    return std::unique_ptr<FrameRing>(new FrameRing(std::move(*memory), bytes));
  }

  /// Commits its pages now; without this, once the ring has gone round. Before the producer begins.
  void populate() const noexcept { memory_.populate(mask_ + 1); }

  // ---- the producer's side ----
  /// Whether a push() of a frame of `length` bytes, or fewer, will find room.
  [[nodiscard]] bool has_room_for(std::size_t length) noexcept {
    // Twice: what is left at the end may have to be skipped, and then is shorter than the record.
    return has_room(tail_.load(std::memory_order_relaxed), 2 * record_size(length));
  }
  /// Whether half of it or more is free. For frames that are to leave the rest to others.
  [[nodiscard]] bool is_half_free() noexcept {
    return has_room(tail_.load(std::memory_order_relaxed), (mask_ + 1) / 2);
  }
  /// False, and nothing changes, when there is no room for it.
  bool push(const Meta& meta, std::span<const std::uint8_t> frame) noexcept {
    const std::uint64_t tail = tail_.load(std::memory_order_relaxed);
    const std::size_t place = tail & mask_;
    const std::size_t size = record_size(frame.size());
    const std::size_t left = mask_ + 1 - place;
    const std::size_t skipped = size <= left ? 0 : left;
    if (!has_room(tail, skipped + size)) return false;
    if (skipped > 0) write(place, {.size = static_cast<std::uint32_t>(skipped), .length = kSkipped});
    const std::size_t at = skipped > 0 ? 0 : place;
    write(at, {.size = static_cast<std::uint32_t>(size), .length = static_cast<std::uint32_t>(frame.size())});
    std::memcpy(bytes(at + sizeof(Header)), &meta, sizeof meta);
    if (!frame.empty()) std::memcpy(bytes(at + kFrameOffset), frame.data(), frame.size());
    tail_.store(tail + skipped + size, std::memory_order_release);
    return true;
  }

  // ---- the consumer's side ----
  /// Hands up to `limit` frames to `take(const Meta&, std::span<const std::uint8_t>)`, in order; returns how many. The
  /// span is good for the call.
  template <class Take>
  std::size_t pop(std::size_t limit, Take&& take) {
    std::size_t taken = 0;
    std::uint64_t head = head_.load(std::memory_order_relaxed);
    const std::uint64_t tail = tail_.load(std::memory_order_acquire);
    while (head != tail && taken < limit) {
      const std::size_t at = head & mask_;
      Header header;
      std::memcpy(&header, bytes(at), sizeof header);
      if (header.length != kSkipped) {
        Meta meta;
        std::memcpy(&meta, bytes(at + sizeof(Header)), sizeof meta);
        take(static_cast<const Meta&>(meta), std::span<const std::uint8_t>(bytes(at + kFrameOffset), header.length));
        ++taken;
      }
      head += header.size;
      head_.store(head, std::memory_order_release);
    }
    return taken;
  }

  // ---- anyone's ----
  [[nodiscard]] bool is_empty() const noexcept {
    return head_.load(std::memory_order_acquire) == tail_.load(std::memory_order_acquire);
  }

 private:
  struct Header {
    std::uint32_t size = 0;    // of the record, header included
    std::uint32_t length = 0;  // of the frame; kSkipped: no frame
  };
  static constexpr std::uint32_t kSkipped = 0xffffffff;
  static constexpr std::size_t kAlign = 16;
  static constexpr std::size_t kFrameOffset = sizeof(Header) + sizeof(Meta);

  FrameRing(Mapping memory, std::size_t size) noexcept : memory_(std::move(memory)), mask_(size - 1) {}

  static std::size_t record_size(std::size_t length) noexcept {
    return (kFrameOffset + length + kAlign - 1) & ~(kAlign - 1);
  }
  // The consumer's place is asked for only when the last one known does not do: its cache line is the consumer's.
  bool has_room(std::uint64_t tail, std::size_t wanted) noexcept {
    if (tail + wanted - seen_head_ <= mask_ + 1) return true;
    seen_head_ = head_.load(std::memory_order_acquire);
    return tail + wanted - seen_head_ <= mask_ + 1;
  }
  std::uint8_t* bytes(std::size_t at) const noexcept { return memory_.template at<std::uint8_t>(at); }
  void write(std::size_t at, const Header& h) noexcept { std::memcpy(bytes(at), &h, sizeof h); }

  Mapping memory_;
  std::size_t mask_;
  alignas(64) std::atomic<std::uint64_t> tail_{0};  // written: producer; read: consumer (acquire)
  std::uint64_t seen_head_ = 0;                     // the producer's
  alignas(64) std::atomic<std::uint64_t> head_{0};  // written: consumer; read: producer (acquire)
};

}  // namespace weir::dataplane
