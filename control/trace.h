// `weir trace`: what would happen to one packet, step by step, by the same packet path that carries the real ones.
#pragma once

#include <boost/json/object.hpp>
#include <string>

#include "control/endpoint.h"
#include "lb/address.h"
#include "lb/result.h"

namespace weir::control {

struct TraceRequest {
  std::string file;  // weir.yaml, for trace_file()
  lb::Protocol protocol = lb::Protocol::kTcp;
  Endpoint source;
  Endpoint destination;     // of the source's family
  bool mid_stream = false;  // tcp: an ACK instead of a SYN
  std::string interface;    // it comes in here; empty: where the source's route points
};

/// Without a daemon, without EAL, without network: reads the file, compiles it, and asks. The object is docs/api.md's.
[[nodiscard]] lb::Result<boost::json::object> trace_file(const TraceRequest& request);

}  // namespace weir::control
