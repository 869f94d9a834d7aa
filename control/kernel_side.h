// The kernel's side of the workers' routing, on the control thread: what the kernel knows goes to the workers, and what
// the workers need is asked of the kernel.
//
//   a neighbour's MAC         one store into its next hop's word, at once
//   a neighbour on a subnet   a host route the short way (Reloader::change_neighbors), at most every 50 ms
//   links, addresses, routes  a generation (Reloader::change), at most every 100 ms
//   gateways, backends        kept resolved by the kernel, for as long as a generation has them
//   a packet without a MAC    its next hop is resolved, 1,000 a second in all and each once a second
//
// The twins' addresses are the file's; those that others have added stay.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "control/data_plane.h"
#include "control/kernel_mirror.h"
#include "control/kernel_ways.h"
#include "control/kernel_writer.h"
#include "control/publisher.h"
#include "control/reloader.h"
#include "lb/token_bucket.h"

namespace weir::control {

class KernelSide {
 public:
  /// The twins of the running model exist. All referred to outlive it, and it listens to `reloader` from now on.
  KernelSide(boost::asio::io_context& io, DataPlane& data_plane, Publisher& publisher, Reloader& reloader);
  KernelSide(const KernelSide&) = delete;
  KernelSide& operator=(const KernelSide&) = delete;

  /// Nothing if there are no twins. Errors are the environment's; on a later reload they are logged.
  [[nodiscard]] lb::Result<void> start();

  /// What the kernel knows now; empty without twins.
  [[nodiscard]] KernelNetwork network() const;
  /// What `weir trace` needs beside the generation that runs.
  [[nodiscard]] KernelWays ways() const;

 private:
  using Clock = std::chrono::steady_clock;

  // Towards the workers.
  void on_published();
  void on_neighbor(const KernelNeighbor& n);
  void on_network();
  void on_neighbor_routes(const NeighborRoutes& routes);
  void warn_of_room(std::size_t left_out);
  void write_word(const NextHopKey& key);
  [[nodiscard]] lb::NextHopWord word_of(const NextHopKey& key) const;
  [[nodiscard]] lb::NextHopId id_of(const NextHopKey& key) const;
  void tell_of(const NextHopKey& key, bool is_there);
  void send_neighbors();
  void send_network();

  // Towards the kernel.
  [[nodiscard]] lb::Result<void> follow_twins();
  void log_error(const lb::Result<void>& done);
  void give_addresses(const std::map<LinkIndex, std::string>& twins);
  void give_again();
  void keep(const NextHopKey& key);
  void tick();
  void take_wanted(const dataplane::Wanted& w);
  void keep_some();
  [[nodiscard]] std::optional<LinkIndex> link_of(lb::InterfaceId id) const;

  boost::asio::io_context& io_;
  DataPlane& data_plane_;
  Publisher& publisher_;
  Reloader& reloader_;
  std::unique_ptr<KernelMirror> mirror_;
  std::optional<KernelWriter> writer_;

  std::map<LinkIndex, std::string> twins_;                // followed
  std::map<LinkIndex, lb::InterfaceId> ids_;              // of the generation that runs
  std::set<std::pair<LinkIndex, lb::Prefix>> given_;      // addresses of the file that the twins have got
  std::map<LinkIndex, bool> was_up_;                      // the followed links, when last looked at
  std::shared_ptr<const NextHopIndex> index_;             // of the generation that runs
  std::unordered_map<NextHopKey, lb::NextHopId> beside_;  // since then, the short way; none: gone
  std::vector<std::pair<NextHopKey, bool>> neighbors_to_send_;
  Clock::time_point neighbors_sent_, network_sent_;
  bool is_network_due_ = false, are_neighbors_due_ = false;
  boost::asio::steady_timer neighbors_timer_, network_timer_, tick_timer_;

  std::deque<NextHopKey> to_keep_;  // those still to be asked for
  Clock::time_point logged_, room_logged_;
  Clock::time_point kept_again_;                             // for kernels that do not keep by themselves
  std::unordered_map<NextHopKey, Clock::time_point> asked_;  // when last resolved for a worker
  lb::TokenBucket resolve_bucket_{1000, 1000};
};

}  // namespace weir::control
