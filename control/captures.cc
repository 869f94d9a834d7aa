#include "control/captures.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <pthread.h>
#include <rte_cycles.h>
#include <sys/socket.h>
#include <sys/utsname.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "control/json_text.h"
#include "control/log.h"
#include "control/version.h"
#include "lb/pcapng.h"

namespace weir::control {

namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

/// A worker's: at the highest rate, small frames for a third of a second.
constexpr std::size_t kRingBytes = std::size_t{8} << 20;
constexpr std::size_t kChunkBytes = 256 * 1024;
constexpr std::size_t kFramesATurn = 32;  // from one ring, then the next one's
constexpr milliseconds kIdle{5};
/// Clients that may still read what their captures left in the rings, while the next one runs.
constexpr std::size_t kReaders = 4;
/// For a client to take more of it, when the end has come; for all of it, when the daemon stops.
constexpr milliseconds kLastWords{2000};

/// The TSC as time of day: two readings side by side, renewed once a second so that no error of the frequency adds up.
class WallClock {
 public:
  WallClock() { read(); }
  std::uint64_t at(std::uint64_t tsc) const noexcept {
    const auto ticks = static_cast<double>(static_cast<std::int64_t>(tsc - tsc_));
    return wall_ns_ + static_cast<std::uint64_t>(static_cast<std::int64_t>(ticks * ns_per_tick_));
  }
  std::uint64_t now() const noexcept { return at(rte_rdtsc()); }
  void renew() noexcept {
    if (rte_rdtsc() - tsc_ > rte_get_tsc_hz()) read();
  }

 private:
  void read() noexcept {
    timespec now{};
    clock_gettime(CLOCK_REALTIME, &now);
    tsc_ = rte_rdtsc();
    wall_ns_ = static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(now.tv_nsec);
  }
  double ns_per_tick_ = 1e9 / static_cast<double>(rte_get_tsc_hz());
  std::uint64_t tsc_ = 0, wall_ns_ = 0;
};

struct PortName {
  std::string name, description;
  lb::MacAddress mac;
};

std::vector<PortName> port_names(const DataPlane& d, const config::Model& m) {
  std::vector<PortName> names;
  const std::vector<lb::MacAddress> macs = d.port_macs();
  for (std::size_t p = 0; p < macs.size(); ++p) {
    PortName n{m.ports[p].name, "", macs[p]};
    for (const config::Interface& i : m.interfaces) {
      if (i.port != n.name) continue;
      n.description += n.description.empty() ? "" : ", ";
      n.description += i.vlan == 0 ? i.name : fmt::format("{} (VLAN {})", i.name, i.vlan);
    }
    names.push_back(std::move(n));
  }
  return names;
}

lb::PcapngPacket::Direction direction(const dataplane::CapturedFrame& f) {
  const bool leaves = f.point == dataplane::CapturePoint::kTx ||
                      (f.point == dataplane::CapturePoint::kDrop && f.reason == lb::DropReason::kTxFull);
  return leaves ? lb::PcapngPacket::Direction::kOutbound : lb::PcapngPacket::Direction::kInbound;
}

}  // namespace

class Captures::Run {
 public:
  [[nodiscard]] static lb::Result<std::unique_ptr<Run>> create(DataPlane& d, CapturePlan plan, const config::Model& m);
  ~Run() {
    tell_to_end();
    if (thread_.joinable()) thread_.join();
  }

  void start(FileDescriptor connection);
  void tell_to_end() { is_told_to_end_.store(true, std::memory_order_relaxed); }
  /// The workers see it no longer; its client may still be reading.
  [[nodiscard]] bool has_left_workers() const { return has_left_workers_.load(std::memory_order_acquire); }
  [[nodiscard]] bool is_over() const { return is_over_.load(std::memory_order_acquire); }
  [[nodiscard]] std::string who() const {
    const auto age = std::chrono::duration_cast<std::chrono::seconds>(Clock::now() - begun_);
    return fmt::format("process {} for {} s", client_.pid, age.count());
  }

 private:
  Run(DataPlane& d, CapturePlan plan, std::vector<PortName> ports)
      : data_plane_(d), plan_(std::move(plan)), ports_(std::move(ports)), written_(ports_.size()) {}

  void run();
  void begin();
  void pump();
  bool gather();
  void end();
  void attach(bool on);
  void wait_for_workers();
  [[nodiscard]] bool wants_more();
  [[nodiscard]] bool has_hung_up();
  void wait(short events, milliseconds longest);
  void send_chunk();
  void send(std::string_view bytes);

  DataPlane& data_plane_;
  const CapturePlan plan_;
  const std::vector<PortName> ports_;                           // by PortIndex
  std::vector<std::unique_ptr<dataplane::CaptureLane>> lanes_;  // by worker

