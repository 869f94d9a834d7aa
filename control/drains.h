// `weir drain` and `weir enable`: which drains there are after one more command, in words that an operator understands,
// and the file that carries them over a restart.
//
// A drain stands beside the configuration (control/overlay.h): it survives reloads, and one whose backend has left the
// file stays, so that the backend is still drained when it comes back.
//
// The file is `state_dir`/drains.json. It is replaced whole (a temporary file, fsync, rename), so a crash leaves the
// old one or the new one. One that cannot be read is set aside under another name and reported, never overwritten.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "config/model.h"
#include "control/overlay.h"
#include "lb/result.h"

namespace weir::control {

struct DrainRequest {
  bool is_drain = true;  // false: enable
  lb::Address address;
  std::uint16_t port = 0;  // 0: a backend without a port of its own
  std::string service;     // empty: in every service that has it
  std::int64_t now_s = 0;  // of the Unix epoch
};

struct DrainEdit {
  std::vector<Drain> drains;  // sorted
  bool is_changed = false;
  std::vector<std::string> services;  // of the file, that have the backend and are meant
  std::vector<std::string> warnings;
};

/// An error names what is not there, and the nearest that is.
[[nodiscard]] lb::Result<DrainEdit> edit_drains(const config::Model& model, const std::vector<Drain>& now,
                                                const DrainRequest& request);

/// "2026-11-20T18:02:11Z"
[[nodiscard]] std::string utc_text(std::int64_t since_s);

struct StoredDrains {
  std::vector<Drain> drains;
  std::string problem;  // empty: none. A sentence for the log, the file's new name in it
};
/// Nothing stored is no problem. `now_s` becomes part of a broken file's new name.
[[nodiscard]] StoredDrains load_drains(const std::string& state_dir, std::int64_t now_s);
/// Makes the directory if it is not there. Waits for the disk: not for the control thread.
[[nodiscard]] lb::Result<void> save_drains(const std::string& state_dir, const std::vector<Drain>& drains);

}  // namespace weir::control
