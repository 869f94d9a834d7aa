// Which VIP is to be announced on which interface next. Pure: time is passed in, frames are another's business.
//
// What appears is announced three times: at once, after one second and after two more, since a frame may be lost and a
// switch may still be learning. Announcements go out at a steady pace, so that 10,000 VIPs neither flood the segment
// nor overrun anybody's queue: every first one before any second one.
#pragma once

#include <array>
#include <chrono>
#include <deque>
#include <optional>
#include <vector>

#include "lb/address.h"
#include "lb/ids.h"

namespace weir::control {

/// A VIP announced on an interface, with the MAC that is said to have it. Another MAC is another place.
struct AnnouncedPlace {
  lb::Address vip;
  lb::InterfaceId interface{};
  lb::MacAddress mac;
  constexpr auto operator<=>(const AnnouncedPlace&) const noexcept = default;
};

class AnnounceSchedule {
 public:
  using Time = std::chrono::steady_clock::time_point;
  static constexpr std::size_t kPerSecond = 500;

  /// All that is announced from now on, in any order; what was not before begins its three.
  void follow(std::vector<AnnouncedPlace> places, Time now);
  /// All on this interface begin anew: its link has come up, and who is there now has heard nothing.
  void begin_again(lb::InterfaceId interface, Time now);
  /// Once more, soon: somebody else has said that it is theirs.
  void defend(const AnnouncedPlace& place, Time now);

  /// What is to be sent now, if anything is due and the pace allows.
  [[nodiscard]] std::optional<AnnouncedPlace> next(Time now);

  /// Null if it is not announced there.
  [[nodiscard]] const AnnouncedPlace* find(const lb::Address& vip, lb::InterfaceId interface) const noexcept;

 private:
  struct Due {
    Time at;
    AnnouncedPlace place;
  };
  [[nodiscard]] bool take_pace(Time now) noexcept;

  std::vector<AnnouncedPlace> places_;     // ascending
  std::array<std::deque<Due>, 3> rounds_;  // each ascending in time, since each adds the same to what the last one sent
  Time paced_until_{};
};

}  // namespace weir::control
