#include "control/unix_listener.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <optional>
#include <thread>

namespace weir::control {

namespace {

constexpr mode_t kSocketMode = 0660;
constexpr std::string_view kNewSuffix = ".new";
constexpr std::size_t kLongestPath = sizeof(sockaddr_un::sun_path) - 1 - kNewSuffix.size();
constexpr int kBacklog = 128;
/// How long another starting daemon may hold the directory's lock; it needs a millisecond.
constexpr auto kLockPatience = std::chrono::seconds(2);

std::string reason(int error) {
  return std::strerror(error);
}

sockaddr_un address_of(const std::string& path) {
  sockaddr_un a{};
  a.sun_family = AF_UNIX;
  std::memcpy(a.sun_path, path.data(), path.size());  // checked against kLongestPath
  return a;
}

/// Makes `directory` and what is missing above it, where all of that is below `root`.
lb::Result<void> make_directory(const std::filesystem::path& directory, const std::filesystem::path& root) {
  const auto below = directory.lexically_normal().lexically_relative(root);
  if (below.empty() || *below.begin() == "..") return {};  // lock_directory() says what is wrong
  std::filesystem::path made = root;
  for (const auto& part : below) {
    made /= part;
    if (::mkdir(made.c_str(), 0755) != 0 && errno != EEXIST)
      return lb::fail(fmt::format("cannot make directory {} for the control socket: {}; give another control.socket",
                                  made.string(), reason(errno)));
  }
  return {};
}

lb::Result<FileDescriptor> lock_directory(const std::filesystem::path& directory, const std::string& path) {
  FileDescriptor fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd)
    return lb::fail(
        fmt::format("cannot open directory {} for control socket {}: {}; make it, or give another "
                    "control.socket",
                    directory.string(), path, reason(errno)));
  const auto give_up = std::chrono::steady_clock::now() + kLockPatience;
  while (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK && errno != EINTR)
      return lb::fail(
          fmt::format("cannot lock directory {} of the control socket: {}", directory.string(), reason(errno)));
    if (std::chrono::steady_clock::now() > give_up)
      return lb::fail(
          fmt::format("directory {} of the control socket stays locked by another process; give control.socket "
                      "a directory of its own",
                      directory.string()));
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return fd;
}

/// Refuses when something that is not ours to replace stands at `path`.
lb::Result<void> check_replaceable(const std::string& path) {
  struct stat found{};
  if (::lstat(path.c_str(), &found) != 0) {
    if (errno == ENOENT) return {};
    return lb::fail(fmt::format("cannot look at control socket {}: {}", path, reason(errno)));
  }
  if (!S_ISSOCK(found.st_mode))
    return lb::fail(fmt::format("{} exists and is not a socket; remove it or give another control.socket", path));
  const FileDescriptor probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!probe) return lb::fail(fmt::format("cannot make a socket: {}", reason(errno)));
  const sockaddr_un a = address_of(path);
  // EAGAIN: its backlog is full, so somebody listens. EACCES: somebody else's.
  if (::connect(probe.get(), reinterpret_cast<const sockaddr*>(&a), sizeof(a)) == 0 || errno == EAGAIN)
    return lb::fail(
        fmt::format("control socket {} is in use by another weir; stop it or give another control.socket", path));
  if (errno != ECONNREFUSED && errno != ENOENT)
    return lb::fail(
        fmt::format("cannot tell whether control socket {} is in use: {}; remove it or give another "
                    "control.socket",
                    path, reason(errno)));
  return {};
}

/// Bound to `path` with the right mode, and listening.
lb::Result<FileDescriptor> bind_listening(const std::string& path) {
  FileDescriptor fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const auto failed = [&path] {
    const bool is_directory = errno == EACCES || errno == EROFS;
    return lb::fail(fmt::format("cannot make control socket {}: {}{}", path, reason(errno),
                                is_directory ? "; make its directory writable for weir's user, or give another "
                                               "control.socket"
                                             : ""));
  };
  if (!fd) return failed();
  // The socket's own mode and the umask both bound the mode that bind() gives the file (unix(7)); the umask, which is
  // the whole process's, is left alone, and chmod() adds what it took away.
  const sockaddr_un a = address_of(path);
  if (::fchmod(fd.get(), kSocketMode) != 0) return failed();
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return failed();
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&a), sizeof(a)) != 0) return failed();
  if (::chmod(path.c_str(), kSocketMode) != 0 || ::listen(fd.get(), kBacklog) != 0) {
    const auto result = failed();
    ::unlink(path.c_str());
    return result;
  }
  return fd;
}

}  // namespace

lb::Result<UnixListener> UnixListener::open(const std::string& path, const std::string& volatile_root) {
  if (path.empty() || path.find('\0') != std::string::npos) return lb::fail("control.socket is empty; give a path");
  if (path.size() > kLongestPath)
    return lb::fail(fmt::format("control socket path {} is {} bytes long; give one of at most {}", path, path.size(),
                                kLongestPath));
  std::filesystem::path directory = std::filesystem::path(path).parent_path();
  if (directory.empty()) directory = ".";

  if (auto made = make_directory(directory, volatile_root); !made) return std::unexpected(made.error());
  const auto lock = lock_directory(directory, path);
  if (!lock) return std::unexpected(lock.error());
  if (auto ok = check_replaceable(path); !ok) return std::unexpected(ok.error());

  const std::string beside = path + std::string(kNewSuffix);
  auto socket = bind_listening(beside);
  if (!socket) return std::unexpected(socket.error());
  struct stat ours{};
  if (::lstat(beside.c_str(), &ours) != 0 || ::rename(beside.c_str(), path.c_str()) != 0) {
    const int error = errno;
    ::unlink(beside.c_str());
    return lb::fail(fmt::format("cannot put control socket at {}: {}", path, reason(error)));
  }
  return UnixListener(std::move(*socket), path, ours.st_dev, ours.st_ino);
}

UnixListener::UnixListener(UnixListener&& other) noexcept
    : socket_(std::move(other.socket_)),
      path_(std::exchange(other.path_, {})),
      device_(other.device_),
      inode_(other.inode_) {}

UnixListener::~UnixListener() {
  if (path_.empty()) return;
  struct stat found{};
  if (::lstat(path_.c_str(), &found) == 0 && found.st_dev == device_ && found.st_ino == inode_) ::unlink(path_.c_str());
}

}  // namespace weir::control
