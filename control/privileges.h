// What the daemon may do, and as whom.
//
// Opening devices may take root: /dev/vfio, uio, physical addresses, a directory for the socket. Forwarding does not.
// So privileges go in two steps. *limit_privileges()*, while the process has one thread: nothing that it might execute
// gains anything any more, and a start that is not root's gives up what Weir never needs. *become()*, when the ports
// run and before there are workers: the user's ids, and of the capabilities only those below.
//
// Capabilities and ids belong to threads in the kernel. glibc changes the ids of all threads together; a change of
// ids takes away every capability of a thread that did not ask to keep them, so EAL's interrupt thread, which is there
// by then, ends with none; threads made later inherit what the control thread kept.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

#include "lb/result.h"

namespace weir::control {

struct User {
  uid_t uid = 0;
  gid_t gid = 0;
  std::string name;  // as it was asked for; numbers have no other
};
/// "weir" (with its own group), "weir:adm", "998:998".
[[nodiscard]] lb::Result<User> find_user(std::string_view text);

/// An error where it is not root that asks to become another.
[[nodiscard]] lb::Result<void> check_can_become(const User& user);

/// CAP_NET_ADMIN, CAP_NET_RAW and CAP_IPC_LOCK are kept; CAP_BPF where a device takes it.
struct Needs {
  bool bpf = false;
};
[[nodiscard]] Needs needs_of(const std::vector<std::string>& devices);

/// Before the first thread. no_new_privs, an empty bounding set where that is allowed, and for all but root no more
/// than `needs`. Root keeps its own, to open what it alone may, until become().
[[nodiscard]] lb::Result<void> limit_privileges(Needs needs);

/// Gives a directory that is Weir's alone (/run/weir, /var/lib/weir) to the user, made if missing, with what root's
/// runs left in it. Any other stays as it is, and must be one that the user may write to. As root.
[[nodiscard]] lb::Result<void> give_directory(const std::string& directory, const User& user);

/// For good: there is no way back to root. From the control thread, before it makes threads.
[[nodiscard]] lb::Result<void> become(const User& user, Needs needs);

struct Privileges {
  std::string user, group;                // names, or numbers without one
  std::vector<std::string> capabilities;  // the calling thread's, "CAP_NET_ADMIN"; root with all: {"all"}
};
[[nodiscard]] Privileges held_privileges();

}  // namespace weir::control
