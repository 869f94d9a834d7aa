// Reloading: file -> model -> snapshot on the compile thread, publication on the control thread, one at a time.
//
// Requests that arrive while one is under way wait and are then served by one more reload together, so that a storm
// of them costs two and the last state of the file wins. Between reloads the same machinery collects: ids of removed
// VIPs and endpoints are freed once their flows have ended. Large values are made and dropped on the compile thread;
// no handler here takes long.
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
#include "control/publisher.h"

namespace weir::control {

struct ReloadOutcome {
  bool is_refused = false;
  bool is_changed = false;
  std::uint64_t generation = 0;
  std::vector<std::string> messages;  // refused: every error; else warnings. With file:line:column
};

class Reloader {
 public:
  /// `loaded` runs already, published by `publisher`; `compiler` made it. `keeps_socket`: control.socket was given on
  /// the command line, and the file's does not count. Everything referred to outlives this.
  Reloader(boost::asio::io_context& io, DataPlane& data_plane, Publisher& publisher, Compiler compiler,
           std::shared_ptr<const config::Loaded> loaded, bool keeps_socket);
  ~Reloader();  // waits for a compile that is under way

  /// Control thread; `done` is called there.
  void reload(std::function<void(const ReloadOutcome&)> done);

  /// What runs: the model belongs to the publisher's current generation.
  [[nodiscard]] const std::shared_ptr<const config::Loaded>& running() const noexcept { return running_; }
  [[nodiscard]] const std::shared_ptr<const Baselines>& baselines() const noexcept { return baselines_; }

 private:
  void begin();
  void load_and_compile(const std::shared_ptr<const config::Loaded>& running, std::uint64_t generation);
  void publish(const std::shared_ptr<const config::Loaded>& next, const std::shared_ptr<const Compiled>& compiled);
  void refuse(std::vector<std::string> messages);
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
  std::shared_ptr<const Baselines> baselines_ = std::make_shared<const Baselines>();
  bool is_busy_ = false;  // a job is on the compile thread, or its generation is being published
  std::vector<std::function<void(const ReloadOutcome&)>> asked_;    // served by the reload under way
  std::vector<std::function<void(const ReloadOutcome&)>> waiting_;  // by the next one
  boost::asio::thread_pool compile_thread_{1};
};

}  // namespace weir::control
