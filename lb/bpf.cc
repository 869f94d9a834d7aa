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

std::uint32_t calculate(std::uint16_t operation, std::uint32_t a, std::uint32_t b) noexcept {
  switch (operation) {
    case kAdd: return a + b;
    case kSub: return a - b;
    case kMul: return a * b;
    case kDiv: return a / b;
    case kMod: return a % b;
    case kOr: return a | b;
    case kAnd: return a & b;
    case kXor: return a ^ b;
    case kLsh: return b < 32 ? a << b : 0;
    case kRsh: return b < 32 ? a >> b : 0;
    case kNeg: return 0 - a;
    default: return 0;
  }
}

bool holds(std::uint16_t condition, std::uint32_t a, std::uint32_t b) noexcept {
  switch (condition) {
    case kJeq: return a == b;
    case kJgt: return a > b;
    case kJge: return a >= b;
    default: return (a & b) != 0;  // kJset
  }
}

// Big-endian, of as many bytes as the code's size says; false: beyond the end. `at` does not wrap: it has 64 bits.
bool load(std::span<const std::uint8_t> frame, std::uint64_t at, std::uint16_t code, std::uint32_t& to) noexcept {
  const unsigned bytes = (code & 0x18) == kW ? 4 : (code & 0x18) == kH ? 2 : 1;
  if (at + bytes > frame.size()) return false;
  std::uint32_t value = 0;
  for (unsigned i = 0; i < bytes; ++i) value = value << 8 | frame[at + i];
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

std::uint32_t BpfProgram::run(std::span<const std::uint8_t> frame, std::size_t length) const noexcept {
  std::uint32_t a = 0, x = 0;
  std::array<std::uint32_t, kScratchWords> scratch{};
  const auto wire_length = static_cast<std::uint32_t>(length);
  for (std::size_t i = 0;; ++i) {
    const BpfInstruction& in = instructions_[i];
    const std::uint32_t operand = (in.code & kX) != 0 ? x : in.k;  // for kAlu and kJmp
    switch (in.code & 0x07) {
      case kLd:
        switch (in.code & 0xe0) {
          case kImm: a = in.k; break;
          case kMem: a = scratch[in.k]; break;
          case kLen: a = wire_length; break;
          case kAbs:
            if (!load(frame, in.k, in.code, a)) return 0;
            break;
          default:  // kInd
            if (!load(frame, std::uint64_t{x} + in.k, in.code, a)) return 0;
        }
        break;
      case kLdx:
        switch (in.code & 0xe0) {
          case kImm: x = in.k; break;
          case kMem: x = scratch[in.k]; break;
          case kLen: x = wire_length; break;
          default:  // kMsh: an IPv4 header's length
            if (!load(frame, in.k, kB, x)) return 0;
            x = (x & 0x0f) << 2;
        }
        break;
      case kSt: scratch[in.k] = a; break;
      case kStx: scratch[in.k] = x; break;
      case kAlu: {
        const std::uint16_t operation = in.code & 0xf0;
        if ((operation == kDiv || operation == kMod) && operand == 0) return 0;
        a = calculate(operation, a, operand);
        break;
      }
      case kJmp:
        if ((in.code & 0xf0) == kJa)
          i += in.k;
        else
          i += holds(in.code & 0xf0, a, operand) ? in.jump_true : in.jump_false;
        break;
      case kRet: return (in.code & 0x18) == kA ? a : in.k;
      default:  // kMisc
        if (in.code == (kMisc | kTax))
          x = a;
        else
          a = x;
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
