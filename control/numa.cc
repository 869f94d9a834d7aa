#include "control/numa.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>

#include "control/instance_lock.h"

namespace weir::control {

int choose_socket(std::span<const Placed> ports) {
  std::map<int, int> count;
  for (const Placed& p : ports)
    if (p.socket != kAnySocket) ++count[p.socket];
  if (count.empty()) return kAnySocket;
  return std::ranges::max_element(count, {}, &std::pair<const int, int>::second)->first;
}

std::vector<Core> choose_cores(std::vector<Core> allowed, unsigned workers, int socket) {
  std::ranges::sort(allowed, std::ranges::greater{}, &Core::number);
  std::vector<Core> near;
  std::ranges::copy_if(allowed, std::back_inserter(near), [&](const Core& c) { return c.socket == socket; });
  std::vector<Core>& from = near.size() >= workers ? near : allowed;
  if (from.size() < workers) return {};
  from.resize(workers);
  return from;
}

std::vector<std::string> socket_warnings(std::span<const Placed> ports, std::span<const Placed> workers, int socket) {
  std::vector<std::string> warnings;
  if (socket == kAnySocket) return warnings;
  const auto is_far = [&](const Placed& p) { return p.socket != kAnySocket && p.socket != socket; };
  for (const Placed& p : ports)
    if (is_far(p))
      warnings.push_back(
          fmt::format("{} is on NUMA socket {}, the memory for packets on socket {}: it is slower; "
                      "put all NICs on one socket, or run a weir for each",
                      p.name, p.socket, socket));
  for (const Placed& w : workers)
    if (is_far(w))
      warnings.push_back(
          fmt::format("{} is on NUMA socket {}, the memory for packets on socket {}: it is slower; "
                      "list cores of socket {} under `workers`",
                      w.name, w.socket, socket, socket));
  return warnings;
}

Placement place(const config::Model& m, const std::vector<unsigned>& allowed) {
  std::vector<Placed> ports;
  for (const config::Port& p : m.ports) {
    ports.push_back({"port " + p.name});
    for (const ExclusiveDevice& d : exclusive_devices(p.device))
      if (d.is_pci && ports.back().socket == kAnySocket) ports.back().socket = socket_of_pci(d.name);
  }
  Placement placement{.socket = choose_socket(ports)};

  std::vector<Core> cores;
  for (const unsigned core : m.worker_cores.empty() ? allowed : m.worker_cores)
    cores.push_back({core, socket_of_core(core)});
  if (m.worker_cores.empty()) cores = choose_cores(std::move(cores), m.workers, placement.socket);
  placement.cores.assign(m.workers, -1);
  std::vector<Placed> workers;
  for (std::size_t w = 0; w < cores.size(); ++w) {
    placement.cores[w] = static_cast<int>(cores[w].number);
    workers.push_back({fmt::format("worker {} on core {}", w, cores[w].number), cores[w].socket});
  }
  placement.warnings = socket_warnings(ports, workers, placement.socket);
  if (cores.empty())
    placement.warnings.push_back(
        fmt::format("{} workers share {} cores and are not pinned: they hold each other up; "
                    "lower `workers`, or give this process more cores",
                    m.workers, allowed.size()));
  return placement;
}

int socket_of_core(unsigned core) {
  std::error_code error;
  const std::filesystem::path directory = fmt::format("/sys/devices/system/cpu/cpu{}", core);
  for (const auto& entry : std::filesystem::directory_iterator(directory, error)) {
    const std::string name = entry.path().filename();
    if (name.starts_with("node") && name.find_first_not_of("0123456789", 4) == std::string::npos && name.size() > 4)
      return std::atoi(name.c_str() + 4);
  }
  return kAnySocket;
}

int socket_of_pci(const std::string& address) {
  int socket = kAnySocket;
  std::ifstream("/sys/bus/pci/devices/" + address + "/numa_node") >> socket;
  return socket < 0 ? kAnySocket : socket;
}

}  // namespace weir::control
