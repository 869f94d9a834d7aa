// Capture filters: programs of the classic BPF machine, as libpcap compiles them from tcpdump's syntax.
//
// A machine of our own, although DPDK has one (rte_bpf): that one makes machine code, for which a process needs memory
// it can write and execute, and it reads only mbufs. This one runs anywhere on any bytes; what a filter costs is paid
// only while a capture runs. The instruction set is that of McCanne and Jacobson (USENIX 1993), as bpf(4) lists it.
//
//   1. create() checks a program whole: known instructions, jumps inside it, a return at its end, no store outside the
//      scratch memory, no division by a constant 0. Jumps go forward only, so it ends after at most its own length.
//   2. matches() needs no check but for the frame's end: a load beyond it means "no match", as does division by 0.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lb/result.h"

namespace weir::lb {

struct BpfInstruction {
  std::uint16_t code = 0;
  std::uint8_t jump_true = 0;  // instructions to skip
  std::uint8_t jump_false = 0;
  std::uint32_t k = 0;

  bool operator==(const BpfInstruction&) const = default;
};

class BpfProgram {
 public:
  /// A list of 300 hosts takes 700; each instruction is a nanosecond for every packet seen.
  static constexpr std::size_t kMaxInstructions = 1024;

  /// Everything matches.
  BpfProgram() = default;
  /// Refuses what no run of it would be safe with.
  [[nodiscard]] static Result<BpfProgram> create(std::vector<BpfInstruction> instructions);

  /// `frame`: from its Ethernet header; of `length` bytes in all, if not all lie there.
  [[nodiscard]] bool matches(std::span<const std::uint8_t> frame, std::size_t length) const noexcept {
    return instructions_.empty() || run(frame, length) != 0;
  }
  [[nodiscard]] std::size_t size() const noexcept { return instructions_.size(); }

 private:
  explicit BpfProgram(std::vector<BpfInstruction> instructions) : instructions_(std::move(instructions)) {}
  [[nodiscard]] std::uint32_t run(std::span<const std::uint8_t> frame, std::size_t length) const noexcept;

  std::vector<BpfInstruction> instructions_;
};

/// Instructions as `tcpdump -ddd` prints them: a line with their number, then "code jump_true jump_false k" for each,
/// in decimal. Empty text is the empty program.
[[nodiscard]] Result<std::vector<BpfInstruction>> parse_bpf(std::string_view text);
[[nodiscard]] std::string format_bpf(std::span<const BpfInstruction> instructions);

}  // namespace weir::lb
