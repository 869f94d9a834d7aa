// How reloads went, for the metrics.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <string_view>

namespace weir::control {

enum class ReloadResult : std::uint8_t { kApplied, kRefused, kUnchanged };
inline constexpr std::array<std::string_view, 3> kReloadResults{"applied", "refused", "unchanged"};

/// Control thread; a copy goes to whoever shows it.
struct ReloadCounts {
  struct Of {
    std::uint64_t count = 0;
    std::chrono::system_clock::time_point last;  // the epoch: never
  };
  std::array<Of, kReloadResults.size()> results;  // by ReloadResult
  bool last_was_refused = false;

  void add(ReloadResult result, std::chrono::system_clock::time_point now) {
    Of& of = results[static_cast<std::size_t>(result)];
    ++of.count;
    of.last = now;
    last_was_refused = result == ReloadResult::kRefused;
  }
};

}  // namespace weir::control
