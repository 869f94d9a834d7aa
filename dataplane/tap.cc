#include "dataplane/tap.h"

#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_arp.h>
#include <linux/if_tun.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace weir::dataplane {

namespace {

constexpr const char* kTunDevice = "/dev/net/tun";

lb::Result<void> failed(const std::string& name, const std::string& what) {
  return lb::fail("twin " + name + ": " + what);
}

std::string why_no_tun(int error) {
  switch (error) {
    case ENOENT:
    case ENODEV:
    case ENXIO: return std::string("there is no ") + kTunDevice + "; `modprobe tun`, or give the container this device";
    case EACCES:
    case EPERM: return std::string("no permission to open ") + kTunDevice + "; run as root or with CAP_NET_ADMIN";
    default: return std::string(kTunDevice) + ": " + std::strerror(error);
  }
}

std::string why_no_device(const std::string& name, int error) {
  switch (error) {
    case EBUSY:
    case EEXIST:
      return "an interface of this name exists already; rename this one in weir.yaml, or remove the other "
             "(`ip link show " +
             name + "`)";
    case EPERM: return "no permission to make a TAP device; run as root or with CAP_NET_ADMIN";
    case EINVAL: return "the kernel does not take this name for a device; rename the interface";
    default: return std::string("cannot be made: ") + std::strerror(error);
  }
}

ifreq request_for(const std::string& name) {
  ifreq r{};
  std::memcpy(r.ifr_name, name.data(), std::min(name.size(), sizeof r.ifr_name - 1));
  return r;
}

// A socket to name the device by; of any kind.
class Handle {
 public:
  Handle() : fd_(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {}
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  ~Handle() {
    if (fd_ >= 0) close(fd_);
  }
  [[nodiscard]] bool call(unsigned long what, ifreq& r) const { return fd_ >= 0 && ioctl(fd_, what, &r) == 0; }

 private:
  int fd_;
};

lb::Result<void> bring_up(const std::string& name, const Handle& handle) {
  ifreq r = request_for(name);
  if (!handle.call(SIOCGIFFLAGS, r)) return failed(name, std::string("flags: ") + std::strerror(errno));
  r.ifr_flags = static_cast<short>(r.ifr_flags | IFF_UP | IFF_RUNNING);
  if (!handle.call(SIOCSIFFLAGS, r)) return failed(name, std::string("bringing it up: ") + std::strerror(errno));
  return {};
}

}  // namespace

lb::Result<Tap> Tap::open(const std::string& name, const lb::MacAddress& mac, std::uint16_t mtu) {
  const int fd = ::open(kTunDevice, O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) return std::unexpected(failed(name, why_no_tun(errno)).error());
  Tap tap(fd, name);
  ifreq r = request_for(name);
  // EXCL: not one that somebody left behind, whose addresses and rules are another's.
  r.ifr_flags = static_cast<short>(IFF_TAP | IFF_NO_PI | IFF_TUN_EXCL);
  if (ioctl(fd, TUNSETIFF, &r) != 0) return std::unexpected(failed(name, why_no_device(name, errno)).error());
  if (auto done = tap.set(mac, mtu); !done) return std::unexpected(done.error());
  if (auto done = bring_up(name, Handle()); !done) return std::unexpected(done.error());
  return tap;
}

lb::Result<void> Tap::set(const lb::MacAddress& mac, std::uint16_t mtu) {
  const Handle handle;
  ifreq r = request_for(name_);
  r.ifr_hwaddr.sa_family = ARPHRD_ETHER;
  std::memcpy(r.ifr_hwaddr.sa_data, mac.bytes.data(), mac.bytes.size());
  if (!handle.call(SIOCSIFHWADDR, r)) return failed(name_, "MAC " + lb::to_string(mac) + ": " + std::strerror(errno));
  r = request_for(name_);
  r.ifr_mtu = mtu;
  if (!handle.call(SIOCSIFMTU, r)) return failed(name_, "MTU " + std::to_string(mtu) + ": " + std::strerror(errno));
  return {};
}

Tap::~Tap() {
  if (fd_ >= 0) close(fd_);
}

std::size_t Tap::read(std::span<std::uint8_t> room) noexcept {
  const ssize_t n = ::read(fd_, room.data(), room.size());
  if (n < 0 && errno == EBADFD) is_gone_ = true;
  return n > 0 ? static_cast<std::size_t>(n) : 0;
}

bool Tap::write(std::span<const std::uint8_t> frame) noexcept {
  return ::write(fd_, frame.data(), frame.size()) == static_cast<ssize_t>(frame.size());
}

}  // namespace weir::dataplane