  FileDescriptor connection_;
  ucred client_{};
  Clock::time_point begun_;
  std::atomic<bool> is_told_to_end_{false};    // written: control; read: the thread
  std::atomic<bool> has_left_workers_{false};  // written: the thread; read: control
  std::atomic<bool> is_over_{false};           // likewise

  // The thread's.
  WallClock wall_;
  std::uint64_t begun_ns_ = 0;
  std::vector<std::uint8_t> chunk_;
  lb::PcapngWriter writer_{chunk_};
  std::vector<std::uint64_t> written_;  // frames, by PortIndex
  std::uint64_t frames_ = 0;
  bool is_gone_ = false;                       // the client
  std::optional<Clock::time_point> patience_;  // until then, when the end is near

  std::thread thread_;
};

Captures::Captures(DataPlane& data_plane) : data_plane_(data_plane) {}
Captures::~Captures() {
  for (const auto& run : runs_) run->tell_to_end();  // all, before the first is waited for
}

// Null: another may start.
const Captures::Run* Captures::in_the_way() {
  std::erase_if(runs_, [](const auto& run) { return run->is_over(); });
  const auto running = std::ranges::find_if(runs_, [](const auto& run) { return !run->has_left_workers(); });
  if (running != runs_.end()) return running->get();
  return runs_.size() < kReaders ? nullptr : runs_.front().get();
}

void Captures::start(CapturePlan plan, const config::Model& model, const Responder& respond) {
  if (const Run* other = in_the_way()) {
    return respond({.status = 409,
                    .body = error_json(fmt::format("a capture is running, asked for by {}; there is one at a time: end "
                                                   "that one first",
                                                   other->who()))});
  }
  auto made = Run::create(data_plane_, std::move(plan), model);
  if (!made) return respond({.status = 500, .body = error_json(made.error().message)});
  // Whether the client is still there shows only now.
  const auto run = std::make_shared<std::unique_ptr<Run>>(std::move(*made));
  respond({.take_over = [this, run](FileDescriptor connection) {
    runs_.push_back(std::move(*run));
    runs_.back()->start(std::move(connection));
  }});
}

lb::Result<std::unique_ptr<Captures::Run>> Captures::Run::create(DataPlane& d, CapturePlan plan,
                                                                 const config::Model& m) {
  std::unique_ptr<Run> run(new Run(d, std::move(plan), port_names(d, m)));
  for (std::size_t w = 0; w < d.workers().size(); ++w) {
    auto lane = dataplane::CaptureLane::create(run->plan_.request, run->ports_.size(), kRingBytes);
    if (!lane) return std::unexpected(lane.error());
    run->lanes_.push_back(std::move(*lane));
  }
  return run;
}

void Captures::Run::start(FileDescriptor connection) {
  connection_ = std::move(connection);
  socklen_t size = sizeof client_;
  getsockopt(connection_.get(), SOL_SOCKET, SO_PEERCRED, &client_, &size);
  fcntl(connection_.get(), F_SETFL, fcntl(connection_.get(), F_GETFL) | O_NONBLOCK);
  begun_ = Clock::now();
  thread_ = std::thread([this] { run(); });
}

void Captures::Run::run() {
  pthread_setname_np(pthread_self(), "weir-capture");
  log_event("capture", LogLevel::kInfo,
            fmt::format("a capture begins, asked for by process {} of user {}", client_.pid, client_.uid));
  attach(true);
  wait_for_workers();  // so that the client's first byte says: from here on nothing is missed
  begin();
  while (wants_more()) pump();
  attach(false);
  wait_for_workers();
  has_left_workers_.store(true, std::memory_order_release);
  end();
  log_event("capture", LogLevel::kInfo,
            fmt::format("the capture of process {} has ended: {} frames", client_.pid, frames_),
            {{"frames", frames_}});
  connection_.reset();
  is_over_.store(true, std::memory_order_release);
}

void Captures::Run::begin() {
  begun_ns_ = wall_.now();
  send(
      "HTTP/1.1 200 OK\r\nContent-Type: application/x-pcapng\r\nCache-Control: no-store\r\nConnection: close\r\n"
      "Transfer-Encoding: chunked\r\n\r\n");
  utsname kernel{};
  uname(&kernel);
  writer_.section(kernel.machine, fmt::format("{} {}", kernel.sysname, kernel.release),
                  fmt::format("weir {}", version()));
  for (const PortName& p : ports_) writer_.interface({p.name, p.description, p.mac, plan_.request.snap_length});
  send_chunk();
}

