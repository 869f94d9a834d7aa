#include "control/vip_conflicts.h"

#include <algorithm>

namespace weir::control {

namespace {

constexpr std::chrono::seconds kFailOverTakes{1};
constexpr std::chrono::seconds kBetween{10};  // RFC 5227 2.4: DEFEND_INTERVAL

}  // namespace

void VipConflicts::saw(const dataplane::VipClaim& claim, Time now) {
  Entry& entry = entries_[claim.address];
  if (entry.told.times == 0) entry.tell_at = std::max(entry.tell_at, now + kFailOverTakes);
  entry.told = {claim.address, claim.interface, claim.mac, entry.told.times + 1};
}

std::vector<VipConflicts::Told> VipConflicts::due(
    const std::function<bool(const lb::Address&, lb::InterfaceId)>& is_announced, Time now) {
  std::vector<Told> all;
  for (auto at = entries_.begin(); at != entries_.end();) {
    Entry& entry = at->second;
    if (entry.tell_at > now) {
      ++at;
    } else if (entry.told.times == 0 || !is_announced(entry.told.vip, entry.told.interface)) {
      at = entries_.erase(at);
    } else {
      all.push_back(entry.told);
      entry.told.times = 0;
      entry.tell_at = now + kBetween;
      ++at;
    }
  }
  return all;
}

}  // namespace weir::control
