#include "dataplane/free_memory.h"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <iterator>

namespace weir::dataplane {

namespace {

std::string text_of(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// The number at the front of `text`, past blanks; none for "max" and for nothing.
std::optional<std::size_t> number_at(std::string_view text) {
  text.remove_prefix(std::min(text.find_first_not_of(" \t"), text.size()));
  std::size_t n = 0;
  const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), n);
  return fault == std::errc{} ? std::optional(n) : std::nullopt;
}

/// Of the line that begins with `key`.
std::optional<std::size_t> number_of(std::string_view text, std::string_view key) {
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    if (line.starts_with(key)) return number_at(line.substr(key.size()));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
  }
  return std::nullopt;
}

std::optional<std::size_t> free_in(const CgroupFiles& c) {
  const auto max = number_at(c.max);
  const auto current = number_at(c.current);
  if (!max || !current) return std::nullopt;
  const std::size_t cache =
      number_of(c.stat, "inactive_file ").value_or(0) + number_of(c.stat, "active_file ").value_or(0);
  const std::size_t used = *current - std::min(*current, cache);
  return *max - std::min(*max, used);
}

}  // namespace

MemoryFiles read_memory_files() {
  MemoryFiles files{.meminfo = text_of("/proc/meminfo"), .cgroups = {}};
  // "0::/system.slice/weir.service", a line of its own among those of v1 if there are any.
  const std::string memberships = "\n" + text_of("/proc/self/cgroup");
  const auto line = memberships.find("\n0::/");
  if (line == std::string::npos) return files;
  const auto begin = line + 4;
  std::string path = memberships.substr(begin, memberships.find('\n', begin) - begin);
  for (;;) {
    const std::string folder = "/sys/fs/cgroup" + path + "/memory.";
    files.cgroups.push_back({text_of(folder + "max"), text_of(folder + "current"), text_of(folder + "stat")});
    if (path.empty()) return files;
    path.resize(path.rfind('/'));
  }
}

std::optional<std::size_t> free_memory(const MemoryFiles& files) {
  std::optional<std::size_t> least;
  if (const auto kib = number_of(files.meminfo, "MemAvailable:")) least = *kib * 1024;
  for (const CgroupFiles& c : files.cgroups)
    if (const auto n = free_in(c)) least = std::min(least.value_or(*n), *n);
  return least;
}

lb::Result<void> check_memory(std::size_t needed, const MemoryFiles& files) {
  const auto free = free_memory(files);
  if (!free || needed <= *free) return {};
  const auto mib = [](std::size_t bytes) { return std::to_string(bytes >> 20) + " MiB"; };
  return lb::fail("memory: " + mib(needed) + " are needed for mbufs and tables, " + mib(*free) +
                  " are free; lower memory.mbufs or conntrack.capacity and wide_capacity, or add memory");
}

}  // namespace weir::dataplane
