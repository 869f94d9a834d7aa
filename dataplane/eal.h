// DPDK's environment: started once, before anything else of DPDK's; its log kept for error messages.
#pragma once

#include <cstddef>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include "lb/result.h"

namespace weir::dataplane {

enum class HugePages : unsigned char { kAuto, kAlways, kNever };

class Eal {
 public:
  struct Options {
    HugePages huge_pages = HugePages::kAuto;
    std::size_t memory_bytes = 0;             // what mbufs and tables will take
    std::size_t more_without_huge_pages = 0;  // and what is lost besides in pages of 4 KiB
    std::size_t other_bytes = 0;              // what else the process will take: flow tables
    std::vector<std::string> pci;             // the PCI devices that are ours; no others are touched
  };
  /// Once per process, on the thread that will be control's; it is not pinned. Errors say what to do.
  [[nodiscard]] static lb::Result<Eal> start(const Options& options);

  Eal(Eal&& other) noexcept : up_(std::exchange(other.up_, false)), uses_huge_pages_(other.uses_huge_pages_) {}
  Eal& operator=(Eal&&) = delete;
  ~Eal();

  [[nodiscard]] bool uses_huge_pages() const noexcept { return uses_huge_pages_; }
  /// What DPDK logged since the last call, its last lines joined by "; ". For the end of an error message.
  [[nodiscard]] static std::string take_log();
  /// From here on DPDK logs to stderr: the start is over, and what it says now belongs to no error message.
  static void log_to_stderr();
  /// Or to a stream of the caller's, which stays open.
  static void log_to(std::FILE* stream);

 private:
  explicit Eal(bool uses_huge_pages) : up_(true), uses_huge_pages_(uses_huge_pages) {}
  bool up_;
  bool uses_huge_pages_;
};

}  // namespace weir::dataplane