bool Captures::Run::wants_more() {
  if (is_gone_ || is_told_to_end_.load(std::memory_order_relaxed)) return false;
  if (plan_.count && frames_ >= *plan_.count) return false;
  if (plan_.duration && Clock::now() >= begun_ + *plan_.duration) return false;
  return !has_hung_up();
}

// It sends nothing more: it wants the end, or is gone altogether. (What it sends meanwhile is nothing to us.)
bool Captures::Run::has_hung_up() {
  char waste[256];
  const ssize_t n = recv(connection_.get(), waste, sizeof waste, MSG_DONTWAIT);
  return n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR);
}

void Captures::Run::pump() {
  wall_.renew();
  const bool is_idle = !gather();
  send_chunk();
  if (is_idle) wait(POLLIN, kIdle);
}

// Frames into the chunk, from each worker's ring in turn; false: there was none.
bool Captures::Run::gather() {
  bool has_some = false;
  for (bool has_more = true; has_more && chunk_.size() < kChunkBytes;) {
    has_more = false;
    for (const auto& lane : lanes_) {
      const std::uint64_t wanted = plan_.count ? *plan_.count - frames_ : kFramesATurn;
      const std::size_t n = lane->ring().pop(
          std::min<std::uint64_t>(wanted, kFramesATurn),
          [&](const dataplane::CapturedFrame& f, std::span<const std::uint8_t> bytes) {
            const bool is_drop = f.point == dataplane::CapturePoint::kDrop;
            writer_.packet({.interface = static_cast<std::uint32_t>(index(f.port)),
                            .time_ns = wall_.at(f.tsc),
                            .length = f.length,
                            .bytes = bytes,
                            .direction = direction(f),
                            .comment = is_drop ? fmt::format("drop: {}", lb::name(f.reason)) : std::string()});
            ++written_[index(f.port)];
          });
      frames_ += n;
      has_more |= n > 0;
    }
    has_some |= has_more;
  }
  return has_some;
}

void Captures::Run::end() {
  patience_ = Clock::now() + kLastWords;
  while (!is_gone_ && gather()) send_chunk();
  for (std::uint32_t i = 0; i < ports_.size(); ++i) {
    lb::PcapngStatistics s{.interface = i, .time_ns = wall_.now(), .begin_ns = begun_ns_, .end_ns = wall_.now()};
    for (const auto& lane : lanes_) {
      const auto& counts = lane->counts(lb::PortIndex(static_cast<std::uint16_t>(i)));
      s.seen += counts.seen.get();
      s.matched += counts.matched.get();
      s.over_rate += counts.over_rate.get();
      s.ring_full += counts.ring_full.get();
    }
    s.written = written_[i];
    writer_.statistics(s);
  }
  send_chunk();
  send("0\r\n\r\n");
}

void Captures::Run::attach(bool on) {
  const auto& workers = data_plane_.workers();
  for (std::size_t w = 0; w < workers.size(); ++w) workers[w]->tap().attach(on ? lanes_[w].get() : nullptr);
}

void Captures::Run::wait_for_workers() {
  const std::uint64_t token = data_plane_.rcu().token();
  while (!data_plane_.rcu().has_passed(token)) std::this_thread::sleep_for(std::chrono::microseconds(200));
}

void Captures::Run::wait(short events, milliseconds longest) {
  pollfd p{connection_.get(), events, 0};
  poll(&p, 1, static_cast<int>(longest.count()));
}

void Captures::Run::send_chunk() {
  if (chunk_.empty()) return;
  send(fmt::format("{:x}\r\n", chunk_.size()));
  send({reinterpret_cast<const char*>(chunk_.data()), chunk_.size()});
  send("\r\n");
  chunk_.clear();
}

// A client that does not read makes this wait, and the rings fill; a stop of the daemon and the capture's own end are
// not put off for it.
void Captures::Run::send(std::string_view bytes) {
  while (!bytes.empty() && !is_gone_) {
    const ssize_t n = ::send(connection_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n > 0) {
      bytes.remove_prefix(static_cast<std::size_t>(n));
      if (patience_ && !is_told_to_end_.load(std::memory_order_relaxed)) patience_ = Clock::now() + kLastWords;
    } else if (n < 0 && errno != EAGAIN && errno != EINTR) {
      is_gone_ = true;
    } else {
      const bool is_ending = is_told_to_end_.load(std::memory_order_relaxed) ||
                             (plan_.duration && Clock::now() >= begun_ + *plan_.duration);
      if (is_ending && !patience_) patience_ = Clock::now() + kLastWords;
      is_gone_ = patience_ && Clock::now() > *patience_;
      wait(POLLOUT, milliseconds(20));
    }
  }
}

}  // namespace weir::control
