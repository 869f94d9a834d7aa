// Conntrack: one worker's flows. Private to it: no locks, no atomics but the counts that others read.
//
// Theory of operation
//   A *narrow* record is 16 bytes and holds an IPv4 flow with both directions: the forward packet finds it by client
//   and VIP, the reply by client and endpoint, both in the same place, because the bucket comes from a keyed hash of
//   what both directions share, the client's address and port. Four records to a cache line (a bucket), two
//   candidate buckets to a client socket, found by multiply-shift, so any capacity will do.
//   A *wide* record is 64 bytes, for IPv6 and for what finds no room in its two buckets (more than eight flows of one
//   client socket, say). It is found through an 8-byte slot (32-bit tag, 32-bit place) in buckets of eight, again two
//   candidates.
//   A look-up over a burst has two stages: prefetch every first bucket, compare; prefetch the second bucket of what
//   missed, compare (spec: 88 % of records sit in their first bucket at a fill of 0.7).
//   Expiry is a scan of a few lines a loop; a record also counts as gone as soon as its time is over, scanned or not.
//
// Invariants
//   1. A record is empty if and only if its VIP id is 0.
//   2. No two records have the same client, VIP (and VIP port, for VIPs of many ports).
//   3. No two records have the same client and the same endpoint address and port (the path refuses tuple clashes),
//      so a reply names one flow.
//   4. Confirmed flows are never overwritten. Unconfirmed ones are at most a quarter of either kind's capacity, and
//      of that quarter at most half belongs to one VIP. At such a limit an older unconfirmed flow (of that VIP) gives
//      way to the new one; only where none is found is there no room.
//   5. The protocol is not in the key: TCP and UDP flows of one client port share buckets. It follows from the VIP
//      or endpoint id, which every comparison includes.
//   6. There are no pointers in the mapping; its header says what it is, so that a later process can attach to it.
//
// Rejected: `rte_hash` (44 to 52 bytes a flow before any state; bench/dataplane/flow_table_bench.cc keeps it as the
// baseline), per-flow timers (a re-arm costs 2,378 cycles at 1 M timers).
#pragma once

#include <cstdint>
#include <span>

#include "dataplane/mapping.h"
#include "lb/address.h"
#include "lb/counter.h"
#include "lb/flow_state.h"
#include "lb/hash.h"
#include "lb/ids.h"
#include "lb/result.h"

namespace weir::dataplane {

/// What one record says. `port` (host order) is the VIP's for a VIP of many ports, else the endpoint's.
struct Flow {
  lb::Address client;
  lb::be16 client_port;
  lb::VipId vip = lb::VipId::kNone;
  lb::EndpointId endpoint = lb::EndpointId::kNone;
  std::uint16_t port = 0;
  lb::FlowState state;
  lb::Tick last_seen = 0;
};

/// Where a flow's record lies. Good until the table's next edit().
class FlowRef {
 public:
  constexpr FlowRef() noexcept = default;
  [[nodiscard]] static constexpr FlowRef narrow(std::uint32_t i) noexcept { return FlowRef(i + 1); }
  [[nodiscard]] static constexpr FlowRef wide(std::uint32_t i) noexcept { return FlowRef((i + 1) | kWide); }

  [[nodiscard]] constexpr explicit operator bool() const noexcept { return bits_ != 0; }
  [[nodiscard]] constexpr bool is_wide() const noexcept { return (bits_ & kWide) != 0; }
  [[nodiscard]] constexpr std::uint32_t place() const noexcept { return (bits_ & ~kWide) - 1; }
  constexpr bool operator==(const FlowRef&) const noexcept = default;

