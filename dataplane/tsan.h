// What TSan cannot see for itself: DPDK's libraries are not instrumented, so a frame that goes through a driver or a
// pool seems to reach its next thread by chance. Who gives one away says so, and who gets one; anything else about it
// that is not in order is still found. Nothing at all in other builds.
#pragma once

#include <rte_mbuf.h>

#include <span>

#ifdef __SANITIZE_THREAD__
#include <sanitizer/tsan_interface.h>
#endif

namespace weir::dataplane {

/// Before a driver or a pool has it.
inline void gives([[maybe_unused]] rte_mbuf* frame) noexcept {
#ifdef __SANITIZE_THREAD__
  __tsan_release(frame);
#endif
}
inline void gives([[maybe_unused]] std::span<rte_mbuf* const> frames) noexcept {
#ifdef __SANITIZE_THREAD__
  for (rte_mbuf* f : frames) gives(f);
#endif
}

/// After a driver or a pool gave it.
inline void gets([[maybe_unused]] std::span<rte_mbuf* const> frames) noexcept {
#ifdef __SANITIZE_THREAD__
  for (rte_mbuf* f : frames) __tsan_acquire(f);
#endif
}

}  // namespace weir::dataplane
