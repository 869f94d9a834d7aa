#include "dataplane/twin.h"

#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <sys/prctl.h>

#include <algorithm>
#include <array>
#include <span>
#include <utility>

namespace weir::dataplane {

namespace {

constexpr std::size_t kFramesAtOnce = 64;      // from one ring or one device, in one turn
constexpr long kPatienceNs = 500'000;          // a frame from a worker waits at most this long
constexpr long kEagerNs = 50'000;              // while frames have come lately: an answer is on its way
constexpr unsigned kEagerTurns = 40;           // 2 ms of those
constexpr std::size_t kLongestFrame = 65'536;  // whatever the MTU
constexpr std::size_t kLinkLength = 18;        // Ethernet, and a tag of the kernel's own
constexpr std::size_t kMostPolled = 64;        // devices; beyond that, sleeps are short

void keep_off(const std::vector<int>& cores) {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) return;
  for (const int core : cores)
    if (core >= 0) CPU_CLR(static_cast<unsigned>(core), &allowed);
  if (CPU_COUNT(&allowed) > 0) sched_setaffinity(0, sizeof allowed, &allowed);
}

}  // namespace

void Twin::start() {
  buffer_.resize(kLongestFrame);
  thread_ = std::thread([this] { run(); });
}

void Twin::stop() {
  if (!thread_.joinable()) return;
  stopping_.store(true, std::memory_order_release);
  thread_.join();
}

lb::Result<void> Twin::add(const std::vector<Device>& all) {
  std::vector<std::pair<Device, Tap>> made;
  for (const Device& d : all) {
    auto lock = stop_turns();
    Link* known = find(d.interface);
    const bool is_there = known != nullptr && !known->tap.is_gone();
    lock.unlock();
    if (!is_there) {
      auto tap = Tap::open(d.name, d.mac, d.mtu);
      if (!tap) return std::unexpected(tap.error());
      made.emplace_back(d, std::move(*tap));
    } else if (known->device != d) {
      if (auto done = known->tap.set(d.mac, d.mtu); !done) return done;
      lock.lock();
      known->device = d;
    }
  }
  const auto lock = stop_turns();
  for (auto& [device, tap] : made) {
    if (Link* gone = find(device.interface)) {
      gone->device = device;
      gone->tap = std::move(tap);  // they change places: the old one is closed after the lock
    } else {
      links_.push_back(std::make_unique<Link>(device, std::move(tap)));
    }
  }
  return {};
}

void Twin::keep(const std::vector<Device>& all) {
  std::vector<std::unique_ptr<Link>> removed;
  const auto lock = stop_turns();
  const auto rest = std::ranges::stable_partition(links_, [&](const auto& link) {
    return std::ranges::find(all, link->device.interface, &Device::interface) != all.end();
  });
  std::ranges::move(rest, std::back_inserter(removed));
  links_.erase(rest.begin(), rest.end());
}

Twin::Counts Twin::counts(lb::InterfaceId interface) const {
  const auto lock = stop_turns();
  const Link* link = find(interface);
  if (link == nullptr) return {};
  return {link->to_kernel.get(), link->from_kernel.get(), link->refused.get(), true, link->tap.is_gone()};
}

bool Twin::is_empty() const {
  const auto lock = stop_turns();
  return links_.empty();
}

// A mutex goes to whoever asks first, and the thread asks again at once.
std::unique_lock<std::mutex> Twin::stop_turns() const {
  waiting_.fetch_add(1, std::memory_order_relaxed);
  std::unique_lock lock(mutex_);
  waiting_.fetch_sub(1, std::memory_order_relaxed);
  return lock;
}

void Twin::give_way() const noexcept {
  while (waiting_.load(std::memory_order_relaxed) > 0) std::this_thread::yield();
}

Twin::Link* Twin::find(lb::InterfaceId interface) const noexcept {
  const auto it = std::ranges::find(links_, interface, [](const auto& link) { return link->device.interface; });
  return it == links_.end() ? nullptr : it->get();
}

// ---- the thread ----

void Twin::run() noexcept {
  pthread_setname_np(pthread_self(), "weir-twin");
  prctl(PR_SET_TIMERSLACK, 1000UL);
  keep_off(avoid_);
  unsigned quiet_turns = kEagerTurns;
  while (!stopping_.load(std::memory_order_acquire)) {
    give_way();
    quiet_turns = turn() > 0 ? 0 : quiet_turns + 1;
    if (quiet_turns > 0 || is_blocked_) wait(quiet_turns < kEagerTurns ? kEagerNs : kPatienceNs);
  }
}

// Returns how many frames moved.
std::size_t Twin::turn() noexcept {
  const std::scoped_lock lock(mutex_);
  is_blocked_ = false;
  std::size_t moved = 0;
  for (SideRings* rings : workers_) moved += write_from(*rings);
  for (const auto& link : links_) moved += read_from(*link);
  return moved;
}

std::size_t Twin::write_from(SideRings& rings) noexcept {
  return rings.to_twin->pop(kFramesAtOnce, [&](const FrameOf& of, std::span<const std::uint8_t> frame) {
    Link* link = find(of.interface);
    if (link == nullptr) return;  // removed since; its counters went with it
    (link->tap.write(frame) ? link->to_kernel : link->refused).add();
  });
}

// An interface's frames take one worker's ring, so that they leave in order.
std::size_t Twin::read_from(Link& link) noexcept {
  InterfaceRing& ring = *workers_[index(link.device.interface) % workers_.size()]->from_twin;
  std::size_t moved = 0;
  for (; moved < kFramesAtOnce; ++moved) {
    if (!ring.has_room_for(link.device.mtu + kLinkLength)) {
      is_blocked_ = true;
      break;
    }
    const std::size_t length = link.tap.read(buffer_);
    if (length == 0) break;
    link.from_kernel.add();
    if (!ring.push({link.device.interface}, std::span(buffer_).first(length))) is_blocked_ = true;
  }
  return moved;
}

// Until a device has a frame, but no longer than it takes to look at the rings again.
void Twin::wait(long patience_ns) noexcept {
  std::array<pollfd, kMostPolled> polled;
  nfds_t count = 0;
  if (!is_blocked_) {
    const std::scoped_lock lock(mutex_);
    for (const auto& link : links_)
      if (count < kMostPolled && !link->tap.is_gone()) polled[count++] = {link->tap.fd(), POLLIN, 0};
  }
  const timespec patience{0, is_blocked_ ? kEagerNs : patience_ns};
  ppoll(polled.data(), count, &patience, nullptr);
  // An error is no frame, and would be there again at once: a device that is going, until a read() says that it is
  // gone.
  const auto has_error = [](const pollfd& p) { return (p.revents & (POLLERR | POLLNVAL)) != 0; };
  if (std::any_of(polled.data(), polled.data() + count, has_error)) ppoll(nullptr, 0, &patience, nullptr);
}

}  // namespace weir::dataplane
