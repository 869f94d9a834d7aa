// The control socket in the file system: a listening Unix stream socket that appears at its path in one step.
//
// It is bound and listening under a name beside the path, with its mode set, before a rename puts it there, so
// nobody ever finds it half made, with a wider mode, or refusing. Two starting daemons are kept apart by a lock on
// the directory (flock, held for the length of open()); a running one is found by connecting to it. What a crash left
// behind refuses connections and is replaced.
#pragma once

#include <sys/types.h>

#include <string>

#include "control/file_descriptor.h"
#include "lb/result.h"

namespace weir::control {

class UnixListener {
 public:
  /// Mode 0660. A missing directory below `volatile_root` is made (0755), for nobody else can have made it since boot;
  /// elsewhere it is more likely a slip of the pen, and refused. The caller takes the descriptor with release(); the
  /// path is unlinked when the UnixListener goes, unless someone else's socket stands there by then.
  [[nodiscard]] static lb::Result<UnixListener> open(const std::string& path,
                                                     const std::string& volatile_root = "/run");

  UnixListener(UnixListener&& other) noexcept;
  UnixListener& operator=(UnixListener&&) = delete;
  ~UnixListener();

  /// The listening socket, not blocking; its owner closes it.
  [[nodiscard]] int release() noexcept { return socket_.release(); }
  [[nodiscard]] const std::string& path() const noexcept { return path_; }

 private:
  UnixListener(FileDescriptor socket, std::string path, dev_t device, ino_t inode)
      : socket_(std::move(socket)), path_(std::move(path)), device_(device), inode_(inode) {}

  FileDescriptor socket_;
  std::string path_;  // empty: moved from
  dev_t device_;      // with inode_: the socket that is ours to unlink
  ino_t inode_;
};

}  // namespace weir::control
