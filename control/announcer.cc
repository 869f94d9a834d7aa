#include "control/announcer.h"

#include <fmt/format.h>

#include <chrono>
#include <string>

#include "control/log.h"
#include "control/plural.h"
#include "lb/announce.h"

namespace weir::control {

namespace {

constexpr std::chrono::milliseconds kTick{20};
constexpr std::chrono::milliseconds kLookAtLinks{500};
constexpr std::size_t kClaimsAtOnce = 256;

std::vector<AnnouncedPlace> places_of(const Compiled& compiled) {
  const lb::Snapshot& s = *compiled.snapshot;
  std::vector<AnnouncedPlace> places;
  for (const auto& [address, id] : compiled.contents.addresses) {
    const lb::AddressEntry& entry = s.addresses[index(id)];
    if (!entry.is_vip) continue;
    for (std::size_t i = 1; i < s.interfaces.size(); ++i) {
      const auto interface = lb::InterfaceId(static_cast<std::uint16_t>(i));
      if (!s.interfaces[i].name.empty() && s.announces(entry, interface))
        places.push_back({address, interface, s.interfaces[i].mac});
    }
  }
  return places;
}

}  // namespace

Announcer::Announcer(boost::asio::io_context& io, DataPlane& data_plane, const Publisher& publisher,
                     const Reloader& reloader)
    : timer_(io), data_plane_(data_plane), publisher_(publisher), reloader_(reloader) {
  for (const dataplane::Port& port : data_plane_.ports()) links_.push_back(port.is_link_up());
  tick();
}

void Announcer::tick() {
  const Time now = std::chrono::steady_clock::now();
  follow_publication(now);
  follow_links(now);
  hear_claims(now);
  tell_conflicts(now);
  send_due(now);
  timer_.expires_after(kTick);
  timer_.async_wait([this](const boost::system::error_code& error) {
    if (!error) tick();
  });
}

void Announcer::follow_publication(Time now) {
  if (followed_ == publisher_.current()) return;
  followed_ = publisher_.current();
  schedule_.follow(places_of(*followed_), now);
}

// By looking, since interrupts for it are something that not every driver has.
void Announcer::follow_links(Time now) {
  if (now - links_looked_at_ < kLookAtLinks) return;
  links_looked_at_ = now;
  const auto& interfaces = followed_->snapshot->interfaces;
  for (std::size_t p = 0; p < links_.size(); ++p) {
    const bool is_up = data_plane_.ports()[p].is_link_up();
    if (is_up == links_[p]) continue;
    links_[p] = is_up;
    log_event("link", LogLevel::kInfo,
              fmt::format("port {}: the link is {}", reloader_.running()->model.ports[p].name, is_up ? "up" : "down"));
    for (std::size_t i = 1; is_up && i < interfaces.size(); ++i)
      if (!interfaces[i].name.empty() && index(interfaces[i].port) == p)
        schedule_.begin_again(lb::InterfaceId(static_cast<std::uint16_t>(i)), now);
  }
}

void Announcer::hear_claims(Time now) {
  for (const auto& worker : data_plane_.workers())
    worker->side_rings().claims->pop(
        kClaimsAtOnce, [&](const dataplane::VipClaim& c, std::span<const std::uint8_t>) { conflicts_.saw(c, now); });
}

void Announcer::tell_conflicts(Time now) {
  const auto is_announced = [&](const lb::Address& a, lb::InterfaceId i) { return schedule_.find(a, i) != nullptr; };
  const bool defends = reloader_.running()->model.announce.segment == config::AnnounceSegment::kAlways;
  for (const VipConflicts::Told& t : conflicts_.due(is_announced, now)) {
    const std::string line =
        fmt::format("VIP {} on {} is claimed by {} too, {}; {}", lb::to_string(t.vip),
                    followed_->snapshot->interfaces[index(t.interface)].name, lb::to_string(t.mac),
                    t.times == 1 ? "once" : plural(t.times, "time"),
                    defends ? "it is announced again; take it off the other host" : "keepalived decides whose it is");
    log_event("claim", LogLevel::kWarning, line);
    if (defends) schedule_.defend(*schedule_.find(t.vip, t.interface), now);
  }
}

void Announcer::send_due(Time now) {
  auto& ring = *data_plane_.workers().front()->side_rings().from_control;
  while (const auto place = schedule_.next(now)) {
    const lb::Announcement a = lb::announce(place->vip, place->mac);
    ring.push({place->interface}, a.frame());  // full: the worker is far behind, and what is repeated may be lost
  }
}

}  // namespace weir::control
