#include "control/trace.h"

#include <fmt/format.h>

namespace weir::control {

lb::Result<boost::json::object> trace_file(const TraceRequest& request) {
  return lb::fail(fmt::format("cannot trace through {}: not built yet", request.file));
}

}  // namespace weir::control
