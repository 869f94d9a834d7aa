// What Weir asks of the kernel for a twin: that it is up, has the file's addresses, and that neighbours are resolved.
//
// Each call is one netlink request, answered at once (about 10 us; longer while another process holds the kernel's
// network lock). Control thread.
#pragma once

#include <memory>

#include "control/kernel_network.h"
#include "lb/address.h"
#include "lb/result.h"

namespace weir::control {

class KernelWriter {
 public:
  [[nodiscard]] static lb::Result<KernelWriter> open();
  KernelWriter(KernelWriter&&) noexcept;
  KernelWriter& operator=(KernelWriter&&) noexcept;
  ~KernelWriter();

  [[nodiscard]] lb::Result<void> set_up(LinkIndex link);
  /// Usable at once (no duplicate address detection), with its connected route. Adding what is there is no error.
  [[nodiscard]] lb::Result<void> add_address(LinkIndex link, const lb::Prefix& own);
  /// Removing what is not there is no error.
  [[nodiscard]] lb::Result<void> remove_address(LinkIndex link, const lb::Prefix& own);

  /// The kernel resolves the neighbour now and keeps it so until forget(). Without NTF_MANAGED (before Linux 5.16) it
  /// resolves it once, and the caller asks again every few seconds. Not for a permanent one: it would cease to be that.
  [[nodiscard]] lb::Result<void> keep_resolved(LinkIndex link, const lb::Address& neighbor);
  /// Resolves it once, as if a packet of the kernel's had gone there.
  [[nodiscard]] lb::Result<void> resolve(LinkIndex link, const lb::Address& neighbor);
  /// Removes the entry, if there is one.
  [[nodiscard]] lb::Result<void> forget(LinkIndex link, const lb::Address& neighbor);

  [[nodiscard]] bool kernel_keeps() const noexcept { return kernel_keeps_; }

 private:
  struct Socket;
  explicit KernelWriter(std::unique_ptr<Socket> socket);
  [[nodiscard]] int add_neighbor(LinkIndex link, const lb::Address& neighbor, bool is_managed);

  std::unique_ptr<Socket> socket_;
  bool kernel_keeps_ = true;
};

}  // namespace weir::control
