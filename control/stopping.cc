#include "control/stopping.h"

#include <spdlog/spdlog.h>

#include <chrono>

#include "control/notify.h"

namespace weir::control {

void Stopping::ask(std::string_view signal) {
  const std::chrono::milliseconds grace = reloader_.running()->model.stop.grace;
  if (is_asked_ || grace == std::chrono::milliseconds(0)) {
    spdlog::info("stopping on {}{}", signal, is_asked_ ? ", before the grace is over" : "");
    notify_stopping(std::chrono::milliseconds(0));
    io_.stop();
    return;
  }
  is_asked_ = true;
  spdlog::info("stopping on {}: VIPs are withdrawn, flows go on for another {} ms", signal, grace.count());
  notify_stopping(grace);
  reloader_.change([](Overlay& o) { o.is_withdrawn = true; }, Reloader::Generation::kSame);
  timer_.expires_after(grace);
  timer_.async_wait([this](const boost::system::error_code& error) {
    if (!error) io_.stop();
  });
}

}  // namespace weir::control
