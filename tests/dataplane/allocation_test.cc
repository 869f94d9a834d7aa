// The packet path allocates nothing: malloc() and what ends in it are counted while it runs, over every kind of work
// that it does. On plain tables, so that no library of DPDK's is counted or hidden; the path is the workers' own.
#include <gtest/gtest.h>

#include <cstdlib>
#include <deque>

#include "tests/dataplane/rig.h"

namespace {
// One thread only.
bool is_watched = false;
std::size_t allocations = 0;
}  // namespace

#ifdef __SANITIZE_ADDRESS__
// Malloc is the sanitizer's, and it tells. (g++ comes without the header that declares this.)
extern "C" int __sanitizer_install_malloc_and_free_hooks(void (*on_malloc)(const volatile void*, std::size_t),
                                                         void (*on_free)(const volatile void*));
void on_malloc(const volatile void*, std::size_t) {
  allocations += is_watched;
}
void on_free(const volatile void*) {}
const int hooked = __sanitizer_install_malloc_and_free_hooks(on_malloc, on_free);
#else
namespace {
void* counted(void* memory) {
  allocations += is_watched;
  return memory;
}
}  // namespace
// glibc's own, under the names it keeps for those who do this. operator new ends in malloc.
extern "C" {
void* __libc_malloc(std::size_t n);
void* __libc_calloc(std::size_t n, std::size_t size);
void* __libc_realloc(void* p, std::size_t n);
void* __libc_memalign(std::size_t alignment, std::size_t n);
void* malloc(std::size_t n) {
  return counted(__libc_malloc(n));
}
void* calloc(std::size_t n, std::size_t size) {
  return counted(__libc_calloc(n, size));
}
void* realloc(void* p, std::size_t n) {
  return counted(__libc_realloc(p, n));
}
void* aligned_alloc(std::size_t alignment, std::size_t n) {
  return counted(__libc_memalign(alignment, n));
}
}
#endif

namespace weir::test {
namespace {

class Watch {
 public:
  Watch() { allocations = 0, is_watched = true; }
  ~Watch() { is_watched = false; }
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;
};

TEST(Allocation, IsSeenByTheGuard) {
  {
    Watch watch;
    std::vector<int> v(100);
    EXPECT_EQ(v.size(), 100u);
  }
  EXPECT_EQ(allocations, 1u);
}

TEST(Allocation, NeverHappensOnThePath) {
  for (const Group& group : groups()) {
    SCOPED_TRACE(group.name);
    const Compiled& c = compiled(group);
    WorkerState state(c);
    const lb::PlainTables tables(c.contents());
    dataplane::MemoryIo io(state.counters);
    io.sent.reserve(64);
    io.punted.reserve(64);
    io.wanted.reserve(64);
    io.claims.reserve(64);
    std::deque<dataplane::MemoryFrame> held;  // may outlive their burst
    dataplane::PacketPath path(tables, io, state.flows, state.counters, c.next_hops());

    std::uint64_t now = 1'000'000 * kSecond;
    std::size_t seen = 0, frames = 0;
    // Cases that move the clock or drain a bucket run too: their flows expire, their answers are refused.
    for (const Case& one : group.cases) {
      for (const Step& s : one.steps()) {
        now += static_cast<std::uint64_t>(s.passes.count()) * kSecond;
        for (unsigned n = 0; s.in && n < s.times; ++n) {
          dataplane::MemoryFrame* burst[] = {&held.emplace_back(*s.in)};
          {
            Watch watch;
            path.process(burst, lb::PortIndex{}, c.snapshot(), {now});
            path.tend_held(c.snapshot(), {now});
          }
          seen += allocations;
          io.sent.clear();
          io.punted.clear();
          io.wanted.clear();
          io.claims.clear();
          if (state.counters.held.get() == 0) held.clear();
          ++frames;
        }
      }
      {
        Watch watch;
        path.expire(static_cast<std::uint32_t>(state.flows.lines() / 3), c.snapshot(), {now});
      }
      seen += allocations;
      ASSERT_EQ(seen, 0u) << "allocations, by the time of: " << one.says();
    }
    EXPECT_GT(frames, 50u);
    EXPECT_GT(state.counters.counted(lb::Event::kFlowExpired), 0u);
    EXPECT_GT(state.counters.counted(lb::Event::kFlowNew), 0u);
  }
}

}  // namespace
}  // namespace weir::test
