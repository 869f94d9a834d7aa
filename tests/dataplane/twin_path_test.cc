// What the packet path does for the kernel beside it and the case table (tests/cases/twin.cc) cannot say: frames that
// come from the kernel, and packets that wait until a neighbour is known.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/cases/lab.h"
#include "tests/dataplane/rig.h"

namespace weir::test {
namespace {

using lb::DropReason;
using lb::NextHopWord;

constexpr std::uint64_t kMillisecond = 1'000'000;

// Next hops are this test's own, so that they can be resolved in the middle.
class TwinPath : public ::testing::Test {
 protected:
  TwinPath()
      : compiled_(compiled(twin())),
        state_(compiled_),
        contents_(compiled_.contents()),
        tables_(contents_),
        hops_(1024),
        io_(state_.counters) {
    for (std::uint32_t id = 1; id < compiled_.next_hops().capacity(); ++id)
      hops_.set(lb::NextHopId(id), compiled_.next_hops().get(lb::NextHopId(id)));
  }
  void TearDown() override { EXPECT_TRUE(conserves(counters())); }

  static const Group& twin() { return *std::ranges::find(groups(), "twin", &Group::name); }
  [[nodiscard]] const lb::Snapshot& snapshot() const { return compiled_.snapshot(); }
  [[nodiscard]] const dataplane::WorkerCounters& counters() const { return state_.counters; }
  [[nodiscard]] lb::InterfaceId interface(std::string_view name) const {
    const auto& all = snapshot().interfaces;
    return lb::InterfaceId(std::ranges::find(all, name, &lb::InterfaceEntry::name) - all.begin());
  }
  void arrive(const Packet& p) {
    dataplane::MemoryFrame* burst[] = {&frames_.emplace_back(p.bytes())};
    path_.process(burst, lb::PortIndex{}, snapshot(), {now_});
  }
  std::vector<Bytes> loop(std::uint64_t later_ns = kMillisecond) {
    now_ += later_ns;
    path_.tend_held(snapshot(), {now_});
    return sent();
  }
  std::vector<Bytes> sent() {
    std::vector<Bytes> all;
    for (const auto& s : io_.sent) all.emplace_back(s.frame->bytes().begin(), s.frame->bytes().end());
    io_.sent.clear();
    return all;
  }
  std::vector<Bytes> inject(lb::InterfaceId in, const Bytes& frame) {
    path_.inject(in, frame, snapshot());
    return sent();
  }
  // 10.0.0.99, the backend of VIP 203.0.113.41.
  void resolve_waiting(std::string_view interface_name = "servers") {
    for (const auto& [key, id] : compiled_.contents().endpoints)
      if (key.address == *lb::parse_address("10.0.0.99"))
        hops_.set(snapshot().endpoints[index(id)].next_hop,
                  NextHopWord(interface(interface_name), *lb::parse_mac("02:00:00:00:00:99")));
  }
  static Packet to_waiting(std::uint16_t port, std::uint8_t flags = kSyn) {
    return from_client().ipv4(kClient, "203.0.113.41").tcp(port, 80, flags);
  }
  static Packet at_waiting(std::uint16_t port, std::uint8_t flags = kSyn) {
    return packet()
        .eth("02:00:00:00:00:99", kServersMac)
        .vlan(kServersVlan)
        .ipv4(kClient, "10.0.0.99", {.ttl = 63})
        .tcp(port, 8080, flags);
  }

