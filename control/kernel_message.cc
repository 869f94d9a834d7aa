#include "control/kernel_message.h"

#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netlink/attr.h>
#include <netlink/msg.h>

#include <algorithm>
#include <cstring>

namespace weir::control {

namespace {

using lb::Address;
using lb::be32;

// Linux's own name for it, which <net/if.h> hides behind a macro that <linux/if.h> would define again.
constexpr unsigned kLowerUp = 1u << 16;  // IFF_LOWER_UP, <linux/if.h>

template <class Header>
const Header& body(const nlmsghdr& h) {
  return *static_cast<const Header*>(nlmsg_data(&h));
}

/// Attributes by number; broken ones are absent.
template <int kMax>
struct Attributes {
  nlattr* at[kMax + 1] = {};

  bool parse(const nlmsghdr& h, std::size_t header_bytes) {
    // libnl takes non-const and changes nothing.
    return nlmsg_parse(const_cast<nlmsghdr*>(&h), static_cast<int>(header_bytes), at, kMax, nullptr) >= 0;
  }
  std::optional<std::uint32_t> number(int type) const {
    if (at[type] == nullptr || nla_len(at[type]) < 4) return std::nullopt;
    return nla_get_u32(at[type]);
  }
};

std::optional<Address> to_address(int family, const void* bytes, int length) {
  if (family == AF_INET && length == 4) {
    std::uint32_t raw = 0;
    std::memcpy(&raw, bytes, 4);
    return Address::v4(be32::from_raw(raw));
  }
  if (family == AF_INET6 && length == 16) {
    const Address a = Address::v6(bytes);
    if (!a.is_v4()) return a;  // a mapped one would pass for IPv4
  }
  return std::nullopt;
}
std::optional<Address> to_address(int family, const nlattr* a) {
  if (a == nullptr) return std::nullopt;
  return to_address(family, nla_data(a), nla_len(a));
}
Address any(int family) {
  return family == AF_INET ? Address::v4({}) : Address{};
}

// ---- links, addresses ----

std::optional<KernelMessage> parse_link(const nlmsghdr& h, const IsTwin& is_twin) {
  Attributes<IFLA_MAX> a;
  if (!a.parse(h, sizeof(ifinfomsg))) return std::nullopt;
  const auto& info = body<ifinfomsg>(h);
  const auto index = static_cast<LinkIndex>(info.ifi_index);
  if (info.ifi_family != AF_UNSPEC || !is_twin(index)) return std::nullopt;
  LinkMessage m{.link = {.index = index}, .is_gone = h.nlmsg_type == RTM_DELLINK};
  if (a.at[IFLA_IFNAME] != nullptr && !m.is_gone) m.link.name = nla_get_string(a.at[IFLA_IFNAME]);
  m.link.mtu = static_cast<std::uint16_t>(std::min(a.number(IFLA_MTU).value_or(0), 65'535u));
  m.link.is_up = (info.ifi_flags & IFF_UP) != 0;
  m.link.has_carrier = (info.ifi_flags & kLowerUp) != 0;
  return m;
}

std::optional<KernelMessage> parse_kernel_address(const nlmsghdr& h, const IsTwin& is_twin) {
  Attributes<IFA_MAX> a;
  if (!a.parse(h, sizeof(ifaddrmsg))) return std::nullopt;
  const auto& info = body<ifaddrmsg>(h);
  const auto index = static_cast<LinkIndex>(info.ifa_index);
  if (!is_twin(index)) return std::nullopt;
  // Of a point-to-point address IFA_ADDRESS is the other end; IFA_LOCAL is ours in any case, where it is given.
  const auto own = to_address(info.ifa_family, a.at[IFA_LOCAL] != nullptr ? a.at[IFA_LOCAL] : a.at[IFA_ADDRESS]);
  if (!own) return std::nullopt;
  // An IPv6 address that is still being probed for, or was found to be another's, is nobody's to answer for.
  const std::uint32_t flags = a.number(IFA_FLAGS).value_or(info.ifa_flags);
  const bool is_usable =
      (flags & IFA_F_DADFAILED) == 0 && ((flags & IFA_F_TENTATIVE) == 0 || (flags & IFA_F_OPTIMISTIC) != 0);
  return AddressMessage{.address = {index, {*own, info.ifa_prefixlen}},
                        .is_gone = h.nlmsg_type == RTM_DELADDR || !is_usable};
}

// ---- routes ----

struct Way {
  LinkIndex link{};
  Address via;
};

std::optional<Address> gateway(int family, const nlattr* gateway, const nlattr* via) {
  if (gateway != nullptr) return to_address(family, gateway);
  if (via == nullptr || nla_len(via) < static_cast<int>(sizeof(rtvia))) return Address{};  // on-link
  // An IPv4 route through an IPv6 neighbour (RFC 5549).
  const auto* v = static_cast<const rtvia*>(nla_data(via));
  return to_address(v->rtvia_family, v->rtvia_addr, nla_len(via) - static_cast<int>(sizeof(rtvia)));
}

// The first of a multipath route's ways that a worker can take.
std::optional<Way> first_way(int family, const nlattr* multipath, const IsTwin& is_twin) {
  const auto* hop = static_cast<const rtnexthop*>(nla_data(multipath));
  int left = nla_len(multipath);
  for (; left >= static_cast<int>(sizeof(rtnexthop)) && hop->rtnh_len >= sizeof(rtnexthop) && hop->rtnh_len <= left;
       left -= NLMSG_ALIGN(hop->rtnh_len), hop = RTNH_NEXT(hop)) {
    const auto link = static_cast<LinkIndex>(hop->rtnh_ifindex);
    if (!is_twin(link) || (hop->rtnh_flags & (RTNH_F_DEAD | RTNH_F_LINKDOWN)) != 0) continue;
    nlattr* at[RTA_MAX + 1] = {};
    const int length = hop->rtnh_len - static_cast<int>(sizeof(rtnexthop));
    if (nla_parse(at, RTA_MAX, reinterpret_cast<nlattr*>(RTNH_DATA(const_cast<rtnexthop*>(hop))), length, nullptr) < 0)
      continue;
    if (at[RTA_ENCAP] != nullptr) continue;
    if (const auto via = gateway(family, at[RTA_GATEWAY], at[RTA_VIA])) return Way{link, *via};
  }
  return std::nullopt;
}

std::optional<Way> way_of(const rtmsg& info, const Attributes<RTA_MAX>& a, const IsTwin& is_twin) {
  if (a.at[RTA_MULTIPATH] != nullptr) return first_way(info.rtm_family, a.at[RTA_MULTIPATH], is_twin);
  const auto link = static_cast<LinkIndex>(a.number(RTA_OIF).value_or(0));
  if (!is_twin(link) || (info.rtm_flags & (RTNH_F_DEAD | RTNH_F_LINKDOWN)) != 0 || a.at[RTA_ENCAP] != nullptr)
    return std::nullopt;
  const auto via = gateway(info.rtm_family, a.at[RTA_GATEWAY], a.at[RTA_VIA]);
  return via ? std::optional(Way{link, *via}) : std::nullopt;
}

bool is_refusal(unsigned type) {
  return type == RTN_BLACKHOLE || type == RTN_UNREACHABLE || type == RTN_PROHIBIT;
}

std::optional<KernelMessage> parse_route(const nlmsghdr& h, const IsTwin& is_twin) {
  Attributes<RTA_MAX> a;
  if (!a.parse(h, sizeof(rtmsg))) return std::nullopt;
  const auto& info = body<rtmsg>(h);
  const bool is_v4 = info.rtm_family == AF_INET;
  if (!is_v4 && info.rtm_family != AF_INET6) return std::nullopt;
  if (a.number(RTA_TABLE).value_or(info.rtm_table) != RT_TABLE_MAIN || (info.rtm_flags & RTM_F_CLONED) != 0)
    return std::nullopt;
  // Workers route by destination alone.
  if (info.rtm_tos != 0 || info.rtm_src_len != 0) return std::nullopt;
  if (info.rtm_type != RTN_UNICAST && !is_refusal(info.rtm_type)) return std::nullopt;

  const auto to = a.at[RTA_DST] == nullptr ? any(info.rtm_family) : to_address(info.rtm_family, a.at[RTA_DST]);
  if (!to || to->is_link_local_v6() || to->is_multicast()) return std::nullopt;
  RouteMessage m{.route = {.to = {*to, info.rtm_dst_len},
                           .metric = a.number(RTA_PRIORITY).value_or(0),
                           .protocol = info.rtm_protocol,
                           .is_partial = a.at[RTA_MULTIPATH] != nullptr},
                 .is_gone = h.nlmsg_type == RTM_DELROUTE,
                 .replaces = (h.nlmsg_flags & NLM_F_REPLACE) != 0};
  if (is_refusal(info.rtm_type)) return m;
  const auto way = way_of(info, a, is_twin);
  m.is_elsewhere = !way;
  if (way) m.route.link = way->link, m.route.via = way->via;
  return m;
}

// ---- neighbours ----

NeighborState to_state(unsigned nud) {
  switch (nud) {
    case NUD_INCOMPLETE: return NeighborState::kIncomplete;
    case NUD_REACHABLE: return NeighborState::kReachable;
    case NUD_STALE: return NeighborState::kStale;
    case NUD_DELAY: return NeighborState::kDelay;
    case NUD_PROBE: return NeighborState::kProbe;
    case NUD_FAILED: return NeighborState::kFailed;
    case NUD_NOARP: return NeighborState::kNoArp;
    case NUD_PERMANENT: return NeighborState::kPermanent;
    default: return NeighborState::kNone;
  }
}

std::chrono::steady_clock::duration since_confirmed(const nlattr* cache_info) {
  if (cache_info == nullptr || nla_len(cache_info) < static_cast<int>(sizeof(nda_cacheinfo))) return {};
  const auto* info = static_cast<const nda_cacheinfo*>(nla_data(cache_info));
  return std::chrono::milliseconds(std::uint64_t{info->ndm_confirmed} * 10);  // USER_HZ is 100
}

std::optional<KernelMessage> parse_neighbor(const nlmsghdr& h, const IsTwin& is_twin,
                                            std::chrono::steady_clock::time_point now) {
  Attributes<NDA_MAX> a;
  if (!a.parse(h, sizeof(ndmsg))) return std::nullopt;
  const auto& info = body<ndmsg>(h);
  const auto index = static_cast<LinkIndex>(info.ndm_ifindex);
  if (!is_twin(index) || (info.ndm_flags & NTF_PROXY) != 0) return std::nullopt;
  const auto address = to_address(info.ndm_family, a.at[NDA_DST]);
  if (!address || address->is_multicast() || address->is_unspecified()) return std::nullopt;
  NeighborMessage m{.neighbor = {.link = index, .address = *address}, .is_gone = h.nlmsg_type == RTM_DELNEIGH};
  if (m.is_gone) return m;
  m.neighbor.state = to_state(info.ndm_state);
  m.neighbor.confirmed = now - since_confirmed(a.at[NDA_CACHEINFO]);
  if (a.at[NDA_LLADDR] != nullptr && nla_len(a.at[NDA_LLADDR]) == 6)
    std::memcpy(m.neighbor.mac.bytes.data(), nla_data(a.at[NDA_LLADDR]), 6);
  return m;
}

}  // namespace

std::optional<KernelMessage> parse_message(const nlmsghdr& h, const IsTwin& is_twin,
                                           std::chrono::steady_clock::time_point now) {
  switch (h.nlmsg_type) {
    case RTM_NEWLINK:
    case RTM_DELLINK: return parse_link(h, is_twin);
    case RTM_NEWADDR:
    case RTM_DELADDR: return parse_kernel_address(h, is_twin);
    case RTM_NEWROUTE:
    case RTM_DELROUTE: return parse_route(h, is_twin);
    case RTM_NEWNEIGH:
    case RTM_DELNEIGH: return parse_neighbor(h, is_twin, now);
    default: return std::nullopt;
  }
}

}  // namespace weir::control
