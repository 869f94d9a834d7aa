#include "tests/support/pcap_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>

#include "tests/support/packet.h"

namespace weir::test {
namespace {

std::string temporary(const char* name) {
  return ::testing::TempDir() + "weir_pcap_file_test_" + name;
}

void write_raw(const std::string& path, const Bytes& bytes) {
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
}

TEST(PcapFile, ReadsWhatItWrote) {
  const std::string path = temporary("round_trip");
  const std::vector<CapturedPacket> packets{{{1, 2, 3}, 1'600'000'000'123'456, 1500}, {{}, 1, 60}};
  ASSERT_TRUE(write_pcap(path, packets));
  EXPECT_EQ(read_pcap(path), packets);
  ASSERT_TRUE(write_pcap(path, {packet().eth().filler(50).bytes(), packet().eth().filler(46).bytes()}));
  const auto frames = read_pcap(path);
  ASSERT_TRUE(frames);
  ASSERT_EQ(frames->size(), 2u);
  EXPECT_EQ((*frames)[1].bytes, packet().eth().filler(46).bytes());
  EXPECT_EQ((*frames)[1].microseconds, 1000u);
  EXPECT_EQ((*frames)[1].original_length, 60u);
  std::remove(path.c_str());
}

TEST(PcapFile, ReadsTheOtherByteOrderAndNanoseconds) {
  const std::string path = temporary("nanoseconds");
  write_raw(path, from_hex("a1b23c4d 00020004 00000000 00000000 00040000 00000001"
                           "00000002 0000c350 00000003 00000040 010203"));
  const auto packets = read_pcap(path);
  ASSERT_TRUE(packets) << packets.error().message;
  EXPECT_EQ(*packets, (std::vector<CapturedPacket>{{{1, 2, 3}, 2'000'050, 64}}));
  std::remove(path.c_str());
}

TEST(PcapFile, RefusesWhatItCannotRead) {
  EXPECT_FALSE(read_pcap("/no/such/file"));
  EXPECT_FALSE(write_pcap("/no/such/directory/file", std::vector<Bytes>{}));
  const std::string path = temporary("broken");
  for (const auto& [bytes, problem] : std::initializer_list<std::pair<const char*, const char*>>{
           {"", "too short"},
           {"0a0d0d0a 00020004 00000000 00000000 00040000 00000001", "not a classic pcap"},
           {"d4c3b2a1 02000400 00000000 00000000 00000400 65000000", "no Ethernet"},
           {"d4c3b2a1 02000400 00000000 00000000 00000400 01000000 00000000", "inside a record"},
           {"d4c3b2a1 02000400 00000000 00000000 00000400 01000000 00000000 00000000 ffffffff ffffffff 00",
            "inside a packet"}}) {
    write_raw(path, from_hex(bytes));
    const auto result = read_pcap(path);
    ASSERT_FALSE(result) << problem;
    EXPECT_THAT(result.error().message, ::testing::HasSubstr(problem));
  }
  std::remove(path.c_str());
}

}  // namespace
}  // namespace weir::test
