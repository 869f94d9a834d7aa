// The twin: the thread between the workers' rings and the kernel's TAP devices. It moves frames, nothing else.
//
//   worker --to_twin--> Twin --write--> TAP --> kernel
//   worker <-from_twin- Twin <--read--- TAP <-- kernel
//
// Turns: each takes a bounded number of frames from every worker's ring and from every TAP in turn, so that a flood
// from one starves nobody. Between turns it sleeps on the TAPs for at most kPatience, since a worker makes no system
// call to wake anyone. A frame that the kernel does not take is dropped and counted. A frame for a worker whose ring is
// full stays in the TAP's queue, where the kernel drops and counts what is too much (`ip -s link`).
//
// Control adds and removes devices while it runs; a mutex, which the thread holds for a turn, stands between them. To
// make or to end a device takes tens of milliseconds, so control does that without the mutex. The thread would take it
// again at once, so it waits while control wants it.
//
// A device that somebody else removes (`ip link del`) is left alone from then on, and opened anew by the next add().
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "dataplane/side_rings.h"
#include "dataplane/tap.h"
#include "lb/counter.h"
#include "lb/ids.h"

namespace weir::dataplane {

class Twin {
 public:
  /// The other ends' rings, by worker. They outlive it. `avoid`: cores that the thread keeps off if there are others.
  Twin(std::vector<SideRings*> workers, std::vector<int> avoid)
      : workers_(std::move(workers)), avoid_(std::move(avoid)) {}
  Twin(const Twin&) = delete;
  Twin& operator=(const Twin&) = delete;
  ~Twin() { stop(); }

  void start();
  void stop();

  // ---- control's side ----
  struct Device {
    lb::InterfaceId interface{};
    std::string name;
    lb::MacAddress mac;
    std::uint16_t mtu = 1500;
    bool operator==(const Device&) const = default;
  };
  // One thread's; the twin's own never changes what devices there are.
  /// Makes what is missing or gone and changes what is different; devices that `all` does not name stay until keep().
  /// On error nothing has been added.
  [[nodiscard]] lb::Result<void> add(const std::vector<Device>& all);
  /// Removes every device that `all` does not name.
  void keep(const std::vector<Device>& all);

  struct Counts {
    std::uint64_t to_kernel = 0, from_kernel = 0;
    std::uint64_t refused = 0;  // frames that the kernel did not take
    bool exists = false;
    bool is_gone = false;  // somebody has removed the device; a reload makes it again
  };
  [[nodiscard]] Counts counts(lb::InterfaceId interface) const;
  [[nodiscard]] bool is_empty() const;

 private:
  struct Link {
    Link(Device d, Tap t) : device(std::move(d)), tap(std::move(t)) {}
    Device device;
    Tap tap;
    lb::Counter to_kernel, from_kernel, refused;
  };
  void run() noexcept;
  std::size_t turn() noexcept;
  std::size_t write_from(SideRings& rings) noexcept;
  std::size_t read_from(Link& link) noexcept;
  void wait(long patience_ns) noexcept;
  Link* find(lb::InterfaceId interface) const noexcept;
  [[nodiscard]] std::unique_lock<std::mutex> stop_turns() const;
  void give_way() const noexcept;

  std::vector<SideRings*> workers_;
  std::vector<int> avoid_;
  mutable std::mutex mutex_;
  mutable std::atomic<unsigned> waiting_{0};  // for mutex_; written: control; read: the thread
  std::vector<std::unique_ptr<Link>> links_;  // under mutex_; only control changes which there are
  bool is_blocked_ = false;                   // the thread's: some worker's ring had no room
  std::vector<std::uint8_t> buffer_;          // the thread's
  std::atomic<bool> stopping_{false};         // written: control; read: the thread
  std::thread thread_;
};

}  // namespace weir::dataplane
