#include "control/capture_filter.h"

#include <fmt/format.h>
#include <pcap/pcap.h>

#include <memory>

namespace weir::control {

lb::Result<std::vector<lb::BpfInstruction>> compile_filter(const std::string& text) {
  std::vector<lb::BpfInstruction> instructions;
  if (text.find_first_not_of(" \t\n") == std::string::npos) return instructions;
  const std::unique_ptr<pcap_t, decltype(&pcap_close)> handle(pcap_open_dead(DLT_EN10MB, 262'144), pcap_close);
  bpf_program program{};
  if (pcap_compile(handle.get(), &program, text.c_str(), 1, PCAP_NETMASK_UNKNOWN) != 0)
    return lb::fail(
        fmt::format("the filter \"{}\" is not one of tcpdump's syntax: {}", text, pcap_geterr(handle.get())));
  for (unsigned i = 0; i < program.bf_len; ++i) {
    const bpf_insn& in = program.bf_insns[i];
    instructions.push_back({in.code, in.jt, in.jf, in.k});
  }
  pcap_freecode(&program);
  return instructions;
}

}  // namespace weir::control
