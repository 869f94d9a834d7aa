// One weir to a device: two processes on one af_packet or af_xdp interface would both start, and each would see part
// of the packets.
//
// The lock is a bound abstract Unix socket, `@weir-<name>`, which the kernel drops with its process. Abstract names
// belong to a network namespace, and so do kernel interfaces. PCI devices do not, so they also get a flock on a file
// that all namespaces see. Devices that are nobody's property (net_null, net_ring, a pcap file) take no lock.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "control/file_descriptor.h"
#include "lb/result.h"

namespace weir::control {

/// What a port's device string stands on that only one process may use.
struct ExclusiveDevice {
  std::string name;     // "0000:3b:00.0" (with its domain, in lower case) or "eth1"
  bool is_pci = false;  // else a kernel interface
  bool operator==(const ExclusiveDevice&) const = default;
};

/// "0000:3b:00.0,opt=1" is that PCI device; "net_af_xdp0,iface=eth1" the interface eth1; "net_bonding0,slave=A,slave=B"
/// A and B, "net_bonding0,slave=(net_af_packet0,iface=eth1)" eth1; "net_null0" nothing.
[[nodiscard]] std::vector<ExclusiveDevice> exclusive_devices(std::string_view device);

/// Holds the locks of every device of one weir until it goes.
class InstanceLock {
 public:
  /// `devices`: every port's device string. Takes all or none. PCI lock files lie in `directory`, made if missing.
  [[nodiscard]] static lb::Result<InstanceLock> acquire(const std::vector<std::string>& devices,
                                                        const std::string& directory = "/run/weir");

 private:
  std::vector<FileDescriptor> held_;
};

}  // namespace weir::control
