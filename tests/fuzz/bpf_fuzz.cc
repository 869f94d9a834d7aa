// Any instructions on any frame: refused, or run to an end inside the program and the frame; and what libpcap also
// holds to be safe has libpcap's verdict.
#include <pcap/pcap.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "lb/bpf.h"

namespace {

using namespace weir::lb;

// Programs that libpcap leaves undefined: shifts by 32 and more, scratch memory read before it is written.
bool is_defined_there(const std::vector<BpfInstruction>& program) {
  return std::ranges::none_of(program, [](const BpfInstruction& in) {
    const bool shifts = (in.code & 0x07) == 4 && ((in.code & 0xf0) == 0x60 || (in.code & 0xf0) == 0x70);
    return in.code == 0x60 || in.code == 0x61 || (shifts && ((in.code & 0x08) != 0 || in.k > 31));
  });
}

}  // namespace

/// One byte: how many instructions; their eight bytes each; the frame.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::size_t count = std::min<std::size_t>(data[0], (size - 1) / 8);
  std::vector<BpfInstruction> program(count);
  static_assert(sizeof(BpfInstruction) == 8 && sizeof(bpf_insn) == 8);
  if (count > 0) std::memcpy(program.data(), data + 1, count * 8);
  const std::vector<std::uint8_t> frame(data + 1 + count * 8, data + size);

  const auto again = parse_bpf(format_bpf(program));
  if (!again || *again != program) std::abort();
  const auto made = BpfProgram::create(program);
  if (!made) return 0;
  const bool matches = made->matches(frame, frame.size());
  if (count == 0 || !is_defined_there(program)) return 0;
  std::vector<bpf_insn> theirs(count);
  std::memcpy(theirs.data(), program.data(), count * 8);
  if (bpf_validate(theirs.data(), static_cast<int>(count)) == 0) return 0;
  const auto length = static_cast<u_int>(frame.size());
  if (matches != (bpf_filter(theirs.data(), frame.data(), length, length) != 0)) std::abort();
  return 0;
}
