// Wire formats, as structs of big-endian fields, all of alignment 1 and so without padding. Nothing here checks a
// length; lb/parse.h does.
#pragma once

#include <cstdint>

#include "lb/address.h"
#include "lb/byte_order.h"

namespace weir::lb {

inline constexpr std::uint16_t kEtherIpv4 = 0x0800;
inline constexpr std::uint16_t kEtherArp = 0x0806;
inline constexpr std::uint16_t kEtherVlan = 0x8100;  // IEEE 802.1Q
inline constexpr std::uint16_t kEtherIpv6 = 0x86dd;
inline constexpr std::uint16_t kEtherServiceVlan = 0x88a8;  // IEEE 802.1ad, the outer tag of QinQ

struct EthernetHeader {
  MacAddress destination;
  MacAddress source;
  be16 type;
};
static_assert(sizeof(EthernetHeader) == 14);

/// What follows the 0x8100 type of the Ethernet header: priority (3 bits), DEI (1), VLAN id (12), then the real type.
struct VlanTag {
  be16 control;
  be16 type;
};
static_assert(sizeof(VlanTag) == 4);

/// RFC 826, for Ethernet and IPv4.
struct ArpPacket {
  be16 hardware_type;
  be16 protocol_type;
  std::uint8_t hardware_length;
  std::uint8_t protocol_length;
  be16 operation;
  MacAddress sender_mac;
  be32 sender_address;
  MacAddress target_mac;
  be32 target_address;
};
static_assert(sizeof(ArpPacket) == 28);
inline constexpr std::uint16_t kArpRequest = 1;
inline constexpr std::uint16_t kArpReply = 2;

/// RFC 791 3.1.
struct Ipv4Header {
  std::uint8_t version_ihl;
  std::uint8_t tos;
  be16 total_length;
  be16 id;
  be16 fragment;  // flags (3 bits), offset in 8-byte units (13)
  std::uint8_t ttl;
  std::uint8_t protocol;
  be16 checksum;
  be32 source;
  be32 destination;
};
static_assert(sizeof(Ipv4Header) == 20);
inline constexpr std::uint16_t kIpv4DontFragment = 0x4000;
inline constexpr std::uint16_t kIpv4MoreFragments = 0x2000;
inline constexpr std::uint16_t kIpv4OffsetMask = 0x1fff;

/// RFC 8200 3.
struct Ipv6Header {
  be32 version_class_flow;
  be16 payload_length;
  std::uint8_t next_header;
  std::uint8_t hop_limit;
  std::uint8_t source[16];
  std::uint8_t destination[16];
};
static_assert(sizeof(Ipv6Header) == 40);

/// RFC 9293 3.1.
struct TcpHeader {
  be16 source_port;
  be16 destination_port;
  be32 sequence;
  be32 acknowledgment;
  std::uint8_t data_offset;  // in 4-byte units, upper four bits
  std::uint8_t flags;
  be16 window;
  be16 checksum;
  be16 urgent;
};
static_assert(sizeof(TcpHeader) == 20);
inline constexpr std::uint8_t kTcpFin = 0x01;
inline constexpr std::uint8_t kTcpSyn = 0x02;
inline constexpr std::uint8_t kTcpRst = 0x04;
inline constexpr std::uint8_t kTcpPsh = 0x08;
inline constexpr std::uint8_t kTcpAck = 0x10;

/// RFC 768.
struct UdpHeader {
  be16 source_port;
  be16 destination_port;
  be16 length;
  be16 checksum;
};
static_assert(sizeof(UdpHeader) == 8);

/// RFC 792 and RFC 4443: the eight bytes that all messages we read or write have.
struct IcmpHeader {
  std::uint8_t type;
  std::uint8_t code;
  be16 checksum;
  be32 rest;
};
static_assert(sizeof(IcmpHeader) == 8);

inline constexpr std::uint8_t kIcmpEchoReply = 0;
inline constexpr std::uint8_t kIcmpUnreachable = 3;
inline constexpr std::uint8_t kIcmpPortUnreachable = 3;  // its code
inline constexpr std::uint8_t kIcmpEchoRequest = 8;
inline constexpr std::uint8_t kIcmp6Unreachable = 1;
inline constexpr std::uint8_t kIcmp6PortUnreachable = 4;  // its code
inline constexpr std::uint8_t kIcmp6EchoRequest = 128;
inline constexpr std::uint8_t kIcmp6EchoReply = 129;
inline constexpr std::uint8_t kIcmp6NeighborSolicit = 135;
inline constexpr std::uint8_t kIcmp6NeighborAdvert = 136;

/// RFC 4861 4.3 and 4.4: a neighbour solicitation or advertisement without its options.
struct NeighborMessage {
  IcmpHeader icmp;  // rest: flags R, S, O in the advertisement
  std::uint8_t target[16];
};
static_assert(sizeof(NeighborMessage) == 24);

/// RFC 4861 4.6.1: link-layer address option, Ethernet.
struct LinkLayerOption {
  std::uint8_t type;
  std::uint8_t length;  // in 8-byte units
  MacAddress mac;
};
static_assert(sizeof(LinkLayerOption) == 8);
inline constexpr std::uint8_t kSourceLinkLayer = 1;
inline constexpr std::uint8_t kTargetLinkLayer = 2;

}  // namespace weir::lb
