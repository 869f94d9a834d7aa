// How much memory this process may still take. Asked before DPDK starts on ordinary pages: it would take what it is
// told to, and the kernel would end the process when the pages are touched.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lb/result.h"

namespace weir::dataplane {

/// Of one cgroup (v2) this process is in: its own, or one above it. Empty where there is no such file.
struct CgroupFiles {
  std::string max, current, stat;  // memory.max, memory.current, memory.stat
};

/// The kernel's files, as text.
struct MemoryFiles {
  std::string meminfo;  // /proc/meminfo
  std::vector<CgroupFiles> cgroups;
};
[[nodiscard]] MemoryFiles read_memory_files();

/// In bytes: what the machine has available, or less where a cgroup is limited. A file cache is given back when memory
/// is short, so it counts as free. None where the files do not say.
[[nodiscard]] std::optional<std::size_t> free_memory(const MemoryFiles& files);

/// Refuses `needed` bytes that are more than there are, with what to lower.
[[nodiscard]] lb::Result<void> check_memory(std::size_t needed, const MemoryFiles& files);

}  // namespace weir::dataplane
