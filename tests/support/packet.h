// Packets for tests, written as they read:
//
//     packet().eth().ipv4("192.0.2.1", "203.0.113.9", {.ttl = 1}).tcp(40000, 80, kSyn).payload("hi").bytes()
//
// Headers follow each other as written; each sets the type field of the one before it. bytes() fills in lengths and
// checksums, except those given by hand. It shares no code with lb/: what is wrong there must not be wrong here in
// the same way. tests/support/packet_test.cc holds it against bytes made by scapy.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <iosfwd>
#include <optional>
#include <string_view>
#include <vector>

#include "tests/support/packet_dump.h"

namespace weir::test {

using Bytes = std::vector<std::uint8_t>;

inline constexpr std::uint8_t kFin = 0x01, kSyn = 0x02, kRst = 0x04, kPsh = 0x08, kAck = 0x10, kUrg = 0x20;

/// Who speaks when a test does not care: a peer to Weir.
inline constexpr std::string_view kWeirMac = "02:00:00:00:00:01";
inline constexpr std::string_view kPeerMac = "02:00:00:00:00:02";
inline constexpr std::string_view kBroadcastMac = "ff:ff:ff:ff:ff:ff";

// What is std::optional is worked out by bytes() unless given.
struct Ipv4Fields {
  std::uint8_t ttl = 64;
  std::uint8_t tos = 0;
  std::uint16_t id = 0;
  bool df = false;
  bool mf = false;
  std::uint16_t fragment_offset = 0;  // in bytes, a multiple of 8
  Bytes options{};                    // padded with zeroes to a multiple of 4
  std::optional<std::uint8_t> protocol{};
  std::optional<std::uint8_t> version_ihl{};  // the first byte
  std::optional<std::uint16_t> total_length{};
  std::optional<std::uint16_t> checksum{};
};

struct Ipv6Fields {
  std::uint8_t hop_limit = 64;
  std::uint8_t traffic_class = 0;
  std::uint32_t flow_label = 0;
  std::optional<std::uint8_t> version{};
  std::optional<std::uint8_t> next_header{};
  std::optional<std::uint16_t> payload_length{};
};

struct TcpFields {
  std::uint32_t seq = 1;
  std::uint32_t ack = 0;
  std::uint16_t window = 65535;
  std::uint16_t urgent = 0;
  Bytes options{};                            // padded with zeroes to a multiple of 4
  std::optional<std::uint8_t> data_offset{};  // in 4-byte words
  std::optional<std::uint16_t> checksum{};
};

struct UdpFields {
  std::optional<std::uint16_t> length{};
  std::optional<std::uint16_t> checksum{};
};

struct ArpFields {
  std::uint16_t hardware = 1;  // Ethernet
  std::uint16_t protocol = 0x0800;
  std::uint8_t hardware_bytes = 6;
  std::uint8_t protocol_bytes = 4;
};

class Packet {
 public:
  Packet& eth(std::string_view destination = kWeirMac, std::string_view source = kPeerMac,
              std::optional<std::uint16_t> type = {});
  /// An 802.1Q tag; `tpid` 0x88a8 for the outer one of QinQ.
  Packet& vlan(std::uint16_t id, std::uint8_t priority = 0, std::uint16_t tpid = 0x8100);

  Packet& ipv4(std::string_view source, std::string_view destination, const Ipv4Fields& fields = {});
  Packet& ipv6(std::string_view source, std::string_view destination, const Ipv6Fields& fields = {});
  /// An extension header of type `kind` (0 hop-by-hop, 43 routing, 60 destination options): `body` follows the two
  /// bytes next header and length, and is padded with PadN to a multiple of 8.
  Packet& extension(std::uint8_t kind, const Bytes& body = {}, std::optional<std::uint8_t> length = {});
  /// The IPv6 fragment header; `offset` in bytes, a multiple of 8. `next` where no header follows.
  Packet& fragment(std::uint16_t offset, bool more, std::uint32_t id, std::optional<std::uint8_t> next = {});

