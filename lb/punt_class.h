// What is for this box itself goes to the kernel in classes, each with a token bucket of its own in each worker, so
// that a flood of one kind costs the others nothing: ARP requests do not push out the answers to the kernel's own, SYNs
// to port 22 end no BGP session, and segments to port 179 none of those that stand.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace weir::lb {

// Packets a second and worker. A frame costs the kernel 2 to 5 us on the twin's thread, so that all classes at their
// limits take less than half a core away from whoever shares the machine with the workers. Why each:
//   routing    BFD at 10 ms with 100 neighbours is 10,000; OSPF, VRRP and PIM are a few.
//   bgp        a full table in a minute is 20 MB, 14,000 segments of it 1,460 bytes long; and a few peers may come up.
//   bgp_new    a session is opened once in a while. A flood to port 179 ends here: what goes as bgp is of connections
//              on which the kernel has spoken (dataplane/spoken_sessions.h).
//   neighbor   answers to what the kernel asked: it asks for hundreds of neighbours, once every 30 s.
//   solicit    questions of whole segments, and announcements: some at every fail-over, never thousands for long.
//   own        SSH, ping, DNS, health checks' answers: 10,000 a second is 100 Mbit/s of full segments.
//   transit    the documented slow path of `transit: kernel`.
#define LB_PUNT_CLASSES(X)                                                                  \
  X(kRouting, "routing", 20'000, "BFD, OSPF, VRRP and what else is for the link's routers") \
  X(kBgp, "bgp", 20'000, "BGP connections on which the kernel has spoken")                  \
  X(kBgpNew, "bgp_new", 1'000, "what else is for BGP's port")                               \
  X(kNeighbor, "neighbor", 2'000, "ARP replies and neighbour advertisements")               \
  X(kSolicit, "solicit", 2'000, "ARP requests, solicitations, router and group messages")   \
  X(kOwn, "own", 10'000, "what else is for an own address")                                 \
  X(kTransit, "transit", 20'000, "what is for nobody here, with `transit: kernel`")

struct PuntClassInfo {
  std::string_view name;
  std::uint32_t per_second;
  std::string_view help;
};

#define LB_ENUMERATOR(symbol, name, rate, help) symbol,
#define LB_INFO(symbol, name, rate, help) {name, rate, help},
enum class PuntClass : std::uint8_t { LB_PUNT_CLASSES(LB_ENUMERATOR) };
inline constexpr auto kPuntClasses = std::to_array<PuntClassInfo>({LB_PUNT_CLASSES(LB_INFO)});
#undef LB_ENUMERATOR
#undef LB_INFO

[[nodiscard]] constexpr std::string_view name(PuntClass c) noexcept {
  return kPuntClasses[static_cast<std::size_t>(c)].name;
}

}  // namespace weir::lb
