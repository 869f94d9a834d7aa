#include "lb/announce.h"

#include "lb/rewrite.h"

namespace weir::lb {

namespace {

constexpr MacAddress kBroadcastMac{{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};

// RFC 5227 2.3: as a probe, but for the sender's address. The target's MAC counts for nothing and is zero (2.1.1).
void write_arp_announcement(std::uint8_t* at, const Address& address, const MacAddress& mac) noexcept {
  *reinterpret_cast<ArpPacket*>(at) = {.hardware_type = be16::from_host(1),
                                       .protocol_type = be16::from_host(kEtherIpv4),
                                       .hardware_length = 6,
                                       .protocol_length = 4,
                                       .operation = be16::from_host(kArpRequest),
                                       .sender_mac = mac,
                                       .sender_address = address.to_v4(),
                                       .target_mac = {},
                                       .target_address = address.to_v4()};
}

}  // namespace

Announcement announce(const Address& address, const MacAddress& mac) noexcept {
  Announcement a;
  constexpr std::size_t kLink = sizeof(EthernetHeader);
  if (address.is_v4()) {
    write_link(a.bytes.data(), kBroadcastMac, mac, 0, kEtherArp);
    write_arp_announcement(a.bytes.data() + kLink, address, mac);
    a.length = kLink + sizeof(ArpPacket);
  } else {
    write_link(a.bytes.data(), kAllNodesMac, mac, 0, kEtherIpv6);
    write_advertisement(a.bytes.data() + kLink, {.target = address, .is_dad = true}, {}, mac);  // to all, unsolicited
    a.length = kLink + kAdvertisementLength;
  }
  return a;
}

}  // namespace weir::lb
