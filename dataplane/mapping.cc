#include "dataplane/mapping.h"

#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>

namespace weir::dataplane {

lb::Result<Mapping> Mapping::create(std::size_t bytes, const char* what) {
  void* base = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (base == MAP_FAILED) {
    return lb::fail("no memory for " + std::string(what) + " (" + std::to_string(bytes >> 20) +
                    " MiB): " + std::strerror(errno) + "; lower the capacities in weir.yaml or add memory");
  }
  madvise(base, bytes, MADV_HUGEPAGE);  // a wish; without it, only slower
  Mapping m;
  m.base_ = base;
  m.bytes_ = bytes;
  return m;
}

void Mapping::populate(std::size_t bytes) const noexcept {
  madvise(base_, std::min(bytes, bytes_), MADV_POPULATE_WRITE);
}

Mapping::~Mapping() {
  if (base_ != nullptr) munmap(base_, bytes_);
}

}  // namespace weir::dataplane
