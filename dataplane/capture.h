// What a worker does for `weir capture`: copies of the frames that are asked for, at most so many a second, into a
// ring that a thread of control's empties (control/capture.h).
//
// Theory of operation. Control makes a CaptureRequest, and a CaptureLane for each worker: the request, a ring and
// counters. It attaches the lane to the worker's CaptureTap; the worker looks there once a loop. Without a capture that
// look and a predicted branch a burst are all it costs; with one, each frame at a wanted point is shown to the filter,
// and those that match are copied.
//   1. A worker holds a lane from one look to the next, and never over a quiescent state. So control detaches it, waits
//      for a grace period, and frees it.
//   2. A frame is never waited for: over the rate, or with the ring full, it is counted as missed, and at full load a
//      capture so becomes a sample.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "dataplane/frame_ring.h"
#include "lb/bpf.h"
#include "lb/counter.h"
#include "lb/drop_reason.h"
#include "lb/ids.h"
#include "lb/result.h"
#include "lb/token_bucket.h"

namespace weir::dataplane {

/// Where in its walk a frame is seen.
enum class CapturePoint : std::uint8_t {
  kRx,    // as a port gave it
  kTx,    // as it is given to a port. One that the port does not take is a drop too (tx_full)
  kDrop,  // where a worker gives it up; as received, unless it was rewritten already
};
inline constexpr std::size_t kCapturePoints = 3;

/// What is wanted. Does not change while workers may see it.
struct CaptureRequest {
  lb::BpfProgram filter;
  std::uint32_t snap_length = 262'144;   // bytes of a frame that are kept
  unsigned points = 0b111;               // bit n: CapturePoint n
  std::optional<lb::DropReason> reason;  // drops of this reason only
  struct Interface {
    lb::PortIndex port{};
    std::optional<std::uint16_t> vlan;  // 0: untagged; none: the whole port
  };
  std::optional<Interface> only;
  std::uint64_t frames_per_second = 200'000;  // of each worker; a tenth of them at once

  [[nodiscard]] bool wants(CapturePoint p) const noexcept { return (points >> static_cast<unsigned>(p) & 1) != 0; }
};

/// What goes with each frame in the ring.
struct CapturedFrame {
  std::uint64_t tsc = 0;     // of the worker's loop that saw it
  std::uint32_t length = 0;  // whole; the ring has at most snap_length of it
  lb::PortIndex port{};      // it came by, or at kTx leaves by
  CapturePoint point{};
  lb::DropReason reason{};  // at kDrop
};
using CaptureRing = FrameRing<CapturedFrame>;

/// A frame as a worker shows it.
struct SeenFrame {
  std::span<const std::uint8_t> bytes;  // all, or the first segment
  std::size_t length = 0;               // of all segments
  lb::PortIndex port{};
};

class CaptureLane {
 public:
  /// written: the worker; read: control. matched = in the ring + over_rate + ring_full.
  struct Counts {
    lb::Counter seen, matched, over_rate, ring_full;
  };

  /// `ring_bytes`: a power of two, at least 64 KiB. The request outlives the lane.
  [[nodiscard]] static lb::Result<std::unique_ptr<CaptureLane>> create(const CaptureRequest& request, std::size_t ports,
                                                                       std::size_t ring_bytes);

  /// The worker's: takes a copy if it is wanted.
  void see(const SeenFrame& frame, CapturePoint point, lb::DropReason reason, std::uint64_t now_ns,
           std::uint64_t tsc) noexcept;

  [[nodiscard]] CaptureRing& ring() noexcept { return *ring_; }
  [[nodiscard]] const Counts& counts(lb::PortIndex port) const noexcept { return counts_[index(port)]; }

 private:
  CaptureLane(const CaptureRequest& request, std::size_t ports, std::unique_ptr<CaptureRing> ring)
      : request_(request),
        ring_(std::move(ring)),
        counts_(ports),
        rate_(request.frames_per_second, std::max<std::uint64_t>(1, request.frames_per_second / 10)) {}
  [[nodiscard]] bool is_wanted(const SeenFrame& frame, CapturePoint point, lb::DropReason reason) const noexcept;

  const CaptureRequest& request_;
  std::unique_ptr<CaptureRing> ring_;
  std::vector<Counts> counts_;  // by PortIndex
  lb::TokenBucket rate_;
};

/// A worker's ear for captures; its Io has one.
class CaptureTap {
 public:
  /// Control's: from now on, or with null no longer.
  void attach(CaptureLane* lane) noexcept { lane_.store(lane, std::memory_order_release); }

  /// The worker's, at the begin of each loop. True: there is a capture, and it wants to know the time.
  bool look() noexcept {
    active_ = lane_.load(std::memory_order_acquire);
    return active_ != nullptr;
  }
  void set_time(std::uint64_t now_ns, std::uint64_t tsc) noexcept {
    now_ns_ = now_ns;
    tsc_ = tsc;
  }
  [[nodiscard]] bool is_active() const noexcept { return active_ != nullptr; }
  /// Only while it is active.
  void see(const SeenFrame& frame, CapturePoint point, lb::DropReason reason = {}) const noexcept {
    active_->see(frame, point, reason, now_ns_, tsc_);
  }

 private:
  std::atomic<CaptureLane*> lane_{nullptr};  // written: control; read: the worker (acquire)
  CaptureLane* active_ = nullptr;            // the rest is the worker's
  std::uint64_t now_ns_ = 0;
  std::uint64_t tsc_ = 0;
};

}  // namespace weir::dataplane
