// The filter machine against libpcap's own, and what it refuses to run.
#include "lb/bpf.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pcap/pcap.h>

#include <random>

#include "tests/support/packet.h"

namespace weir::lb {
namespace {

using ::testing::HasSubstr;
using Program = std::vector<BpfInstruction>;
using Bytes = std::vector<std::uint8_t>;

Program compiled(const char* filter) {
  pcap_t* handle = pcap_open_dead(DLT_EN10MB, 65535);
  bpf_program made{};
  EXPECT_EQ(pcap_compile(handle, &made, filter, 1, PCAP_NETMASK_UNKNOWN), 0) << pcap_geterr(handle);
  Program program;
  for (unsigned i = 0; i < made.bf_len; ++i)
    program.push_back({made.bf_insns[i].code, made.bf_insns[i].jt, made.bf_insns[i].jf, made.bf_insns[i].k});
  pcap_freecode(&made);
  pcap_close(handle);
  return program;
}

bool libpcap_matches(const Program& program, const Bytes& frame, std::size_t length) {
  std::vector<bpf_insn> instructions;
  for (const BpfInstruction& in : program) instructions.push_back({in.code, in.jump_true, in.jump_false, in.k});
  return bpf_filter(instructions.data(), frame.data(), static_cast<u_int>(length), static_cast<u_int>(frame.size())) !=
         0;
}

Bytes tcp(const char* from, const char* to, std::uint16_t source, std::uint16_t destination) {
  return test::packet().eth().ipv4(from, to).tcp(source, destination, test::kSyn).bytes();
}

TEST(Bpf, MatchesWhatTcpdumpsSyntaxMeans) {
  const auto web = BpfProgram::create(compiled("tcp port 80 and host 192.0.2.7"));
  ASSERT_TRUE(web) << web.error().message;
  const struct {
    Bytes frame;
    bool matches;
  } cases[] = {
      {tcp("192.0.2.7", "203.0.113.10", 40000, 80), true},
      {tcp("203.0.113.10", "192.0.2.7", 80, 40000), true},
      {tcp("192.0.2.8", "203.0.113.10", 40000, 80), false},
      {tcp("192.0.2.7", "203.0.113.10", 40000, 81), false},
      {test::packet().eth().ipv4("192.0.2.7", "203.0.113.10").udp(40000, 80).bytes(), false},
  };
  for (const auto& c : cases) EXPECT_EQ(web->matches(c.frame, c.frame.size()), c.matches);
}

TEST(Bpf, IsCutShortWhereTheFrameIs) {
  const auto web = BpfProgram::create(compiled("tcp port 80"));
  Bytes frame = tcp("192.0.2.7", "203.0.113.10", 40000, 80);
  for (; !frame.empty(); frame.pop_back()) {
    const bool has_ports = frame.size() >= 14 + 20 + 4;
    EXPECT_EQ(web->matches(frame, 60), has_ports) << frame.size();
  }
}

TEST(Bpf, EmptyMatchesEverything) {
  EXPECT_TRUE(BpfProgram().matches({}, 0));
  EXPECT_TRUE(BpfProgram::create({})->matches({}, 0));
}

TEST(Bpf, SeesTheWholeFramesLength) {
  const auto large = BpfProgram::create(compiled("greater 1000"));
  const Bytes head(60);
  EXPECT_TRUE(large->matches(head, 1000));
  EXPECT_FALSE(large->matches(head, 999));
}

TEST(Bpf, RefusesWhatIsNotSafeToRun) {
  const BpfInstruction accept{0x06, 0, 0, 1};
  const struct {
    const char* says;
    Program program;
  } cases[] = {
      {"instruction 1 is none of the classic BPF machine", {{0xff, 0, 0, 0}, accept}},
      {"instruction 1 is the last, and no return", {{0x00, 0, 0, 7}}},
      {"instruction 1 jumps out", {{0x15, 1, 0, 7}, accept}},
      {"instruction 1 jumps out", {{0x15, 0, 255, 7}, accept}},
      {"instruction 1 jumps out", {{0x05, 0, 0, 1}, accept}},
      {"instruction 1 jumps out", {{0x05, 0, 0, 0xffffffff}, accept}},
      {"instruction 2 uses scratch memory", {{0x00, 0, 0, 7}, {0x02, 0, 0, 16}, accept}},
      {"instruction 1 uses scratch memory", {{0x60, 0, 0, 16}, accept}},
      {"instruction 1 divides by 0", {{0x34, 0, 0, 0}, accept}},
      {"instruction 1 divides by 0", {{0x94, 0, 0, 0}, accept}},
      {"1025 instructions, and 1024 are the most", Program(1025, accept)},
  };
  for (const auto& c : cases) {
    const auto made = BpfProgram::create(c.program);
    ASSERT_FALSE(made) << c.says;
    EXPECT_THAT(made.error().message, HasSubstr(c.says));
  }
  EXPECT_TRUE(BpfProgram::create({{0x05, 0, 0, 0}, accept}));
  EXPECT_TRUE(BpfProgram::create(Program(1024, accept)));
}

TEST(Bpf, DivisionByAnEmptyRegisterIsNoMatch) {
  for (const std::uint16_t divide : {std::uint16_t{0x3c}, std::uint16_t{0x9c}})
    EXPECT_FALSE(BpfProgram::create({{divide, 0, 0, 0}, {0x06, 0, 0, 1}})->matches(Bytes(60), 60));
}

TEST(Bpf, RandomProgramsDoAsInLibpcap) {
  // Shifts by constants over 31 are undefined there, and its scratch memory is not cleared.
  constexpr std::uint16_t kCodes[] = {0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x0c, 0x14, 0x15, 0x16, 0x1c,
                                      0x1d, 0x20, 0x24, 0x25, 0x28, 0x2c, 0x2d, 0x30, 0x34, 0x35, 0x3c, 0x3d, 0x40,
                                      0x44, 0x45, 0x48, 0x4c, 0x4d, 0x50, 0x54, 0x5c, 0x60, 0x61, 0x64, 0x6c, 0x74,
                                      0x7c, 0x80, 0x81, 0x84, 0x87, 0x94, 0x9c, 0xa4, 0xac, 0xb1};
  std::mt19937 random(20261120);
  const auto below = [&](std::uint32_t n) { return static_cast<std::uint32_t>(random() % n); };
  unsigned valid = 0, matched = 0;
  for (int round = 0; round < 200'000; ++round) {
    Program program;
    for (std::uint32_t i = 0; i < 16; ++i) program.push_back({0x02, 0, 0, i});
    const std::uint32_t length = 3 + below(12);
    for (std::uint32_t i = 0; i < length; ++i) {
      const std::uint16_t code = kCodes[below(std::size(kCodes))];
      const bool is_jump = (code & 7) == 5, is_shift = code == 0x64 || code == 0x74;
      const std::uint32_t k = is_jump && code == 0x05 ? below(3) : is_shift ? below(32) : below(40);
      program.push_back({code, static_cast<std::uint8_t>(below(3)), static_cast<std::uint8_t>(below(3)), k});
    }
    program.push_back({0x16, 0, 0, 0});
    const auto made = BpfProgram::create(program);
    if (!made) continue;
    ++valid;
    Bytes frame(below(64));
    for (auto& byte : frame) byte = static_cast<std::uint8_t>(random());
    const std::size_t wire_length = frame.size() + below(100);
    const bool found = made->matches(frame, wire_length);
    matched += found;
    ASSERT_EQ(found, libpcap_matches(program, frame, wire_length)) << "round " << round;
  }
  EXPECT_GT(valid, 20'000u);  // it is not all refused, nor all the same
  EXPECT_GT(matched, 2'000u);
  EXPECT_LT(matched, valid - 2'000);
}

TEST(Bpf, TextGoesThereAndBack) {
  const Program program = compiled("tcp port 80 or vlan");
  const auto again = parse_bpf(format_bpf(program));
  ASSERT_TRUE(again);
  EXPECT_EQ(*again, program);
  EXPECT_EQ(*parse_bpf("2\n40 0 0 12\r\n6 0 0 262144\n"), (Program{{40, 0, 0, 12}, {6, 0, 0, 262144}}));
  EXPECT_TRUE(parse_bpf(" \n")->empty());
}

TEST(Bpf, RefusesTextThatIsNoProgram) {
  for (const char* text : {"tcp port 80", "1", "1\n6 0 0", "1\n6 0 0 1 1", "1\n6 256 0 1", "1\n70000 0 0 1",
                           "2\n6 0 0 1", "1\n6 0 0 4294967296", "-1\n", "1\n6,0,0,1", "99999999999999999999"})
    EXPECT_FALSE(parse_bpf(text)) << text;
}

}  // namespace
}  // namespace weir::lb
