// Scrapes of the metrics: each is collected and written out on a thread of its own, and several that ask at a time
// share one text.
//
// At 10,000 services x 10 backends a text is 80 MB. Whoever asks while one is being made gets that one. A text lives
// until its last reader has taken it, so a slow one would let them pile up: while kMostTexts are alive, 503.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/thread_pool.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "control/http_server.h"

namespace weir::control {

class Scrapes {
 public:
  static constexpr std::size_t kMostTexts = 2;
  /// Called on the control thread; what it gives is called on the metrics thread and makes the text.
  using Begin = std::function<std::function<std::string()>()>;

  /// The io_context is the control thread's and outlives this, as does all that `begin` refers to.
  Scrapes(boost::asio::io_context& io, Begin begin) : io_(io), begin_(std::move(begin)) {}
  ~Scrapes() { thread_.join(); }
  Scrapes(const Scrapes&) = delete;
  Scrapes& operator=(const Scrapes&) = delete;

  /// Control thread.
  void ask(const Responder& respond);
  /// The whole of what the metrics' TCP port serves: GET /metrics.
  void handle(const Request& request, const Responder& respond);

 private:
  using Text = std::shared_ptr<const std::string>;
  void made(const Text& text);

  boost::asio::io_context& io_;
  Begin begin_;
  std::vector<Responder> waiting_;                      // for the text that is being made
  std::vector<std::weak_ptr<const std::string>> sent_;  // texts that somebody may still be taking
  boost::asio::thread_pool thread_{1};                  // last: it ends first
};

}  // namespace weir::control
