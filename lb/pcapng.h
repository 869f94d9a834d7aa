// Blocks of a pcapng file (draft-ietf-opsawg-pcapng), appended to bytes. One section, in this machine's byte order,
// times in nanoseconds since 1970.
//
// DPDK's rte_pcapng (22.11) takes no comment for a packet, and the drop reason stands in one.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lb/headers.h"

namespace weir::lb {

struct PcapngInterface {
  std::string_view name, description;
  MacAddress mac;
  std::uint32_t snap_length = 0;
};

struct PcapngPacket {
  enum class Direction : std::uint8_t { kUnknown, kInbound, kOutbound };  // as epb_flags counts

  std::uint32_t interface = 0;  // in the order of their blocks
  std::uint64_t time_ns = 0;
  std::uint32_t length = 0;             // on the wire
  std::span<const std::uint8_t> bytes;  // at most `length` of them
  Direction direction = Direction::kUnknown;
  std::string_view comment;  // UTF-8; empty: none
};

/// An interface's counts at the end.
struct PcapngStatistics {
  std::uint32_t interface = 0;
  std::uint64_t time_ns = 0, begin_ns = 0, end_ns = 0;
  std::uint64_t seen = 0;       // isb_ifrecv: shown to the filter
  std::uint64_t over_rate = 0;  // isb_ifdrop
  std::uint64_t matched = 0;    // isb_filteraccept
  std::uint64_t ring_full = 0;  // isb_osdrop
  std::uint64_t written = 0;    // isb_usrdeliv
};

class PcapngWriter {
 public:
  explicit PcapngWriter(std::vector<std::uint8_t>& to) : to_(to) {}

  /// First of all.
  void section(std::string_view hardware, std::string_view system, std::string_view application);
  void interface(const PcapngInterface& i);
  void packet(const PcapngPacket& p);
  void statistics(const PcapngStatistics& s);

 private:
  std::vector<std::uint8_t>& to_;
};

/// Cuts a stream of bytes into whole blocks, for who passes it on and may have to end early.
class PcapngBlocks {
 public:
  /// Adds what came; false: this is no pcapng of ours (a block of a length that cannot be).
  [[nodiscard]] bool add(std::string_view bytes);
  /// The whole blocks that have come and were not taken; good until the next add().
  [[nodiscard]] std::string_view take();

  [[nodiscard]] std::uint64_t packets() const noexcept { return packets_; }
  /// Of all interfaces together, once their statistics have come.
  [[nodiscard]] const PcapngStatistics& totals() const noexcept { return totals_; }
  [[nodiscard]] bool has_totals() const noexcept { return has_totals_; }

 private:
  void count(std::string_view block);

  std::string held_;
  std::size_t taken_ = 0;  // of held_
  std::size_t whole_ = 0;  // of held_, in whole blocks
  std::uint64_t packets_ = 0;
  PcapngStatistics totals_;
  bool has_totals_ = false;
};

}  // namespace weir::lb
