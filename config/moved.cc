#include "config/moved.h"

#include <fmt/format.h>

#include <map>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "lb/maglev.h"

namespace weir::config {

namespace {

using Members = std::vector<lb::MaglevMember>;

struct Set {
  Members members;
  std::uint32_t size = 0;
  bool operator==(const Set&) const noexcept = default;

  [[nodiscard]] bool is_usable() const noexcept {
    for (const lb::MaglevMember& m : members)
      if (m.weight != 0) return true;
    return false;
  }
};

/// As the compiler makes it; members in an order of their own, so that the file's is no difference.
Set set_of(const Service& s, lb::Family family) {
  Set out;
  std::map<std::pair<lb::Address, std::uint16_t>, std::uint16_t> sorted;
  for (const Backend& b : s.backends)
    if (b.address.family() == family) sorted[{b.address, b.port}] = b.weight;
  for (const auto& [key, weight] : sorted) out.members.push_back({key.first, key.second, weight});
  out.size = s.maglev_size.value_or(lb::default_maglev_size(out.members.size()));
  return out;
}

/// Each entry as the number that `ids` gives to its backend: comparable between tables.
std::vector<std::uint32_t> backends_of(const Set& s,
                                       std::map<std::pair<lb::Address, std::uint16_t>, std::uint32_t>& ids) {
  const lb::MaglevTable table = lb::build_maglev(s.members, s.size);
  std::vector<std::uint32_t> by_position;
  for (const lb::MaglevMember& m : s.members)
    by_position.push_back(ids.try_emplace({m.address, m.port}, static_cast<std::uint32_t>(ids.size())).first->second);
  std::vector<std::uint32_t> out;
  out.reserve(table.size());
  for (const std::uint16_t position : table.entries()) out.push_back(by_position[position]);
  return out;
}

/// Where equal hashes lead to different backends. Tables of two sizes are held together at the larger one's steps.
double differing(const std::vector<std::uint32_t>& a, const std::vector<std::uint32_t>& b) {
  const std::size_t steps = std::max(a.size(), b.size());
  std::size_t different = 0;
  for (std::size_t i = 0; i < steps; ++i) different += a[i * a.size() / steps] != b[i * b.size() / steps] ? 1 : 0;
  return static_cast<double>(different) / static_cast<double>(steps);
}

/// Under two keys a flow's two hashes know nothing of each other.
double differing_at_random(const std::vector<std::uint32_t>& a, const std::vector<std::uint32_t>& b) {
  std::unordered_map<std::uint32_t, std::pair<double, double>> shares;
  for (const std::uint32_t backend : a) shares[backend].first += 1.0 / static_cast<double>(a.size());
  for (const std::uint32_t backend : b) shares[backend].second += 1.0 / static_cast<double>(b.size());
  double same = 0;
  for (const auto& [backend, share] : shares) same += share.first * share.second;
  return 1.0 - same;
}

}  // namespace

std::vector<Moved> moved_flows(const Model& now, const Model& next, std::size_t most_entries) {
  const bool is_other_key = now.hash_key != next.hash_key;
  std::unordered_map<std::string_view, const Service*> before;
  for (const Service& s : now.services) before.emplace(s.name, &s);
  std::vector<Moved> out;
  for (const Service& s : next.services) {
    const auto old = before.find(s.name);
    if (old == before.end() || old->second->protocol != s.protocol) continue;
    for (const lb::Family family : {lb::Family::kIpv4, lb::Family::kIpv6}) {
      const Set a = set_of(*old->second, family), b = set_of(s, family);
      if ((a == b && !is_other_key) || !a.is_usable() || !b.is_usable()) continue;
      Moved moved{.service = s.name, .family = family, .share = {}, .why = {}};
      if (is_other_key) moved.why = "hash_key";
      if (a.size != b.size)
        moved.why += fmt::format("{}maglev size {} to {}", moved.why.empty() ? "" : ", ", a.size, b.size);
      if (const std::size_t entries = std::size_t{a.size} + b.size; entries <= most_entries) {
        most_entries -= entries;
        std::map<std::pair<lb::Address, std::uint16_t>, std::uint32_t> ids;
        const auto x = backends_of(a, ids), y = backends_of(b, ids);
        moved.share = is_other_key ? differing_at_random(x, y) : differing(x, y);
      }
      if (moved.share != 0.0) out.push_back(std::move(moved));
    }
  }
  return out;
}

}  // namespace weir::config
