// tcpdump's filter syntax to a program, by libpcap. Runs in the `weir` command and never in the daemon: a filter may
// look names up (`host www.example.com`), and what a person types is read with that person's rights. The daemon gets
// instructions, and checks them whatever made them (lb/bpf.h).
#pragma once

#include <string>
#include <vector>

#include "lb/bpf.h"
#include "lb/result.h"

namespace weir::control {

/// pcap-filter(7), for Ethernet frames. Empty: no instruction, which is everything.
[[nodiscard]] lb::Result<std::vector<lb::BpfInstruction>> compile_filter(const std::string& text);

}  // namespace weir::control
