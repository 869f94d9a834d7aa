#include "lb/bpf.h"

#include <array>
#include <charconv>
#include <string>

namespace weir::lb {

namespace {

// clang-format off
// An instruction's code is a sum of these: its class, and within a class size, mode, operation or source.
enum : std::uint16_t {
  kLd = 0x00, kLdx = 0x01, kSt = 0x02, kStx = 0x03, kAlu = 0x04, kJmp = 0x05, kRet = 0x06, kMisc = 0x07,
  kW = 0x00, kH = 0x08, kB = 0x10,
  kImm = 0x00, kAbs = 0x20, kInd = 0x40, kMem = 0x60, kLen = 0x80, kMsh = 0xa0,
  kAdd = 0x00, kSub = 0x10, kMul = 0x20, kDiv = 0x30, kOr = 0x40, kAnd = 0x50, kLsh = 0x60, kRsh = 0x70, kNeg = 0x80,
  kMod = 0x90, kXor = 0xa0,
  kJa = 0x00, kJeq = 0x10, kJgt = 0x20, kJge = 0x30, kJset = 0x40,
  kK = 0x00, kX = 0x08, kA = 0x10,
  kTax = 0x00, kTxa = 0x80,
};
// clang-format on
constexpr std::uint32_t kScratchWords = 16;

constexpr bool uses_scratch(std::uint16_t code) {
  return code == (kLd | kMem) || code == (kLdx | kMem) || code == kSt || code == kStx;
}

bool is_known(std::uint16_t code) {
  switch (code) {
      // clang-format off
    case kLd | kImm: case kLd | kMem: case kLd | kLen:
    case kLd | kW | kAbs: case kLd | kH | kAbs: case kLd | kB | kAbs:
    case kLd | kW | kInd: case kLd | kH | kInd: case kLd | kB | kInd:
    case kLdx | kImm: case kLdx | kMem: case kLdx | kLen: case kLdx | kB | kMsh:
    case kSt: case kStx:
    case kAlu | kAdd | kK: case kAlu | kSub | kK: case kAlu | kMul | kK: case kAlu | kDiv | kK: case kAlu | kMod | kK:
    case kAlu | kOr | kK: case kAlu | kAnd | kK: case kAlu | kXor | kK: case kAlu | kLsh | kK: case kAlu | kRsh | kK:
    case kAlu | kAdd | kX: case kAlu | kSub | kX: case kAlu | kMul | kX: case kAlu | kDiv | kX: case kAlu | kMod | kX:
    case kAlu | kOr | kX: case kAlu | kAnd | kX: case kAlu | kXor | kX: case kAlu | kLsh | kX: case kAlu | kRsh | kX:
    case kAlu | kNeg:
    case kJmp | kJa: case kJmp | kJeq | kK: case kJmp | kJgt | kK: case kJmp | kJge | kK: case kJmp | kJset | kK:
    case kJmp | kJeq | kX: case kJmp | kJgt | kX: case kJmp | kJge | kX: case kJmp | kJset | kX:
    case kRet | kK: case kRet | kA:
    case kMisc | kTax: case kMisc | kTxa:
      return true;
    // clang-format on
    default: return false;
  }
}

// What is wrong with instruction `i` of `n`; null: nothing.
const char* fault_in(const BpfInstruction& in, std::size_t i, std::size_t n) {
  if (!is_known(in.code)) return "is none of the classic BPF machine";
  if (uses_scratch(in.code) && in.k >= kScratchWords) return "uses scratch memory that there is not";
  const bool divides = in.code == (kAlu | kDiv | kK) || in.code == (kAlu | kMod | kK);
  if (divides && in.k == 0) return "divides by 0";
  const std::size_t behind = n - i - 1;  // instructions that it may skip to, or over
  if (in.code == (kJmp | kJa) && in.k >= behind) return "jumps out of the program";
  const bool is_branch = (in.code & 0x07) == kJmp && in.code != (kJmp | kJa);
  if (is_branch && (in.jump_true >= behind || in.jump_false >= behind)) return "jumps out of the program";
  if (behind == 0 && (in.code & 0x07) != kRet) return "is the last, and no return";
  return nullptr;
}

// Big-endian, of `kBytes` bytes; false: beyond the end. `at` has 64 bits, so that it does not wrap.
template <unsigned kBytes>
bool load(std::span<const std::uint8_t> frame, std::uint64_t at, std::uint32_t& to) noexcept {
  if (at + kBytes > frame.size()) return false;
  std::uint32_t value = 0;
  for (unsigned i = 0; i < kBytes; ++i) value = value << 8 | frame[at + i];
  to = value;
  return true;
}

}  // namespace

Result<BpfProgram> BpfProgram::create(std::vector<BpfInstruction> instructions) {
  const std::size_t n = instructions.size();
  if (n > kMaxInstructions)
    return fail("the filter has " + std::to_string(n) + " instructions, and " + std::to_string(kMaxInstructions) +
                " are the most; ask for less, and filter the file afterwards");
  for (std::size_t i = 0; i < n; ++i)
    if (const char* fault = fault_in(instructions[i], i, n))
      return fail("the filter's instruction " + std::to_string(i + 1) + " " + fault);
  return BpfProgram(std::move(instructions));
}

// One switch over whole codes: a jump table.
std::uint32_t BpfProgram::run(std::span<const std::uint8_t> frame, std::size_t length) const noexcept {
  std::uint32_t a = 0, x = 0;
  std::array<std::uint32_t, kScratchWords> scratch{};
  const auto wire_length = static_cast<std::uint32_t>(length);
  const auto jump = [](const BpfInstruction& in, bool holds) { return holds ? in.jump_true : in.jump_false; };
  for (const BpfInstruction* p = instructions_.data();; ++p) {
    const BpfInstruction& in = *p;
    switch (in.code) {
        // clang-format off
      case kLd | kImm: a = in.k; break;
      case kLd | kMem: a = scratch[in.k]; break;
      case kLd | kLen: a = wire_length; break;
      case kLd | kW | kAbs: if (!load<4>(frame, in.k, a)) return 0; break;
      case kLd | kH | kAbs: if (!load<2>(frame, in.k, a)) return 0; break;
      case kLd | kB | kAbs: if (!load<1>(frame, in.k, a)) return 0; break;
      case kLd | kW | kInd: if (!load<4>(frame, std::uint64_t{x} + in.k, a)) return 0; break;
      case kLd | kH | kInd: if (!load<2>(frame, std::uint64_t{x} + in.k, a)) return 0; break;
      case kLd | kB | kInd: if (!load<1>(frame, std::uint64_t{x} + in.k, a)) return 0; break;
      case kLdx | kImm: x = in.k; break;
      case kLdx | kMem: x = scratch[in.k]; break;
      case kLdx | kLen: x = wire_length; break;
      case kLdx | kB | kMsh:  // an IPv4 header's length
        if (!load<1>(frame, in.k, x)) return 0;
        x = (x & 0x0f) << 2;
        break;
      case kSt: scratch[in.k] = a; break;
      case kStx: scratch[in.k] = x; break;
      case kAlu | kAdd | kK: a += in.k; break;
      case kAlu | kSub | kK: a -= in.k; break;
      case kAlu | kMul | kK: a *= in.k; break;
      case kAlu | kDiv | kK: a /= in.k; break;
      case kAlu | kMod | kK: a %= in.k; break;
      case kAlu | kOr | kK: a |= in.k; break;
      case kAlu | kAnd | kK: a &= in.k; break;
      case kAlu | kXor | kK: a ^= in.k; break;
      case kAlu | kLsh | kK: a = in.k < 32 ? a << in.k : 0; break;
      case kAlu | kRsh | kK: a = in.k < 32 ? a >> in.k : 0; break;
      case kAlu | kAdd | kX: a += x; break;
      case kAlu | kSub | kX: a -= x; break;
      case kAlu | kMul | kX: a *= x; break;
      case kAlu | kDiv | kX: if (x == 0) return 0; a /= x; break;
      case kAlu | kMod | kX: if (x == 0) return 0; a %= x; break;
      case kAlu | kOr | kX: a |= x; break;
      case kAlu | kAnd | kX: a &= x; break;
      case kAlu | kXor | kX: a ^= x; break;
      case kAlu | kLsh | kX: a = x < 32 ? a << x : 0; break;
      case kAlu | kRsh | kX: a = x < 32 ? a >> x : 0; break;
      case kAlu | kNeg: a = 0 - a; break;
      case kJmp | kJa: p += in.k; break;
      case kJmp | kJeq | kK: p += jump(in, a == in.k); break;
      case kJmp | kJgt | kK: p += jump(in, a > in.k); break;
      case kJmp | kJge | kK: p += jump(in, a >= in.k); break;
      case kJmp | kJset | kK: p += jump(in, (a & in.k) != 0); break;
      case kJmp | kJeq | kX: p += jump(in, a == x); break;
      case kJmp | kJgt | kX: p += jump(in, a > x); break;
      case kJmp | kJge | kX: p += jump(in, a >= x); break;
      case kJmp | kJset | kX: p += jump(in, (a & x) != 0); break;
      case kMisc | kTax: x = a; break;
      case kMisc | kTxa: a = x; break;
      case kRet | kA: return a;
      // clang-format on
      default: return in.k;  // kRet | kK: create() has seen to it that there is no other
    }
  }
}

Result<std::vector<BpfInstruction>> parse_bpf(std::string_view text) {
  const auto next = [&](auto& number) {
    while (!text.empty() && (text.front() == ' ' || text.front() == '\n' || text.front() == '\r'))
      text.remove_prefix(1);
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc{}) return false;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    return text.empty() || text.front() == ' ' || text.front() == '\n' || text.front() == '\r';
  };
  constexpr std::string_view kWanted =
      "give the filter as `tcpdump -ddd` prints it: a line with the number of "
      "instructions, then for each a line with four numbers";
  std::vector<BpfInstruction> program;
  if (text.find_first_not_of(" \r\n") == std::string_view::npos) return program;
  std::size_t count = 0;
  if (!next(count)) return fail(std::string(kWanted));
  for (std::size_t i = 0; i < count; ++i) {
    BpfInstruction in;
    if (!next(in.code) || !next(in.jump_true) || !next(in.jump_false) || !next(in.k)) return fail(std::string(kWanted));
    program.push_back(in);
  }
  if (text.find_first_not_of(" \r\n") != std::string_view::npos) return fail(std::string(kWanted));
  return program;
}

std::string format_bpf(std::span<const BpfInstruction> instructions) {
  std::string text = std::to_string(instructions.size()) + "\n";
  for (const BpfInstruction& in : instructions)
    text += std::to_string(in.code) + " " + std::to_string(in.jump_true) + " " + std::to_string(in.jump_false) + " " +
            std::to_string(in.k) + "\n";
  return text;
}

}  // namespace weir::lb