 private:
  static constexpr std::uint32_t kWide = 0x80000000;
  constexpr explicit FlowRef(std::uint32_t bits) noexcept : bits_(bits) {}
  std::uint32_t bits_ = 0;
};

/// A look-up, made once per packet: forward() for a packet to a VIP, reply() for one from an endpoint.
struct FlowQuery {
  std::uint64_t hash;
  std::uint64_t word0, mask0, word1, mask1;  // narrow records: (record ^ word) & mask == 0
  lb::Address client;                        // wide records compare these
  lb::be16 client_port;
  lb::VipId vip;  // forward; else none
  bool match_port;
  bool is_v4;
  lb::EndpointId endpoint;  // reply; else none
  std::uint16_t port;       // host order
};

class FlowTable {
 public:
  struct Size {
    std::uint32_t capacity = 0;  // narrow records that may be in use
    std::uint32_t wide_capacity = 0;
  };
  static constexpr std::size_t kMaxBurst = 64;
  /// Bytes that the records take once all are in use; pages come on touch.
  [[nodiscard]] static std::size_t memory(Size size) noexcept;

  /// `key` must be random and secret (lb/hash.h, the table key).
  [[nodiscard]] static lb::Result<FlowTable> create(Size size, lb::HashKey key);

  [[nodiscard]] FlowQuery forward(const lb::Address& client, lb::be16 client_port, lb::VipId vip, bool match_port,
                                  lb::be16 vip_port) const noexcept;
  [[nodiscard]] FlowQuery reply(const lb::Address& client, lb::be16 client_port, lb::EndpointId endpoint,
                                bool match_port, lb::be16 endpoint_port) const noexcept;

  /// At most kMaxBurst queries; refs.size() == queries.size(). An empty ref is a miss.
  void find_bulk(std::span<const FlowQuery> queries, std::span<FlowRef> refs) const noexcept;
  [[nodiscard]] FlowRef find(const FlowQuery& query) const noexcept;

  [[nodiscard]] Flow read(FlowRef ref) const noexcept;
  [[nodiscard]] lb::FlowState state(FlowRef ref) const noexcept;
  [[nodiscard]] bool is_expired(FlowRef ref, lb::Tick now, const lb::Timeouts& timeouts) const noexcept;
  /// Marks the flow as seen now, in `state`. Writes only if something changes.
  void touch(FlowRef ref, lb::FlowState state, lb::Tick now) noexcept;

  enum class Inserted : std::uint8_t { kNew, kOverOld, kNoRoom };
  /// Stores a flow that find() misses and that clashes with none. kOverOld: an unconfirmed flow was overwritten;
  /// kNoRoom: nothing stored.
  [[nodiscard]] Inserted insert(const Flow& flow, lb::Tick now) noexcept;
  void erase(FlowRef ref) noexcept;

  /// Calls `see(FlowRef, const Flow&)` for every flow of one client socket, expired ones included.
  template <class See>
  void for_client(const lb::Address& client, lb::be16 client_port, See&& see) const noexcept;

  /// Looks at the next `lines` cache lines, round and round, and erases what is expired or whose VIP is gone.
  /// `is_vip_live(VipId)` answers for the latter. Returns the number erased.
  template <class IsVipLive>
  std::uint32_t scan(std::uint32_t lines, lb::Tick now, const lb::Timeouts& timeouts, IsVipLive&& is_vip_live) noexcept;
  /// Lines that one whole scan covers.
  [[nodiscard]] std::uint64_t lines() const noexcept { return std::uint64_t{buckets_} + wide_records_; }

  /// Lists from line `cursor` on, at most `lines` of them: `see(FlowRef, const Flow&)`, which may erase what it sees.
  /// Returns the next cursor; done when it equals lines(). What the path moves meanwhile may be seen twice or not.
  template <class See>
  std::uint64_t list(std::uint64_t cursor, std::uint32_t lines, See&& see) const noexcept;

  /// Changes whenever records may have come, gone or moved.
  [[nodiscard]] std::uint64_t edits() const noexcept { return edits_; }

  // written: the owning worker; read: control.
  [[nodiscard]] std::uint32_t narrow_count() const noexcept { return narrow_.used.get(); }
  [[nodiscard]] std::uint32_t wide_count() const noexcept { return wide_.used.get(); }
  [[nodiscard]] std::uint32_t unconfirmed_count() const noexcept {
    return narrow_.unconfirmed.get() + wide_.unconfirmed.get();
  }
  struct Use {
    std::uint32_t used, unconfirmed, capacity;  // unconfirmed: of the used ones
  };
  [[nodiscard]] Use narrow_use() const noexcept { return narrow_.use(); }
  [[nodiscard]] Use wide_use() const noexcept { return wide_.use(); }
  [[nodiscard]] std::uint32_t flows_of(lb::VipId vip) const noexcept { return by_vip()[index(vip)].current.get(); }
  [[nodiscard]] std::uint32_t flows_of(lb::EndpointId e) const noexcept { return by_endpoint()[index(e)].get(); }
  [[nodiscard]] Size size() const noexcept { return {narrow_.capacity, wide_.capacity}; }

