#include "lb/maglev.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <numeric>
#include <tuple>

namespace weir::lb {

namespace {

/// Fixed and public, so that all boxes of all versions agree. Who knows the permutations learns nothing about
/// which entry a flow meets: that is the selection key's doing.
constexpr HashKey kPermutationKey{0x77656972206d6167ULL, 0x6c6576207065726dULL};

/// One member's walk over the entries: offset, offset + skip, ... modulo the size. A prime size and a skip below it
/// make the walk a permutation.
struct Permutation {
  std::uint32_t next;
  std::uint32_t skip;

  Permutation(const MaglevMember& m, std::uint32_t size) noexcept {
    const auto hi = load_word(&m.address.bytes[0]), lo = load_word(&m.address.bytes[8]);
    next = reduce(sip_hash(kPermutationKey, hi, lo, std::uint64_t{m.port}), size);
    skip = reduce(sip_hash(kPermutationKey, hi, lo, std::uint64_t{m.port} | 1 << 16), size - 1) + 1;
  }
  void step(std::uint32_t size) noexcept {
    next += skip;
    next -= next >= size ? size : 0;
  }

 private:
  static std::uint64_t load_word(const std::uint8_t* p) noexcept {
    std::uint64_t v;
    std::memcpy(&v, p, sizeof v);
    return v;
  }
};

/// Positions of the members that take turns, in the order that breaks ties.
std::vector<std::uint16_t> order_members(std::span<const MaglevMember> members) {
  std::vector<std::uint16_t> order;
  for (std::size_t i = 0; i < members.size(); ++i)
    if (members[i].weight != 0) order.push_back(static_cast<std::uint16_t>(i));
  std::ranges::sort(order, {}, [&](std::uint16_t i) { return std::tie(members[i].address, members[i].port); });
  return order;
}

struct Turn {
  std::uint32_t k;       // this is the member's k-th
  std::uint16_t weight;  // its member's
  std::uint16_t member;  // index into the tie-breaking order

  /// k/w < k'/w', exactly: both products fit 64 bits.
  bool operator<(const Turn& o) const noexcept {
    const std::uint64_t a = std::uint64_t{k} * o.weight, b = std::uint64_t{o.k} * weight;
    return a != b ? a < b : member < o.member;
  }
};

/// Who claims an entry when: at least the first `size` turns, in order.
///
/// A bucket sort. With W the sum of all weights, W turns
/// come in one unit of time, so floor(k W / w) puts about one turn into each bucket and keeps the order of times;
/// sorting within the few crowded buckets does the rest. By the time (size + n) / W each of n members has missed
/// less than one turn of its share, hence at least `size` turns have come.
std::vector<Turn> first_turns(std::span<const MaglevMember> members, std::span<const std::uint16_t> order,
                              std::uint32_t size) {
  const std::uint64_t total =
      std::accumulate(order.begin(), order.end(), std::uint64_t{0},
                      [&](std::uint64_t sum, std::uint16_t i) { return sum + members[i].weight; });
  const std::uint64_t horizon = size + order.size();
  std::vector<std::uint32_t> bucket_ends(horizon + 2);

  const auto for_each_turn = [&](auto visit) {
    for (std::size_t m = 0; m < order.size(); ++m) {
      const std::uint16_t w = members[order[m]].weight;
      const std::uint64_t step = total / w, step_rest = total % w, turns = horizon * w / total;
      std::uint64_t bucket = 0, rest = 0;  // floor(k total / w) and what remains, carried along: no division a turn
      for (std::uint32_t k = 1; k <= turns; ++k) {
        bucket += step, rest += step_rest;
        if (rest >= w) rest -= w, ++bucket;
        visit(bucket, Turn{k, w, static_cast<std::uint16_t>(m)});
      }
    }
  };
  for_each_turn([&](std::uint64_t bucket, const Turn&) { ++bucket_ends[bucket + 1]; });
  std::partial_sum(bucket_ends.begin(), bucket_ends.end(), bucket_ends.begin());
  std::vector<Turn> turns(bucket_ends.back());
  for_each_turn([&](std::uint64_t bucket, const Turn& turn) { turns[bucket_ends[bucket]++] = turn; });

  std::uint32_t begin = 0;
  for (const std::uint32_t end : bucket_ends) {  // by now each holds its own bucket's end
    const auto first = turns.begin() + begin, last = turns.begin() + end;
    if (end - begin > 1 && !std::is_sorted(first, last)) std::sort(first, last);
    begin = end;
  }
  return turns;
}

}  // namespace

MaglevTable build_maglev(std::span<const MaglevMember> members, std::uint32_t size) {
  assert(is_prime(size) && members.size() <= kMaxMaglevMembers);
  const std::vector<std::uint16_t> order = order_members(members);
  if (order.empty()) return {};
  const std::vector<Turn> turns = first_turns(members, order, size);

  std::vector<Permutation> permutations;
  for (const std::uint16_t i : order) permutations.emplace_back(members[i], size);
  std::vector<bool> taken(size);  // a bit an entry: 8 KiB for 65,537, where the entries are 128
  std::vector<std::uint16_t> entries(size);
  for (std::uint32_t t = 0; t < size; ++t) {
    Permutation walk = permutations[turns[t].member];
    while (taken[walk.next]) walk.step(size);
    permutations[turns[t].member].next = walk.next;
    taken[walk.next] = true;
    entries[walk.next] = order[turns[t].member];
  }
  return MaglevTable(std::move(entries));
}

}  // namespace weir::lb
