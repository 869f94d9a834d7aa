// Follows the kernel by netlink: what it knows about the twins' devices, and every change of that.
//
// One socket for both, so that its queue is the order of things: a part of a full reading and the messages about
// changes come in the order in which the kernel made them. A full reading goes into a state of its own, which takes
// the old one's place when it is complete; it happens at the start, when the kernel had more to say than the socket
// holds (ENOBUFS), and when a message leaves open what became of others (KernelState::Effect::kUnsure).
//
// Control thread. A call reads for two milliseconds at most and goes on in the next turn of the loop.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "control/kernel_state.h"
#include "lb/result.h"

namespace weir::control {

class KernelMirror {
 public:
  struct Events {
    /// A neighbour has another MAC, or has become usable or ceased to be (then its state says so; kNone: it is gone).
    std::function<void(const KernelNeighbor&)> on_neighbor;
    /// Links, addresses or routes may differ from before: network() again, when convenient.
    std::function<void()> on_network;
  };

  /// Reads everything once, waiting for it. `twins`: device and interface of each. Errors are the environment's.
  [[nodiscard]] static lb::Result<std::unique_ptr<KernelMirror>> open(boost::asio::io_context& io,
                                                                      std::map<LinkIndex, std::string> twins);
  ~KernelMirror();
  KernelMirror(const KernelMirror&) = delete;
  KernelMirror& operator=(const KernelMirror&) = delete;

  /// From now on; before, nothing is read.
  void follow(Events events);
  /// Other twins than before; reads everything again.
  void follow_others(std::map<LinkIndex, std::string> twins);

  [[nodiscard]] const KernelState& state() const noexcept { return *state_; }
  /// How often everything was read, and how often for ENOBUFS.
  [[nodiscard]] std::uint64_t readings() const noexcept { return readings_; }
  [[nodiscard]] std::uint64_t overruns() const noexcept { return overruns_; }

 private:
  struct Socket;  // libnl's

  KernelMirror(boost::asio::io_context& io, std::map<LinkIndex, std::string> twins);
  [[nodiscard]] lb::Result<void> connect();
  [[nodiscard]] lb::Result<void> read_first();
  void wait_readable();
  enum class Read : std::uint8_t { kSome, kNothing, kOverrun, kError };
  Read read_one();
  void read_slice();
  void take(const nlmsghdr& header);
  void overrun();

  void read_again_soon();
  void begin_reading();
  void ask_next();
  void give_up_reading();
  void end_reading();
  void tell_neighbors(const KernelState& before);

  boost::asio::io_context& io_;
  std::map<LinkIndex, std::string> twins_;
  IsTwin is_twin_;
  std::unique_ptr<Socket> socket_;
  boost::asio::posix::stream_descriptor descriptor_;
  boost::asio::steady_timer again_timer_;
  std::vector<char> buffer_;
  Events events_;
  std::unique_ptr<KernelState> state_;
  std::unique_ptr<KernelState> next_;  // filled by a full reading; null: none is under way
  std::size_t part_ = 0;               // of the reading, the request under way
  std::uint32_t sequence_ = 0;         // its number
  bool must_repeat_ = false;           // the reading met a change that it cannot have got right
  bool is_again_due_ = false;
  bool is_changed_ = false;  // since on_network
  std::uint64_t readings_ = 0;
  std::uint64_t overruns_ = 0;
};

}  // namespace weir::control
