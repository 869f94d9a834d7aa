#include "control/probe_packet.h"

#include <cstring>

#include "lb/checksum.h"
#include "lb/headers.h"
#include "lb/rewrite.h"

namespace weir::control {

namespace {

using lb::be16;
using lb::be32;

be16 sum_upper_layer(const TraceRequest& r, const std::uint8_t* at, std::size_t length) {
  const lb::Address& from = r.source.address;
  const lb::Address& to = r.destination.address;
  auto sum = from.is_v4()
                 ? lb::pseudo_header_sum(from.to_v4(), to.to_v4(), r.protocol, static_cast<std::uint16_t>(length))
                 : lb::pseudo_header_sum(from, to, r.protocol, static_cast<std::uint32_t>(length));
  return sum.add({at, length}).checksum();
}

}  // namespace

std::vector<std::uint8_t> probe_packet(const TraceRequest& r, const lb::MacAddress& mac, std::uint16_t vlan) {
  const bool is_v4 = r.source.address.is_v4();
  const bool is_tcp = r.protocol == lb::Protocol::kTcp;
  const std::size_t link = lb::link_length(vlan);
  const std::size_t ip_header = is_v4 ? sizeof(lb::Ipv4Header) : sizeof(lb::Ipv6Header);
  const std::size_t l4 = is_tcp ? sizeof(lb::TcpHeader) : sizeof(lb::UdpHeader);
  std::vector<std::uint8_t> frame(link + ip_header + l4);

  constexpr lb::MacAddress kSender{{0x02, 0, 0, 0, 0xff, 0xfe}};  // anyone; locally administered
  lb::write_link(frame.data(), mac, kSender, vlan, is_v4 ? lb::kEtherIpv4 : lb::kEtherIpv6);
  std::uint8_t* at = frame.data() + link;
  if (is_v4) {
    auto* ip = reinterpret_cast<lb::Ipv4Header*>(at);
    ip->version_ihl = 0x45;
    ip->total_length = be16::from_host(static_cast<std::uint16_t>(ip_header + l4));
    ip->fragment = be16::from_host(lb::kIpv4DontFragment);
    ip->ttl = 64;
    ip->protocol = static_cast<std::uint8_t>(r.protocol);
    ip->source = r.source.address.to_v4();
    ip->destination = r.destination.address.to_v4();
    ip->checksum = lb::internet_checksum({at, ip_header});
  } else {
    auto* ip = reinterpret_cast<lb::Ipv6Header*>(at);
    ip->version_class_flow = be32::from_host(0x60000000);
    ip->payload_length = be16::from_host(static_cast<std::uint16_t>(l4));
    ip->next_header = static_cast<std::uint8_t>(r.protocol);
    ip->hop_limit = 64;
    std::memcpy(ip->source, r.source.address.bytes.data(), 16);
    std::memcpy(ip->destination, r.destination.address.bytes.data(), 16);
  }
  at += ip_header;
  if (is_tcp) {
    auto* tcp = reinterpret_cast<lb::TcpHeader*>(at);
    tcp->source_port = be16::from_host(r.source.port);
    tcp->destination_port = be16::from_host(r.destination.port);
    tcp->data_offset = sizeof(lb::TcpHeader) / 4 << 4;
    tcp->flags = r.mid_stream ? lb::kTcpAck : lb::kTcpSyn;
    tcp->window = be16::from_host(0xffff);
    tcp->checksum = sum_upper_layer(r, at, l4);
  } else {
    auto* udp = reinterpret_cast<lb::UdpHeader*>(at);
    udp->source_port = be16::from_host(r.source.port);
    udp->destination_port = be16::from_host(r.destination.port);
    udp->length = be16::from_host(static_cast<std::uint16_t>(l4));
    udp->checksum = sum_upper_layer(r, at, l4);
    if (udp->checksum == be16{}) udp->checksum = be16::from_host(0xffff);  // RFC 768
  }
  return frame;
}

}  // namespace weir::control
