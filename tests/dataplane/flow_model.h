// FlowTable beside a slow model of what it must hold: a map by what a client sees, a map by what an endpoint sees.
//
// Operations come from a source of small numbers, random (flow_table_test.cc) or a fuzzer's bytes
// (tests/fuzz/flow_table_fuzz.cc). Whatever the table is free to choose (which unconfirmed flow it overwrites, where
// a record lies) the model reads back and judges; a table that disagrees otherwise makes it throw.
#pragma once

#include <array>
#include <map>
#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "dataplane/flow_table.h"

namespace weir::test {

class FlowModel {
 public:
  using Flow = dataplane::Flow;
  using FlowRef = dataplane::FlowRef;
  using FlowTable = dataplane::FlowTable;
  using Inserted = FlowTable::Inserted;

  // VIPs 1 to 4 have one port, 5 and 6 many; endpoints 1 to 7 a fixed port, 8 and 9 take it as it arrived.
  static constexpr std::uint16_t kVips = 6, kFirstManyPorts = 5;
  static constexpr std::uint32_t kEndpoints = 9, kFirstAnyPort = 8;

  /// `clients`: how many client addresses there are; each has four ports. A third of them is IPv6.
  FlowModel(FlowTable::Size size, std::uint32_t clients, lb::HashKey key, std::uint64_t start_seconds)
      : table_(create(size, key)), clients_(clients), now_(start_seconds) {}

