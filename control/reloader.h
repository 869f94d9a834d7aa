// Reloading: file -> model -> snapshot on the compile thread, publication on the control thread, one at a time.
//
// Requests that arrive while one is under way wait and are then served by one more reload together, so that a storm
// of them costs two and the last state of the file wins. Between reloads the same machinery collects: ids of removed
// VIPs and endpoints are freed once their flows have ended.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "config/load.h"
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
  /// `loaded` runs already, published by `publisher`; `compiler` made it. Everything referred to outlives this.
  Reloader(boost::asio::io_context& io, DataPlane& data_plane, Publisher& publisher, Compiler compiler,
           config::Loaded loaded);
  ~Reloader();  // waits for a compile that is under way

  /// Control thread; `done` is called there.
  void reload(std::function<void(const ReloadOutcome&)> done);

  [[nodiscard]] const config::Model& model() const noexcept { return running_.model; }
  [[nodiscard]] const std::string& text() const noexcept { return running_.text; }

 private:
  void begin();
  void finish(const ReloadOutcome& outcome);
  void refuse(std::vector<std::string> messages);
  void report_refusal(std::vector<std::string> messages);
  void load_and_compile(std::string file, std::uint64_t generation);
  void publish(config::Loaded loaded, Compiled compiled);
  void schedule_collect();
  void collect();
  void become_idle();
  [[nodiscard]] std::vector<std::string> warnings_of(const config::Loaded& loaded) const;

  boost::asio::io_context& io_;
  boost::asio::steady_timer collect_timer_;
  DataPlane& data_plane_;
  Publisher& publisher_;
  Compiler compiler_;        // the compile thread's, while is_busy_; nobody's else
  config::Loaded running_;   // written: control, never while the compile thread reads it
  bool is_busy_ = false;     // a job is on the compile thread, or its generation is being published
  std::vector<std::function<void(const ReloadOutcome&)>> asked_;    // served by the reload under way
  std::vector<std::function<void(const ReloadOutcome&)>> waiting_;  // by the next one
  boost::asio::thread_pool compile_thread_{1};
};

}  // namespace weir::control
