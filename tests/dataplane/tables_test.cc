// The workers' tables answer as the plain ones: look-ups over random contents while those change, and whole verdicts
// over random packets.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <random>

#include "tests/dataplane/rte_rig.h"

namespace weir::test {
namespace {

using lb::Address;
using lb::be16;
using lb::be32;
using lb::Prefix;
using lb::ServiceKey;

// Few distinct bits, so that random addresses meet each other and each other's prefixes.
Address random_address(std::mt19937& random) {
  if (random() % 2 == 0)
    return Address::v4(be32::from_host((random() % 4) << 30 | (random() % 16) << 8 | random() % 16));
  Address a;
  a.bytes = {0x20, 0x01, 0x0d, 0xb8};
  if (random() % 4 == 0) a.bytes[0] = static_cast<std::uint8_t>(random());
  for (const std::size_t at : {4u, 7u, 15u}) a.bytes[at] = static_cast<std::uint8_t>(random() % 8);
  return a;
}

ServiceKey random_key(std::mt19937& random) {
  const auto protocol = random() % 2 == 0 ? lb::Protocol::kTcp : lb::Protocol::kUdp;
  return {random_address(random), protocol, be16::from_host(static_cast<std::uint16_t>(random() % 4 * 80))};
}

// `kept`: that share of `before` stays, half of it with another id.
lb::TableContents random_contents(std::mt19937& random, const lb::TableContents& before) {
  lb::TableContents next;
  const auto keep = [&](const auto& from, auto& to) {
    for (const auto& [key, id] : from) {
      if (random() % 2 == 0) continue;
      to[key] = random() % 2 == 0 ? id : std::remove_cvref_t<decltype(id)>(1 + random() % 60'000);
    }
  };
  keep(before.vips, next.vips), keep(before.endpoints, next.endpoints), keep(before.addresses, next.addresses);
  for (int i = 0; i < 300; ++i) {
    next.vips[random_key(random)] = lb::VipId(1 + random() % 60'000);
    next.endpoints[random_key(random)] = lb::EndpointId(1 + random() % 1'000'000);
    next.addresses[random_address(random)] = lb::AddressId(1 + random() % 60'000);
  }
  std::map<Prefix, lb::NextHopId> routes;
  for (const auto& [prefix, id] : before.routes)
    if (random() % 2 == 0) routes[prefix] = random() % 2 == 0 ? id : lb::NextHopId(1 + random() % 1'000'000);
  for (int i = 0; i < 300; ++i) {
    Prefix p{random_address(random), 0};
    const unsigned most = p.address.is_v4() ? 32 : 128;
    // Host routes (neighbours) often, defaults now and then.
    p.length = static_cast<std::uint8_t>(random() % 3 == 0 ? most : random() % (most + 1));
    p.address = p.network();
    routes[p] = lb::NextHopId(1 + random() % 1'000'000);
  }
  if (random() % 2 == 0) routes[{Address::v4({}), 0}] = lb::NextHopId(7);
  if (random() % 2 == 0) routes[{Address{}, 0}] = lb::NextHopId(8);
  next.routes.assign(routes.begin(), routes.end());
  return next;
}

void expect_same_answers(const lb::PlainTables& plain, const dataplane::RteTables& rte, std::mt19937& random) {
  for (int round = 0; round < 100; ++round) {
    std::array<ServiceKey, 64> keys;
    std::array<const ServiceKey*, 64> pointers;
    for (std::size_t i = 0; i < keys.size(); ++i) keys[i] = random_key(random), pointers[i] = &keys[i];
    const std::size_t n = random() % 65;
    const std::span<const ServiceKey* const> asked(pointers.data(), n);
    std::array<lb::VipId, 64> vips[2];
    std::array<lb::EndpointId, 64> endpoints[2];
    plain.find_vips(asked, {vips[0].data(), n}), rte.find_vips(asked, {vips[1].data(), n});
    plain.find_endpoints(asked, {endpoints[0].data(), n}), rte.find_endpoints(asked, {endpoints[1].data(), n});
    for (std::size_t i = 0; i < n; ++i) {
      ASSERT_EQ(vips[0][i], vips[1][i]) << lb::to_string(keys[i].address, keys[i].port.host());
      ASSERT_EQ(endpoints[0][i], endpoints[1][i]) << lb::to_string(keys[i].address, keys[i].port.host());
      ASSERT_EQ(plain.find_address(keys[i].address), rte.find_address(keys[i].address))
          << lb::to_string(keys[i].address);
      ASSERT_EQ(plain.find_route(keys[i].address), rte.find_route(keys[i].address)) << lb::to_string(keys[i].address);
    }
  }
}

TEST(Tables, RteOnesAnswerAsPlainOnesWhileTheirContentsChange) {
  std::mt19937 random(1);
  auto rte = WorkerState::value(dataplane::RteTables::create({}, SOCKET_ID_ANY));
  lb::TableContents current;
  for (int generation = 0; generation < 20; ++generation) {
    SCOPED_TRACE(generation);
    const lb::TableContents next = random_contents(random, current);
    const lb::TableChanges changes = lb::difference(current, next);
    ASSERT_TRUE(rte.add(changes));
    rte.remove(changes);
    rte.reclaim();
    current = next;
    expect_same_answers(lb::PlainTables(current), rte, random);
    if (HasFatalFailure()) return;
  }
}

TEST(Tables, WhatDoesNotFitIsRefusedAndChangesNothing) {
  std::mt19937 random(2);
  auto rte = WorkerState::value(
      dataplane::RteTables::create({.vips = 64, .endpoints = 64, .addresses = 64, .routes = 64, .routes6 = 64}, SOCKET_ID_ANY));
  lb::TableContents small, large;
  for (std::uint16_t i = 1; i <= 32; ++i)
    small.vips[{Address::v4({}), lb::Protocol::kTcp, be16::from_host(i)}] = lb::VipId(i);
  ASSERT_TRUE(rte.add(lb::difference({}, small)));
  for (std::uint16_t i = 100; i <= 200; ++i)
    large.vips[{Address::v4({}), lb::Protocol::kTcp, be16::from_host(i)}] = lb::VipId(i);
  const auto refused = rte.add(lb::difference(small, large));
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("VIPs"), std::string::npos) << refused.error().message;
  expect_same_answers(lb::PlainTables(small), rte, random);
}

TEST(Tables, RoutesThatFindNoRoomAreTakenBack) {
  auto rte = WorkerState::value(
      dataplane::RteTables::create({.vips = 64, .endpoints = 64, .addresses = 64, .routes = 20'000, .routes6 = 20'000}, SOCKET_ID_ANY));
  lb::TableContents small, large;
  small.routes = {{*lb::parse_prefix("0.0.0.0/0"), lb::NextHopId(1)},
                  {*lb::parse_prefix("10.0.0.0/30"), lb::NextHopId(2)}};
  ASSERT_TRUE(rte.add(lb::difference({}, small)));
  // Each host in a /64 of its own takes many groups of entries; these are far too many.
  large.routes = {{*lb::parse_prefix("0.0.0.0/0"), lb::NextHopId(3)}};
  for (unsigned i = 0; i < 19'000; ++i)
    large.routes.emplace_back(*lb::parse_prefix(fmt::format("2001:{:x}:{:x}::1/128", i >> 8, (i & 255) << 8)),
                              lb::NextHopId(4));
  const auto refused = rte.add(lb::difference(small, large));
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("no room for the route"), std::string::npos) << refused.error().message;
  for (const char* address : {"10.0.0.1", "192.0.2.1", "2001:0:100::1", "2001:1::1"})
    EXPECT_EQ(rte.find_route(*lb::parse_address(address)),
              lb::PlainTables(small).find_route(*lb::parse_address(address)))
        << address;
}

// ---- verdicts ----

bool is_ipv4(const Bytes& frame, std::size_t ip) {
  return frame.size() >= ip + 20 && frame[ip - 2] == 8 && frame[ip - 1] == 0;
}
// One's-complement sum of a header, its length in bytes even.
std::uint16_t sum_of(const Bytes& frame, std::size_t at, std::size_t length) {
  std::uint32_t sum = 0;
  for (std::size_t i = at; i + 1 < at + length; i += 2) sum += static_cast<std::uint32_t>(frame[i] << 8 | frame[i + 1]);
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(sum);
}
bool has_right_ip_checksum(const Bytes& frame) {
  const std::size_t ip = frame[12] == 0x81 ? 18 : 14;
  return !is_ipv4(frame, ip) || sum_of(frame, ip, (frame[ip] & 15u) * 4) == 0xffff;
}

// A frame of the case table, with a few bytes or its length changed; its IPv4 header checksum mended half of the time,
// so that the change is looked at.
Bytes random_frame(std::mt19937& random, const std::vector<Bytes>& from) {
  Bytes frame = from[random() % from.size()];
  for (unsigned changes = random() % 4; changes > 0 && !frame.empty(); --changes)
    frame[random() % std::min<std::size_t>(frame.size(), 80)] =
        static_cast<std::uint8_t>(random() % 3 == 0 ? 0 : random());
  if (random() % 16 == 0) frame.resize(random() % (frame.size() + 20));
  if (random() % 2 == 0 && is_ipv4(frame, 14)) {
    const std::size_t header = std::min<std::size_t>((frame[14] & 15u) * 4, frame.size() - 14);
    if (header >= 20) {
      frame[24] = frame[25] = 0;
      const std::uint16_t sum = sum_of(frame, 14, header);
      frame[24] = static_cast<std::uint8_t>(~sum >> 8), frame[25] = static_cast<std::uint8_t>(~sum);
    }
  }
  return frame;
}

TEST(Tables, TheWalkEndsAlikeForRandomPackets) {
  for (const Group& group : groups()) {
    SCOPED_TRACE(group.name);
    std::mt19937 random(3);
    const Script script = mixed(group);
    RingPort port(1024);
    PlainRig plain(compiled(group));
    RteRig rte(compiled(group), port);
    std::uint64_t now = 1'000'000 * kSecond;
    for (int packets = 0; packets < 20'000;) {
      std::vector<Bytes> burst;
      for (std::size_t n = 1 + random() % 32; n > 0; --n) burst.push_back(random_frame(random, script.in));
      packets += static_cast<int>(burst.size());
      now += random() % kSecond;
      const std::vector<Bytes> sent = plain.process(burst, now);
      expect_frames(sent, rte.process(burst, now));
      expect_frames(plain.punted(), rte.punted());
      for (const Bytes& frame : sent) EXPECT_TRUE(has_right_ip_checksum(frame)) << dump(frame);
      if (HasFailure()) return;
    }
    const Counts a(plain.counters()), b(rte.counters());
    EXPECT_EQ(a.drops, b.drops);
    EXPECT_EQ(a.events, b.events);
    EXPECT_TRUE(conserves(plain.counters()));
    EXPECT_TRUE(conserves(rte.counters()));
    EXPECT_GT(a.sent + plain.counters().punted.get(), 1000u) << "too few live packets to say anything";
    EXPECT_GT(a.dropped(), 1000u);
  }
}

}  // namespace
}  // namespace weir::test
