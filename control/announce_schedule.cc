#include "control/announce_schedule.h"

#include <algorithm>
#include <iterator>

namespace weir::control {

namespace {

using std::chrono::milliseconds;

constexpr std::array kPauses{std::chrono::seconds(1), std::chrono::seconds(2)};  // after the first, after the second
constexpr std::chrono::nanoseconds kApart = std::chrono::seconds(1);             // divided by the pace
constexpr milliseconds kMayLag{40};  // a caller that comes every 20 ms still keeps the pace

}  // namespace

void AnnounceSchedule::follow(std::vector<AnnouncedPlace> places, Time now) {
  std::ranges::sort(places);
  std::vector<AnnouncedPlace> fresh;
  std::ranges::set_difference(places, places_, std::back_inserter(fresh));
  for (const AnnouncedPlace& p : fresh) rounds_[0].push_back({now, p});
  places_ = std::move(places);  // what is gone stays in the rounds until its turn, and is passed over there
}

void AnnounceSchedule::begin_again(lb::InterfaceId interface, Time now) {
  for (auto& round : rounds_) std::erase_if(round, [&](const Due& d) { return d.place.interface == interface; });
  for (const AnnouncedPlace& p : places_)
    if (p.interface == interface) rounds_[0].push_back({now, p});
}

void AnnounceSchedule::defend(const AnnouncedPlace& place, Time now) {
  rounds_.back().push_front({now, place});  // as a last one: nothing follows it
}

std::optional<AnnouncedPlace> AnnounceSchedule::next(Time now) {
  for (std::size_t r = 0; r < rounds_.size(); ++r) {
    auto& round = rounds_[r];
    while (!round.empty() && round.front().at <= now) {
      const AnnouncedPlace place = round.front().place;
      if (!std::ranges::binary_search(places_, place)) {
        round.pop_front();
        continue;
      }
      if (!take_pace(now)) return std::nullopt;
      round.pop_front();
      if (r < kPauses.size()) rounds_[r + 1].push_back({now + kPauses[r], place});
      return place;
    }
  }
  return std::nullopt;
}

bool AnnounceSchedule::take_pace(Time now) noexcept {
  paced_until_ = std::max(paced_until_, now - kMayLag);
  if (paced_until_ > now) return false;
  paced_until_ += kApart / kPerSecond;
  return true;
}

const AnnouncedPlace* AnnounceSchedule::find(const lb::Address& vip, lb::InterfaceId interface) const noexcept {
  const auto at = std::ranges::lower_bound(places_, AnnouncedPlace{vip, interface, {}});
  return at != places_.end() && at->vip == vip && at->interface == interface ? &*at : nullptr;
}

}  // namespace weir::control
