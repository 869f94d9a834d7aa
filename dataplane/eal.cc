#include "dataplane/eal.h"

#include <rte_cpuflags.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_log.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <vector>

#include "dataplane/free_memory.h"

namespace weir::dataplane {

namespace {

constexpr std::size_t kMiB = std::size_t{1} << 20;

// rte_log writes to a FILE; a memstream keeps it. One per process, because rte_log's stream is.
struct LogMemory {
  char* text = nullptr;
  std::size_t size = 0;
  FILE* file = open_memstream(&text, &size);
};
LogMemory& log_memory() {
  static LogMemory memory;
  return memory;
}

// Free huge pages of the default size, in bytes.
std::size_t free_huge_bytes() {
  std::ifstream info("/proc/meminfo");
  std::size_t pages = 0, page_kib = 0;
  for (std::string key; info >> key;) {
    if (key == "HugePages_Free:") info >> pages;
    if (key == "Hugepagesize:") info >> page_kib;
  }
  return pages * page_kib * 1024;
}

// "0,1,4": the cores this thread may run on. EAL sets the affinity of the thread that starts it, and means no others.
std::string allowed_cores() {
  cpu_set_t cores;
  CPU_ZERO(&cores);
  sched_getaffinity(0, sizeof cores, &cores);
  std::string text;
  for (unsigned core = 0; core < CPU_SETSIZE; ++core)
    if (CPU_ISSET(core, &cores)) text += (text.empty() ? "" : ",") + std::to_string(core);
  return text;
}

}  // namespace

lb::Result<Eal> Eal::start(const Options& options) {
  const std::size_t mib = options.memory_bytes / kMiB + 64;  // and some for DPDK itself
  const std::size_t huge_mib = free_huge_bytes() / kMiB;
  const bool use_huge =
      options.huge_pages == HugePages::kAlways || (options.huge_pages == HugePages::kAuto && huge_mib >= mib);
  if (use_huge && huge_mib < mib) {
    return lb::fail("memory.huge_pages is `always`, but of " + std::to_string(mib) + " MiB needed only " +
                    std::to_string(huge_mib) + " MiB are free as huge pages; write " + std::to_string((mib + 1) / 2) +
                    " or more to /sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages, or say `huge_pages: auto`");
  }

  const std::size_t small_mib = mib + options.more_without_huge_pages / kMiB;
  if (!use_huge)
    if (auto enough = check_memory(small_mib * kMiB + options.other_bytes, read_memory_files()); !enough)
      return std::unexpected(enough.error());

  std::vector<std::string> args = {"weir", "--no-telemetry", "--log-level=warning",
                                   "--lcores=0@(" + allowed_cores() + ")"};
  if (options.pci.empty()) args.push_back("--no-pci");
  for (const std::string& address : options.pci) args.push_back("--allow=" + address);
  if (use_huge) {
    args.insert(args.end(), {"--in-memory", "--single-file-segments"});
  } else {
    // 22.11 refuses --no-huge with --in-memory.
    args.insert(args.end(), {"--no-huge", "--no-shconf", "-m", std::to_string(small_mib)});
  }
  args.push_back("--file-prefix=weir-" + std::to_string(getpid()));
  std::vector<char*> argv;
  for (std::string& a : args) argv.push_back(a.data());

  rte_openlog_stream(log_memory().file);
  const bool is_up = rte_eal_init(static_cast<int>(argv.size()), argv.data()) >= 0;
  const int error = rte_errno;
  // EAL makes a directory of its prefix's, uses it for nothing with these options, and leaves it behind.
  if (const char* directory = rte_eal_get_runtime_dir(); directory != nullptr) rmdir(directory);
  if (!is_up) {
    return lb::fail(std::string("DPDK does not start: ") + rte_strerror(error) + "; " + take_log());
  }
  return Eal(use_huge);
}

Eal::~Eal() {
  if (up_) rte_eal_cleanup();
}

void Eal::log_to_stderr() {
  log_to(stderr);
}

void Eal::log_to(std::FILE* stream) {
  rte_openlog_stream(stream);
}

std::string Eal::take_log() {
  LogMemory& log = log_memory();
  std::fflush(log.file);
  std::istringstream lines(std::string(log.text == nullptr ? "" : log.text, log.size));
  std::rewind(log.file);
  std::vector<std::string> kept;
  for (std::string line; std::getline(lines, line);) {
    while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.pop_back();
    if (!line.empty()) kept.push_back(line);
  }
  if (kept.size() > 3) kept.erase(kept.begin(), kept.end() - 3);
  std::string joined;
  for (const std::string& line : kept) joined += (joined.empty() ? "" : "; ") + line;
  return joined;
}

}  // namespace weir::dataplane