 private:
  struct Record {  // narrow; see the shifts below
    std::uint64_t word0 = 0;
    std::uint64_t word1 = 0;
  };
  struct alignas(64) Bucket {
    Record records[4];
  };
  struct WideSlot {
    std::uint32_t tag = 0;
    std::uint32_t place = 0;  // of the record, plus 1; 0: empty
  };
  struct alignas(64) WideBucket {
    WideSlot slots[8];
  };
  struct alignas(64) WideRecord {
    lb::Address client;
    lb::be16 client_port;
    lb::VipId vip;
    lb::EndpointId endpoint;
    std::uint16_t port;
    lb::Tick last_seen;
    std::uint8_t state;
    std::uint8_t unused[3];
    std::uint32_t next_free;  // plus 1; while the record is empty
  };
  static_assert(sizeof(Bucket) == 64 && sizeof(WideBucket) == 64 && sizeof(WideRecord) == 64);
  struct Header {  // at the mapping's start
    std::uint64_t magic;
    std::uint32_t version;
    std::uint32_t buckets, wide_buckets, wide_records;
    lb::HashKey key;
  };
  struct VipCount {
    lb::SingleWriter<std::uint32_t> current, unconfirmed_narrow, unconfirmed_wide;
  };
  struct Kind {  // the counts of narrow or of wide records
    std::uint32_t capacity = 0;
    lb::SingleWriter<std::uint32_t> used, unconfirmed;
    [[nodiscard]] Use use() const noexcept { return {used.get(), unconfirmed.get(), capacity}; }
    [[nodiscard]] std::uint32_t unconfirmed_limit() const noexcept { return capacity < 4 ? 1 : capacity / 4; }
  };

  // Narrow record: word0 = client address 32 | client port 16 | VIP id 16, from the low end;
  // word1 = endpoint id 20 | port 16 | source address index 6 (full NAT, later) | state 6 | last seen 16.
  static constexpr unsigned kVipShift = 48;
  static constexpr unsigned kPortShift = 20;
  static constexpr unsigned kStateShift = 42;
  static constexpr unsigned kSeenShift = 48;
  static constexpr std::uint64_t kClientMask = (std::uint64_t{1} << 48) - 1;
  static constexpr std::uint64_t kEndpointMask = (std::uint64_t{1} << 20) - 1;
  static constexpr std::uint64_t kPortMask = std::uint64_t{0xffff} << kPortShift;
  static constexpr std::uint64_t kStateMask = std::uint64_t{0x3f} << kStateShift;
  static constexpr std::uint64_t kSeenMask = std::uint64_t{0xffff} << kSeenShift;

  FlowTable() = default;

  [[nodiscard]] static std::uint64_t client_word(lb::be32 address, lb::be16 port) noexcept {
    return std::uint64_t{port.raw()} << 32 | address.raw();
  }
  /// What both directions ask alike: by the client's socket, and a port where `match_port`.
  [[nodiscard]] FlowQuery query(const lb::Address& client, lb::be16 client_port, bool match_port,
                                lb::be16 port) const noexcept;
  [[nodiscard]] std::uint64_t hash_of(const lb::Address& client, lb::be16 port) const noexcept;

