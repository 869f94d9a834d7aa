// `weir trace`: what would happen to one packet, step by step, by the same packet path that carries the real ones.
//
// The packet is made in memory and walks through dataplane/packet_path.h over plain tables and an empty flow table of
// its own (or one that holds just the flow a worker was asked for). Nothing is sent and nothing remembered.
#pragma once

#include <boost/json/object.hpp>
#include <optional>
#include <string>

#include "config/model.h"
#include "control/compile.h"
#include "control/endpoint.h"
#include "control/kernel_ways.h"
#include "dataplane/flow_table.h"
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

/// The same against one generation, and what the kernel adds to it. `known`: the record a worker has for this packet,
/// if one has. Refuses an interface that there is not.
[[nodiscard]] lb::Result<boost::json::object> trace_packet(const config::Model& model, const Compiled& compiled,
                                                           const TraceRequest& request,
                                                           const std::optional<dataplane::Flow>& known,
                                                           const KernelWays& ways = {});

}  // namespace weir::control
