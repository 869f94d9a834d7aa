#include "control/instance_lock.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <map>
#include <optional>

namespace weir::control {

namespace {

bool is_hex(std::string_view s) {
  return !s.empty() && s.find_first_not_of("0123456789abcdefABCDEF") == std::string_view::npos;
}

/// "0000:3b:00.0" of "0000:3B:00.0" or "3b:00.0"; none if it is no PCI address.
std::optional<std::string> pci_address(std::string_view text) {
  std::string_view domain = "0000";
  if (std::count(text.begin(), text.end(), ':') == 2) {
    domain = text.substr(0, text.find(':'));
    text.remove_prefix(domain.size() + 1);
  }
  if (domain.size() < 4 || domain.size() > 8 || !is_hex(domain)) return std::nullopt;
  if (text.size() != 7 || text[2] != ':' || text[5] != '.') return std::nullopt;
  if (!is_hex(text.substr(0, 2)) || !is_hex(text.substr(3, 2)) || !is_hex(text.substr(6))) return std::nullopt;
  std::string out = fmt::format("{}:{}", domain, text);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](char c) { return c >= 'A' && c <= 'F' ? char(c - 'A' + 'a') : c; });
  return out;
}

/// Device arguments whose value names a kernel interface, or for bonding another device.
constexpr std::array<std::string_view, 6> kDeviceKeys{"iface",    "rx_iface", "rx_iface_in",
                                                      "tx_iface", "slave",    "member"};

lb::Result<FileDescriptor> bind_abstract(const ExclusiveDevice& device, std::string_view of) {
  const std::string name = "weir-" + device.name;
  sockaddr_un a{};
  a.sun_family = AF_UNIX;
  if (name.size() > sizeof(a.sun_path) - 1)
    return lb::fail(fmt::format("device {} has too long a name to lock", device.name));
  std::memcpy(a.sun_path + 1, name.data(), name.size());  // sun_path[0] = 0: abstract (unix(7))
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
  FileDescriptor fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (fd && ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&a), length) == 0) return fd;
  if (errno == EADDRINUSE)
    return lb::fail(fmt::format("device {} ({}) is in use by another weir; stop it or give the port another device",
                                device.name, of));
  return lb::fail(fmt::format("cannot lock device {}: {}", device.name, std::strerror(errno)));
}

lb::Result<FileDescriptor> lock_file(const ExclusiveDevice& device, std::string_view of, const std::string& directory) {
  const std::string path = fmt::format("{}/{}.lock", directory, device.name);
  if (::mkdir(directory.c_str(), 0755) != 0 && errno != EEXIST)
    return lb::fail(fmt::format("cannot make {} to lock device {}: {}; make it writable for weir", directory,
                                device.name, std::strerror(errno)));
  FileDescriptor fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (fd && ::flock(fd.get(), LOCK_EX | LOCK_NB) == 0) return fd;
  if (fd && errno == EWOULDBLOCK)
    return lb::fail(fmt::format("device {} ({}) is in use by another weir; stop it or give the port another device",
                                device.name, of));
  return lb::fail(fmt::format("cannot lock device {} with {}: {}", device.name, path, std::strerror(errno)));
}

}  // namespace

std::vector<ExclusiveDevice> exclusive_devices(std::string_view device) {
  std::vector<ExclusiveDevice> out;
  const auto add = [&out](std::string_view name) {
    auto pci = pci_address(name);
    ExclusiveDevice found = pci ? ExclusiveDevice{std::move(*pci), true} : ExclusiveDevice{std::string(name), false};
    if (!name.empty() && std::find(out.begin(), out.end(), found) == out.end()) out.push_back(std::move(found));
  };
  // A bond's member in parentheses brings its own arguments (dataplane/device.h).
  std::string flat(device);
  std::ranges::replace_if(flat, [](char c) { return c == '(' || c == ')'; }, ',');
  bool is_first = true;
  for (std::string_view rest = flat; !rest.empty() || is_first; is_first = false) {
    const std::size_t comma = rest.find(',');
    const std::string_view item = rest.substr(0, comma);
    rest = comma == std::string_view::npos ? std::string_view{} : rest.substr(comma + 1);
    const std::size_t equals = item.find('=');
    if (pci_address(item)) add(item);
    if (is_first || equals == std::string_view::npos) continue;
    if (std::find(kDeviceKeys.begin(), kDeviceKeys.end(), item.substr(0, equals)) != kDeviceKeys.end())
      add(item.substr(equals + 1));
  }
  return out;
}

lb::Result<InstanceLock> InstanceLock::acquire(const std::vector<std::string>& devices, const std::string& directory) {
  InstanceLock lock;
  std::map<std::string, std::string> holders;  // exclusive name, the device string that took it
  for (const std::string& device : devices) {
    for (const ExclusiveDevice& exclusive : exclusive_devices(device)) {
      if (const auto [holder, is_new] = holders.emplace(exclusive.name, device); !is_new)
        return lb::fail(fmt::format("devices \"{}\" and \"{}\" both stand on {}; give each port its own",
                                    holder->second, device, exclusive.name));
      auto socket = bind_abstract(exclusive, device);
      if (!socket) return std::unexpected(socket.error());
      lock.held_.push_back(std::move(*socket));
      if (!exclusive.is_pci) continue;
      auto file = lock_file(exclusive, device, directory);
      if (!file) return std::unexpected(file.error());
      lock.held_.push_back(std::move(*file));
    }
  }
  return lock;
}

}  // namespace weir::control
