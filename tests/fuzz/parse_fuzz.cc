// Any bytes as a frame, in a heap block of exactly their size: refused with a reason, or a Packet whose offsets and
// lengths hold.
#include <cstdlib>
#include <cstring>
#include <memory>

#include "lb/answer.h"
#include "lb/parse.h"

namespace {

using namespace weir::lb;

void require(bool holds) {
  if (!holds) std::abort();
}

void check(const Packet& p, const Link& link, std::span<const std::uint8_t> frame) {
  require(p.ip_offset == link.length && p.frame_length <= frame.size());
  require(p.l4_offset >= p.ip_offset + (p.is_v4 ? 20 : 40) && p.l4_offset + 8 <= p.frame_length);
  require(p.source.is_v4() == p.is_v4 && p.destination.is_v4() == p.is_v4);
  const std::size_t l4_length = std::size_t{p.frame_length} - p.l4_offset;
  if (p.protocol == Protocol::kTcp) {
    const std::size_t header = frame[p.l4_offset + 12] / 16 * std::size_t{4};
    require(header >= 20 && header + p.payload_length == l4_length);
  } else if (p.protocol == Protocol::kUdp) {
    require(p.payload_length + std::size_t{8} <= l4_length);
  } else {
    require(p.protocol == (p.is_v4 ? Protocol::kIcmp : Protocol::kIcmp6) && p.source_port == be16{});
  }
  if (p.has_ports()) require(p.source_port != be16{} && p.destination_port != be16{});
  require(unreachable_length(p, 9000) <= (p.is_v4 ? kMaxIcmpError : kMaxIcmp6Error));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size > 9018) return 0;  // no port takes more
  const auto block = std::make_unique<std::uint8_t[]>(size);
  if (size > 0) std::memcpy(block.get(), data, size);
  const std::span<const std::uint8_t> frame(block.get(), size);

  Link link;
  if (parse_link(frame, link)) return 0;
  require(link.length <= size && link.vlan < 4096);
  if (link.type == kEtherArp) {
    Address target;
    static_cast<void>(read_arp(frame.subspan(link.length), target));
  }
  if (link.type != kEtherIpv4 && link.type != kEtherIpv6) return 0;
  Packet packet;
  if (parse_ip(frame, link, packet)) return 0;
  check(packet, link, frame);
  if (packet.protocol == Protocol::kIcmp6) static_cast<void>(read_solicitation(frame, packet));
  return 0;
}
