#include "control/port_sides.h"

#include <set>
#include <string>
#include <unordered_map>

#include "config/prefix_map.h"

namespace weir::control {

std::vector<dataplane::PortSide> port_sides(const config::Model& m) {
  using dataplane::PortSide;
  std::unordered_map<std::string, std::string> port_of;  // by interface
  config::PrefixMap<std::string> ways;                   // to ports
  std::set<std::string> with_servers, with_default_route;
  for (const config::Interface& i : m.interfaces) {
    port_of[i.name] = i.port;
    for (const lb::Prefix& p : i.addresses) ways.add(p, i.port);
  }
  for (const config::Route& r : m.routes) {
    ways.add(r.to, port_of[r.interface]);
    if (r.to.length == 0) with_default_route.insert(port_of[r.interface]);
  }
  for (const config::Service& s : m.services)
    for (const config::Backend& b : s.backends)
      if (const std::string* port = ways.find(b.address)) with_servers.insert(*port);

  std::vector<PortSide> sides;
  for (const config::Port& p : m.ports) {
    const bool is_only = m.ports.size() == 1;
    if (!with_servers.contains(p.name))
      sides.push_back(is_only ? PortSide::kBoth : PortSide::kClients);
    else
      sides.push_back(is_only || with_default_route.contains(p.name) ? PortSide::kBoth : PortSide::kServers);
  }
  return sides;
}

}  // namespace weir::control
