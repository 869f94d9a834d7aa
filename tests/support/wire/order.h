// Does a middlebox keep the order of a flow's frames? Frames are seen as they go in and as they come out; what happens
// to addresses and ports in between may be translated, so a frame is known again by its flow's client and by a
// fingerprint of everything behind the ports but the checksum.
//
// Of two frames of one flow that come out in the other order than they went in, the one that comes out second is
// *late*. Copies of one frame (a retransmission that is equal to the bit) are told apart by order alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <optional>
#include <span>
#include <unordered_map>

namespace weir::wire {

/// Which end of a frame is the client's: the source on the way in, the destination on the way back.
enum class Way : std::uint8_t { kFromClients, kToClients };

struct Seen {
  std::uint64_t flow = 0;
  std::uint64_t fingerprint = 0;
};

inline std::uint64_t fnv(std::span<const std::uint8_t> bytes, std::uint64_t hash = 0xcbf29ce484222325ULL) {
  for (const std::uint8_t b : bytes) hash = (hash ^ b) * 0x100000001b3ULL;
  return hash;
}

/// None: not TCP or UDP straight behind an IP header without a VLAN tag.
inline std::optional<Seen> read(std::span<const std::uint8_t> frame, Way way) {
  if (frame.size() < 14 + 20 + 8) return std::nullopt;
  const bool is_v4 = frame[12] == 0x08 && frame[13] == 0x00, is_v6 = frame[12] == 0x86 && frame[13] == 0xdd;
  if ((!is_v4 && !is_v6) || (is_v6 && frame.size() < 14 + 40 + 8)) return std::nullopt;
  const std::size_t ip_length = is_v4 ? std::size_t{4} * (frame[14] & 0xf) : 40;
  const std::size_t address_length = is_v4 ? 4 : 16, source = 14 + (is_v4 ? 12u : 8u);
  const std::uint8_t protocol = is_v4 ? frame[23] : frame[20];
  if ((protocol != 6 && protocol != 17) || frame.size() < 14 + ip_length + (protocol == 6 ? 20u : 8u))
    return std::nullopt;
  // Only what the IP length covers: a short frame may be padded on one side alone.
  const std::size_t total =
      is_v4 ? std::size_t{frame[16]} << 8 | frame[17] : 40 + (std::size_t{frame[18]} << 8 | frame[19]);
  if (14 + total > frame.size() || total < ip_length + 8) return std::nullopt;
  const auto l4 = frame.subspan(14 + ip_length, total - ip_length);

  const bool first = way == Way::kFromClients;
  Seen seen;
  seen.flow = fnv(frame.subspan(source + (first ? 0 : address_length), address_length), protocol);
  seen.flow = fnv(l4.subspan(first ? 0 : 2, 2), seen.flow);
  const std::size_t checksum = protocol == 6 ? 16 : 6;
  seen.fingerprint = fnv(l4.subspan(checksum + 2), fnv(l4.subspan(4, checksum - 4)));
  return seen;
}

class Order {
 public:
  void in(const Seen& seen) {
    Flow& flow = flows_[seen.flow];
    flow.passing.push_back({seen.fingerprint, flow.next++});
    if (flow.passing.size() > kMostPassing) flow.passing.pop_front();  // dropped in between, long ago
  }
  /// False: it is late.
  bool out(const Seen& seen) {
    Flow& flow = flows_[seen.flow];
    for (auto at = flow.passing.begin(); at != flow.passing.end(); ++at) {
      if (at->fingerprint != seen.fingerprint) continue;
      const bool is_late = flow.any_out && at->number < flow.last_out;
      flow.last_out = flow.any_out && is_late ? flow.last_out : at->number;
      flow.any_out = true;
      flow.passing.erase(at);
      return !is_late;
    }
    return true;  // made in between, or changed
  }
  [[nodiscard]] std::size_t flows() const { return flows_.size(); }

 private:
  static constexpr std::size_t kMostPassing = 1024;
  struct Passing {
    std::uint64_t fingerprint;
    std::uint64_t number;
  };
  struct Flow {
    std::deque<Passing> passing;
    std::uint64_t next = 0, last_out = 0;
    bool any_out = false;
  };
  std::unordered_map<std::uint64_t, Flow> flows_;
};

}  // namespace weir::wire
