#include "dataplane/capture.h"

#include <algorithm>

#include "lb/headers.h"
#include "lb/parse.h"

namespace weir::dataplane {

lb::Result<std::unique_ptr<CaptureLane>> CaptureLane::create(const CaptureRequest& request, std::size_t ports,
                                                             std::size_t ring_bytes) {
  auto ring = CaptureRing::create(ring_bytes, "a worker's captured frames");
  if (!ring) return std::unexpected(ring.error());
  (*ring)->populate();
  return std::unique_ptr<CaptureLane>(new CaptureLane(request, ports, std::move(*ring)));
}

void CaptureLane::see(const SeenFrame& frame, CapturePoint point, lb::DropReason reason, std::uint64_t now_ns,
                      std::uint64_t tsc) noexcept {
  if (!is_wanted(frame, point, reason)) return;
  Counts& counts = counts_[index(frame.port)];
  counts.seen.add();
  if (!request_.filter.matches(frame.bytes, frame.length)) return;
  counts.matched.add();
  if (!rate_.take(now_ns)) return counts.over_rate.add();
  const CapturedFrame meta{.tsc = tsc,
                           .length = static_cast<std::uint32_t>(frame.length),
                           .port = frame.port,
                           .point = point,
                           .reason = reason};
  if (!ring_->push(meta, frame.bytes.first(std::min<std::size_t>(frame.bytes.size(), request_.snap_length))))
    counts.ring_full.add();
}

bool CaptureLane::is_wanted(const SeenFrame& frame, CapturePoint point, lb::DropReason reason) const noexcept {
  if (!request_.wants(point)) return false;
  if (request_.reason && point == CapturePoint::kDrop && *request_.reason != reason) return false;
  if (!request_.only) return true;
  if (request_.only->port != frame.port) return false;
  if (!request_.only->vlan) return true;
  lb::Link link;
  return !lb::parse_link(frame.bytes, link) && link.vlan == *request_.only->vlan;
}

}  // namespace weir::dataplane
