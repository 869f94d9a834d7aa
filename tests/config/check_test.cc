// The rules that take two values to judge, and the limits of the whole file.
#include "config/check.h"

#include <fmt/format.h>

#include "tests/config/support.h"

namespace weir::config {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TEST(CheckServices, AGoodOneIsNotComplainedOf) {
  const std::string text = service("[{address: 203.0.113.10, port: 80}, {address: \"2001:db8:100::10\", port: 80}]",
                                   "[{address: 10.0.0.5, port: 8080}, {address: \"fd00::5\", port: 8080}]") +
                           "\n" + std::string(kNetwork);
  EXPECT_THAT(errors_of(text), IsEmpty());
  EXPECT_THAT(warnings_of(text), IsEmpty());
}

TEST(CheckServices, NamesDiffer) {
  expect({{R"(services:
- {name: web, vips: [{address: 203.0.113.1, port: 80}], backends: []}
- {name: api, vips: [{address: 203.0.113.2, port: 80}], backends: []}
- {name: web, vips: [{address: 203.0.113.3, port: 80}], backends: []})",
           {"4:3: service 'web' is already at 2:3; give one of them another name"}}},
         kNetwork);
}

TEST(CheckServices, OneWithoutANameIsNotCalledByIt) {
  const std::string text = R"(services:
- {vips: [{address: 203.0.113.1, port: 80}], backends: [{address: "fd00::5"}]}
- {name: "", vips: [], backends: []}
- {name: web, vips: [{address: 203.0.113.1, port: 80}], backends: [{address: 203.0.113.1}]}
)";
  expect({{text,
           {"2:3: a service needs key 'name'",
            "2:11: VIP 203.0.113.1 is IPv4, but a service without a name has no IPv4 backend",
            "3:3: a service without a name has no VIPs; add one", "3:10: name: '' has 0 characters",
            "4:22: VIP 203.0.113.1 tcp port 80 is already in a service without a name at 2:11; remove one",
            "4:68: backend 203.0.113.1 is a VIP of a service without a name at 2:11"}}},
         kNetwork);
  EXPECT_THAT(warnings_of(text + std::string(kNetwork)),
              testing::Contains(HasSubstr("3:3: a service without a name has no backends")));
}

/// Two services, `a` with the VIPs on line 2 and `b` with those on line 3.
std::string two(std::string_view a, std::string_view b, std::string_view protocol_of_b = "tcp") {
  return fmt::format(
      "services:\n- {{vips: [{}], name: a, backends: []}}\n- {{vips: [{}], name: b, protocol: {}, backends: []}}", a, b,
      protocol_of_b);
}

