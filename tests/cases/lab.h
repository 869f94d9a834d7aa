// The lab that most cases happen in, and words for its packets.
//
//   clients --- router 198.51.100.254 --- [uplink   Weir   servers] --- 10.0.0.5, .6, ... / fd00::5, ...
//   192.0.2.0/24, 2001:db8:2::/64         untagged         VLAN 100
//
// All networks are on one port and told apart by VLAN, so that the order of frames out is the order of frames in.
// Further interfaces: small (VLAN 200, MTU 576), quiet (VLAN 300, no VIPs announced).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "tests/cases/case.h"

namespace weir::test {

inline constexpr std::string_view kUplinkMac = "02:00:00:00:01:00";
inline constexpr std::string_view kServersMac = "02:00:00:00:02:00";
inline constexpr std::string_view kSmallMac = "02:00:00:00:03:00";
inline constexpr std::string_view kQuietMac = "02:00:00:00:04:00";
inline constexpr std::string_view kRouterMac = "02:00:00:00:01:fe";
inline constexpr std::string_view kStrangerMac = "02:00:00:00:99:99";

inline constexpr std::uint16_t kServersVlan = 100;
inline constexpr std::uint16_t kSmallVlan = 200;
inline constexpr std::uint16_t kQuietVlan = 300;

inline constexpr std::string_view kClient = "192.0.2.7";
inline constexpr std::string_view kClient6 = "2001:db8:2::7";
inline constexpr std::string_view kUplinkAddress = "198.51.100.1";
inline constexpr std::string_view kUplinkAddress6 = "2001:db8:1::1";
inline constexpr std::string_view kWeb = "203.0.113.10";       // tcp 80 -> 10.0.0.5:8080
inline constexpr std::string_view kWeb6 = "2001:db8:100::10";  // tcp 80 -> [fd00::5]:8080

/// The yaml of the lab, and of one where every frame is tagged and timers are short.
[[nodiscard]] std::string lab_yaml();
[[nodiscard]] std::string trunk_yaml();
[[nodiscard]] std::string twin_yaml();  // where the kernel stands beside it

[[nodiscard]] std::string server_mac(int server);  // 10.0.0.server and fd00::server

/// A frame's Ethernet header, by who sends it to whom.
[[nodiscard]] Packet from_client();
[[nodiscard]] Packet to_client();
[[nodiscard]] Packet from_server(int server = 5);
[[nodiscard]] Packet to_server(int server = 5);

/// One connection as it looks on both sides of Weir. Addresses with a colon are IPv6.
struct Talk {
  std::string client{kClient};
  std::uint16_t client_port = 0;
  std::string vip{kWeb};
  std::uint16_t vip_port = 80;
  int server = 5;
  std::uint16_t server_port = 8080;
  bool udp = false;

  [[nodiscard]] std::string server_address() const;
  /// From the client as it comes in, and as it leaves for the server.
  [[nodiscard]] Packet asked(std::uint8_t flags, std::string_view data = "") const;
  [[nodiscard]] Packet asked_on(std::uint8_t flags, std::string_view data = "") const;
  /// From the server as it comes in, and as it leaves for the client.
  [[nodiscard]] Packet told(std::uint8_t flags, std::string_view data = "") const;
  [[nodiscard]] Packet told_on(std::uint8_t flags, std::string_view data = "") const;
};

/// With the client's port fresh.
[[nodiscard]] Talk web();
[[nodiscard]] Talk web6();
[[nodiscard]] Talk dns();  // udp 203.0.113.10:53 -> 10.0.0.5:5353
[[nodiscard]] Talk dns6();

/// One packet of the talk passes, as Case::in() and out().
Case& ask(Case& c, const Talk& t, std::uint8_t flags, std::string_view data = "");
Case& tell(Case& c, const Talk& t, std::uint8_t flags, std::string_view data = "");
/// SYN, SYN-ACK, ACK; for UDP three datagrams. After it the flow is confirmed.
Case& open(Case& c, const Talk& t);

/// The cases, by file. Each makes its own.
[[nodiscard]] Cases dnat_cases();
[[nodiscard]] Cases service_cases();
[[nodiscard]] Cases link_cases();
[[nodiscard]] Cases ipv4_cases();
[[nodiscard]] Cases ipv6_cases();
[[nodiscard]] Cases transport_cases();
[[nodiscard]] Cases flow_cases();
[[nodiscard]] Cases answer_cases();
[[nodiscard]] Cases refuse_cases();
[[nodiscard]] Cases trunk_cases();
[[nodiscard]] Cases twin_cases();

}  // namespace weir::test
