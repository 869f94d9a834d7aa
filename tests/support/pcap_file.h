// Classic pcap files (not pcapng) of Ethernet frames.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "lb/result.h"

namespace weir::test {

struct CapturedPacket {
  std::vector<std::uint8_t> bytes;
  std::uint64_t microseconds = 0;     // since 1970
  std::uint32_t original_length = 0;  // on the wire; 0 when writing: bytes.size()
  bool operator==(const CapturedPacket&) const noexcept = default;
};

/// Reads either byte order, and nanosecond files too: net_pcap writes those.
[[nodiscard]] lb::Result<std::vector<CapturedPacket>> read_pcap(const std::string& path);

/// Microseconds, in this machine's byte order. Replaces the file.
[[nodiscard]] lb::Result<void> write_pcap(const std::string& path, const std::vector<CapturedPacket>& packets);
/// The same, a millisecond apart.
[[nodiscard]] lb::Result<void> write_pcap(const std::string& path,
                                          const std::vector<std::vector<std::uint8_t>>& frames);

}  // namespace weir::test
