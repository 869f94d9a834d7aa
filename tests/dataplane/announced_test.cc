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

// ---- announce: {segment: when_on_twin} ----

/// The lab with a twin on `uplink`, which has these addresses.
Compiled lab_on_twin(std::vector<std::string_view> addresses) {
  std::string yaml = lab_yaml();
  const auto replace = [&](std::string_view from, std::string_view to) {
    yaml.replace(yaml.find(from), from.size(), to);
  };
  replace("{segment: always, interfaces: [uplink, servers, small]}", "{segment: when_on_twin}");
  replace("{name: uplink, ", "{name: uplink, twin: true, ");
  constexpr control::LinkIndex kTwin{7};
  control::KernelNetwork kernel{.links = {{.index = kTwin, .interface = "uplink", .name = "uplink"}}};
  for (const std::string_view a : addresses) kernel.addresses.push_back({kTwin, *lb::parse_prefix(a)});
  return Compiled(whole_yaml({.name = "lab", .yaml = yaml, .cases = {}}, "net_null0", "/tmp/weir-cases"),
                  {.kernel = std::make_shared<control::KernelNetwork>(std::move(kernel))});
}

void hear_a_claim(PlainRig& rig, std::uint64_t now) {
  const Bytes claim = packet().eth(kBroadcastMac, kStrangerMac).arp_request(kStrangerMac, kWeb, kWeb).bytes();
  static_cast<void>(rig.process({&claim, 1}, now));
}
std::uint64_t conflicts(const PlainRig& rig) {
  return rig.counters().counted(lb::Event::kVipConflict);
}

TEST(WhenOnTwin, AVipThatIsNotThereIsSilentAndBalancedAndAnothersAnnouncementIsNoConflict) {
  const Compiled elsewhere = lab_on_twin({"198.51.100.1/24"});
  std::uint64_t now = kSecond;
  PlainRig rig(elsewhere);
  run_case(silent(), rig, now);
  Case carried("a connection opens");
  open(carried, web());
  run_case(carried, rig, now);
  hear_a_claim(rig, now);
  EXPECT_EQ(conflicts(rig), 0u) << "the other box of the pair has it";
}

TEST(WhenOnTwin, AVipThatIsThereIsAnsweredForByWeirAndAnothersAnnouncementIsAConflict) {
  const Compiled here = lab_on_twin({"203.0.113.10/32", "2001:db8:100::10/128"});
  std::uint64_t now = kSecond;
  PlainRig rig(here);
  Case answered("ARP and echo");
  answered.in(packet().eth(kBroadcastMac, kRouterMac).arp_request(kRouterMac, kRouter, kWeb))
      .out(to_client().arp_reply(kUplinkMac, kWeb, kRouterMac, kRouter))
      .in(from_client().ipv4(kClient, kWeb).icmp_echo(7, 1))
      .out(to_client().ipv4(kWeb, kClient).icmp_echo_reply(7, 1));
  run_case(answered, rig, now);
  hear_a_claim(rig, now);
  EXPECT_EQ(conflicts(rig), 1u);
}

}  // namespace
}  // namespace weir::test