TEST(CheckServices, VipsThatOverlapAreRefusedNamingBothPlaces) {
  const auto vip = [](std::string_view port, std::string_view address = "203.0.113.1") {
    return fmt::format("{{address: \"{}\", port: {}}}", address, port);
  };
  expect(
      {
          {two(vip("80"), vip("80")),
           {"3:11: VIP 203.0.113.1 tcp port 80 is already in service 'a' at 2:11; remove one"}},
          {two(vip("80", "2001:db8::1"), vip("80", "2001:db8:0::1")),
           {"3:11: VIP 2001:db8::1 tcp port 80 is already in service 'a' at 2:11"}},
          {two(vip("80") + ", " + vip("80"), vip("81")),
           {"2:47: VIP 203.0.113.1 tcp port 80 is already in service 'a' at 2:11"}},
          {two(vip("10-20"), vip("20-30")),
           {"3:11: VIP 203.0.113.1 tcp ports 20-30 overlaps ports 10-20 of service 'a' at 2:11; make them disjoint"}},
          {two(vip("20-30"), vip("10-20")),
           {"3:11: VIP 203.0.113.1 tcp ports 10-20 overlaps ports 20-30 of service 'a' at 2:11"}},
          {two(vip("10-20"), vip("10-20")),
           {"3:11: VIP 203.0.113.1 tcp ports 10-20 is already in service 'a' at 2:11"}},
          {two(vip("10-90"), vip("20-30")), {"3:11: VIP 203.0.113.1 tcp ports 20-30 overlaps ports 10-90"}},
          {two(vip("all"), vip("all")), {"3:11: VIP 203.0.113.1 tcp all ports is already in service 'a' at 2:11"}},
          // The widest range meets both others, though they do not meet each other.
          {two(vip("10-90"), vip("20-30") + ", " + vip("40-50")),
           {"3:11: VIP", "3:50: VIP 203.0.113.1 tcp ports 40-50 overlaps ports 10-90"}},
          // One port thrice: each later one is told of the first.
          {two(vip("80"), vip("80") + ", " + vip("80")),
           {"3:11: VIP 203.0.113.1 tcp port 80 is already in service 'a' at 2:11",
            "3:47: VIP 203.0.113.1 tcp port 80 is already in service 'a' at 2:11"}},
          // More specific inside less specific, other protocol, other address, ranges side by side.
          {two(vip("80") + ", " + vip("70-90") + ", " + vip("all"), vip("81") + ", " + vip("91-99")), {}},
          {two(vip("1-65535"), vip("all")),
           {"3:11: VIP 203.0.113.1 tcp all ports is already in service 'a' at 2:11; remove one"}},
          {two(vip("80"), vip("80"), "udp"), {}},
          {two(vip("80"), vip("80", "203.0.113.2")), {}},
          {two(vip("10-20"), vip("21-30")), {}},
          // Of a service whose protocol is not known nothing is concluded.
          {two(vip("80"), vip("80"), "tpc"),
           {"3:67: protocol: 'tpc' is not known; write tcp | udp; did you mean 'tcp'?"}},
      },
      kNetwork);
}

TEST(CheckServices, AddressesThatMustNotMeet) {
  const std::string_view vip = "[{address: 203.0.113.1, port: 80}]";
  expect(
      {
          {service("[{address: 10.0.0.1, port: 80}]", "[]"),
           {"3:10: VIP 10.0.0.1 is an address of interface 'lan' at 9:14; give the VIP"}},
          {service("[{address: \"fd00::1\", port: 80}]", "[]"), {"3:10: VIP fd00::1 is an address of interface 'lan'"}},
          {service("[{address: 10.0.0.2, port: 80}]", "[]"), {}},
          {service("[{address: 10.0.0.254, port: 80}]", "[]"),
           {"3:10: VIP 10.0.0.254 is the next hop of a route at 15:10; give the VIP an address of its own"}},
          {service(vip, "[{address: 203.0.113.1}]"),
           {"4:14: backend 203.0.113.1 is a VIP of service 'web' at 3:10; a backend is a server"}},
          {service(vip, "[{address: 203.0.113.1, port: 9}]"), {"4:14: backend 203.0.113.1 is a VIP"}},
          {service(vip, "[{address: 10.0.0.1}]"), {"4:14: backend 10.0.0.1 is an address of interface 'lan' at 9:14"}},
          {service(vip, "[{address: 10.0.0.254}]"), {"4:14: backend 10.0.0.254 is the next hop of a route at 15:10"}},
          {"services:\n- {name: a, vips: [{address: 203.0.113.1, port: 1}], backends: [{address: 10.0.0.5}]}\n"
           "- {name: b, vips: [{address: 10.0.0.5, port: 1}], backends: []}",
           {"2:65: backend 10.0.0.5 is a VIP of service 'b' at 3:20; a backend is a server"}},
      },
      kNetwork);
}

