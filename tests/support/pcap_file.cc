#include "tests/support/pcap_file.h"

#include <array>
#include <bit>
#include <cstring>
#include <fstream>
#include <iterator>

namespace weir::test {

namespace {

// https://www.tcpdump.org/manpages/pcap-savefile.5.html
constexpr std::uint32_t kMicroseconds = 0xa1b2c3d4, kNanoseconds = 0xa1b23c4d;
constexpr std::uint32_t kEthernet = 1;
constexpr std::size_t kFileHeaderBytes = 24, kRecordHeaderBytes = 16;
constexpr std::uint32_t kMostBytes = 262144;  // tcpdump's MAXIMUM_SNAPLEN

std::uint32_t load32(const std::vector<char>& file, std::size_t at, bool swapped) {
  std::uint32_t v;
  std::memcpy(&v, file.data() + at, sizeof v);
  return swapped ? __builtin_bswap32(v) : v;
}

void store32(std::string& out, std::uint32_t v) {
  out.append(std::bit_cast<std::array<char, 4>>(v).data(), 4);
}

}  // namespace

lb::Result<std::vector<CapturedPacket>> read_pcap(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return lb::fail(path + ": cannot be opened");
  const std::vector<char> file{std::istreambuf_iterator<char>(in), {}};
  if (file.size() < kFileHeaderBytes) return lb::fail(path + ": too short for a pcap file");
  const std::uint32_t magic = load32(file, 0, false);
  const bool swapped = magic == __builtin_bswap32(kMicroseconds) || magic == __builtin_bswap32(kNanoseconds);
  const std::uint32_t unit = load32(file, 0, swapped);
  if (unit != kMicroseconds && unit != kNanoseconds) return lb::fail(path + ": not a classic pcap file");
  if (load32(file, 20, swapped) != kEthernet) return lb::fail(path + ": holds no Ethernet frames");

  std::vector<CapturedPacket> packets;
  for (std::size_t at = kFileHeaderBytes; at < file.size();) {
    if (file.size() - at < kRecordHeaderBytes) return lb::fail(path + ": ends inside a record's header");
    const std::uint32_t fraction = load32(file, at + 4, swapped), length = load32(file, at + 8, swapped);
    CapturedPacket p;
    p.microseconds =
        std::uint64_t{load32(file, at, swapped)} * 1'000'000 + (unit == kNanoseconds ? fraction / 1000 : fraction);
    p.original_length = load32(file, at + 12, swapped);
    at += kRecordHeaderBytes;
    if (file.size() - at < length) return lb::fail(path + ": ends inside a packet");
    const auto begin = file.begin() + static_cast<std::ptrdiff_t>(at);
    p.bytes.assign(begin, begin + length);
    at += length;
    packets.push_back(std::move(p));
  }
  return packets;
}

lb::Result<void> write_pcap(const std::string& path, const std::vector<CapturedPacket>& packets) {
  std::string out;
  store32(out, kMicroseconds);
  store32(out, 4 << 16 | 2);  // version 2.4
  store32(out, 0), store32(out, 0);
  store32(out, kMostBytes);
  store32(out, kEthernet);
  for (const CapturedPacket& p : packets) {
    const auto length = static_cast<std::uint32_t>(p.bytes.size());
    store32(out, static_cast<std::uint32_t>(p.microseconds / 1'000'000));
    store32(out, static_cast<std::uint32_t>(p.microseconds % 1'000'000));
    store32(out, length);
    store32(out, p.original_length != 0 ? p.original_length : length);
    out.append(p.bytes.begin(), p.bytes.end());
  }
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file.write(out.data(), static_cast<std::streamsize>(out.size()));
  file.close();
  if (!file) return lb::fail(path + ": cannot be written");
  return {};
}

lb::Result<void> write_pcap(const std::string& path, const std::vector<std::vector<std::uint8_t>>& frames) {
  std::vector<CapturedPacket> packets;
  for (const auto& frame : frames) packets.push_back({frame, packets.size() * 1000, 0});
  return write_pcap(path, packets);
}

}  // namespace weir::test
