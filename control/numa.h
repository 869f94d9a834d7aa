// On machines of several NUMA sockets: where memory and workers go, and what to say where they cannot be together.
//
// Mbufs and tables lie on the socket that most NICs are on, and workers run there if it has cores enough. A worker's
// flow table needs no care: its pages come on touch, and only its worker touches them.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "config/model.h"

namespace weir::control {

/// Sockets count from 0; kAnySocket: a device that belongs to none (a vdev), or a machine that does not tell.
inline constexpr int kAnySocket = -1;

struct Placed {
  std::string name;  // "port p0", "worker 1 on core 3"
  int socket = kAnySocket;
};
struct Core {
  unsigned number = 0;
  int socket = kAnySocket;
};

/// The socket of most of them, the lowest where that is several; kAnySocket if none has one.
[[nodiscard]] int choose_socket(std::span<const Placed> ports);
/// A core for each worker: the highest numbers, since the lowest get the interrupts; on `socket` if it has enough.
/// Empty if there are fewer cores than workers.
[[nodiscard]] std::vector<Core> choose_cores(std::vector<Core> allowed, unsigned workers, int socket);
/// A sentence for each port and each worker that memory on `socket` is far from.
[[nodiscard]] std::vector<std::string> socket_warnings(std::span<const Placed> ports, std::span<const Placed> workers,
                                                       int socket);

/// Where it all goes on this machine.
struct Placement {
  int socket = kAnySocket;
  std::vector<int> cores;  // by worker; -1: not pinned
  std::vector<std::string> warnings;
};
/// `allowed`: the cores this process may run on.
[[nodiscard]] Placement place(const config::Model& model, const std::vector<unsigned>& allowed);

// ---- what this machine says of itself; /sys ----
[[nodiscard]] int socket_of_core(unsigned core);
/// `address` with its domain: "0000:3b:00.0".
[[nodiscard]] int socket_of_pci(const std::string& address);

}  // namespace weir::control