TEST(CheckServices, ABackendStandsInAServiceOnce) {
  const std::string_view vip = "[{address: 203.0.113.1, port: 80}]";
  expect(
      {
          {service(vip, "[{address: 10.0.0.5, port: 80}, {address: 10.0.0.5, port: 80, weight: 2}]"),
           {"4:45: backend 10.0.0.5:80 is already in this service at 4:14; remove one, or give it more weight"}},
          {service(vip, "[{address: 10.0.0.5}, {address: 10.0.0.5}, {address: 10.0.0.5}]"),
           {"4:35: backend 10.0.0.5 is already in this service at 4:14",
            "4:56: backend 10.0.0.5 is already in this service at 4:14"}},
          {service(vip, "[{address: 10.0.0.5, port: 80}, {address: 10.0.0.5, port: 81}, {address: 10.0.0.5}]"), {}},
          {"services:\n- {name: a, vips: [{address: 203.0.113.1, port: 1}], backends: [{address: 10.0.0.5}]}\n"
           "- {name: b, vips: [{address: 203.0.113.2, port: 1}], backends: [{address: 10.0.0.5}]}",
           {}},
      },
      kNetwork);
}

TEST(CheckServices, DnatKeepsTheFamily) {
  const std::string_view both = "[{address: 203.0.113.1, port: 80}, {address: \"2001:db8::1\", port: 80}]";
  expect(
      {
          {service(both, "[{address: 10.0.0.5}]"),
           {"3:44: VIP 2001:db8::1 is IPv6, but service 'web' has no IPv6 backend, and mode dnat cannot"}},
          {service(both, "[{address: \"fd00::5\"}]"),
           {"3:10: VIP 203.0.113.1 is IPv4, but service 'web' has no IPv4 backend"}},
          {service(both, "[{address: 10.0.0.5}, {address: \"fd00::5\"}]"), {}},
          {service(both, "[]"), {}},
          // A backend that could not be read may have been the one of that family.
          {service(both, "[{address: 10.0.0.5}, {address: \"fd00::g\"}]"),
           {"4:45: address: 'fd00::g' is not an IPv4 or IPv6 address"}},
      },
      kNetwork);
  EXPECT_THAT(
      warnings_of(service("[{address: 203.0.113.1, port: 80}]", "[{address: 10.0.0.5}, {address: \"fd00::5\"}]") +
                  std::string(kNetwork)),
      ElementsAre(HasSubstr("4:35: backend fd00::5 is IPv6, but service 'web' has no IPv6 VIP: it gets no traffic")));
}

TEST(CheckServices, NothingToSendToIsAWarning) {
  const std::string_view vip = "[{address: 203.0.113.1, port: 80}]";
  const auto warnings = [](const std::string& text) { return warnings_of(text + std::string(kNetwork)); };
  EXPECT_THAT(warnings(service(vip, "[]")), ElementsAre("2:3: service 'web' has no backends: new flows are refused"));
  EXPECT_THAT(warnings(service(vip, "[{address: 10.0.0.5, weight: 0}, {address: 10.0.0.6, weight: 0}]")),
              ElementsAre("2:3: service 'web' has no backend with a weight above 0: new flows are refused"));
  EXPECT_THAT(warnings(service(vip, "[{address: 10.0.0.5, weight: 0}, {address: 10.0.0.6}]")), IsEmpty());
  expect({{service("[]", "[]"), {"2:3: service 'web' has no VIPs; add one"}}}, kNetwork);
}

TEST(CheckServices, MaglevSizeIsAboveTheNumberOfBackends) {
  const auto with = [](int backends) {
    std::string list = "[";
    for (int i = 0; i < backends; ++i) list += fmt::format("{{address: 10.0.0.{}}}, ", 10 + i);
    return service("[{address: 203.0.113.1, port: 80}]", list + "]", "maglev_size: 11");
  };
  expect({{with(10), {}},
          {with(11), {"2:3: service 'web': maglev_size 11 is too small for 11 backends; write a prime above that"}}},
         kNetwork);
}

