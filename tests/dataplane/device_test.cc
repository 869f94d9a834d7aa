#include "dataplane/device.h"

#include <gtest/gtest.h>

namespace weir::dataplane {
namespace {

TEST(Device, HasANameAndArguments) {
  const Device xdp = parse_device("net_af_xdp0,iface=eth1,busy_budget=0");
  EXPECT_EQ(xdp.name, "net_af_xdp0");
  EXPECT_EQ(xdp.arguments, "iface=eth1,busy_budget=0");
  EXPECT_EQ(xdp.option("iface"), "eth1");
  EXPECT_EQ(xdp.option("busy_budget"), "0");
  EXPECT_EQ(xdp.option("busy"), "");
  EXPECT_TRUE(xdp.is_software());
  EXPECT_EQ(parse_device("net_null0").arguments, "");
}

TEST(Device, PciAddressesGetTheirDomain) {
  EXPECT_EQ(parse_device("03:00.0").name, "0000:03:00.0");
  EXPECT_EQ(parse_device("0001:03:00.0,opt=1").name, "0001:03:00.0");
  EXPECT_FALSE(parse_device("03:00.0").is_software());
}

TEST(Device, ABondIsWhatItsMembersAre) {
  const Device nics = parse_device("net_bonding0,mode=4,slave=0000:03:00.0,slave=03:00.1,xmit_policy=l34");
  ASSERT_EQ(nics.members.size(), 2u);
  EXPECT_EQ(nics.arguments, "mode=4,slave=0000:03:00.0,slave=0000:03:00.1,xmit_policy=l34");
  EXPECT_FALSE(nics.is_pci());
  EXPECT_FALSE(nics.is_software()) << "it must be polled";

  const Device mixed = parse_device("net_bonding0,slave=(net_af_packet0,iface=eth1),member=03:00.1");
  EXPECT_FALSE(mixed.is_software());
}

TEST(Device, AMemberInParenthesesHasArgumentsOfItsOwn) {
  const Device bond =
      parse_device("net_bonding0,mode=1,slave=(net_af_packet0,iface=eth1,qpairs=2),slave=(net_af_xdp1,iface=eth2)");
  EXPECT_EQ(bond.arguments, "mode=1,slave=net_af_packet0,slave=net_af_xdp1");
  EXPECT_EQ(bond.option("iface"), "");
  ASSERT_EQ(bond.members.size(), 2u);
  EXPECT_EQ(bond.members[0].name, "net_af_packet0");
  EXPECT_EQ(bond.members[0].arguments, "iface=eth1,qpairs=2");
  EXPECT_EQ(bond.members[1].option("iface"), "eth2");
  EXPECT_TRUE(bond.is_software());
}

TEST(Device, BrokenTextIsTakenAsItStands) {
  EXPECT_EQ(parse_device("").name, "");
  EXPECT_EQ(parse_device("net_bonding0,slave=(net_null0,x=1").members.at(0).name, "(net_null0,x=1");
  EXPECT_EQ(parse_device("net_bonding0,slave=").members.at(0).name, "");
  EXPECT_EQ(parse_device("net_null0,,").arguments, "");
}

}  // namespace
}  // namespace weir::dataplane
