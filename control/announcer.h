// Tells the segment where VIPs are: gratuitous ARP and unsolicited neighbour advertisements, when a VIP appears here
// (start, reload, on a twin, no longer withdrawn), when an interface's MAC changes, and when a port's link comes up.
// Hears from the workers who else claims a VIP, says so in the log, and under `announce: {segment: always}` defends it.
//
// One timer looks at everything: what is published, the workers' claims, the links, what is due. Frames go to the first
// worker, which sends them or hands them to the one that has the port's queue. Control thread.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <memory>
#include <vector>

#include "control/announce_schedule.h"
#include "control/data_plane.h"
#include "control/publisher.h"
#include "control/reloader.h"
#include "control/vip_conflicts.h"

namespace weir::control {

class Announcer {
 public:
  /// All of them outlive it.
  Announcer(boost::asio::io_context& io, DataPlane& data_plane, const Publisher& publisher, const Reloader& reloader);

 private:
  using Time = AnnounceSchedule::Time;

  void tick();
  void follow_publication(Time now);
  void follow_links(Time now);
  void hear_claims(Time now);
  void tell_conflicts(Time now);
  void send_due(Time now);

  boost::asio::steady_timer timer_;
  DataPlane& data_plane_;
  const Publisher& publisher_;
  const Reloader& reloader_;
  AnnounceSchedule schedule_;
  VipConflicts conflicts_;
  std::shared_ptr<const Compiled> followed_;
  std::vector<bool> links_;  // by PortIndex: up when last looked at
  Time links_looked_at_{};
};

}  // namespace weir::control
