// A device string of weir.yaml, taken apart. It is DPDK's own syntax, "0000:03:00.0,opt=1" or "net_af_xdp0,iface=eth1",
// with one thing more: a bond's member may be a device string in parentheses, for DPDK wants members to be there before
// the bond: "net_bonding0,mode=1,slave=(net_af_packet0,iface=eth1),slave=0000:3b:00.1".
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace weir::dataplane {

struct Device {
  std::string name;             // as DPDK has it: PCI addresses with their domain
  std::string arguments;        // for DPDK; members stand here by their names
  std::vector<Device> members;  // a bond's

  [[nodiscard]] bool is_pci() const { return !name.starts_with("net_") && !name.starts_with("eth_"); }
  /// No NIC behind it, in no member either, that would mind being polled less often.
  [[nodiscard]] bool is_software() const;
  /// The value of `key=`; empty without.
  [[nodiscard]] std::string option(std::string_view key) const;
};

[[nodiscard]] Device parse_device(std::string_view text);

}  // namespace weir::dataplane
