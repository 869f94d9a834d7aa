// `weir show routes` and `weir show neighbors`: what the file says, and beside it what the kernel knows.
#include <linux/rtnetlink.h>

#include <boost/json/array.hpp>
#include <set>
#include <string>

#include "control/views.h"

namespace weir::control {

namespace {

namespace json = boost::json;

json::object list_of(const Running& r, std::string_view noun, json::array list) {
  return {{"generation", r.compiled->snapshot->generation}, {noun, std::move(list)}};
}

// Names of /etc/iproute2/rt_protos; what is none of these is a number.
json::value protocol_name(std::uint8_t protocol) {
  switch (protocol) {
    case RTPROT_REDIRECT: return "redirect";
    case RTPROT_KERNEL: return "kernel";
    case RTPROT_BOOT: return "boot";
    case RTPROT_STATIC: return "static";
    case RTPROT_RA: return "ra";
    case RTPROT_ZEBRA: return "zebra";
    case RTPROT_BIRD: return "bird";
    case RTPROT_DHCP: return "dhcp";
    case RTPROT_KEEPALIVED: return "keepalived";
    case RTPROT_BGP: return "bgp";
    case RTPROT_OSPF: return "ospf";
    default: return protocol;
  }
}

json::value interface_of(const KernelNetwork& kernel, LinkIndex link) {
  const KernelLink* l = kernel.link(link);
  return l == nullptr ? json::value(nullptr) : json::value(l->interface);
}

json::object route_row(const lb::Prefix& to, const json::value& via, const json::value& interface,
                       std::string_view origin) {
  return {{"to", lb::to_string(to)},       {"via", via},          {"interface", interface},
          {"origin", std::string(origin)}, {"protocol", nullptr}, {"metric", nullptr}};
}

json::object kernel_route_row(const KernelNetwork& kernel, const KernelRoute& route) {
  const bool is_connected = route.protocol == RTPROT_KERNEL && route.via.is_unspecified();
  json::object row =
      route_row(route.to, route.via.is_unspecified() ? json::value(nullptr) : json::value(lb::to_string(route.via)),
                interface_of(kernel, route.link), is_connected ? "connected" : "kernel");
  row["protocol"] = protocol_name(route.protocol);
  row["metric"] = route.metric;
  return row;
}

}  // namespace

json::object routes_view(const Running& r, const KernelNetwork& kernel) {
  json::array rows;
  std::set<lb::Prefix> taken;  // of equal prefixes the first counts, and the others are not the workers'
  const auto add = [&](const lb::Prefix& to, json::object row) {
    row["used"] = taken.insert(to).second;
    rows.push_back(std::move(row));
  };
  for (const config::Route& route : r.model().routes)
    add(route.to, route_row(route.to, json::value(lb::to_string(route.via)), json::value(route.interface), "file"));
  for (const config::Interface& i : r.model().interfaces)
    for (const lb::Prefix& own : i.addresses) {
      const lb::Prefix to{own.network(), own.length};
      if (!taken.contains(to)) add(to, route_row(to, nullptr, json::value(i.name), "connected"));
    }
  for (const KernelRoute& route : sorted(kernel).routes) {
    const bool is_connected = route.protocol == RTPROT_KERNEL && route.via.is_unspecified();
    if (is_connected && taken.contains(route.to)) continue;  // said already
    add(route.to, kernel_route_row(kernel, route));
  }
  return list_of(r, "routes", std::move(rows));
}

json::object neighbors_view(const Running& r, const KernelNetwork& kernel) {
  json::array rows;
  std::set<std::pair<std::string, lb::Address>> taken;
  for (const config::Neighbor& n : r.model().neighbors) {
    taken.emplace(n.interface, n.address);
    rows.push_back(json::object{{"address", lb::to_string(n.address)},
                                {"mac", lb::to_string(n.mac)},
                                {"interface", n.interface},
                                {"state", "permanent"},
                                {"origin", "file"},
                                {"age_s", nullptr}});
  }
  const auto now = std::chrono::steady_clock::now();
  for (const KernelNeighbor& n : sorted(kernel).neighbors) {
    const KernelLink* link = kernel.link(n.link);
    if (link == nullptr || taken.contains({link->interface, n.address})) continue;
    const auto age = std::chrono::duration_cast<std::chrono::seconds>(now - n.confirmed).count();
    rows.push_back(json::object{{"address", lb::to_string(n.address)},
                                {"mac", n.mac.is_zero() ? json::value(nullptr) : json::value(lb::to_string(n.mac))},
                                {"interface", link->interface},
                                {"state", std::string(name(n.state))},
                                {"origin", "kernel"},
                                {"age_s", n.is_usable() ? json::value(age) : json::value(nullptr)}});
  }
  return list_of(r, "neighbors", std::move(rows));
}

}  // namespace weir::control