  Packet& tcp(std::uint16_t source, std::uint16_t destination, std::uint8_t flags, const TcpFields& fields = {});
  Packet& udp(std::uint16_t source, std::uint16_t destination, const UdpFields& fields = {});
  /// `rest` is the header's second word.
  Packet& icmp(std::uint8_t type, std::uint8_t code, std::uint32_t rest = 0);
  Packet& icmp_echo(std::uint16_t id, std::uint16_t sequence);
  Packet& icmp_echo_reply(std::uint16_t id, std::uint16_t sequence);
  Packet& icmp6(std::uint8_t type, std::uint8_t code, std::uint32_t rest = 0);
  Packet& icmp6_echo(std::uint16_t id, std::uint16_t sequence);
  Packet& icmp6_echo_reply(std::uint16_t id, std::uint16_t sequence);

  Packet& arp(std::uint16_t operation, std::string_view sender_mac, std::string_view sender,
              std::string_view target_mac, std::string_view target, const ArpFields& fields = {});
  Packet& arp_request(std::string_view sender_mac, std::string_view sender, std::string_view target);
  Packet& arp_reply(std::string_view sender_mac, std::string_view sender, std::string_view target_mac,
                    std::string_view target);
  /// Behind .ipv6(..., {.hop_limit = 255}). `options`: see link_layer_option().
  Packet& neighbor_solicitation(std::string_view target, const Bytes& options = {});
  /// `flags`: 0x80 router, 0x40 solicited, 0x20 override.
  Packet& neighbor_advertisement(std::string_view target, std::uint8_t flags, const Bytes& options = {});

  Packet& payload(std::string_view text);
  Packet& payload(const Bytes& bytes);
  /// `count` bytes that differ from their neighbours.
  Packet& filler(std::size_t count);

  /// The last header's checksum, by hand: .udp(1, 2).checksum(0).
  Packet& checksum(std::uint16_t value);
  /// The last header's checksum is right but for these bits.
  Packet& spoil_checksum(std::uint16_t bits = 0x0100);

  /// Bytes behind what the IP header counts.
  Packet& trailer(std::size_t count, std::uint8_t value = 0);
  /// Only the first `count` bytes of the frame arrive.
  Packet& cut(std::size_t count);

  [[nodiscard]] Bytes bytes() const;

 private:
  enum class Kind : std::uint8_t { kOther, kIpv4, kIpv6, kTcp, kUdp, kIcmp, kIcmp6 };
  struct Header {
    Kind kind;
    std::size_t at;                         // in bytes_
    std::size_t own_bytes = 0;              // its length, for what is checksummed alone
    std::optional<std::uint16_t> length{};  // by hand
    std::optional<std::uint16_t> checksum{};
    std::uint16_t spoilt = 0;
  };

  void begin(Kind kind, std::uint16_t ethertype, std::uint8_t protocol);
  void finish(Bytes& out, std::size_t header) const;
  void finish_checksum(Bytes& out, std::size_t header, std::size_t field) const;

  Bytes bytes_;
  std::vector<Header> headers_;
  std::size_t type_at_ = 0;     // where the type of what comes next is written
  std::size_t type_bytes_ = 0;  // 2: an ethertype; 1: a protocol; 0: nowhere
  std::size_t trailer_bytes_ = 0;
  std::uint8_t trailer_value_ = 0;
  std::optional<std::size_t> cut_;
};

[[nodiscard]] inline Packet packet() {
  return {};
}

/// How gtest shows a packet.
void PrintTo(const Packet& p, std::ostream* out);

/// ND option `type` 1 (source) or 2 (target) with a MAC address.
[[nodiscard]] Bytes link_layer_option(std::uint8_t type, std::string_view mac);
/// TCP option MSS.
[[nodiscard]] Bytes mss_option(std::uint16_t mss);

}  // namespace weir::test
