// Blocks byte by byte, as draft-ietf-opsawg-pcapng lays them out (on a little-endian machine).
#include "lb/pcapng.h"

#include <gtest/gtest.h>

#include <string>

namespace weir::lb {
namespace {

using Bytes = std::vector<std::uint8_t>;

Bytes from_hex(std::string_view hex) {
  std::string digits;
  for (const char c : hex)
    if (c != ' ' && c != '\n') digits += c;
  Bytes bytes;
  for (std::size_t i = 0; i < digits.size(); i += 2)
    bytes.push_back(static_cast<std::uint8_t>(std::stoul(digits.substr(i, 2), nullptr, 16)));
  return bytes;
}

TEST(Pcapng, SectionSaysWhoWroteIt) {
  Bytes out;
  PcapngWriter(out).section("x86", "Linux", "weir 1");
  EXPECT_EQ(out, from_hex("0a0d0d0a 40000000 4d3c2b1a 0100 0000 ffffffffffffffff"
                          "0200 0300 78383600"          // x86, padded
                          "0300 0500 4c696e7578000000"  // Linux, padded
                          "0400 0600 7765697220310000"  // weir 1, padded
                          "0000 0000 40000000"));
}

TEST(Pcapng, InterfaceCountsInNanoseconds) {
  Bytes out;
  PcapngWriter(out).interface({"p0", "uplink", {{2, 0, 0, 0, 1, 0}}, 262144});
  EXPECT_EQ(out, from_hex("01000000 40000000 0100 0000 00000400"
                          "0200 0200 70300000"
                          "0300 0600 75706c696e6b0000"
                          "0600 0600 020000000100 0000"
                          "0900 0100 09000000"
                          "0000 0000 40000000"));
}

TEST(Pcapng, PacketHasItsPaddingItsReasonAndItsDirection) {
  Bytes out;
  const Bytes frame{1, 2, 3, 4, 5};
  PcapngWriter(out).packet({.interface = 1,
                            .time_ns = 0x0102030405060708,
                            .length = 60,
                            .bytes = frame,
                            .direction = PcapngPacket::Direction::kInbound,
                            .comment = "drop: no_flow"});
  EXPECT_EQ(out, from_hex("06000000 48000000 01000000 04030201 08070605 05000000 3c000000"
                          "0102030405 000000"
                          "0100 0d00 64726f703a206e6f5f666c6f77 000000"
                          "0200 0400 01000000"
                          "0000 0000 48000000"));
}

TEST(Pcapng, PacketWithoutCommentOrBytes) {
  Bytes out;
  PcapngWriter(out).packet({.direction = PcapngPacket::Direction::kOutbound});
  EXPECT_EQ(out, from_hex("06000000 2c000000 00000000 00000000 00000000 00000000 00000000"
                          "0200 0400 02000000 0000 0000 2c000000"));
}

TEST(Pcapng, EveryBlockIsWholeWords) {
  for (std::size_t n = 0; n < 9; ++n) {
    Bytes out;
    const Bytes frame(n, 0xaa);
    PcapngWriter(out).packet({.bytes = frame, .comment = std::string(n, 'c')});
    PcapngWriter(out).interface({std::string(n, 'n'), std::string(n + 1, 'd'), {}, 0});
    EXPECT_EQ(out.size() % 4, 0u) << n;
    PcapngBlocks blocks;
    EXPECT_TRUE(blocks.add({reinterpret_cast<const char*>(out.data()), out.size()}));
    EXPECT_EQ(blocks.take().size(), out.size()) << n;
  }
}

std::string sample() {
  Bytes out;
  PcapngWriter writer(out);
  writer.section("m", "s", "a");
  writer.interface({"p0", "", {}, 96});
  writer.interface({"p1", "", {}, 96});
  const Bytes frame(61, 7);
  for (int i = 0; i < 3; ++i) writer.packet({.length = 61, .bytes = frame});
  writer.statistics({.interface = 0, .seen = 10, .over_rate = 1, .matched = 8, .ring_full = 2, .written = 3});
  writer.statistics({.interface = 1, .seen = 20, .over_rate = 2, .matched = 9, .ring_full = 3, .written = 0});
  return {out.begin(), out.end()};
}

TEST(Pcapng, BlocksAreCutWholeHoweverTheBytesCome) {
  const std::string file = sample();
  for (const std::size_t step : {1u, 3u, 7u, 64u, 4096u}) {
    PcapngBlocks blocks;
    std::string taken;
    for (std::size_t at = 0; at < file.size(); at += step) {
      ASSERT_TRUE(blocks.add(std::string_view(file).substr(at, step)));
      const std::string_view whole = blocks.take();
      PcapngBlocks alone;
      ASSERT_TRUE(alone.add(whole));
      EXPECT_EQ(alone.take().size(), whole.size());  // nothing but whole blocks
      taken += whole;
    }
    EXPECT_EQ(taken, file);
    EXPECT_EQ(blocks.packets(), 3u);
    ASSERT_TRUE(blocks.has_totals());
    EXPECT_EQ(blocks.totals().seen, 30u);
    EXPECT_EQ(blocks.totals().over_rate, 3u);
    EXPECT_EQ(blocks.totals().matched, 17u);
    EXPECT_EQ(blocks.totals().ring_full, 5u);
    EXPECT_EQ(blocks.totals().written, 3u);
  }
}

TEST(Pcapng, AnUnfinishedBlockIsNotTaken) {
  const std::string file = sample();
  PcapngBlocks blocks;
  ASSERT_TRUE(blocks.add(std::string_view(file).substr(0, file.size() - 1)));
  EXPECT_LT(blocks.take().size(), file.size() - 1);
}

TEST(Pcapng, WhatIsNoBlockIsRefused) {
  for (const char* length : {"00000000", "0b000000", "0d000000", "ffffffff"}) {
    const Bytes bytes = from_hex(std::string("06000000") + length);
    PcapngBlocks blocks;
    EXPECT_FALSE(blocks.add({reinterpret_cast<const char*>(bytes.data()), bytes.size()})) << length;
  }
}

}  // namespace
}  // namespace weir::lb