  [[nodiscard]] std::uint32_t first_bucket(std::uint64_t hash) const noexcept { return lb::reduce(hash, buckets_); }
  [[nodiscard]] std::uint32_t second_bucket(std::uint64_t hash) const noexcept {
    return another(first_bucket(hash), lb::reduce(hash << 32, buckets_), buckets_);
  }
  [[nodiscard]] std::uint32_t first_wide(std::uint64_t hash) const noexcept { return lb::reduce(hash, wide_buckets_); }
  [[nodiscard]] std::uint32_t second_wide(std::uint64_t hash) const noexcept {
    return another(first_wide(hash), lb::reduce(hash << 32, wide_buckets_), wide_buckets_);
  }
  [[nodiscard]] static std::uint32_t another(std::uint32_t first, std::uint32_t second, std::uint32_t n) noexcept {
    return second != first ? second : first + 1 == n ? 0 : first + 1;
  }
  [[nodiscard]] static std::uint32_t tag_of(std::uint64_t hash) noexcept {
    return static_cast<std::uint32_t>((hash ^ hash >> 29) * 0x9e3779b97f4a7c15ULL >> 32);
  }

  [[nodiscard]] FlowRef probe(std::uint32_t bucket, const FlowQuery& q) const noexcept;
  [[nodiscard]] FlowRef probe_wide(std::uint32_t bucket, const FlowQuery& q) const noexcept;
  [[nodiscard]] FlowRef find_wide(const FlowQuery& q) const noexcept;
  [[nodiscard]] bool matches(const WideRecord& r, const FlowQuery& q) const noexcept;

  [[nodiscard]] Flow read(const Record& r) const noexcept;
  [[nodiscard]] static Flow read(const WideRecord& r) noexcept;
  [[nodiscard]] static lb::FlowState state_of(const Record& r) noexcept {
    return lb::FlowState::from_bits(static_cast<std::uint8_t>((r.word1 & kStateMask) >> kStateShift));
  }
  [[nodiscard]] static lb::VipId vip_of(const Record& r) noexcept { return lb::VipId(r.word0 >> kVipShift); }
  [[nodiscard]] static bool is_empty(const Record& r) noexcept { return r.word0 >> kVipShift == 0; }

  [[nodiscard]] Inserted insert_narrow(const Flow& flow, std::uint64_t hash, lb::Tick now) noexcept;
  [[nodiscard]] Record* make_room(std::uint32_t bucket) noexcept;
  [[nodiscard]] Record* oldest_unconfirmed(std::uint64_t hash, lb::VipId only_vip, lb::Tick now) noexcept;
  [[nodiscard]] Inserted insert_wide(const Flow& flow, std::uint64_t hash, lb::Tick now) noexcept;
  [[nodiscard]] WideSlot* make_room_wide(std::uint32_t bucket) noexcept;
  [[nodiscard]] WideSlot* oldest_unconfirmed_wide(std::uint64_t hash, lb::VipId only_vip, lb::Tick now) noexcept;
  [[nodiscard]] WideSlot* slot_of(std::uint32_t place) noexcept;
  void fill(WideRecord& r, const Flow& flow, lb::Tick now) noexcept;
  [[nodiscard]] bool displace(lb::VipId only_vip, lb::Tick now) noexcept;
  [[nodiscard]] bool displace_wide(lb::VipId only_vip, lb::Tick now) noexcept;
  [[nodiscard]] lb::SingleWriter<std::uint32_t>& unconfirmed_of(const Kind& kind, lb::VipId vip) const noexcept {
    VipCount& count = by_vip()[index(vip)];
    return &kind == &wide_ ? count.unconfirmed_wide : count.unconfirmed_narrow;
  }
  [[nodiscard]] bool over_quota(const Kind& kind, lb::VipId vip) const noexcept;
  void count_in(Kind& kind, lb::VipId vip, lb::EndpointId endpoint, lb::FlowState state) noexcept;
  void count_out(Kind& kind, lb::VipId vip, lb::EndpointId endpoint, lb::FlowState state) noexcept;
  void confirm(Kind& kind, lb::VipId vip) noexcept;

  [[nodiscard]] Record& record(std::uint32_t place) const noexcept {
    return bucket_array_[place / 4].records[place % 4];
  }
  [[nodiscard]] FlowRef ref_to(const Record* r) const noexcept {
    return FlowRef::narrow(static_cast<std::uint32_t>(r - &bucket_array_[0].records[0]));
  }
  [[nodiscard]] VipCount* by_vip() const noexcept { return counts_.at<VipCount>(); }
  [[nodiscard]] lb::SingleWriter<std::uint32_t>* by_endpoint() const noexcept {
    return counts_.at<lb::SingleWriter<std::uint32_t>>(sizeof(VipCount) << lb::kVipIdBits);
  }

