#include "control/privileges.h"

#include <cap-ng.h>
#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <grp.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <memory>
#include <optional>

#include "control/file_descriptor.h"

namespace weir::control {

namespace {

/// Whose contents are nobody else's business. packaging/ and the defaults of weir.yaml name these.
constexpr std::array<std::string_view, 2> kOwnDirectories{"/run/weir", "/var/lib/weir"};
constexpr mode_t kDirectoryMode = 0755;

std::string reason() {
  return std::strerror(errno);
}

std::optional<unsigned> number(std::string_view text) {
  unsigned value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::vector<unsigned> wanted(Needs needs) {
  std::vector<unsigned> capabilities{CAP_NET_ADMIN, CAP_NET_RAW, CAP_IPC_LOCK};
  if (needs.bpf) capabilities.push_back(CAP_BPF);
  return capabilities;
}

/// Into libcap-ng's state: of what this thread has, that which is needed. Ambient and inheritable ones go with it.
void select(Needs needs) {
  std::vector<unsigned> kept = wanted(needs);
  std::erase_if(kept, [](unsigned c) { return capng_have_capability(CAPNG_PERMITTED, c) == 0; });
  capng_clear(CAPNG_SELECT_CAPS);
  for (const unsigned c : kept)
    capng_update(CAPNG_ADD, static_cast<capng_type_t>(CAPNG_EFFECTIVE | CAPNG_PERMITTED), c);
}

lb::Result<void> chown_contents(int directory, const std::string& path, const User& user) {
  const int copy = ::dup(directory);
  const std::unique_ptr<DIR, int (*)(DIR*)> list(copy < 0 ? nullptr : ::fdopendir(copy), ::closedir);
  if (!list) return lb::fail(fmt::format("cannot list {}: {}", path, reason()));
  while (const dirent* entry = ::readdir(list.get())) {
    const std::string_view name = entry->d_name;
    if (name == "." || name == "..") continue;
    if (::fchownat(directory, entry->d_name, user.uid, user.gid, AT_SYMLINK_NOFOLLOW) != 0)
      return lb::fail(fmt::format("cannot give {}/{} to user {}: {}", path, name, user.name, reason()));
  }
  return {};
}

std::string user_name(uid_t uid) {
  const passwd* found = ::getpwuid(uid);
  return found == nullptr ? std::to_string(uid) : found->pw_name;
}

std::string group_name(gid_t gid) {
  const group* found = ::getgrgid(gid);
  return found == nullptr ? std::to_string(gid) : found->gr_name;
}

}  // namespace

lb::Result<User> find_user(std::string_view text) {
  const std::size_t colon = text.find(':');
  const std::string name(text.substr(0, colon));
  const passwd* found = name.empty() ? nullptr : ::getpwnam(name.c_str());
  const auto uid = number(name);
  if (found == nullptr && !uid)
    return lb::fail(fmt::format("--user: there is no user \"{}\" here; `useradd --system {}` makes one", name,
                                name.empty() ? "weir" : name));
  User user{.uid = found != nullptr ? found->pw_uid : *uid, .gid = 0, .name = name};
  if (colon == std::string_view::npos) {
    if (found == nullptr) return lb::fail(fmt::format("--user: uid {0} has no name here; write {0}:GROUP", name));
    user.gid = found->pw_gid;
    return user;
  }
  const std::string group_text(text.substr(colon + 1));
  const group* in = group_text.empty() ? nullptr : ::getgrnam(group_text.c_str());
  const auto gid = number(group_text);
  if (in == nullptr && !gid)
    return lb::fail(fmt::format("--user: there is no group \"{}\" here; `groupadd --system {}` makes one", group_text,
                                group_text.empty() ? "weir" : group_text));
  user.gid = in != nullptr ? in->gr_gid : *gid;
  return user;
}

lb::Result<void> check_can_become(const User& user) {
  const bool is_already = ::geteuid() == user.uid && ::getegid() == user.gid;
  if (is_already || ::geteuid() == 0) return {};
  return lb::fail(fmt::format("only root can become user {}: run weir as root, or leave --user out", user.name));
}

Needs needs_of(const std::vector<std::string>& devices) {
  // It edits its XDP program's map when it closes.
  const auto is_xdp = [](const std::string& device) { return device.find("net_af_xdp") != std::string::npos; };
  return {.bpf = std::ranges::any_of(devices, is_xdp)};
}

lb::Result<void> limit_privileges(Needs needs) {
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
    return lb::fail(fmt::format("cannot set no_new_privs: {}", reason()));
  if (capng_get_caps_process() != 0) return lb::fail("cannot read the process's capabilities; is /proc mounted?");
  if (capng_have_capability(CAPNG_EFFECTIVE, CAP_SETPCAP) != 0) {
    capng_clear(CAPNG_SELECT_BOUNDS);
    if (capng_apply(CAPNG_SELECT_BOUNDS) != 0) return lb::fail("cannot empty the capability bounding set");
  }
  if (::geteuid() == 0) return {};
  select(needs);
  if (capng_apply(CAPNG_SELECT_CAPS) != 0) return lb::fail("cannot give up capabilities that are not needed");
  return {};
}

lb::Result<void> give_directory(const std::string& directory, const User& user) {
  if (std::ranges::find(kOwnDirectories, directory) == kOwnDirectories.end()) return {};
  if (::mkdir(directory.c_str(), kDirectoryMode) != 0 && errno != EEXIST)
    return lb::fail(fmt::format("cannot make directory {}: {}", directory, reason()));
  const FileDescriptor fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
  struct stat found{};
  if (!fd || ::fstat(fd.get(), &found) != 0)
    return lb::fail(fmt::format("cannot open directory {}: {}", directory, reason()));
  // What is not root's alone is left: its owner could have put another's file there, to be given away.
  if (found.st_uid != 0 || (found.st_mode & (S_IWGRP | S_IWOTH)) != 0) return {};
  if (auto done = chown_contents(fd.get(), directory, user); !done) return done;
  if (::fchown(fd.get(), user.uid, user.gid) != 0)
    return lb::fail(fmt::format("cannot give directory {} to user {}: {}", directory, user.name, reason()));
  return {};
}

lb::Result<void> become(const User& user, Needs needs) {
  if (::geteuid() == user.uid && ::getegid() == user.gid) return {};
  if (auto ok = check_can_become(user); !ok) return ok;
  if (capng_get_caps_process() != 0) return lb::fail("cannot read the process's capabilities; is /proc mounted?");
  select(needs);
  // The user's other groups count too: they may be what lets it read the file.
  const auto groups = ::getpwuid(user.uid) != nullptr ? CAPNG_INIT_SUPP_GRP : CAPNG_DROP_SUPP_GRP;
  if (const int error = capng_change_id(static_cast<int>(user.uid), static_cast<int>(user.gid), groups); error != 0)
    return lb::fail(fmt::format("cannot become user {} (libcap-ng {}); root lacks CAP_SETUID or CAP_SETGID here",
                                user.name, error));
  return {};
}

Privileges held_privileges() {
  Privileges held{.user = user_name(::geteuid()), .group = group_name(::getegid()), .capabilities = {}};
  if (capng_get_caps_process() != 0) return held;
  if (capng_have_capabilities(CAPNG_SELECT_CAPS) == CAPNG_FULL) return held.capabilities = {"all"}, held;
  for (unsigned c = 0; c <= CAP_LAST_CAP; ++c) {
    if (capng_have_capability(CAPNG_EFFECTIVE, c) == 0) continue;
    const char* name = capng_capability_to_name(c);  // "net_admin"
    std::string upper = name == nullptr ? std::to_string(c) : name;
    std::ranges::transform(upper, upper.begin(), [](unsigned char l) { return static_cast<char>(std::toupper(l)); });
    held.capabilities.push_back("CAP_" + upper);
  }
  return held;
}

}  // namespace weir::control
