// Changes on their way to the workers: file -> model -> snapshot on the compile thread, publication on the control
// thread, one at a time. A change is a reload of the file, or one of what stands beside it (control/overlay.h).
//
// Requests that arrive while one is under way wait and are then served by one more together, so that a storm of them
// costs two and the last state wins; the overlay goes before the file, which takes longer. Between changes the same
// machinery collects: ids of removed VIPs and endpoints are freed once their flows have ended. Large values are made
// and dropped on the compile thread; no handler here takes long.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "config/load.h"
#include "control/baselines.h"
#include "control/compile.h"
#include "control/data_plane.h"
#include "control/overlay.h"
#include "control/publisher.h"
#include "control/reload_counts.h"

namespace weir::control {

struct ReloadOutcome {
  bool is_refused = false;
  bool is_changed = false;
  std::uint64_t generation = 0;
  std::vector<std::string> messages;  // refused: every error; else warnings. With file:line:column
};

class Reloader {
 public:
  using Done = std::function<void(const ReloadOutcome&)>;

  /// `loaded` and `overlay` run already, published by `publisher`; `compiler` made that. `keeps_socket`: control.socket
  /// was given on the command line, and the file's does not count. Everything referred to outlives this.
  Reloader(boost::asio::io_context& io, DataPlane& data_plane, Publisher& publisher, Compiler compiler,
           std::shared_ptr<const config::Loaded> loaded, Overlay overlay, bool keeps_socket);
  ~Reloader();  // waits for a compile that is under way

  /// Control thread; `done` is called there.
  void reload(Done done);

  enum class Generation : std::uint8_t {
    kSame,
    kNext
  };  // what the operator does counts one up, what the kernel does not
  /// Control thread. Edits the overlay at once and brings it to the workers; `done`, which may be empty, is called
  /// there when they have it. Refused (ids ran out, tables are full), it stays wanted and is tried again with the next
  /// change of any kind; but the kernel's network goes back to the one that runs, until the kernel's next change.
  void change(const std::function<void(Overlay&)>& edit, Generation generation, Done done = {});
  /// Control thread. Neighbours that the kernel has, or no longer has, on the way to host routes of their own; in the
  /// order given. Cheap, and ahead of everything else, so no more than every few ten milliseconds.
  void change_neighbors(std::vector<std::pair<NextHopKey, bool>> is_there);

  /// Who follows what the workers have; called on the control thread.
  struct Listener {
    std::function<void()> on_published;  // running() and the publisher's current() are new
    std::function<void(const NeighborRoutes&)> on_neighbor_routes;
  };
  void listen(Listener listener) { listener_ = std::move(listener); }

  /// What is wanted; the workers have it, or are getting it.
  [[nodiscard]] const Overlay& wanted() const noexcept { return *wanted_; }

  /// What runs: the model belongs to the publisher's current generation.
  [[nodiscard]] const std::shared_ptr<const config::Loaded>& running() const noexcept { return running_; }
  [[nodiscard]] const std::shared_ptr<const Overlay>& overlay() const noexcept { return overlay_; }
  [[nodiscard]] const ReloadCounts& counts() const noexcept { return counts_; }
  [[nodiscard]] const std::shared_ptr<const Baselines>& baselines() const noexcept { return baselines_; }

 private:
  // One generation's sources, on their way through the compile thread.
  struct Sources {
    std::shared_ptr<const config::Loaded> loaded;
    std::shared_ptr<const Overlay> overlay;
  };

  void begin();
  void begin_change();
  void begin_reload();
  void begin_neighbors();
  void publish_neighbors(const std::shared_ptr<const NeighborRoutes>& routes);
  void load_and_compile(const Sources& now, std::uint64_t generation);
  void compile(const Sources& next, std::uint64_t generation);
  void publish(const Sources& next, const std::shared_ptr<const Compiled>& compiled);
  void refuse(std::vector<std::string> messages);
  [[nodiscard]] bool gives_up_kernel(const std::vector<std::string>& messages);
  void finish(const ReloadOutcome& outcome);
  void schedule_collect();
  void collect();
  void collected(const std::shared_ptr<const Compiled>& smaller, const std::shared_ptr<const Baselines>& baselines);
  void become_idle();

  // Work for the compile thread, and its answers for control.
  template <class Work>
  void on_compile_thread(Work work);
  template <class Work>
  void on_control(Work work);

  boost::asio::io_context& io_;
  boost::asio::steady_timer collect_timer_;
  DataPlane& data_plane_;
  Publisher& publisher_;
  Compiler compiler_;  // the compile thread's, while is_busy_; nobody's else
  bool keeps_socket_;
  std::shared_ptr<const config::Loaded> running_;
  std::shared_ptr<const Overlay> overlay_;  // with running_, what the current generation was made of
  std::shared_ptr<const Overlay> wanted_;
  std::shared_ptr<const Overlay> tried_;  // the one under way
  bool is_tried_next_ = false;            // and whether it counts a change's generation up
  std::shared_ptr<const Baselines> baselines_ = std::make_shared<const Baselines>();
  ReloadCounts counts_;
  bool is_busy_ = false;               // a job is on the compile thread, or its generation is being published
  bool is_reload_ = false;             // what is under way is a reload of the file; else it is a change of the overlay
  std::vector<Done> asked_;            // served by what is under way
  std::vector<Done> waiting_reloads_;  // by the next reload
  std::vector<Done> waiting_changes_;  // by the next change
  std::vector<std::pair<NextHopKey, bool>> waiting_neighbors_;
  Listener listener_;
  bool is_change_wanted_ = false;
  bool is_next_generation_ = false;  // the next change counts the generation up
  boost::asio::thread_pool compile_thread_{1};
};

}  // namespace weir::control
