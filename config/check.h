// The rules that take two values to judge: names that must exist or differ, addresses that must not meet, VIPs that
// overlap, limits over the whole file. Everything wrong is reported; nothing here is quadratic in the size of the file.
#pragma once

#include "config/problems.h"
#include "config/read.h"

namespace weir::config {

/// Also fills in what the file may leave out: the interface of a route or neighbor.
void check_model(Draft& draft, Problems& problems);

/// Its parts, in this order.
void check_network(Draft& draft, Problems& problems);         // ports, interfaces, announce, routes, neighbors
void check_services(const Draft& draft, Problems& problems);  // services, VIPs, backends
void check_reach(const Draft& draft, Problems& problems);     // warnings only: can packets get to the backends?

}  // namespace weir::config