  /// One operation. `choose(n)` gives a number below n.
  template <class Choose>
  void step(Choose&& choose) {
    switch (choose(16)) {
      case 0:
      case 1:
      case 2:
      case 3:
      case 4: insert(choose); break;
      case 5:
      case 6:
      case 7:
      case 8:
      case 9: touch(choose); break;
      case 10: find_random(choose); break;
      case 11: erase(choose); break;
      case 12: now_ += choose(8) == 0 ? choose(10) : 0; break;
      case 13:
        now_ += choose(512) == 0 ? choose(30'000) : 0;
        if (now_ - scanned_ > 20'000) scan(choose, 0);  // ticks are told apart for 2^15 s
        break;
      case 14: see_client(choose); break;
      case 15:
        if (choose(128) == 0) scan(choose, choose(4) == 0 ? 1 + choose(kVips) : 0);
        break;
    }
    expect(table_.narrow_count() == narrow_ && table_.wide_count() == by_client_.size() - narrow_, "counts of records");
    expect(table_.unconfirmed_count() == unconfirmed_, "count of unconfirmed flows");
    const auto vip = static_cast<std::uint16_t>(1 + choose(kVips));
    expect(table_.flows_of(lb::VipId(vip)) == of_vip_[vip], "flows of a VIP");
    const auto endpoint = static_cast<std::uint32_t>(1 + choose(kEndpoints));
    expect(table_.flows_of(lb::EndpointId(endpoint)) == of_endpoint_[endpoint], "flows of an endpoint");
  }

  /// Everything that is told at rest: each flow is found from both sides and listed once, and nothing else is.
  void check_all() {
    for (const auto& [key, entry] : by_client_) check_found(entry);
    std::map<ClientKey, int> listed;
    for (std::uint64_t cursor = 0; cursor < table_.lines();)
      cursor = table_.list(cursor, 7, [&](FlowRef, const Flow& f) { ++listed[client_key(f)]; });
    expect(listed.size() == by_client_.size(), "number of flows listed");
    for (const auto& [key, count] : listed) expect(count == 1 && by_client_.contains(key), "a flow listed once");
  }

  [[nodiscard]] const FlowTable& table() const { return table_; }
  [[nodiscard]] std::size_t flows() const { return by_client_.size(); }
  struct Tally {
    std::uint64_t inserted = 0, overwritten = 0, no_room = 0, unexplained_no_room = 0, expired = 0, wide_v4 = 0;
  };
  [[nodiscard]] const Tally& tally() const { return tally_; }

 private:
  using ClientKey = std::tuple<lb::Address, std::uint16_t, std::uint16_t, std::uint16_t>;  // client, VIP, VIP port or 0
  using EndpointKey =
      std::tuple<lb::Address, std::uint16_t, std::uint32_t, std::uint16_t>;  // client, endpoint, port or 0
  struct Entry {
    Flow flow;
    std::uint64_t seen = 0;
    bool is_wide = false;
  };

  static FlowTable create(FlowTable::Size size, lb::HashKey key) {
    auto table = FlowTable::create(size, key);
    if (!table) throw std::runtime_error(table.error().message);
    return std::move(*table);
  }

  static void expect(bool holds, std::string_view what) {
    if (!holds) throw std::logic_error(std::string("the flow table differs from its model: ").append(what));
  }

  static bool many_ports(lb::VipId v) { return index(v) >= kFirstManyPorts; }
  static bool any_port(lb::EndpointId e) { return index(e) >= kFirstAnyPort; }
  /// The port that the endpoint speaks from.
  static std::uint16_t endpoint_port(const Flow& f) {
    return any_port(f.endpoint) ? f.port : static_cast<std::uint16_t>(8000 + index(f.endpoint));
  }
  static ClientKey client_key(const Flow& f) {
    return {f.client, f.client_port.host(), static_cast<std::uint16_t>(f.vip),
            many_ports(f.vip) ? f.port : std::uint16_t{0}};
  }
  static EndpointKey endpoint_key(const Flow& f) {
    return {f.client, f.client_port.host(), static_cast<std::uint32_t>(f.endpoint), endpoint_port(f)};
  }

  template <class Choose>
  Flow random_flow(Choose& choose) const {
    Flow f;
    // The first two clients have many flows on one port, more than two buckets hold.
    const auto n = static_cast<std::uint32_t>(choose(4) == 0 ? choose(2) : choose(clients_));
    f.client = lb::Address::v4(lb::be32::from_host(0xc0000200 + n));
    if (n % 3 == 2)
      f.client.bytes = {0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, std::uint8_t(n >> 8), std::uint8_t(n)};
    f.client_port = lb::be16::from_host(static_cast<std::uint16_t>(40000 + (n < 2 ? 0 : choose(4))));
    f.vip = lb::VipId(1 + choose(kVips));
    f.endpoint = lb::EndpointId(1 + choose(kEndpoints));
    const auto vip_port = static_cast<std::uint16_t>(5000 + choose(6));
    // As the path does it: the VIP's port for a VIP of many ports, else the endpoint's.
    if (many_ports(f.vip) || any_port(f.endpoint)) {
      f.port = many_ports(f.vip) ? vip_port : static_cast<std::uint16_t>(80 + index(f.vip));
    } else {
      f.port = endpoint_port(f);
    }
    f.state = lb::FlowState::opened(choose(4) == 0).after(lb::Direction::kForward, lb::kTcpSyn, 0);
    return f;
  }

  [[nodiscard]] FlowRef find_forward(const Flow& f) const {
    return table_.find(table_.forward(f.client, f.client_port, f.vip, many_ports(f.vip), lb::be16::from_host(f.port)));
  }
  [[nodiscard]] FlowRef find_reply(const Flow& f) const {
    return table_.find(
        table_.reply(f.client, f.client_port, f.endpoint, any_port(f.endpoint), lb::be16::from_host(endpoint_port(f))));
  }

  void check_found(const Entry& entry) const {
    const FlowRef ref = find_forward(entry.flow);
    expect(bool(ref), "a flow is found by its client");
    expect(find_reply(entry.flow) == ref, "a reply finds the same record");
    const Flow got = table_.read(ref);
    expect(got.client == entry.flow.client && got.client_port == entry.flow.client_port && got.vip == entry.flow.vip &&
               got.endpoint == entry.flow.endpoint && got.port == entry.flow.port,
           "who a flow is between");
    expect(got.state == entry.flow.state && table_.state(ref) == entry.flow.state, "a flow's state");
    expect(got.last_seen == static_cast<lb::Tick>(entry.seen), "when a flow was last seen");
    expect(ref.is_wide() == entry.is_wide, "a record stays narrow or wide");
    if (now_ - entry.seen < 65'536) expect(table_.is_expired(ref, tick(), timeouts_) == is_expired(entry), "expiry");
  }

  [[nodiscard]] lb::Tick tick() const { return static_cast<lb::Tick>(now_); }
  [[nodiscard]] bool is_expired(const Entry& e) const { return now_ - e.seen >= e.flow.state.timeout(timeouts_); }

  template <class Choose>
  void insert(Choose& choose) {
    const Flow f = random_flow(choose);
    const auto known = by_client_.find(client_key(f));
    if (known != by_client_.end()) return check_found(known->second);
    expect(!find_forward(f), "an unknown flow is not found");
    if (by_endpoint_.contains(endpoint_key(f))) return;  // a tuple clash; the path drops it
    expect(!find_reply(f), "a reply of an unknown flow is not found");

    const std::uint64_t edits = table_.edits();
    const Inserted how = table_.insert(f, tick());
    expect(table_.edits() != edits, "an insert is an edit");
    if (how == Inserted::kNoRoom) return note_no_room(f);
    if (how == Inserted::kOverOld) forget_overwritten();
    const FlowRef ref = find_forward(f);
    expect(bool(ref), "an inserted flow is found");
    expect(ref.is_wide() || f.client.is_v4(), "IPv6 flows are wide");
    add({f, now_, ref.is_wide()});
    check_found(by_client_.at(client_key(f)));
    ++tally_.inserted;
    tally_.wide_v4 += ref.is_wide() && f.client.is_v4();
    const auto quota = [](std::uint32_t capacity) { return capacity < 4 ? 1 : capacity / 4; };
    expect(unconfirmed_ <= quota(table_.size().capacity) + quota(table_.size().wide_capacity),
           "the unconfirmed quarter");
    const std::uint32_t most =
        std::max(1u, quota(table_.size().capacity) / 2) + std::max(1u, quota(table_.size().wide_capacity) / 2);
    expect(unconfirmed_of_vip_[index(f.vip)] <= most, "a VIP's part of it");
    expect(narrow_ <= table_.size().capacity, "the capacity");
    expect(by_client_.size() - narrow_ <= table_.size().wide_capacity, "the wide capacity");
  }

  void note_no_room(const Flow& f) {
    expect(!find_forward(f), "what found no room is not found");
    ++tally_.no_room;
    const FlowTable::Size size = table_.size();
    const std::uint32_t of_vip = unconfirmed_of_vip_[index(f.vip)];
    const bool full =
        by_client_.size() - narrow_ >= size.wide_capacity || (f.client.is_v4() && narrow_ >= size.capacity);
    // Either kind's share may be the one that is used up; the table does not say which.
    const bool over = unconfirmed_ >= size.wide_capacity / 4 || of_vip >= size.wide_capacity / 8;
    tally_.unexplained_no_room += !full && !over;
  }

  // The table let one flow give way (two, where an IPv4 flow came to lie in the wide pool), and unconfirmed ones only.
  void forget_overwritten() {
    std::vector<Entry> gone;
    for (const auto& [key, entry] : by_client_)
      if (!find_forward(entry.flow)) gone.push_back(entry);
    expect(gone.size() == 1 || gone.size() == 2, "kOverOld overwrites a flow");
    for (const Entry& entry : gone) {
      expect(!entry.flow.state.is_confirmed(), "confirmed flows are never overwritten");
      ++tally_.overwritten;
      remove(entry);
    }
  }

  /// A flow that is there; null if there is none.
  template <class Choose>
  const Entry* pick(Choose& choose) const {
    if (by_client_.empty()) return nullptr;
    const auto at = by_client_.lower_bound(client_key(random_flow(choose)));
    return at == by_client_.end() ? &by_client_.begin()->second : &at->second;
  }

  template <class Choose>
  void touch(Choose& choose) {
    const Entry* picked = pick(choose);
    if (picked == nullptr) return;
    check_found(*picked);
    Entry e = *picked;
    static constexpr std::array<std::uint8_t, 5> kFlags{lb::kTcpAck, lb::kTcpAck, lb::kTcpRst,
                                                        lb::kTcpFin | lb::kTcpAck, lb::kTcpSyn};
    // Often enough the two packets that confirm a flow.
    const auto packets = 1 + choose(2);
    for (std::uint64_t i = 0; i < packets; ++i) {
      const auto d =
          packets == 2 ? (i == 0 ? lb::Direction::kReply : lb::Direction::kForward) : lb::Direction(choose(2));
      const FlowRef ref = d == lb::Direction::kForward ? find_forward(e.flow) : find_reply(e.flow);
      const bool was_confirmed = e.flow.state.is_confirmed();
      e.flow.state = e.flow.state.after(d, kFlags[choose(kFlags.size())], static_cast<std::uint16_t>(choose(2)));
      e.seen = now_;
      const std::uint64_t edits = table_.edits();
      table_.touch(ref, e.flow.state, tick());
      expect(table_.edits() == edits, "a touch is no edit");
      if (e.flow.state.is_confirmed() && !was_confirmed) --unconfirmed_, --unconfirmed_of_vip_[index(e.flow.vip)];
    }
    by_client_[client_key(e.flow)] = e;
    check_found(e);
  }

  template <class Choose>
  void find_random(Choose& choose) {
    std::array<Flow, 32> flows;
    std::vector<dataplane::FlowQuery> queries;
    const auto n = 1 + choose(flows.size());
    for (std::uint64_t i = 0; i < n; ++i) {
      flows[i] = random_flow(choose);
      queries.push_back(table_.forward(flows[i].client, flows[i].client_port, flows[i].vip, many_ports(flows[i].vip),
                                       lb::be16::from_host(flows[i].port)));
    }
    std::vector<FlowRef> refs(n);
    table_.find_bulk(queries, refs);
    for (std::uint64_t i = 0; i < n; ++i) {
      expect(bool(refs[i]) == by_client_.contains(client_key(flows[i])), "what a burst finds");
      expect(refs[i] == find_forward(flows[i]), "a burst and a single look-up agree");
      const FlowRef reply = find_reply(flows[i]);
      expect(bool(reply) == by_endpoint_.contains(endpoint_key(flows[i])), "what replies find");
    }
  }

  template <class Choose>
  void erase(Choose& choose) {
    const Entry* picked = pick(choose);
    if (picked == nullptr) return;
    const Entry e = *picked;
    const std::uint64_t edits = table_.edits();
    table_.erase(choose(2) == 0 ? find_forward(e.flow) : find_reply(e.flow));
    expect(table_.edits() != edits, "an erase is an edit");
    remove(e);
    expect(!find_forward(e.flow) && !find_reply(e.flow), "an erased flow is not found");
  }

  template <class Choose>
  void see_client(Choose& choose) {
    const Flow f = random_flow(choose);
    std::size_t seen = 0;
    table_.for_client(f.client, f.client_port, [&](FlowRef ref, const Flow& other) {
      ++seen;
      expect(other.client == f.client && other.client_port == f.client_port,
             "for_client sees its client's flows alone");
      expect(find_forward(other) == ref && by_client_.contains(client_key(other)), "for_client sees flows that are");
    });
    const auto begin = by_client_.lower_bound({f.client, f.client_port.host(), 0, 0});
    const auto end = by_client_.lower_bound({f.client, static_cast<std::uint16_t>(f.client_port.host() + 1), 0, 0});
    expect(seen == static_cast<std::size_t>(std::distance(begin, end)), "for_client sees all of them");
  }

  // One whole round, in pieces: what is over is gone then, and so are the flows of a VIP that is; nothing else.
  template <class Choose>
  void scan(Choose& choose, std::uint64_t dead_vip) {
    std::uint32_t erased = 0;
    for (std::uint64_t left = table_.lines(); left > 0;) {
      const auto lines = static_cast<std::uint32_t>(std::min<std::uint64_t>(left, 1 + choose(64)));
      erased += table_.scan(lines, tick(), timeouts_, [&](lb::VipId v) { return index(v) != dead_vip; });
      left -= lines;
    }
    scanned_ = now_;
    std::vector<Entry> over;
    for (const auto& [key, e] : by_client_)
      if (is_expired(e) || index(e.flow.vip) == dead_vip) over.push_back(e);
    for (const Entry& e : over) {
      expect(!find_forward(e.flow), "a scan erases what is over");
      remove(e);
    }
    expect(erased == over.size(), "a scan counts what it erases");
    tally_.expired += erased;
    check_all();
  }

  void add(const Entry& e) {
    by_client_[client_key(e.flow)] = e;
    by_endpoint_[endpoint_key(e.flow)] = client_key(e.flow);
    count(e, 1);
  }
  void remove(const Entry& e) {
    by_client_.erase(client_key(e.flow));
    by_endpoint_.erase(endpoint_key(e.flow));
    count(e, ~0u);
  }
  void count(const Entry& e, std::uint32_t one) {
    of_vip_[index(e.flow.vip)] += one;
    of_endpoint_[index(e.flow.endpoint)] += one;
    if (!e.is_wide) narrow_ += one;
    if (!e.flow.state.is_confirmed()) unconfirmed_ += one, unconfirmed_of_vip_[index(e.flow.vip)] += one;
  }

  FlowTable table_;
  std::uint32_t clients_;
  std::uint64_t now_, scanned_ = 0;
  lb::Timeouts timeouts_{.tcp_new = 60, .tcp_established = 7440, .tcp_closing = 240, .udp_new = 30, .udp = 300};
  std::map<ClientKey, Entry> by_client_;
  std::map<EndpointKey, ClientKey> by_endpoint_;
  std::array<std::uint32_t, kVips + 1> of_vip_{}, unconfirmed_of_vip_{};
  std::array<std::uint32_t, kEndpoints + 1> of_endpoint_{};
  std::uint32_t narrow_ = 0, unconfirmed_ = 0;
  Tally tally_;
};

}  // namespace weir::test