TEST(CheckLimits, BackendsOfAService) {
  const auto with = [](int backends) {
    std::string text = "services:\n- name: web\n  vips: [{address: 203.0.113.1, port: 80}]\n  backends:\n";
    for (int i = 0; i < backends; ++i)
      text += fmt::format("  - {{address: {}.{}.{}.9}}\n", 11 + i / 65'536, i / 256 % 256, i % 256);
    return text;
  };
  EXPECT_THAT(errors_of(with(65'535)), IsEmpty());
  EXPECT_THAT(errors_of(with(65'536)),
              ElementsAre("65540:5: service 'web' has 65536 backends; at most 65535 are possible"));
}

TEST(CheckLimits, VipsOfTheFile) {
  const auto with = [](int vips) {
    std::string text = "services:\n- name: web\n  backends: []\n  vips:\n";
    for (int i = 0; i < vips; ++i)
      text += fmt::format("  - {{address: {}.{}.{}.9, port: 80}}\n", 11 + i / 65'536, i / 256 % 256, i % 256);
    return text;
  };
  EXPECT_THAT(errors_of(with(65'535)), IsEmpty());
  EXPECT_THAT(errors_of(with(65'536)), ElementsAre("65540:5: the file has 65536 VIPs; at most 65535 are possible"));
}

// A model without its file: parsing a million backends takes seconds.
TEST(CheckLimits, EndpointsOfTheFile) {
  const auto errors_with = [](std::uint32_t endpoints) {
    constexpr std::uint32_t kOfAService = 61'681;
    Draft draft;
    for (std::uint32_t i = 0; i < endpoints; ++i) {
      if (i % kOfAService == 0) {
        draft.model.services.push_back({.name = fmt::format("s{}", i / kOfAService)});
        draft.services.push_back({.protocol = true, .vips = false, .backends = true});
      }
      const auto address = lb::Address::v4(lb::be32::from_host(0x0b00'0000 + i));
      draft.model.services.back().backends.push_back({.address = address, .where = {i + 1, 1}});
    }
    // The first one's address once more, as the same endpoint.
    draft.model.services.push_back(
        {.name = "again", .backends = {{.address = lb::Address::v4(lb::be32::from_host(0x0b00'0000))}}});
    draft.services.push_back({.protocol = true, .vips = false, .backends = true});
    Problems problems;
    check_services(draft, problems);
    return as_text(problems.take_errors());
  };
  EXPECT_THAT(errors_with(1'048'575), IsEmpty());
  EXPECT_THAT(
      errors_with(1'048'576),
      ElementsAre("1048576:1: the file has 1048576 endpoints (address, protocol and port of backends); at most 1048575 "
                  "are possible"));
}

// --- network ----------------------------------------------------------------------------------------------------

TEST(CheckNetwork, NamesDevicesAndTagsDiffer) {
  expect({
      {"ports:\n- {name: a, device: d0}\n- {name: a, device: d1}",
       {"3:3: port 'a' is already at 2:3; give one of them another name"}},
      {"ports:\n- {name: a, device: \"d0,iface=x\"}\n- {name: b, device: \"d0,iface=y\"}",
       {"3:3: port 'b': device 'd0' is already that of port 'a' at 2:3"}},
      {"ports: [{name: p, device: d}]\ninterfaces:\n- {name: a, port: p}\n- {name: a, port: p, vlan: 2}",
       {"4:3: interface 'a' is already at 3:3"}},
      {"ports: [{name: p, device: d}]\ninterfaces:\n- {name: a, port: p}\n- {name: b, port: p}",
       {"4:3: interface 'b': port 'p' with vlan 0 already belongs to interface 'a' at 3:3; give it another vlan"}},
      {"ports: [{name: p, device: d}]\ninterfaces:\n- {name: a, port: p, vlan: 1}\n- {name: b, port: p, vlan: 2}\n- "
       "{name: c, port: p}",
       {}},
      {"ports: [{name: p0, device: d}]\ninterfaces:\n- {name: a, port: po}",
       {"3:3: interface 'a': there is no port 'po'; add it under 'ports' or name one of those; did you mean 'p0'?"}},
      {"interfaces:\n- {name: a, port: p}", {"2:3: interface 'a': there is no port 'p'; add it"}},
      // A port that could not be read may have been the one.
      {"ports: [{nam: p, device: d}]\ninterfaces:\n- {name: a, port: p}",
       {"1:9: a port needs key 'name'", "1:10: a port has no key 'nam'"}},
  });
}

TEST(CheckNetwork, MtuFits) {
  const auto mtu = [](int size, std::string_view addresses, int mbuf_bytes) {
    return fmt::format(
        "ports: [{{name: p, device: d}}]\nmemory: {{mbuf_bytes: {}}}\ninterfaces:\n- {{name: a, port: p, mtu: {}, "
        "addresses: [{}]}}",
        mbuf_bytes, size, addresses);
  };
  expect({
      {mtu(68, "10.0.0.1/24", 2176), {}},
      {mtu(1280, "\"fd00::1/64\"", 2176), {}},
      {mtu(1279, "\"fd00::1/64\"", 2176),
       {"4:3: interface 'a': mtu 1279 is too small for its IPv6 address; write 1280 or more"}},
      {mtu(2030, "", 2176), {}},
      {mtu(2031, "", 2176),
       {"4:3: interface 'a': mtu 2031 needs memory.mbuf_bytes of 2177 or more (18 for headers, 128 headroom), and that "
        "is 2176"}},
      {mtu(9000, "", 9146), {}},
      {mtu(9000, "", 1), {"2:22: mbuf_bytes: 1 is out of range"}},  // and no conclusion from it
      {mtu(9000, "", 9145), {"4:3: interface 'a': mtu 9000 needs memory.mbuf_bytes of 9146 or more"}},
  });
}

/// Two interfaces on lines 2 and 3; what is given begins on line 4.
std::string net(std::string_view more, std::string_view up = "10.0.0.1/24, \"fd00::1/64\"",
                std::string_view lan = "10.0.1.1/24, \"fe80::1/64\"") {
  return fmt::format(
      "ports: [{{name: p0, device: d0}}, {{name: p1, device: d1}}]\ninterfaces: [{{name: up, port: p0, addresses: "
      "[{}]}},\n"
      "  {{name: lan, port: p1, addresses: [{}]}}]\n{}",
      up, lan, more);
}

TEST(CheckNetwork, AddressesOfInterfacesDiffer) {
  expect({
      {net("", "10.0.0.1/24", "10.0.0.1/25"),
       {"3:3: interface 'lan': address 10.0.0.1 is already that of interface 'up' at 2:14; remove one"}},
      {net("", "10.0.0.1/24, 10.0.0.1/24", ""),
       {"2:14: interface 'up': address 10.0.0.1 is already that of interface 'up'"}},
      {net("", "10.0.0.1/24", "10.0.0.2/24"),
       {"3:3: interface 'lan': subnet 10.0.0.0/24 is already on interface 'up' at 2:14; use another subnet"}},
      {net("", "10.0.0.1/24, 10.0.0.2/24", "10.0.0.129/25"), {}},
      {net("", "fe80::1/64", "fe80::1/64"), {}},
  });
}

TEST(CheckNetwork, AnnouncesWhatATwinHasOnlyWhereThereIsOne) {
  const auto with = [](std::string_view announce) {
    return fmt::format(
        "ports: [{{name: p, device: d}}]\ninterfaces: [{{name: up, port: p, twin: true}}, {{name: lan, port: p, vlan: "
        "1}}]\nannounce: {{segment: when_on_twin{}}}",
        announce);
  };
  expect({
      {with(""), {}},
      {with(", interfaces: [lan, up]"), {}},
      {with(", interfaces: [lan]"),
       {"3:21: announce: when_on_twin asks for VIPs on a twin, and none of the interfaces named here has one"}},
  });
}

TEST(CheckNetwork, AnnouncesOnInterfacesThatExist) {
  expect({
      {net("announce: {interfaces: [up, lan]}"), {}},
      {net("announce: {interfaces: []}"), {}},
      {net("announce: {segment: when_on_twin}"),
       {"4:21: announce: when_on_twin asks for VIPs on a twin, and none of the interfaces of this file has one; write "
        "'twin: true' at one of them"}},
      {net("announce: {interfaces: [up, wan, up]}"),
       {"4:29: announce: there is no interface 'wan'; name one under 'interfaces'; did you mean 'lan'?",
        "4:34: announce: interface 'up' is listed twice, first at 4:25"}},
      {net("announce: {interfaces: [up, 5, wan]}"),
       {"4:29: announce.interfaces: expected a name, found the number 5", "4:32: announce: there is no"}},
  });
}

TEST(CheckNetwork, RoutesLeadToANextHopOnALink) {
  const auto route = [](std::string_view fields) { return net(fmt::format("routes:\n- {{{}}}", fields)); };
  expect({
      {route("to: 0.0.0.0/0, via: 10.0.0.254"), {}},
      {route("to: ::/0, via: fd00::fe"), {}},
      {route("to: 0.0.0.0/0, via: 192.0.2.1, interface: up"), {}},
      {route("to: ::/0, via: fe80::fe, interface: up"), {}},
      {route("to: 192.0.2.1/32, via: 10.0.0.254"), {}},
      {route("to: 192.0.2.1/24, via: 10.0.0.254"), {"5:3: route 192.0.2.1/24 has host bits set; write 192.0.2.0/24"}},
      {route("to: \"2001:db8::1/32\", via: fd00::fe"),
       {"5:3: route 2001:db8::1/32 has host bits set; write 2001:db8::/32"}},
      {route("to: 0.0.0.0/0, via: fd00::fe"),
       {"5:3: route 0.0.0.0/0: next hop fd00::fe is IPv6; write an IPv4 address"}},
      {route("to: ::/0, via: 10.0.0.254"), {"5:3: route ::/0: next hop 10.0.0.254 is IPv4; write an IPv6 address"}},
      {route("to: 0.0.0.0/0, via: 192.0.2.1"),
       {"5:3: route 0.0.0.0/0: next hop 192.0.2.1 is in no interface's subnet; add 'interface: NAME', or"}},
      {route("to: ::/0, via: fe80::fe"), {"5:3: route ::/0: next hop fe80::fe is link-local; add 'interface: NAME'"}},
      {route("to: 0.0.0.0/0, via: 10.0.0.254, interface: wan"),
       {"5:3: route 0.0.0.0/0: next hop 10.0.0.254: there is no interface 'wan'; name one under 'interfaces'; did you "
        "mean 'lan'?"}},
      {route("to: 0.0.0.0/0, via: 10.0.0.254, interface: lan"),
       {"5:3: route 0.0.0.0/0: next hop 10.0.0.254 is in the subnet of interface 'up', not of 'lan'"}},
      {route("to: 0.0.0.0/0, via: 10.0.0.1"),
       {"5:3: route 0.0.0.0/0: next hop 10.0.0.1 is an address of interface 'up'"}},
      {route("to: 0.0.0.0/0, via: 224.0.0.1"), {"5:3: route 0.0.0.0/0: next hop 224.0.0.1 is a multicast address"}},
      {route("to: 0.0.0.0/0, via: 0.0.0.0"), {"5:3: route 0.0.0.0/0: next hop 0.0.0.0 is the unspecified address"}},
      {route("to: 0.0.0.0, via: 10.0.0.254"), {"5:8: to: '0.0.0.0' has no length"}},
      {route("to: 0.0.0.0/33, via: 10.0.0.254"), {"5:8: to: the length of '0.0.0.0/33' must be 0 to 32"}},
      {net("routes:\n- {to: 10.0.0.0/8, via: 10.0.0.9}\n- {to: 10.0.0.0/8, via: 10.0.0.8}"),
       {"6:3: route 10.0.0.0/8 is already at 5:3; remove one"}},
      {net("routes:\n- {to: 10.0.0.0/24, via: 10.0.1.9}"),
       {"5:3: route 10.0.0.0/24 is the subnet of interface 'up' at 2:14"}},
      // The interface that could not be read may have been the one.
      {net("routes:\n- {to: 0.0.0.0/0, via: 10.0.0.254}", "10.0.0.1"), {"2:47: addresses: '10.0.0.1' has no length"}},
  });
}

TEST(CheckNetwork, NeighborsStandOnALink) {
  const auto neighbor = [](std::string_view fields) {
    return net(fmt::format("neighbors:\n- {{mac: \"02:00:00:00:00:05\", {}}}", fields));
  };
  expect({
      {neighbor("address: 10.0.0.5"), {}},
      {neighbor("address: fe80::5, interface: up"), {}},
      {neighbor("address: 192.0.2.1, interface: up"), {}},
      {neighbor("address: fe80::5"), {"5:3: neighbor fe80::5 is link-local; add 'interface: NAME'"}},
      {neighbor("address: 192.0.2.1"), {"5:3: neighbor 192.0.2.1 is in no interface's subnet; add 'interface: NAME'"}},
      {neighbor("address: 10.0.0.5, interface: wan"), {"5:3: neighbor 10.0.0.5: there is no interface 'wan'"}},
      {neighbor("address: 10.0.0.5, interface: lan"),
       {"5:3: neighbor 10.0.0.5 is in the subnet of interface 'up', not of 'lan'; name that one"}},
      {neighbor("address: 10.0.0.1"),
       {"5:3: neighbor 10.0.0.1 is an address of interface 'up'; write a neighbor's address"}},
      {neighbor("address: 224.0.0.5"), {"5:3: neighbor 224.0.0.5 is a multicast address"}},
      {net("neighbors:\n- {address: 10.0.0.5, mac: \"02:00:00:00:00:05\"}\n- {address: 10.0.0.5, mac: "
           "\"02:00:00:00:00:06\", interface: up}"),
       {"6:3: neighbor 10.0.0.5 on interface 'up' is already at 5:3; remove one"}},
      {net("neighbors:\n- {address: fe80::5, mac: \"02:00:00:00:00:05\", interface: lan}\n- {address: fe80::5, mac: "
           "\"02:00:00:00:00:06\", interface: up}"),
       {}},
  });
}

// --- warnings ---------------------------------------------------------------------------------------------------

TEST(CheckReach, WarnsOfPacketsThatWillBeDropped) {
  const auto warnings = [](std::string_view more, std::string_view backends) {
    return warnings_of(
        "hash_key: \"00112233445566778899aabbccddeeff\"\n" +
        net(fmt::format("{}\nservices: [{{name: s, vips: [{{address: 203.0.113.1, port: 1}}], backends: [{}]}}]", more,
                        backends)));
  };
  EXPECT_THAT(
      warnings("", "{address: 10.0.0.5}, {address: 10.0.0.5, port: 7}"),
      ElementsAre(
          "6:74: backend 10.0.0.5 has no entry under 'neighbors': packets to it are dropped as neigh_unresolved"));
  EXPECT_THAT(warnings("neighbors: [{address: 10.0.0.5, mac: 02:00:00:00:00:05}]", "{address: 10.0.0.5}"), IsEmpty());
  EXPECT_THAT(warnings("", "{address: 192.0.2.5}"),
              ElementsAre("6:74: backend 192.0.2.5 is in no interface's subnet and behind no route: packets to it are "
                          "dropped as no_route"));
  const std::string route = "routes: [{to: 192.0.2.0/24, via: 10.0.0.9}]";
  EXPECT_THAT(warnings(route, "{address: 192.0.2.5}"),
              ElementsAre("5:10: route 192.0.2.0/24: next hop 10.0.0.9 has no entry under 'neighbors': packets to it "
                          "are dropped as neigh_unresolved"));
  EXPECT_THAT(warnings("neighbors: [{address: 10.0.0.9, mac: 02:00:00:00:00:09}]\n" + route, "{address: 192.0.2.5}"),
              IsEmpty());
  // The longest prefix counts: a host route leads elsewhere than its subnet.
  EXPECT_THAT(
      warnings("neighbors: [{address: 10.0.1.9, mac: 02:00:00:00:00:09}]\nroutes: [{to: 10.0.0.5/32, via: 10.0.1.9}]",
               "{address: 10.0.0.5}"),
      IsEmpty());
}

TEST(CheckReach, LeavesToTheKernelWhatLiesBehindATwin) {
  const auto warnings = [](bool twin, std::string_view more, std::string_view backend) {
    return warnings_of(
        fmt::format("hash_key: \"00112233445566778899aabbccddeeff\"\nports: [{{name: p, device: d}}]\n"
                    "interfaces: [{{name: lan, port: p, addresses: [10.0.0.1/24], twin: {}}}]\n{}\n"
                    "services: [{{name: s, vips: [{{address: 203.0.113.1, port: 1}}], backends: [{{address: {}}}]}}]",
                    twin, more, backend));
  };
  for (const auto& [more, backend] : {std::pair("", "10.0.0.5"), std::pair("", "192.0.2.5"),
                                      std::pair("routes: [{to: 192.0.2.0/24, via: 10.0.0.9}]", "192.0.2.5")}) {
    EXPECT_EQ(warnings(false, more, backend).size(), 1u) << more << backend;
    EXPECT_THAT(warnings(true, more, backend), IsEmpty()) << more << backend;
  }
}

TEST(Check, WarnsOfThePublicKeyAndOfNoInterfaces) {
  EXPECT_THAT(warnings_of("{}"),
              ElementsAre(testing::StartsWith("1:1: hash_key is not given, and the default is public"),
                          testing::StartsWith("1:1: the file has no interfaces")));
  EXPECT_THAT(warnings_of("hash_key: 5"), ElementsAre(testing::StartsWith("1:1: the file has no interfaces")));
}

TEST(Check, AllTheProblemsOfOneFileAreListedInOrder) {
  expect({{R"(workers: 0
memroy: {}
conntrack: {timeouts: {udp: 0s}}
ports:
  - {name: p0, device: d0, queues: 0}
interfaces:
  - {name: a, port: p0, mtu: 67, addresses: [10.0.0.0/24]}
  - {name: a, port: p0, vlan: 4095}
routes:
  - {to: 10.0.0.1/8, via: 10.0.0.254}
services:
  - name: web
    vips: [{address: 203.0.113.1, port: 0}, {address: 203.0.113.2, port: 80}]
    mode: dr
    backends: [{address: 203.0.113.2, weight: 65536}, {address: 203.0.113.2}]
  - name: web
    vips: [{address: 203.0.113.2, port: 80}]
    backends: []
    helth: {}
)",
           {"1:10: workers", "2:1: the file has no key 'memroy'", "3:29: udp", "5:36: queues", "7:30: mtu",
            "7:46: addresses", "8:5: interface 'a' is already at 7:5", "8:31: vlan",
            "10:5: route 10.0.0.1/8 has host bits", "13:41: port", "14:11: mode: dr is not in this version",
            "15:47: weight", "15:55: backend 203.0.113.2 is a VIP", "16:5: service 'web' is already at 12:5",
            "17:12: VIP 203.0.113.2 tcp port 80 is already in service 'web' at 13:45",
            "19:5: a service has no key 'helth'; did you mean 'health'?"}}});
}

}  // namespace
}  // namespace weir::config
