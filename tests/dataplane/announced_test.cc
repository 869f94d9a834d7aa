// What a VIP that is not announced here still does: its traffic is carried, and it does not speak for itself.
#include <gtest/gtest.h>

#include "tests/cases/lab.h"
#include "tests/dataplane/rig.h"

namespace weir::test {
namespace {

using lb::DropReason;

constexpr std::string_view kRouter = "198.51.100.254";

Compiled lab(const control::Overlay& overlay) {
  return Compiled(whole_yaml({.name = "lab", .yaml = lab_yaml(), .cases = {}}, "net_null0", "/tmp/weir-cases"),
                  overlay);
}

Case silent() {
  Case c("neither ARP nor ND nor echo is answered for a VIP");
  c.in(packet().eth(kBroadcastMac, kRouterMac).arp_request(kRouterMac, kRouter, kWeb))
      .drops(DropReason::kArpIgnored)
      .in(packet()
              .eth(kUplinkMac, kRouterMac)
              .ipv6("2001:db8:1::fe", kWeb6, {.hop_limit = 255})
              .neighbor_solicitation(kWeb6, link_layer_option(1, kRouterMac)))
      .drops(DropReason::kIcmpIgnored)
      .in(from_client().ipv4(kClient, kWeb).icmp_echo(7, 1))
      .drops(DropReason::kIcmpIgnored)
      .in(from_client().ipv6(kClient6, kWeb6).icmp6_echo(7, 1))
      .drops(DropReason::kIcmpIgnored);
  return c;
}

Case own_addresses_speak() {
  Case c("the interface's own address is answered for as ever");
  c.in(packet().eth(kBroadcastMac, kRouterMac).arp_request(kRouterMac, kRouter, kUplinkAddress))
      .out(to_client().arp_reply(kUplinkMac, kUplinkAddress, kRouterMac, kRouter))
      .in(from_client().ipv4(kClient, kUplinkAddress).icmp_echo(7, 1))
      .out(to_client().ipv4(kUplinkAddress, kClient).icmp_echo_reply(7, 1));
  return c;
}

TEST(Withdrawn, AVipFallsSilentWhileFlowsAndNewConnectionsGoOn) {
  const Compiled withdrawn = lab({.is_withdrawn = true});
  std::uint64_t now = kSecond;
  PlainRig rig(withdrawn);
  run_case(silent(), rig, now);
  run_case(own_addresses_speak(), rig, now);
  Case carried("a connection opens, and both sides speak");
  const Talk t = web();
  open(carried, t);
  tell(carried, t, kPsh | kAck, "hello");
  run_case(carried, rig, now);
}

}  // namespace
}  // namespace weir::test