  const Compiled& compiled_;
  WorkerState state_;
  lb::TableContents contents_;
  lb::PlainTables tables_;
  lb::NextHops hops_;
  std::deque<dataplane::MemoryFrame> frames_;
  dataplane::MemoryIo io_;
  dataplane::PacketPath<lb::PlainTables, dataplane::MemoryIo> path_{tables_, io_, state_.flows, state_.counters, hops_};
  std::uint64_t now_ = kSecond;
};

// ---- from the kernel ----

TEST_F(TwinPath, SendsTheKernelsFramesAsTheyAreWithTheInterfacesTag) {
  const Packet ping = packet().eth(kRouterMac, kUplinkMac).ipv4(kUplinkAddress, kClient).icmp_echo_reply(1, 1);
  expect_frames({ping.bytes()}, inject(interface("uplink"), ping.bytes()));
  const auto arp = [] { return packet().eth(kBroadcastMac, kServersMac); };
  expect_frames({arp().vlan(kServersVlan).arp_request(kServersMac, "10.0.0.1", "10.0.0.5").bytes()},
                inject(interface("servers"), arp().arp_request(kServersMac, "10.0.0.1", "10.0.0.5").bytes()));
  EXPECT_EQ(counters().injected.get(), 2u);
  EXPECT_EQ(counters().sent.get(), 2u);
  EXPECT_EQ(counters().received.get(), 0u);
}

TEST_F(TwinPath, DropsFramesOfTheKernelThatNoInterfaceTakes) {
  const auto of_length = [](std::size_t n) { return Bytes(n, 0x11); };
  EXPECT_EQ(inject(interface("uplink"), of_length(1514)).size(), 1u);
  EXPECT_EQ(inject(interface("uplink"), of_length(14)).size(), 1u);
  EXPECT_EQ(counters().dropped(DropReason::kInjectBad), 0u);
  EXPECT_THAT(inject(interface("uplink"), of_length(1515)), ::testing::IsEmpty());
  EXPECT_THAT(inject(interface("uplink"), of_length(13)), ::testing::IsEmpty());
  EXPECT_THAT(inject(interface("uplink"), {}), ::testing::IsEmpty());
  EXPECT_THAT(inject(lb::InterfaceId::kNone, of_length(60)), ::testing::IsEmpty());
  EXPECT_THAT(inject(lb::InterfaceId(4000), of_length(60)), ::testing::IsEmpty()) << "gone since";
  EXPECT_EQ(counters().dropped(DropReason::kInjectBad), 5u);
}

TEST_F(TwinPath, DropsFramesOfTheKernelWhileNoBufferIsLeft) {
  io_.most_made = 1;
  EXPECT_EQ(inject(interface("uplink"), Bytes(60)).size(), 1u);
  EXPECT_THAT(inject(interface("uplink"), Bytes(60)), ::testing::IsEmpty());
  EXPECT_EQ(counters().dropped(DropReason::kMbufAlloc), 1u);
}

TEST_F(TwinPath, CountsWhatControlMadeAsGenerated) {
  path_.emit(interface("uplink"), Bytes(60), snapshot());
  EXPECT_EQ(sent().size(), 1u);
  EXPECT_EQ(counters().generated.get(), 1u);
  EXPECT_EQ(counters().injected.get(), 0u);
}

// ---- to the kernel ----

TEST_F(TwinPath, DropsWhatTheTwinHasNoRoomFor) {
  io_.most_punted = 4;  // half of it for pings
  for (int i = 0; i < 5; ++i) arrive(from_client().ipv4(kClient, kUplinkAddress).icmp_echo(1, 1));
  EXPECT_EQ(io_.punted.size(), 2u);
  EXPECT_EQ(counters().punted.get(), 2u);
  EXPECT_EQ(counters().dropped(DropReason::kTwinFull), 3u);
  // What is left is for those who cannot wait.
  const auto bfd = from_client().ipv4("198.51.100.254", kUplinkAddress, {.ttl = 255}).udp(49152, 3784);
  for (int i = 0; i < 3; ++i) arrive(bfd);
  EXPECT_EQ(io_.punted.size(), 4u);
  EXPECT_EQ(counters().counted(lb::Event::kPuntedRouting), 2u);
  EXPECT_EQ(counters().dropped(DropReason::kTwinFull), 4u);
}

TEST_F(TwinPath, SaysFromWhichInterfaceItCame) {
  arrive(from_client().ipv4(kClient, kUplinkAddress).icmp_echo(1, 1));
  arrive(from_server().ipv4("10.0.0.5", "10.0.0.1").icmp_echo(1, 1));
  ASSERT_EQ(io_.punted.size(), 2u);
  EXPECT_EQ(io_.punted[0].interface, interface("uplink"));
  EXPECT_EQ(io_.punted[1].interface, interface("servers"));
}

// ---- BGP ----

TEST_F(TwinPath, KeepsSessionsApartFromAFloodToTheirPort) {
  dataplane::SpokenSessions sessions({1, 2});
  path_.share(&sessions);
  constexpr std::string_view kRouter = "198.51.100.254";
  const auto from_peer = [&](std::uint16_t port, std::uint8_t flags) {
    return from_client().ipv4(kRouter, kUplinkAddress, {.ttl = 1}).tcp(port, 179, flags);
  };
  const auto by_kernel = [&](std::uint16_t port, std::uint8_t flags, std::string_view data = "") {
    const auto segment = to_client().ipv4(kUplinkAddress, kRouter, {.ttl = 1}).tcp(179, port, flags).payload(data);
    static_cast<void>(inject(interface("uplink"), segment.bytes()));
  };
  const auto punted = [&](lb::Event e) { return counters().counted(e); };

  // The handshake says nothing yet, since the kernel answers every SYN; nor does an ACK to a stranger's data.
  arrive(from_peer(4000, kSyn));
  by_kernel(4000, kSyn | kAck);
  arrive(from_peer(4000, kAck));
  by_kernel(4000, kAck);
  EXPECT_EQ(punted(lb::Event::kPuntedBgpNew), 2u);
  by_kernel(4000, kPsh | kAck, "open");
  arrive(from_peer(4000, kAck));
  EXPECT_EQ(punted(lb::Event::kPuntedBgp), 1u);

  // Others are not known by that, nor by a RST.
  by_kernel(4001, kRst | kAck);
  arrive(from_peer(4001, kAck));
  EXPECT_EQ(punted(lb::Event::kPuntedBgpNew), 3u);

  // A flood of any kind of segments: what is left of its bucket, and no more. The session has all of its own.
  for (int i = 0; i < 3'000; ++i) arrive(from_peer(static_cast<std::uint16_t>(5'000 + i), i % 2 == 0 ? kSyn : kAck));
  EXPECT_EQ(punted(lb::Event::kPuntedBgpNew), 250u);
  EXPECT_EQ(counters().dropped(DropReason::kPuntBgpNew), 2'753u);
  for (int i = 1; i < 5'000; ++i) arrive(from_peer(4000, kAck));
  EXPECT_EQ(punted(lb::Event::kPuntedBgp), 5'000u);
  arrive(from_peer(4000, kAck));
  EXPECT_EQ(counters().dropped(DropReason::kPuntBgp), 1u) << "which has an end too";
}

// Whoever the daemon answers only to refuse has a connection's bucket no longer than the connection.
TEST_F(TwinPath, ForgetsASessionWhenTheKernelEndsIt) {
  dataplane::SpokenSessions sessions({1, 2});
  path_.share(&sessions);
  const auto by_kernel = [&](std::uint8_t flags, std::string_view data) {
    const auto segment = to_client().ipv4(kUplinkAddress, kClient).tcp(179, 4000, flags).payload(data);
    static_cast<void>(inject(interface("uplink"), segment.bytes()));
  };
  const auto is_known = [&] {
    const auto before = counters().counted(lb::Event::kPuntedBgp);
    arrive(from_client().ipv4(kClient, kUplinkAddress).tcp(4000, 179, kAck));
    return counters().counted(lb::Event::kPuntedBgp) > before;
  };
  for (const std::uint8_t end : Bytes{kFin | kAck, kRst, kFin | kPsh | kAck}) {
    by_kernel(kPsh | kAck, "open");
    EXPECT_TRUE(is_known());
    by_kernel(end, end == kRst ? "" : "notification");
    EXPECT_FALSE(is_known());
  }
}

// ---- held ----

TEST_F(TwinPath, SendsAFirstPacketWhenItsNeighbourIsKnown) {
  arrive(to_waiting(5000));
  EXPECT_THAT(loop(), ::testing::IsEmpty());
  EXPECT_EQ(counters().held.get(), 1u);
  ASSERT_EQ(io_.wanted.size(), 1u);
  EXPECT_EQ(io_.wanted[0].interface, interface("servers"));
  EXPECT_EQ(io_.wanted[0].destination, *lb::parse_address("10.0.0.99"));

  resolve_waiting();
  expect_frames({at_waiting(5000).bytes()}, loop());
  EXPECT_EQ(counters().held.get(), 0u);
  EXPECT_EQ(counters().counted(lb::Event::kHeldSent), 1u);
  EXPECT_EQ(counters().counted(lb::Event::kFlowNew), 1u);

  // Its flow is one like any other.
  arrive(to_waiting(5000, kAck));
  expect_frames({at_waiting(5000, kAck).bytes()}, sent());
  EXPECT_EQ(counters().counted(lb::Event::kFlowNew), 1u);
}

TEST_F(TwinPath, SendsWhatWaitedInTheOrderInWhichItCame) {
  arrive(to_waiting(5001));
  arrive(to_waiting(5002));
  arrive(to_waiting(5003));
  resolve_waiting();
  expect_frames({at_waiting(5001).bytes(), at_waiting(5002).bytes(), at_waiting(5003).bytes()}, loop());
}

TEST_F(TwinPath, SendsByTheInterfaceWhereTheNeighbourIsFound) {
  arrive(to_waiting(5000));
  resolve_waiting("uplink");
  expect_frames({packet()
                     .eth("02:00:00:00:00:99", kUplinkMac)
                     .ipv4(kClient, "10.0.0.99", {.ttl = 63})
                     .tcp(5000, 8080, kSyn)
                     .bytes()},
                loop());
}

TEST_F(TwinPath, DropsWhatTheInterfaceWhereTheNeighbourIsFoundCannotTake) {
  arrive(to_waiting(5000).filler(1200));
  EXPECT_EQ(counters().held.get(), 1u);
  resolve_waiting("plain");
  EXPECT_THAT(loop(), ::testing::IsEmpty());
  EXPECT_EQ(counters().held.get(), 0u);
  EXPECT_EQ(counters().dropped(DropReason::kMtu), 1u);
}

TEST_F(TwinPath, GivesUpAfterASecond) {
  arrive(to_waiting(5000));
  EXPECT_THAT(loop(999 * kMillisecond), ::testing::IsEmpty());
  EXPECT_EQ(counters().held.get(), 1u);
  EXPECT_THAT(loop(kMillisecond), ::testing::IsEmpty());
  EXPECT_EQ(counters().held.get(), 0u);
  EXPECT_EQ(counters().dropped(DropReason::kNeighUnresolved), 1u);
  resolve_waiting();
  EXPECT_THAT(loop(), ::testing::IsEmpty());
}

TEST_F(TwinPath, DropsWhatWaitsAtTheWorkersEnd) {
  arrive(to_waiting(5000));
  path_.drop_held();
  EXPECT_EQ(counters().held.get(), 0u);
  EXPECT_EQ(counters().dropped(DropReason::kNeighUnresolved), 1u);
}

// A client on a connected subnet has no next hop of its own until the kernel has found it: the reply waits for its
// address, and finds the host route that came in the meantime.
TEST_F(TwinPath, HoldsAReplyToAClientOnTheSubnetUntilARouteLeadsToIt) {
  const std::string_view client = "198.51.100.7";
  arrive(from_client().ipv4(client, kWeb).tcp(5000, 80, kSyn));
  static_cast<void>(sent());
  arrive(from_server().ipv4("10.0.0.5", client).tcp(8080, 5000, kSyn | kAck));
  EXPECT_THAT(loop(), ::testing::IsEmpty());
  ASSERT_EQ(io_.wanted.size(), 1u);
  EXPECT_EQ(io_.wanted[0].interface, interface("uplink"));
  EXPECT_EQ(io_.wanted[0].destination, *lb::parse_address(client));

  const auto found = lb::NextHopId{1000};
  hops_.set(found, NextHopWord(interface("uplink"), *lb::parse_mac("02:00:00:00:01:07")));
  contents_.routes.emplace_back(lb::Prefix{*lb::parse_address(client), 32}, found);
  expect_frames({packet()
                     .eth("02:00:00:00:01:07", kUplinkMac)
                     .ipv4(kWeb, client, {.ttl = 63})
                     .tcp(80, 5000, kSyn | kAck)
                     .bytes()},
                loop());
}

TEST_F(TwinPath, HoldsNoMoreThanItsBudget) {
  // 3 of one next hop; and 64 in all, of clients on the subnet that nobody has resolved.
  for (std::uint16_t i = 0; i < 5; ++i) arrive(to_waiting(static_cast<std::uint16_t>(5000 + i)));
  EXPECT_EQ(counters().held.get(), 3u);
  EXPECT_EQ(counters().dropped(DropReason::kNeighUnresolved), 2u);
  for (int i = 0; i < 100; ++i) {
    const std::string client = fmt::format("198.51.100.{}", 100 + i);
    arrive(from_client().ipv4(client, kWeb).tcp(5000, 80, kSyn));
    arrive(from_server().ipv4("10.0.0.5", client).tcp(8080, 5000, kSyn | kAck));
  }
  EXPECT_EQ(counters().held.get(), 64u);
  EXPECT_EQ(counters().dropped(DropReason::kNeighUnresolved), 2u + 100 - 61);
  EXPECT_EQ(io_.wanted.size(), 101u) << "each neighbour is asked for, held or not; once while a packet waits";
}

TEST_F(TwinPath, AsksNoMoreThanAThousandTimesASecond) {
  const auto reply_to = [&](const std::string& client) {
    arrive(from_client().ipv4(client, kWeb).tcp(5000, 80, kSyn));
    arrive(from_server().ipv4("10.0.0.5", client).tcp(8080, 5000, kSyn | kAck));
  };
  for (int i = 0; i < 64; ++i) reply_to(fmt::format("198.51.100.{}", 100 + i));
  EXPECT_EQ(io_.wanted.size(), 64u);
  // No room to hold these, so each of them asks.
  for (int i = 0; i < 2'000; ++i) reply_to("198.51.100.99");
  EXPECT_EQ(io_.wanted.size(), 1'000u);
}

}  // namespace
}  // namespace weir::test
