// What `GET /v1/capture` asks for, out of its query and the filter's program; docs/api.md.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>

#include "config/model.h"
#include "control/url.h"
#include "dataplane/capture.h"
#include "lb/result.h"

namespace weir::control {

struct CapturePlan {
  dataplane::CaptureRequest request;
  std::optional<std::uint64_t> count;  // frames, then it ends
  std::optional<std::chrono::seconds> duration;
};

/// `filter`: as lb::parse_bpf() reads it. The interface is one of `model`'s, or a port.
[[nodiscard]] lb::Result<CapturePlan> capture_plan(const Query& query, std::string_view filter,
                                                   const config::Model& model);

}  // namespace weir::control