  lb::HashKey key_;
  std::uint32_t buckets_ = 0, wide_buckets_ = 0, wide_records_ = 0;
  Bucket* bucket_array_ = nullptr;
  WideBucket* wide_bucket_array_ = nullptr;
  WideRecord* wide_record_array_ = nullptr;
  std::uint32_t free_wide_ = 0;   // place + 1 of the first record that was used and freed; 0: none
  std::uint32_t fresh_wide_ = 0;  // records from here on were never used
  std::uint32_t wide_v4_ = 0;     // wide records of IPv4 flows: while 0, an IPv4 miss need not look there
  std::uint64_t edits_ = 0;
  std::uint64_t scan_line_ = 0;
  std::uint32_t displace_bucket_ = 0, displace_wide_ = 0;  // where displace() looks next
  Kind narrow_, wide_;
  Mapping memory_;  // header, buckets, wide buckets, wide records
  Mapping counts_;  // by VIP, by endpoint
};

// ---- templates ----

template <class See>
void FlowTable::for_client(const lb::Address& client, lb::be16 client_port, See&& see) const noexcept {
  const std::uint64_t hash = hash_of(client, client_port);
  if (client.is_v4()) {
    const std::uint64_t word = client_word(client.to_v4(), client_port);
    for (const std::uint32_t b : {first_bucket(hash), second_bucket(hash)})
      for (const Record& r : bucket_array_[b].records)
        if (!is_empty(r) && (r.word0 & kClientMask) == word) see(ref_to(&r), read(r));
    if (wide_v4_ == 0) return;
  }
  for (const std::uint32_t b : {first_wide(hash), second_wide(hash)})
    for (const WideSlot& s : wide_bucket_array_[b].slots) {
      if (s.place == 0 || s.tag != tag_of(hash)) continue;
      const WideRecord& r = wide_record_array_[s.place - 1];
      if (r.client == client && r.client_port == client_port) see(FlowRef::wide(s.place - 1), read(r));
    }
}

template <class IsVipLive>
std::uint32_t FlowTable::scan(std::uint32_t lines, lb::Tick now, const lb::Timeouts& timeouts,
                              IsVipLive&& is_vip_live) noexcept {
  std::uint32_t erased = 0;
  const auto visit = [&](FlowRef ref, lb::VipId vip) {
    if (!is_expired(ref, now, timeouts) && is_vip_live(vip)) return;
    erase(ref);
    ++erased;
  };
  const std::uint64_t all = this->lines();
  if (lines > all) lines = static_cast<std::uint32_t>(all);
  for (; lines > 0; --lines) {
    if (scan_line_ < buckets_) {
      for (const Record& r : bucket_array_[scan_line_].records)
        if (!is_empty(r)) visit(ref_to(&r), vip_of(r));
    } else {
      const auto place = static_cast<std::uint32_t>(scan_line_ - buckets_);
      // Beyond the records ever used, nothing is to be seen and nothing to be touched.
      if (place < fresh_wide_ && wide_record_array_[place].vip != lb::VipId::kNone)
        visit(FlowRef::wide(place), wide_record_array_[place].vip);
    }
    if (++scan_line_ == all) scan_line_ = 0;
  }
  return erased;
}

template <class See>
std::uint64_t FlowTable::list(std::uint64_t cursor, std::uint32_t lines, See&& see) const noexcept {
  const std::uint64_t all = this->lines();
  for (; lines > 0 && cursor < all; --lines, ++cursor) {
    if (cursor < buckets_) {
      for (const Record& r : bucket_array_[cursor].records)
        if (!is_empty(r)) see(ref_to(&r), read(r));
    } else if (const auto place = static_cast<std::uint32_t>(cursor - buckets_); place < fresh_wide_) {
      const WideRecord& r = wide_record_array_[place];
      if (r.vip != lb::VipId::kNone) see(FlowRef::wide(place), read(r));
    } else {
      return all;
    }
  }
  return cursor;
}

}  // namespace weir::dataplane
