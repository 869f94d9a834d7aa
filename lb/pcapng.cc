#include "lb/pcapng.h"

#include <algorithm>
#include <cstring>

namespace weir::lb {

namespace {

// Block types and option codes by their names in the draft, sections 3.5 and 4.
enum : std::uint32_t { kSection = 0x0a0d0d0a, kInterface = 1, kStatistics = 5, kPacket = 6 };
enum : std::uint16_t {
  kEndOfOptions = 0,
  kComment = 1,
  kHardware = 2,
  kSystem = 3,
  kApplication = 4,
  kIfName = 2,
  kIfDescription = 3,
  kIfMac = 6,
  kIfTimeResolution = 9,
  kFlags = 2,
  kBegin = 2,
  kEnd = 3,
  kIfReceived = 4,
  kIfDropped = 5,
  kAccepted = 6,
  kSystemDropped = 7,
  kDelivered = 8,
};
constexpr std::uint32_t kByteOrderMagic = 0x1a2b3c4d;
constexpr std::uint16_t kLinkTypeEthernet = 1;
constexpr std::uint8_t kNanoseconds = 9;  // 10^-9
constexpr std::uint32_t kMaxBlock = 16 * 1024 * 1024;

/// One block: fields and options in order, then finish().
class Block {
 public:
  Block(std::vector<std::uint8_t>& to, std::uint32_t type) : to_(to), begin_(to.size()) {
    put(type);
    put(std::uint32_t{0});  // its length, when it is known
  }

  template <class T>
  void put(T value) {
    append(&value, sizeof value);
  }
  void put_padded(const void* data, std::size_t length) {
    append(data, length);
    to_.resize(begin_ + (to_.size() - begin_ + 3) / 4 * 4);
  }
  // High word first, whatever the byte order.
  void put_time(std::uint64_t ns) {
    put(static_cast<std::uint32_t>(ns >> 32));
    put(static_cast<std::uint32_t>(ns));
  }

  template <class T>
  void option(std::uint16_t code, const T& value) {
    option_bytes(code, &value, sizeof value);
  }
  void option_text(std::uint16_t code, std::string_view text) {
    const std::size_t length = std::min<std::size_t>(text.size(), 0xffff);
    if (length > 0) option_bytes(code, text.data(), length);
  }
  void option_time(std::uint16_t code, std::uint64_t ns) {
    const std::uint32_t words[] = {static_cast<std::uint32_t>(ns >> 32), static_cast<std::uint32_t>(ns)};
    option(code, words);
  }

  void finish() {
    if (has_options_) put(std::uint32_t{kEndOfOptions});  // code and length, both 0
    const auto length = static_cast<std::uint32_t>(to_.size() - begin_ + sizeof(std::uint32_t));
    put(length);
    std::memcpy(to_.data() + begin_ + sizeof(std::uint32_t), &length, sizeof length);
  }

 private:
  void option_bytes(std::uint16_t code, const void* data, std::size_t length) {
    has_options_ = true;
    put(code);
    put(static_cast<std::uint16_t>(length));
    put_padded(data, length);
  }
  void append(const void* data, std::size_t length) {
    const auto* bytes = static_cast<const std::uint8_t*>(data);
    to_.insert(to_.end(), bytes, bytes + length);
  }

  std::vector<std::uint8_t>& to_;
  std::size_t begin_;
  bool has_options_ = false;
};

std::uint32_t word_at(std::string_view bytes, std::size_t at) {
  std::uint32_t word = 0;
  std::memcpy(&word, bytes.data() + at, sizeof word);
  return word;
}

}  // namespace

void PcapngWriter::section(std::string_view hardware, std::string_view system, std::string_view application) {
  Block b(to_, kSection);
  b.put(kByteOrderMagic);
  b.put(std::uint16_t{1});  // version 1.0
  b.put(std::uint16_t{0});
  b.put(~std::uint64_t{0});  // as long as there are blocks
  b.option_text(kHardware, hardware);
  b.option_text(kSystem, system);
  b.option_text(kApplication, application);
  b.finish();
}

void PcapngWriter::interface(const PcapngInterface& i) {
  Block b(to_, kInterface);
  b.put(kLinkTypeEthernet);
  b.put(std::uint16_t{0});
  b.put(i.snap_length);
  b.option_text(kIfName, i.name);
  b.option_text(kIfDescription, i.description);
  b.option(kIfMac, i.mac);
  b.option(kIfTimeResolution, kNanoseconds);
  b.finish();
}

void PcapngWriter::packet(const PcapngPacket& p) {
  Block b(to_, kPacket);
  b.put(p.interface);
  b.put_time(p.time_ns);
  b.put(static_cast<std::uint32_t>(p.bytes.size()));
  b.put(p.length);
  b.put_padded(p.bytes.data(), p.bytes.size());
  b.option_text(kComment, p.comment);
  b.option(kFlags, static_cast<std::uint32_t>(p.direction));
  b.finish();
}

void PcapngWriter::statistics(const PcapngStatistics& s) {
  Block b(to_, kStatistics);
  b.put(s.interface);
  b.put_time(s.time_ns);
  b.option_time(kBegin, s.begin_ns);
  b.option_time(kEnd, s.end_ns);
  b.option(kIfReceived, s.seen);
  b.option(kIfDropped, s.over_rate);
  b.option(kAccepted, s.matched);
  b.option(kSystemDropped, s.ring_full);
  b.option(kDelivered, s.written);
  b.finish();
}

bool PcapngBlocks::add(std::string_view bytes) {
  held_.erase(0, taken_);
  whole_ -= taken_;
  taken_ = 0;
  held_ += bytes;
  while (held_.size() - whole_ >= 8) {
    const std::uint32_t length = word_at(held_, whole_ + 4);
    if (length < 12 || length % 4 != 0 || length > kMaxBlock) return false;
    if (held_.size() - whole_ < length) break;
    count(std::string_view(held_).substr(whole_, length));
    whole_ += length;
  }
  return true;
}

std::string_view PcapngBlocks::take() {
  const std::string_view blocks = std::string_view(held_).substr(taken_, whole_ - taken_);
  taken_ = whole_;
  return blocks;
}

void PcapngBlocks::count(std::string_view block) {
  const std::uint32_t type = word_at(block, 0);
  if (type == kPacket) ++packets_;
  if (type != kStatistics) return;
  has_totals_ = true;
  for (std::size_t at = 20; at + 4 <= block.size() - 4;) {
    std::uint16_t code = 0, length = 0;
    std::memcpy(&code, block.data() + at, sizeof code);
    std::memcpy(&length, block.data() + at + 2, sizeof length);
    at += 4;
    if (code == kEndOfOptions || at + length > block.size() - 4) return;
    std::uint64_t value = 0;
    if (length == sizeof value) std::memcpy(&value, block.data() + at, sizeof value);
    if (code == kIfReceived) totals_.seen += value;
    if (code == kIfDropped) totals_.over_rate += value;
    if (code == kAccepted) totals_.matched += value;
    if (code == kSystemDropped) totals_.ring_full += value;
    if (code == kDelivered) totals_.written += value;
    at += (length + 3u) / 4 * 4;
  }
}

}  // namespace weir::lb
