// The admin API: requests of docs/api.md to views, reloads and traces. Control thread; what may be long is made on a
// thread of its own.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "control/captures.h"
#include "control/data_plane.h"
#include "control/drains.h"
#include "control/http_server.h"
#include "control/kernel_side.h"
#include "control/publisher.h"
#include "control/reloader.h"
#include "control/scrapes.h"
#include "control/trace.h"
#include "control/views.h"
#include "dataplane/worker.h"

namespace weir::control {

class Api {
 public:
  /// All of them outlive it.
  Api(boost::asio::io_context& io, DataPlane& data_plane, Publisher& publisher, Reloader& reloader, KernelSide& kernel)
      : io_(io),
        data_plane_(data_plane),
        publisher_(publisher),
        reloader_(reloader),
        kernel_(kernel),
        captures_(data_plane),
        scrapes_(io, [this] { return begin_scrape(); }) {}

  ~Api() { view_thread_.join(); }
  Api(const Api&) = delete;
  Api& operator=(const Api&) = delete;

  /// For HttpServer.
  void handle(const Request& request, const Responder& respond);
  /// For the metrics' TCP port.
  void handle_metrics(const Request& request, const Responder& respond) { scrapes_.handle(request, respond); }

 private:
  using FlowRequests = std::vector<std::unique_ptr<dataplane::FlowRequest>>;  // by worker

  struct FlowQuestion {
    dataplane::FlowFilter filter;
    std::optional<std::pair<lb::Address, lb::be16>> socket = {};
    std::size_t limit = kListedFlows;  // rows in all, and of one worker
    bool erases = false;
    std::optional<std::size_t> worker = {};  // this one only
  };
  static constexpr std::size_t kListedFlows = 1000;

  void get(const Request& request, const Responder& respond);
  /// Makes and writes out an answer on the view thread, and gives it on control's.
  void answer_aside(const Responder& respond, std::function<Response(const Running&)> make);
  void reload(const Responder& respond);
  void list_flows(const Request& request, const Responder& respond);
  void trace(const Request& request, const Responder& respond);
  void edit_drains(const Request& request, const Responder& respond);
  void next_drain_edit();
  void apply_drains(const DrainRequest& wanted, const DrainEdit& edit, const Responder& respond);
  void flush_flows(const Request& request, const Responder& respond);
  void capture(const Request& request, const Responder& respond);
  void ask_workers(const FlowQuestion& question, std::function<void(const std::shared_ptr<FlowRequests>&)> then);
  void poll_workers(const std::shared_ptr<FlowRequests>& requests, std::size_t posted,
                    const std::function<void(const std::shared_ptr<FlowRequests>&)>& then);
  [[nodiscard]] std::function<std::string()> begin_scrape() const;
  [[nodiscard]] Running running() const {
    return {reloader_.running(), reloader_.overlay(), publisher_.current(), reloader_.baselines(), data_plane_};
  }

  boost::asio::io_context& io_;
  DataPlane& data_plane_;
  Publisher& publisher_;
  Reloader& reloader_;
  KernelSide& kernel_;
  Captures captures_;
  std::deque<std::function<void()>> drain_edits_;  // the first is under way: each builds on what the one before left
  const std::chrono::steady_clock::time_point started_ = std::chrono::steady_clock::now();
  const std::chrono::system_clock::time_point started_at_ = std::chrono::system_clock::now();
  Scrapes scrapes_;
  boost::asio::thread_pool view_thread_{1};  // last: it ends first
};

}  // namespace weir::control
