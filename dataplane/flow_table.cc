#include "dataplane/flow_table.h"

#include <xmmintrin.h>

#include <algorithm>
#include <array>
#include <cassert>

namespace weir::dataplane {

namespace {

using lb::Address;
using lb::be16;
using lb::be32;
using lb::EndpointId;
using lb::FlowState;
using lb::Tick;
using lb::VipId;

constexpr std::uint64_t kMagic = 0x776f6c6672696577ULL;  // "weirflow"
constexpr std::uint32_t kVersion = 1;
constexpr std::size_t kHeaderBytes = 4096;
// At most this fill, in tenths: above it, inserts and second-bucket look-ups get dear (techniques 2.4).
constexpr std::uint64_t kMaxFillTenths = 7;

std::uint32_t buckets_for(std::uint32_t records, std::uint32_t per_bucket) {
  const std::uint64_t places = (std::uint64_t{records} * 10 + kMaxFillTenths - 1) / kMaxFillTenths;
  return static_cast<std::uint32_t>(std::max<std::uint64_t>(2, (places + per_bucket - 1) / per_bucket));
}

// Lines looked at for an unconfirmed flow to give way.
constexpr std::uint32_t kDisplaceLines = 16;

void prefetch(const void* p) noexcept {
  _mm_prefetch(static_cast<const char*>(p), _MM_HINT_T0);
}

Tick age(Tick last_seen, Tick now) noexcept {
  return static_cast<Tick>(now - last_seen);
}

}  // namespace

std::size_t FlowTable::memory(Size size) noexcept {
  return kHeaderBytes + buckets_for(size.capacity, 4) * sizeof(Bucket) +
         buckets_for(size.wide_capacity, 8) * sizeof(WideBucket) + size.wide_capacity * sizeof(WideRecord);
}

lb::Result<FlowTable> FlowTable::create(Size size, lb::HashKey key) {
  FlowTable t;
  t.key_ = key;
  t.narrow_.capacity = size.capacity;
  t.wide_.capacity = size.wide_capacity;
  t.buckets_ = buckets_for(size.capacity, 4);
  t.wide_buckets_ = buckets_for(size.wide_capacity, 8);
  t.wide_records_ = size.wide_capacity;

  const std::size_t bucket_bytes = t.buckets_ * sizeof(Bucket);
  const std::size_t wide_bucket_bytes = t.wide_buckets_ * sizeof(WideBucket);
  auto memory = Mapping::create(FlowTable::memory(size), "the flow table");
  if (!memory) return std::unexpected(memory.error());
  constexpr std::size_t kCountBytes =
      (sizeof(VipCount) << lb::kVipIdBits) + (sizeof(std::uint32_t) << lb::kEndpointIdBits);
  auto counts = Mapping::create(kCountBytes, "the flow counts");
  if (!counts) return std::unexpected(counts.error());
  t.memory_ = std::move(*memory);
  t.counts_ = std::move(*counts);
  t.memory_.populate(FlowTable::memory(size));
  t.counts_.populate(kCountBytes);

  *t.memory_.at<Header>() = {kMagic, kVersion, t.buckets_, t.wide_buckets_, t.wide_records_, key};
  t.bucket_array_ = t.memory_.at<Bucket>(kHeaderBytes);
  t.wide_bucket_array_ = t.memory_.at<WideBucket>(kHeaderBytes + bucket_bytes);
  t.wide_record_array_ = t.memory_.at<WideRecord>(kHeaderBytes + bucket_bytes + wide_bucket_bytes);
  return t;
}

// ---- look-up ----

std::uint64_t FlowTable::hash_of(const Address& client, be16 port) const noexcept {
  if (client.is_v4()) return lb::sip_hash(key_, client_word(client.to_v4(), port));
  std::uint64_t words[2];
  std::memcpy(words, client.bytes.data(), 16);
  return lb::sip_hash(key_, words[0], words[1], std::uint64_t{port.raw()});
}

FlowQuery FlowTable::query(const Address& client, be16 client_port, bool match_port, be16 port) const noexcept {
  FlowQuery q;
  q.is_v4 = client.is_v4();
  q.hash = hash_of(client, client_port);
  q.client = client;
  q.client_port = client_port;
  q.vip = VipId::kNone;
  q.endpoint = EndpointId::kNone;
  q.port = port.host();
  q.match_port = match_port;
  q.word0 = q.is_v4 ? client_word(client.to_v4(), client_port) : 0;
  q.mask0 = kClientMask;
  q.word1 = std::uint64_t{q.port} << kPortShift;
  q.mask1 = match_port ? kPortMask : 0;
  return q;
}

FlowQuery FlowTable::forward(const Address& client, be16 client_port, VipId vip, bool match_port,
                             be16 vip_port) const noexcept {
  FlowQuery q = query(client, client_port, match_port, vip_port);
  q.vip = vip;
  q.word0 |= std::uint64_t{static_cast<std::uint16_t>(vip)} << kVipShift;
  q.mask0 = ~std::uint64_t{0};
  return q;
}

FlowQuery FlowTable::reply(const Address& client, be16 client_port, EndpointId endpoint, bool match_port,
                           be16 endpoint_port) const noexcept {
  FlowQuery q = query(client, client_port, match_port, endpoint_port);
  q.endpoint = endpoint;
  q.word1 |= static_cast<std::uint64_t>(endpoint);
  q.mask1 |= kEndpointMask;
  return q;
}

void FlowTable::find_bulk(std::span<const FlowQuery> queries, std::span<FlowRef> refs) const noexcept {
  assert(queries.size() <= kMaxBurst && refs.size() == queries.size());
  for (const FlowQuery& q : queries) {
    prefetch(q.is_v4 ? static_cast<const void*>(&bucket_array_[first_bucket(q.hash)])
                     : &wide_bucket_array_[first_wide(q.hash)]);
  }
  std::array<std::uint8_t, kMaxBurst> missed;
  std::size_t misses = 0;
  for (std::size_t i = 0; i < queries.size(); ++i) {
    const FlowQuery& q = queries[i];
    refs[i] = q.is_v4 ? probe(first_bucket(q.hash), q) : FlowRef();
    if (refs[i]) continue;
    missed[misses++] = static_cast<std::uint8_t>(i);
    prefetch(q.is_v4 ? static_cast<const void*>(&bucket_array_[second_bucket(q.hash)])
                     : &wide_bucket_array_[second_wide(q.hash)]);
  }
  for (std::size_t m = 0; m < misses; ++m) {
    const FlowQuery& q = queries[missed[m]];
    FlowRef& ref = refs[missed[m]];
    if (q.is_v4) {
      ref = probe(second_bucket(q.hash), q);
      if (!ref && wide_v4_ > 0) ref = find_wide(q);
    } else {
      ref = find_wide(q);
    }
  }
}

FlowRef FlowTable::find(const FlowQuery& query) const noexcept {
  FlowRef ref;
  find_bulk({&query, 1}, {&ref, 1});
  return ref;
}

FlowRef FlowTable::probe(std::uint32_t bucket, const FlowQuery& q) const noexcept {
  const Bucket& b = bucket_array_[bucket];
  for (std::uint32_t i = 0; i < 4; ++i) {
    const Record& r = b.records[i];
    if ((((r.word0 ^ q.word0) & q.mask0) | ((r.word1 ^ q.word1) & q.mask1)) == 0)
      return FlowRef::narrow(bucket * 4 + i);
  }
  return {};
}

FlowRef FlowTable::find_wide(const FlowQuery& q) const noexcept {
  if (wide_buckets_ == 0) return {};
  const FlowRef ref = probe_wide(first_wide(q.hash), q);
  return ref ? ref : probe_wide(second_wide(q.hash), q);
}

FlowRef FlowTable::probe_wide(std::uint32_t bucket, const FlowQuery& q) const noexcept {
  const std::uint32_t tag = tag_of(q.hash);
  for (const WideSlot& s : wide_bucket_array_[bucket].slots) {
    if (s.tag == tag && s.place != 0 && matches(wide_record_array_[s.place - 1], q)) return FlowRef::wide(s.place - 1);
  }
  return {};
}

bool FlowTable::matches(const WideRecord& r, const FlowQuery& q) const noexcept {
  if (r.client != q.client || r.client_port != q.client_port) return false;
  if (q.match_port && r.port != q.port) return false;
  return q.vip != VipId::kNone ? r.vip == q.vip : r.endpoint == q.endpoint;
}

// ---- reading and touching a record ----

Flow FlowTable::read(FlowRef ref) const noexcept {
  return ref.is_wide() ? read(wide_record_array_[ref.place()]) : read(record(ref.place()));
}

Flow FlowTable::read(const Record& r) const noexcept {
  Flow f;
  f.client = Address::v4(be32::from_raw(static_cast<std::uint32_t>(r.word0)));
  f.client_port = be16::from_raw(static_cast<std::uint16_t>(r.word0 >> 32));
  f.vip = vip_of(r);
  f.endpoint = EndpointId(r.word1 & kEndpointMask);
  f.port = static_cast<std::uint16_t>(r.word1 >> kPortShift);
  f.state = state_of(r);
  f.last_seen = static_cast<Tick>(r.word1 >> kSeenShift);
  return f;
}

Flow FlowTable::read(const WideRecord& r) noexcept {
  return {r.client, r.client_port, r.vip, r.endpoint, r.port, FlowState::from_bits(r.state), r.last_seen};
}

FlowState FlowTable::state(FlowRef ref) const noexcept {
  return ref.is_wide() ? FlowState::from_bits(wide_record_array_[ref.place()].state) : state_of(record(ref.place()));
}

bool FlowTable::is_expired(FlowRef ref, Tick now, const lb::Timeouts& timeouts) const noexcept {
  if (ref.is_wide()) {
    const WideRecord& r = wide_record_array_[ref.place()];
    return age(r.last_seen, now) >= FlowState::from_bits(r.state).timeout(timeouts);
  }
  const Record& r = record(ref.place());
  return age(static_cast<Tick>(r.word1 >> kSeenShift), now) >= state_of(r).timeout(timeouts);
}

void FlowTable::touch(FlowRef ref, FlowState state, Tick now) noexcept {
  if (ref.is_wide()) {
    WideRecord& r = wide_record_array_[ref.place()];
    if (state.is_confirmed() && !FlowState::from_bits(r.state).is_confirmed()) confirm(wide_, r.vip);
    r.state = state.bits();
    r.last_seen = now;
    return;
  }
  Record& r = record(ref.place());
  const std::uint64_t word1 = (r.word1 & ~(kStateMask | kSeenMask)) | std::uint64_t{state.bits()} << kStateShift |
                              std::uint64_t{now} << kSeenShift;
  if (word1 == r.word1) return;  // the line stays clean
  if (state.is_confirmed() && !state_of(r).is_confirmed()) confirm(narrow_, vip_of(r));
  r.word1 = word1;
}

// ---- inserting and erasing ----

FlowTable::Inserted FlowTable::insert(const Flow& flow, Tick now) noexcept {
  const std::uint64_t hash = hash_of(flow.client, flow.client_port);
  ++edits_;
  return flow.client.is_v4() ? insert_narrow(flow, hash, now) : insert_wide(flow, hash, now);
}

FlowTable::Inserted FlowTable::insert_narrow(const Flow& flow, std::uint64_t hash, Tick now) noexcept {
  const bool vip_over = over_quota(narrow_, flow.vip);
  const bool all_over =
      narrow_.unconfirmed.get() >= narrow_.unconfirmed_limit() || narrow_.used.get() >= narrow_.capacity;
  const VipId only_vip = vip_over ? flow.vip : VipId::kNone;
  Record* place = nullptr;
  Inserted how = Inserted::kNew;
  if (vip_over || all_over) {
    // One unconfirmed flow goes for the new one: of these two buckets if there is one, else one lying elsewhere.
    how = Inserted::kOverOld;
    place = oldest_unconfirmed(hash, only_vip, now);
    if (place == nullptr && !displace(only_vip, now)) return Inserted::kNoRoom;
  }
  if (place == nullptr) place = make_room(first_bucket(hash));
  if (place == nullptr) place = make_room(second_bucket(hash));
  if (place == nullptr) {
    const Inserted wide = insert_wide(flow, hash, now);
    if (wide != Inserted::kNoRoom) return how == Inserted::kOverOld ? how : wide;
    place = oldest_unconfirmed(hash, only_vip, now);
    if (place == nullptr) return Inserted::kNoRoom;
    how = Inserted::kOverOld;
  }
  if (!is_empty(*place)) count_out(narrow_, vip_of(*place), EndpointId(place->word1 & kEndpointMask), state_of(*place));
  place->word0 = std::uint64_t{static_cast<std::uint16_t>(flow.vip)} << kVipShift |
                 client_word(flow.client.to_v4(), flow.client_port);
  place->word1 = static_cast<std::uint64_t>(flow.endpoint) | std::uint64_t{flow.port} << kPortShift |
                 std::uint64_t{flow.state.bits()} << kStateShift | std::uint64_t{now} << kSeenShift;
  count_in(narrow_, flow.vip, flow.endpoint, flow.state);
  return how;
}

// An empty record of the bucket; if it is full, one of its records may move to that record's other bucket.
FlowTable::Record* FlowTable::make_room(std::uint32_t bucket) noexcept {
  for (Record& r : bucket_array_[bucket].records)
    if (is_empty(r)) return &r;
  for (Record& r : bucket_array_[bucket].records) {
    const std::uint64_t hash = lb::sip_hash(key_, r.word0 & kClientMask);
    const std::uint32_t first = first_bucket(hash);
    for (Record& other : bucket_array_[first == bucket ? second_bucket(hash) : first].records) {
      if (!is_empty(other)) continue;
      other = r;
      r = {};
      return &r;
    }
  }
  return nullptr;
}

// Erases the oldest unconfirmed flow of the next few buckets, round and round. At a quarter of the table, or at half of
// that for one VIP, the few hold one nearly always.
bool FlowTable::displace(VipId only_vip, Tick now) noexcept {
  const Record* oldest = nullptr;
  Tick oldest_age = 0;
  for (std::uint32_t n = std::min(kDisplaceLines, buckets_); n > 0; --n) {
    for (const Record& r : bucket_array_[displace_bucket_].records) {
      if (is_empty(r) || state_of(r).is_confirmed() || (only_vip != VipId::kNone && vip_of(r) != only_vip)) continue;
      const Tick a = age(static_cast<Tick>(r.word1 >> kSeenShift), now);
      if (oldest == nullptr || a > oldest_age) oldest = &r, oldest_age = a;
    }
    if (++displace_bucket_ == buckets_) displace_bucket_ = 0;
  }
  if (oldest == nullptr) return false;
  erase(ref_to(oldest));
  return true;
}

bool FlowTable::displace_wide(VipId only_vip, Tick now) noexcept {
  const WideRecord* oldest = nullptr;
  Tick oldest_age = 0;
  for (std::uint32_t n = std::min(kDisplaceLines * 4, fresh_wide_); n > 0; --n) {
    if (displace_wide_ >= fresh_wide_) displace_wide_ = 0;
    const WideRecord& r = wide_record_array_[displace_wide_++];
    if (r.vip == VipId::kNone || FlowState::from_bits(r.state).is_confirmed()) continue;
    if (only_vip != VipId::kNone && r.vip != only_vip) continue;
    const Tick a = age(r.last_seen, now);
    if (oldest == nullptr || a > oldest_age) oldest = &r, oldest_age = a;
  }
  if (oldest == nullptr) return false;
  erase(FlowRef::wide(static_cast<std::uint32_t>(oldest - wide_record_array_)));
  return true;
}

FlowTable::Record* FlowTable::oldest_unconfirmed(std::uint64_t hash, VipId only_vip, Tick now) noexcept {
  Record* oldest = nullptr;
  Tick oldest_age = 0;
  for (const std::uint32_t b : {first_bucket(hash), second_bucket(hash)})
    for (Record& r : bucket_array_[b].records) {
      if (is_empty(r) || state_of(r).is_confirmed()) continue;
      if (only_vip != VipId::kNone && vip_of(r) != only_vip) continue;
      const Tick a = age(static_cast<Tick>(r.word1 >> kSeenShift), now);
      if (oldest == nullptr || a > oldest_age) oldest = &r, oldest_age = a;
    }
  return oldest;
}

FlowTable::Inserted FlowTable::insert_wide(const Flow& flow, std::uint64_t hash, Tick now) noexcept {
  if (wide_records_ == 0) return Inserted::kNoRoom;
  const bool vip_over = over_quota(wide_, flow.vip);
  const bool all_over = wide_.unconfirmed.get() >= wide_.unconfirmed_limit() || wide_.used.get() >= wide_.capacity;
  const VipId only_vip = vip_over ? flow.vip : VipId::kNone;
  WideSlot* slot = nullptr;
  Inserted how = Inserted::kNew;
  if (vip_over || all_over) {
    how = Inserted::kOverOld;
    if (WideSlot* old = oldest_unconfirmed_wide(hash, only_vip, now)) {
      erase(FlowRef::wide(old->place - 1));
      slot = old;
    } else if (!displace_wide(only_vip, now)) {
      return Inserted::kNoRoom;
    }
  }
  if (slot == nullptr) slot = make_room_wide(first_wide(hash));
  if (slot == nullptr) slot = make_room_wide(second_wide(hash));
  if (slot == nullptr) {
    slot = oldest_unconfirmed_wide(hash, only_vip, now);
    if (slot == nullptr) return Inserted::kNoRoom;
    erase(FlowRef::wide(slot->place - 1));
    how = Inserted::kOverOld;
  }
  std::uint32_t place = fresh_wide_;
  if (free_wide_ != 0) {
    place = free_wide_ - 1;
    free_wide_ = wide_record_array_[place].next_free;
  } else {
    ++fresh_wide_;
  }
  *slot = {tag_of(hash), place + 1};
  fill(wide_record_array_[place], flow, now);
  return how;
}

// As make_room(): an empty slot of the bucket, or that of a record which may move to its other bucket. Without moving,
// 606 flows are refused before 100,000 wide records are all in use; with it, none.
FlowTable::WideSlot* FlowTable::make_room_wide(std::uint32_t bucket) noexcept {
  for (WideSlot& s : wide_bucket_array_[bucket].slots)
    if (s.place == 0) return &s;
  for (WideSlot& s : wide_bucket_array_[bucket].slots) {
    const WideRecord& r = wide_record_array_[s.place - 1];
    const std::uint64_t hash = hash_of(r.client, r.client_port);
    const std::uint32_t first = first_wide(hash);
    for (WideSlot& other : wide_bucket_array_[first == bucket ? second_wide(hash) : first].slots) {
      if (other.place != 0) continue;
      other = s;
      return &s;
    }
  }
  return nullptr;
}

void FlowTable::fill(WideRecord& r, const Flow& flow, Tick now) noexcept {
  r.client = flow.client;
  r.client_port = flow.client_port;
  r.vip = flow.vip;
  r.endpoint = flow.endpoint;
  r.port = flow.port;
  r.state = flow.state.bits();
  r.last_seen = now;
  if (flow.client.is_v4()) ++wide_v4_;
  count_in(wide_, flow.vip, flow.endpoint, flow.state);
}

FlowTable::WideSlot* FlowTable::oldest_unconfirmed_wide(std::uint64_t hash, VipId only_vip, Tick now) noexcept {
  WideSlot* oldest = nullptr;
  Tick oldest_age = 0;
  for (const std::uint32_t b : {first_wide(hash), second_wide(hash)})
    for (WideSlot& s : wide_bucket_array_[b].slots) {
      if (s.place == 0) continue;
      const WideRecord& r = wide_record_array_[s.place - 1];
      if (FlowState::from_bits(r.state).is_confirmed() || (only_vip != VipId::kNone && r.vip != only_vip)) continue;
      const Tick a = age(r.last_seen, now);
      if (oldest == nullptr || a > oldest_age) oldest = &s, oldest_age = a;
    }
  return oldest;
}

void FlowTable::erase(FlowRef ref) noexcept {
  ++edits_;
  if (!ref.is_wide()) {
    Record& r = record(ref.place());
    count_out(narrow_, vip_of(r), EndpointId(r.word1 & kEndpointMask), state_of(r));
    r = {};
    return;
  }
  WideRecord& r = wide_record_array_[ref.place()];
  count_out(wide_, r.vip, r.endpoint, FlowState::from_bits(r.state));
  if (r.client.is_v4()) --wide_v4_;
  if (WideSlot* slot = slot_of(ref.place())) *slot = {};
  r = {};
  r.next_free = free_wide_;
  free_wide_ = ref.place() + 1;
}

FlowTable::WideSlot* FlowTable::slot_of(std::uint32_t place) noexcept {
  const WideRecord& r = wide_record_array_[place];
  const std::uint64_t hash = hash_of(r.client, r.client_port);
  for (const std::uint32_t b : {first_wide(hash), second_wide(hash)})
    for (WideSlot& s : wide_bucket_array_[b].slots)
      if (s.place == place + 1) return &s;
  assert(false && "a wide record without a slot");
  return nullptr;
}

// ---- counts ----

bool FlowTable::over_quota(const Kind& kind, VipId vip) const noexcept {
  return unconfirmed_of(kind, vip).get() >= std::max(1u, kind.unconfirmed_limit() / 2);
}

void FlowTable::count_in(Kind& kind, VipId vip, EndpointId endpoint, FlowState state) noexcept {
  kind.used.add();
  by_vip()[index(vip)].current.add();
  by_endpoint()[index(endpoint)].add();
  if (state.is_confirmed()) return;
  kind.unconfirmed.add();
  unconfirmed_of(kind, vip).add();
}

void FlowTable::count_out(Kind& kind, VipId vip, EndpointId endpoint, FlowState state) noexcept {
  kind.used.subtract();
  by_vip()[index(vip)].current.subtract();
  by_endpoint()[index(endpoint)].subtract();
  if (!state.is_confirmed()) confirm(kind, vip);
}

void FlowTable::confirm(Kind& kind, VipId vip) noexcept {
  kind.unconfirmed.subtract();
  unconfirmed_of(kind, vip).subtract();
}

}  // namespace weir::dataplane
