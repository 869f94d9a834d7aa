#include "control/kernel_writer.h"

#include <fmt/format.h>
#include <linux/if_addr.h>
#include <linux/neighbour.h>
#include <net/if.h>
#include <netlink/addr.h>
#include <netlink/attr.h>
#include <netlink/errno.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/route/addr.h>
#include <netlink/route/link.h>
#include <netlink/route/neighbour.h>
#include <netlink/socket.h>
#include <sys/utsname.h>

#include <cstdio>
#include <string>
#include <utility>

namespace weir::control {

namespace {

template <class T, void (*kFree)(T*)>
struct Free {
  void operator()(T* p) const noexcept { kFree(p); }
};
using Addr = std::unique_ptr<nl_addr, Free<nl_addr, nl_addr_put>>;
using RtAddr = std::unique_ptr<rtnl_addr, Free<rtnl_addr, rtnl_addr_put>>;
using RtLink = std::unique_ptr<rtnl_link, Free<rtnl_link, rtnl_link_put>>;
using RtNeigh = std::unique_ptr<rtnl_neigh, Free<rtnl_neigh, rtnl_neigh_put>>;

Addr to_nl(const lb::Address& a) {
  return Addr(a.is_v4() ? nl_addr_build(AF_INET, a.bytes.data() + 12, 4) : nl_addr_build(AF_INET6, a.bytes.data(), 16));
}

RtAddr to_nl(LinkIndex link, const lb::Prefix& own) {
  const Addr local = to_nl(own.address);
  nl_addr_set_prefixlen(local.get(), own.length);
  RtAddr a(rtnl_addr_alloc());
  rtnl_addr_set_ifindex(a.get(), static_cast<int>(link));
  rtnl_addr_set_local(a.get(), local.get());
  if (!own.address.is_v4()) rtnl_addr_set_flags(a.get(), IFA_F_NODAD);
  return a;
}

RtNeigh to_nl(LinkIndex link, const lb::Address& neighbor) {
  RtNeigh n(rtnl_neigh_alloc());
  rtnl_neigh_set_ifindex(n.get(), static_cast<int>(link));
  const Addr address = to_nl(neighbor);
  rtnl_neigh_set_dst(n.get(), address.get());
  rtnl_neigh_set_state(n.get(), NUD_NONE);
  return n;
}

lb::Result<void> result(int error, const std::string& what) {
  if (error >= 0) return {};
  return lb::fail(fmt::format("{}: {}", what, nl_geterror(error)));
}

// Older kernels take NDA_FLAGS_EXT without a word and do nothing about it.
bool knows_managed_neighbors() {
  utsname u{};
  unsigned major = 0, minor = 0;
  if (uname(&u) != 0 || std::sscanf(u.release, "%u.%u", &major, &minor) != 2) return false;
  return std::pair(major, minor) >= std::pair(5u, 16u);
}

}  // namespace

struct KernelWriter::Socket {
  std::unique_ptr<nl_sock, Free<nl_sock, nl_socket_free>> sock{nl_socket_alloc()};
};

KernelWriter::KernelWriter(std::unique_ptr<Socket> socket)
    : socket_(std::move(socket)), kernel_keeps_(knows_managed_neighbors()) {}
KernelWriter::KernelWriter(KernelWriter&&) noexcept = default;
KernelWriter& KernelWriter::operator=(KernelWriter&&) noexcept = default;
KernelWriter::~KernelWriter() = default;

lb::Result<KernelWriter> KernelWriter::open() {
  auto socket = std::make_unique<Socket>();
  if (!socket->sock) return lb::fail("no memory for a netlink socket");
  if (const int error = nl_connect(socket->sock.get(), NETLINK_ROUTE); error < 0)
    return lb::fail(std::string("cannot open a netlink socket to set up the twins: ") + nl_geterror(error));
  return KernelWriter(std::move(socket));
}

// ---- links and addresses ----

lb::Result<void> KernelWriter::set_up(LinkIndex link) {
  const RtLink now(rtnl_link_alloc()), wanted(rtnl_link_alloc());
  rtnl_link_set_ifindex(now.get(), static_cast<int>(link));
  rtnl_link_set_ifindex(wanted.get(), static_cast<int>(link));
  rtnl_link_set_flags(wanted.get(), IFF_UP);
  return result(rtnl_link_change(socket_->sock.get(), now.get(), wanted.get(), 0), "cannot set a twin up");
}

lb::Result<void> KernelWriter::add_address(LinkIndex link, const lb::Prefix& own) {
  const RtAddr a = to_nl(link, own);
  return result(rtnl_addr_add(socket_->sock.get(), a.get(), NLM_F_CREATE | NLM_F_REPLACE),
                fmt::format("cannot give a twin the address {}", lb::to_string(own)));
}

lb::Result<void> KernelWriter::remove_address(LinkIndex link, const lb::Prefix& own) {
  const RtAddr a = to_nl(link, own);
  const int error = rtnl_addr_delete(socket_->sock.get(), a.get(), 0);
  if (error == -NLE_NOADDR || error == -NLE_NODEV) return {};
  return result(error, fmt::format("cannot take the address {} from a twin", lb::to_string(own)));
}

// ---- neighbours ----

// libnl 3.7 has no call for NTF_EXT_MANAGED; the attribute goes in by hand, beside what libnl builds.
int KernelWriter::add_neighbor(LinkIndex link, const lb::Address& neighbor, bool is_managed) {
  const RtNeigh n = to_nl(link, neighbor);
  if (!is_managed) rtnl_neigh_set_flags(n.get(), NTF_USE);
  nl_msg* built = nullptr;
  if (const int error = rtnl_neigh_build_add_request(n.get(), NLM_F_CREATE, &built); error < 0) return error;
  if (is_managed && nla_put_u32(built, NDA_FLAGS_EXT, NTF_EXT_MANAGED) < 0) {
    nlmsg_free(built);
    return -NLE_NOMEM;
  }
  return nl_send_sync(socket_->sock.get(), built);  // frees it
}

lb::Result<void> KernelWriter::keep_resolved(LinkIndex link, const lb::Address& neighbor) {
  if (!kernel_keeps_) return resolve(link, neighbor);
  const int error = add_neighbor(link, neighbor, true);
  if (error == -NLE_OPNOTSUPP || error == -NLE_INVAL) {
    kernel_keeps_ = false;
    return resolve(link, neighbor);
  }
  return result(error, "cannot keep a neighbor resolved");
}

lb::Result<void> KernelWriter::resolve(LinkIndex link, const lb::Address& neighbor) {
  return result(add_neighbor(link, neighbor, false), "cannot resolve a neighbor");
}

lb::Result<void> KernelWriter::forget(LinkIndex link, const lb::Address& neighbor) {
  const RtNeigh n = to_nl(link, neighbor);
  const int error = rtnl_neigh_delete(socket_->sock.get(), n.get(), 0);
  if (error == -NLE_OBJ_NOTFOUND || error == -NLE_NODEV) return {};
  return result(error, "cannot remove a neighbor");
}

}  // namespace weir::control
