// The end, in order: VIPs are withdrawn, the workers go on for `stop.grace`, then the loop ends.
//
// Withdrawn means that neither ARP nor ND nor echo is answered for VIPs any more; flows go on, and new connections too,
// since what still comes was sent before the segment learnt better. The grace is what another box's takeover, a
// router's routes and the clients' last requests need.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <string_view>

#include "control/reloader.h"

namespace weir::control {

class Stopping {
 public:
  Stopping(boost::asio::io_context& io, Reloader& reloader) : io_(io), timer_(io), reloader_(reloader) {}

  /// Control thread. The first time begins the grace of the file that runs; asked again, the end is now.
  void ask(std::string_view signal);

 private:
  boost::asio::io_context& io_;
  boost::asio::steady_timer timer_;
  Reloader& reloader_;
  bool is_asked_ = false;
};

}  // namespace weir::control
