// The packet's walk. One function, process(), that reads as this list:
//
//   receive -> parse -> match VIP or endpoint -> steer -> find flow -> admit and next hop -> rewrite -> transmit
//
// with four side exits: answer (ARP, ND, echo), refuse (RST, ICMP unreachable), punt to the kernel, drop with a reason.
// It takes a burst through one step at a time, so that each step can prefetch for the whole burst. The last steps run
// packet by packet, side exits that send something included, so that frames leave in the order in which they came.
//
// The same code runs under DPDK, in tests on frames in memory, in `weir trace` and in the fuzzers: it is a template
// over
//   Tables  what is looked up by key: dataplane/rte_tables.h or lb/plain_tables.h,
//   Io      what a frame is and where it goes: dataplane/mbuf_io.h or dataplane/memory_io.h,
//   Tracer  what is told about each step: NoTracer compiles to nothing; control/trace.cc prints.
//
// Rules here: no lock, no allocation, no exception, no virtual call, no system call, no log line. Every frame that
// comes in is transmitted or dropped with a reason; dataplane/counters.h says how they add up.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <span>

#include "dataplane/answer_budget.h"
#include "dataplane/counters.h"
#include "dataplane/flow_table.h"
#include "dataplane/held.h"
#include "dataplane/punt.h"
#include "dataplane/side_rings.h"
#include "dataplane/spoken_sessions.h"
#include "dataplane/steering.h"
#include "dataplane/step_clock.h"
#include "lb/answer.h"
#include "lb/next_hops.h"
#include "lb/parse.h"
#include "lb/rewrite.h"
#include "lb/service_key.h"
#include "lb/snapshot.h"
#include "lb/token_bucket.h"

namespace weir::dataplane {

/// The workers' clock, read once a burst and passed in. Starts anywhere, never goes back.
struct Now {
  std::uint64_t ns = 0;
  [[nodiscard]] constexpr lb::Tick tick() const noexcept { return static_cast<lb::Tick>(ns / 1'000'000'000); }
};

/// Told of each step of a packet's walk. This one hears nothing and costs nothing.
struct NoTracer {
  void parsed(const lb::Packet&) const noexcept {}
  void matched_vip(lb::VipId) const noexcept {}
  void matched_endpoint(lb::EndpointId) const noexcept {}
  void found_flow(const Flow&) const noexcept {}
  void chose(const lb::BackendSet&, lb::EndpointId) const noexcept {}
  void untracked() const noexcept {}
  void forwarded(lb::Direction, lb::VipId, lb::EndpointId, lb::NextHopWord) const noexcept {}
  void answered(lb::Event) const noexcept {}
  void refused(lb::DropReason, lb::VipId, lb::Event) const noexcept {}
  void punted(lb::PuntClass) const noexcept {}
  void dropped(lb::DropReason) const noexcept {}
};

template <class Tables, class Io, class Tracer = NoTracer>
class PacketPath {
 public:
  using Frame = typename Io::Frame;
  static constexpr std::size_t kBurst = 32;

  /// Stands for the port in process(): other workers handed these frames over, and each frame tells its port.
  static constexpr lb::PortIndex kHandedOver{0xffff};

  /// All of them are this worker's own, but for `tables` and `next_hops`, which control edits under RCU. Without
  /// `steering` there is one worker, and every flow is its own.
  PacketPath(const Tables& tables, Io& io, FlowTable& flows, WorkerCounters& counters, const lb::NextHops& next_hops,
             Tracer tracer = {}, Steering* steering = nullptr) noexcept
      : tables_(tables),
        io_(io),
        flows_(flows),
        counters_(counters),
        next_hops_(next_hops),
        tracer_(tracer),
        steering_(steering) {}

  PacketPath(const PacketPath&) = delete;
  PacketPath& operator=(const PacketPath&) = delete;

  /// From here on it takes from a budget that other workers take from too.
  void share(AnswerBudget& budget) noexcept { budget_ = &budget; }

  /// Takes at most kBurst frames that arrived on `port` through the walk. `snapshot` stays valid for the call.
  void process(std::span<const Frame> frames, lb::PortIndex port, const lb::Snapshot& snapshot, Now now) noexcept {
    receive(frames, port, snapshot, now);
    parse();
    match_vip();
    match_endpoint();
    steer();
    find_flow();
    for (std::size_t i = 0, query = 0; i < received_; ++i) {
      Walk& w = walk_[i];
      if (w.exit != Exit::kNone) {
        leave(w);
      } else if (admit(w, query++)) {
        rewrite(w);
        transmit(w);
      }
    }
  }

  /// What the steps cost. Arm it before a burst is received.
  [[nodiscard]] StepClock& steps() noexcept { return steps_; }
  [[nodiscard]] const StepClock& steps() const noexcept { return steps_; }

  /// Looks at a few lines of the flow table and forgets what is over. Returns how many flows.
  std::uint32_t expire(std::uint32_t lines, const lb::Snapshot& snapshot, Now now) noexcept {
    const std::uint32_t erased =
        flows_.scan(lines, now.tick(), snapshot.timeouts, [&](lb::VipId id) { return vip(snapshot, id) != nullptr; });
    counters_.count(lb::Event::kFlowExpired, erased);
    return erased;
  }

  // ---- frames that were not received ----

  /// The BGP sessions that all workers know of; without, none is known.
  void share(SpokenSessions* sessions) noexcept { sessions_ = sessions; }
  /// Sends one of the kernel's, from the twin of `interface`, on that interface's port.
  void inject(lb::InterfaceId interface, std::span<const std::uint8_t> frame, const lb::Snapshot& snapshot) noexcept {
    snapshot_ = &snapshot;
    counters_.injected.add();
    if (sessions_ != nullptr) note_session(frame);
    send_own(interface, frame);
  }
  /// Sends one that Weir has made beside the workers.
  void emit(lb::InterfaceId interface, std::span<const std::uint8_t> frame, const lb::Snapshot& snapshot) noexcept {
    snapshot_ = &snapshot;
    counters_.generated.add();
    send_own(interface, frame);
  }
  /// Sends what waited for a neighbour that is now known, and drops what has waited too long. Call once a loop.
  void tend_held(const lb::Snapshot& snapshot, Now now) noexcept {
    if (held_.is_empty() || now.ns - tended_ns_ < kTendPeriodNs) return;
    snapshot_ = &snapshot;
    now_ = now;
    tended_ns_ = now.ns;
    held_.keep_if([&](const Held& h) { return tend(h); });
  }
  /// Drops all that waits, at the worker's end.
  void drop_held() noexcept {
    held_.keep_if([&](const Held& h) {
      counters_.held.subtract();
      drop_held(h, lb::DropReason::kNeighUnresolved);
      return false;
    });
  }

 private:
  using Held = typename HeldFrames<Frame>::Entry;

  // Where a packet left the walk. What sends nothing is done at once (dropped, handed over to its owner); what may
  // answer is done in its turn, by leave().
  enum class Exit : std::uint8_t { kNone, kGone, kArp, kIcmp, kGroup, kUnbalanced, kUnknownType, kNoMatch };

  // One packet on its way. Set by the step named, used by later ones.
  struct Walk {
    Frame frame{};            // receive
    Exit exit = Exit::kNone;  // any
    lb::PortIndex port{};
    std::uint8_t* data = nullptr;
    lb::Link link;  // parse
    const lb::InterfaceEntry* in = nullptr;
    lb::InterfaceId in_id{};
    lb::Packet packet;
    lb::ServiceKey key;
    lb::VipId vip_id = lb::VipId::kNone;                 // match_vip; for replies admit
    lb::EndpointId endpoint_id = lb::EndpointId::kNone;  // match_endpoint; for forward packets admit
    lb::Direction direction = lb::Direction::kForward;
    lb::be16 vip_port;            // admit: what a reply's source port becomes
    lb::NextHopId next_hop_id{};  // find_next_hop
    lb::NextHopWord next_hop;
    bool is_fragment = false;  // parse: the packet has no ports
  };

  // A list of places in walk_ without allocation.
  class Places {
   public:
    void clear() noexcept { size_ = 0; }
    void add(std::size_t place) noexcept { places_[size_++] = static_cast<std::uint8_t>(place); }
    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    [[nodiscard]] std::size_t operator[](std::size_t i) const noexcept { return places_[i]; }
    [[nodiscard]] const std::uint8_t* begin() const noexcept { return places_.data(); }
    [[nodiscard]] const std::uint8_t* end() const noexcept { return places_.data() + size_; }

   private:
    std::array<std::uint8_t, kBurst> places_{};
    std::size_t size_ = 0;
  };

  // ---- receive, parse ----

  void receive(std::span<const Frame> frames, lb::PortIndex port, const lb::Snapshot& snapshot, Now now) noexcept {
    snapshot_ = &snapshot;
    now_ = now;
    port_ = port;
    received_ = frames.size();
    for (std::size_t i = 0; i < received_; ++i) {
      walk_[i].frame = frames[i];
      walk_[i].exit = Exit::kNone;
      walk_[i].is_fragment = false;
      walk_[i].port = port == kHandedOver ? Io::port(frames[i]) : port;
      walk_[i].data = Io::data(frames[i]);
      __builtin_prefetch(walk_[i].data);
    }
    if (port == kHandedOver)
      counters_.count(lb::Event::kTakenOver, received_);  // the worker that received them counted that
    else
      counters_.received.add(received_);
    steps_.begin(received_);
    steps_.lap(Step::kReceive);
  }

  void parse() noexcept {
    walking_.clear();
    for (std::size_t i = 0; i < received_; ++i)
      if (parse_one(walk_[i])) walking_.add(i);
    steps_.lap(Step::kParse);
  }

  // True: a TCP or UDP packet for us, to be matched.
  bool parse_one(Walk& w) noexcept {
    const std::span<const std::uint8_t> frame(w.data, Io::length(w.frame));
    if (const auto refusal = lb::parse_link(frame, w.link)) return drop(w, *refusal);
    w.in_id = snapshot_->interface_of(w.port, w.link.vlan);
    if (w.in_id == lb::InterfaceId::kNone) return drop(w, lb::DropReason::kVlanUnknown);
    w.in = &snapshot_->interfaces[index(w.in_id)];
    const bool is_group = w.link.destination.is_group();
    if (w.link.source.is_group() || (!is_group && w.link.destination != w.in->mac))
      return drop(w, lb::DropReason::kL2NotUs);

    if (w.link.type == lb::kEtherArp) return exit_by(w, Exit::kArp);
    if (w.link.type != lb::kEtherIpv4 && w.link.type != lb::kEtherIpv6)
      return w.in->has_twin ? exit_by(w, Exit::kUnknownType) : drop(w, lb::DropReason::kEthertype);
    if (const auto refusal = lb::parse_ip(frame, w.link, w.packet)) return exit_unbalanced(w, *refusal);
    tracer_.parsed(w.packet);
    w.vip_id = lb::VipId::kNone;
    w.endpoint_id = lb::EndpointId::kNone;
    if (w.packet.ttl == 0) return drop(w, lb::DropReason::kIpTtl);
    if (!w.packet.has_ports()) return exit_by(w, Exit::kIcmp);
    if (is_group) return exit_by(w, Exit::kGroup);
    w.key = {w.packet.destination, w.packet.protocol, w.packet.destination_port};
    return true;
  }

  // What parse refused a kernel may have use for: a fragment, a protocol that Weir does not balance. The rest is
  // malformed, and nobody's.
  bool exit_unbalanced(Walk& w, lb::DropReason refusal) noexcept {
    const bool is_known = refusal == lb::DropReason::kIpFrag || refusal == lb::DropReason::kProto;
    if (!is_known || !w.in->has_twin) return drop(w, refusal);
    w.is_fragment = refusal == lb::DropReason::kIpFrag;
    return exit_by(w, Exit::kUnbalanced);
  }

  // ---- match: VIP first (a backend may reach a VIP too), then endpoint ----

  void match_vip() noexcept {
    std::array<const lb::ServiceKey*, kBurst> keys;
    std::array<lb::VipId, kBurst> ids;
    const std::size_t n = walking_.size();
    for (std::size_t i = 0; i < n; ++i) keys[i] = &walk_[walking_[i]].key;
    tables_.find_vips({keys.data(), n}, {ids.data(), n});
    for (std::size_t i = 0; i < n; ++i) {
      Walk& w = walk_[walking_[i]];
      w.vip_id = vip(ids[i]) != nullptr ? ids[i] : lb::VipId::kNone;
      if (w.vip_id == lb::VipId::kNone && snapshot_->has_port_spans) w.vip_id = find_span(w);
      w.direction = lb::Direction::kForward;
    }
    steps_.lap(Step::kMatchVip);
  }

  lb::VipId find_span(const Walk& w) const noexcept {
    const lb::AddressEntry* entry = address(w.packet.destination);
    if (entry == nullptr) return lb::VipId::kNone;
    const lb::VipId id = entry->find_span(w.packet.protocol, w.packet.destination_port);
    return vip(id) != nullptr ? id : lb::VipId::kNone;
  }

  void match_endpoint() noexcept {
    std::array<const lb::ServiceKey*, kBurst> keys;
    std::array<lb::EndpointId, kBurst> ids;
    Places unmatched;
    for (const std::size_t place : walking_) {
      Walk& w = walk_[place];
      if (w.vip_id != lb::VipId::kNone) continue;
      w.key = {w.packet.source, w.packet.protocol, w.packet.source_port};
      keys[unmatched.size()] = &w.key;
      unmatched.add(place);
    }
    if (unmatched.size() > 0) {
      match_endpoints(unmatched, keys, ids);
      // Once more for those that take any port.
      Places rest;
      for (const std::size_t place : unmatched) {
        Walk& w = walk_[place];
        if (w.endpoint_id != lb::EndpointId::kNone) continue;
        w.key.port = {};
        keys[rest.size()] = &w.key;
        rest.add(place);
      }
      if (rest.size() > 0) match_endpoints(rest, keys, ids);
    }
    keep_matched();
    steps_.lap(Step::kMatchEndpoint);
  }

  void match_endpoints(const Places& places, std::array<const lb::ServiceKey*, kBurst>& keys,
                       std::array<lb::EndpointId, kBurst>& ids) noexcept {
    tables_.find_endpoints({keys.data(), places.size()}, {ids.data(), places.size()});
    for (std::size_t i = 0; i < places.size(); ++i) {
      Walk& w = walk_[places[i]];
      w.endpoint_id = endpoint(ids[i]) != nullptr ? ids[i] : lb::EndpointId::kNone;
      w.direction = lb::Direction::kReply;
    }
  }

  void keep_matched() noexcept {
    Places matched;
    for (const std::size_t place : walking_) {
      Walk& w = walk_[place];
      const bool is_forward = w.direction == lb::Direction::kForward;
      if (!is_forward && w.endpoint_id == lb::EndpointId::kNone) {
        exit_by(w, Exit::kNoMatch);
      } else if (w.packet.ttl == 1) {
        drop(w, lb::DropReason::kIpTtl);  // before anything is stored for it
      } else {
        if (is_forward)
          tracer_.matched_vip(w.vip_id);
        else
          tracer_.matched_endpoint(w.endpoint_id);
        matched.add(place);
      }
    }
    walking_ = matched;
  }

  // Neither to a VIP nor from an endpoint: for this box, for a VIP's closed port, or for nobody here.
  bool no_match(Walk& w) noexcept {
    if (lb::is_martian_destination(w.packet.destination)) return drop(w, lb::DropReason::kIpMartianDst);
    if (is_for_box(w)) return punt_own(w);
    const lb::AddressEntry* entry = address(w.packet.destination);
    if (entry == nullptr) return leave_transit(w, lb::DropReason::kNoVip);
    if (has_martian_source(w)) return drop(w, lb::DropReason::kIpMartianSrc);
    return refuse(w, lb::DropReason::kNoVip, entry->reject);
  }

  // ---- steer: a packet of another worker's flow goes there, as it came ----

  void steer() noexcept {
    is_owner_sure_ = steering_ == nullptr || port_ == kHandedOver;
    if (is_owner_sure_ || steering_->trust(port_) == Steering::Trust::kTrusted) return;
    Places mine;
    for (const std::size_t place : walking_)
      if (!steer_one(walk_[place])) mine.add(place);
    walking_ = mine;
    is_owner_sure_ = true;
    steps_.lap(Step::kSteer);
  }

  // True: gone to its owner.
  bool steer_one(Walk& w) noexcept {
    const std::uint32_t hash = owner_hash(w);
    if (steering_->trust(w.port) == Steering::Trust::kProving) prove(w, hash);
    const lb::WorkerIndex owner = steering_->owners().at(hash);
    if (owner == steering_->self()) return false;
    w.exit = Exit::kGone;
    io_.hand_over(w.frame, w.port, owner);
    return true;
  }

  void prove(const Walk& w, std::uint32_t hash) noexcept {
    if (!steering_->prove(w.port, Io::rss_hash(w.frame), hash)) counters_.count(lb::Event::kSteeringRefuted);
  }

  // Of the client's socket, whichever way the packet goes.
  std::uint32_t owner_hash(const Walk& w) const noexcept {
    const lb::Packet& p = w.packet;
    return w.direction == lb::Direction::kForward ? steering_->owners().hash(p.source, p.source_port)
                                                  : steering_->owners().hash(p.destination, p.destination_port);
  }

  // ---- find flow ----

  void find_flow() noexcept {
    for (std::size_t i = 0; i < walking_.size(); ++i) {
      const Walk& w = walk_[walking_[i]];
      const lb::Packet& p = w.packet;
      if (w.direction == lb::Direction::kForward) {
        const bool many_ports = !vip(w.vip_id)->is_single_port();
        queries_[i] = flows_.forward(p.source, p.source_port, w.vip_id, many_ports, p.destination_port);
      } else {
        const bool any_port = endpoint(w.endpoint_id)->port == lb::be16{};
        queries_[i] = flows_.reply(p.destination, p.destination_port, w.endpoint_id, any_port, p.source_port);
      }
    }
    flows_.find_bulk({queries_.data(), walking_.size()}, {refs_.data(), walking_.size()});
    edits_at_find_ = flows_.edits();
    steps_.lap(Step::kFindFlow);
  }

  // ---- admit: known flow, new flow, adopted flow, or none ----

  // True: go on with vip_id, endpoint_id, vip_port and next_hop set. The next hop is found before anything is stored or
  // counted, so that a packet which cannot leave keeps no flow alive. An earlier packet of the burst may have changed
  // the table; then what find_flow() found is asked for again.
  bool admit(Walk& w, std::size_t i) noexcept {
    FlowRef ref = flows_.edits() == edits_at_find_ ? refs_[i] : flows_.find(queries_[i]);
    // A trusted port brings packets to their owner, so the owner was not computed; but a miss is worth it.
    if (!ref && !is_owner_sure_ && steer_one(w)) return false;
    if (w.direction == lb::Direction::kForward) return admit_forward(w, drop_if_expired(ref));
    if (!ref) ref = find_by_sibling(w);
    return admit_reply(w, drop_if_expired(ref));
  }

  FlowRef drop_if_expired(FlowRef ref) noexcept {
    if (!ref || !flows_.is_expired(ref, now_.tick(), snapshot_->timeouts)) return ref;
    flows_.erase(ref);
    counters_.count(lb::Event::kFlowExpired);
    return {};
  }

  // A reply from (address, port) may belong to a flow of the endpoint (address, any port) on the same address.
  FlowRef find_by_sibling(Walk& w) noexcept {
    const lb::EndpointId sibling = endpoint(w.endpoint_id)->any_port_sibling;
    if (endpoint(sibling) == nullptr) return {};
    const lb::Packet& p = w.packet;
    const FlowRef ref = flows_.find(flows_.reply(p.destination, p.destination_port, sibling, true, p.source_port));
    if (ref) w.endpoint_id = sibling;
    return ref;
  }

  bool admit_forward(Walk& w, FlowRef ref) noexcept {
    const lb::VipEntry& v = *vip(w.vip_id);
    if (!ref) return open_flow(w, v);
    const Flow flow = flows_.read(ref);
    if (must_choose_anew(w, v, flow)) {
      flows_.erase(ref);
      return open_flow(w, v);
    }
    tracer_.found_flow(flow);
    w.endpoint_id = flow.endpoint;
    if (!find_next_hop(w)) return false;
    update(w, ref, flow.state);
    count_packet(w);
    return true;
  }

  bool must_choose_anew(const Walk& w, const lb::VipEntry& v, const Flow& flow) const noexcept {
    const lb::EndpointEntry* e = endpoint(flow.endpoint);
    if (e == nullptr) return true;
    const bool has_left = e->has_left && !v.set->contains(flow.endpoint);
    if (w.packet.protocol == lb::Protocol::kUdp) return has_left;  // UDP moves at once
    return is_syn(w.packet) && (flow.state.is_closing() || (has_left && !flow.state.is_confirmed()));
  }

  // A client's packet of no known flow.
  bool open_flow(Walk& w, const lb::VipEntry& v) noexcept {
    const lb::Packet& p = w.packet;
    // RFC 4291 2.5.6: no router forwards from a link-local source. (Such a client may still ping, and be refused.)
    if (has_martian_source(w) || p.source.is_link_local_v6()) return drop(w, lb::DropReason::kIpMartianSrc);
    if (is_syn_ack(p)) return drop(w, lb::DropReason::kNoFlow);
    w.endpoint_id = v.set->choose(selection_hash(p.source, p.source_port, v, p.destination_port));
    tracer_.chose(*v.set, w.endpoint_id);
    const lb::EndpointEntry* e = endpoint(w.endpoint_id);
    if (e == nullptr) return refuse(w, lb::DropReason::kNoBackend, v.reject);
    if (e->address == p.source) return drop(w, lb::DropReason::kHairpin);

    Flow flow;
    flow.client = p.source;
    flow.client_port = p.source_port;
    flow.vip = w.vip_id;
    flow.endpoint = w.endpoint_id;
    flow.port = v.is_single_port() ? endpoint_port(*e, p.destination_port).host() : p.destination_port.host();
    flow.state = lb::FlowState::opened(p.protocol == lb::Protocol::kUdp);
    flow.state = flow.state.after(w.direction, p.tcp_flags, p.payload_length);
    if (clashes(flow, *e, endpoint_port(*e, p.destination_port))) return drop(w, lb::DropReason::kTupleClash);
    if (!find_next_hop(w)) return false;
    const bool is_first = p.protocol == lb::Protocol::kUdp || is_syn(p);
    if (!is_rst(p)) store(flow, is_first ? lb::Event::kFlowNew : lb::Event::kFlowAdopted);  // a RST makes no flow
    count_packet(w);
    return true;
  }

  bool admit_reply(Walk& w, FlowRef ref) noexcept {
    if (!ref) return adopt_reply(w);
    const Flow flow = flows_.read(ref);
    const lb::VipEntry* v = vip(flow.vip);
    if (v == nullptr) return drop(w, lb::DropReason::kNoFlow);  // VIP removed; the scan frees the record
    tracer_.found_flow(flow);
    w.vip_id = flow.vip;
    w.vip_port = lb::be16::from_host(v->is_single_port() ? v->first_port : flow.port);
    if (!find_next_hop(w)) return false;
    update(w, ref, flow.state);
    count_packet(w);
    return true;
  }

  // An endpoint's packet of no known flow: after a restart or a fail-over, of a flow that lives on. Adopted where the
  // endpoint serves one VIP only and that VIP's hash names it for this client, so that the answer cannot be another.
  bool adopt_reply(Walk& w) noexcept {
    const lb::Packet& p = w.packet;
    if (is_for_box(w) || address(p.destination) != nullptr) return no_match(w);  // not for a client, but for us
    if (lb::is_martian_destination(p.destination)) return drop(w, lb::DropReason::kIpMartianDst);
    const lb::EndpointEntry& e = *endpoint(w.endpoint_id);
    const lb::VipEntry* v = vip(e.sole_vip);
    if (v == nullptr || (is_syn(p) && !is_syn_ack(p))) return drop(w, lb::DropReason::kNoFlow);
    // Only from where the endpoint is: nobody else's word opens a flow in its name.
    if (next_hops_.get(e.next_hop).interface() != w.in_id) return drop(w, lb::DropReason::kNoFlow);
    // The same packet could be of the endpoint that takes any port on this address, and of its VIP.
    if (endpoint(e.any_port_sibling) != nullptr) return drop(w, lb::DropReason::kNoFlow);
    // Which of many VIP ports a fixed endpoint port stands for, nobody can tell.
    if (!v->is_single_port() && e.port != lb::be16{}) return drop(w, lb::DropReason::kNoFlow);
    w.vip_id = e.sole_vip;
    w.vip_port = v->is_single_port() ? lb::be16::from_host(v->first_port) : p.source_port;
    if (w.vip_port.host() < v->first_port || w.vip_port.host() > v->last_port ||
        endpoint_port(e, w.vip_port) != p.source_port ||
        v->set->choose(selection_hash(p.destination, p.destination_port, *v, w.vip_port)) != w.endpoint_id)
      return drop(w, lb::DropReason::kNoFlow);
    // The client's flow at that VIP may be another endpoint's: the hash names who would get it today, not who has it.
    const FlowRef other =
        flows_.find(flows_.forward(p.destination, p.destination_port, w.vip_id, !v->is_single_port(), w.vip_port));
    if (drop_if_expired(other)) return drop(w, lb::DropReason::kNoFlow);
    // A SYN-ACK is never adopted. But while the table is crowded, its SYN may have gone by untracked or its flow have
    // given way to another, and then it too goes by hash alone.
    if (is_syn_ack(p) && !was_crowded_lately()) return drop(w, lb::DropReason::kNoFlow);

    if (!find_next_hop(w)) return false;
    if (!is_rst(p) && !is_syn_ack(p)) {
      Flow flow;
      flow.client = p.destination;
      flow.client_port = p.destination_port;
      flow.vip = w.vip_id;
      flow.endpoint = w.endpoint_id;
      flow.port = v->is_single_port() ? p.source_port.host() : w.vip_port.host();
      flow.state = lb::FlowState::opened(p.protocol == lb::Protocol::kUdp);
      flow.state = flow.state.after(w.direction, p.tcp_flags, p.payload_length);
      if (clashes(flow, e, p.source_port)) return drop(w, lb::DropReason::kTupleClash);
      store(flow, lb::Event::kFlowAdopted);
    }
    count_packet(w);
    return true;
  }

  void update(const Walk& w, FlowRef ref, lb::FlowState state) noexcept {
    const lb::FlowState next = state.after(w.direction, w.packet.tcp_flags, w.packet.payload_length);
    if (next.is_confirmed() && !state.is_confirmed()) counters_.count(lb::Event::kFlowConfirmed);
    flows_.touch(ref, next, now_.tick());
  }

  void store(const Flow& flow, lb::Event kind) noexcept {
    switch (flows_.insert(flow, now_.tick())) {
      case FlowTable::Inserted::kNoRoom:
        // Hash-scheduled, so every packet of it finds the same backend without a record.
        counters_.count(lb::Event::kUntracked);
        tracer_.untracked();
        crowded_until_ns_ = now_.ns + kCrowdedMemoryNs;
        return;
      case FlowTable::Inserted::kOverOld:
        counters_.count(lb::Event::kFlowOverwritten);
        crowded_until_ns_ = now_.ns + kCrowdedMemoryNs;  // what gave way may still get its SYN-ACK
        break;
      case FlowTable::Inserted::kNew: break;
    }
    counters_.count(kind);
    counters_.of(flow.vip).connections.add();
    counters_.of(flow.endpoint).connections.add();
  }

  // Is there a live flow of this client socket to the same address and port of an endpoint? Two flows that look
  // alike to the endpoint could not be told apart on the way back.
  bool clashes(const Flow& flow, const lb::EndpointEntry& e, lb::be16 port) noexcept {
    bool found = false;
    FlowRef stale;
    flows_.for_client(flow.client, flow.client_port, [&](FlowRef ref, const Flow& other) {
      const lb::EndpointEntry* o = endpoint(other.endpoint);
      if (o == nullptr || o->address != e.address || o->protocol != e.protocol) return;
      const lb::be16 other_port = o->port != lb::be16{} ? o->port : lb::be16::from_host(other.port);
      if (other_port != port) return;
      const bool is_over = vip(other.vip) == nullptr || flows_.is_expired(ref, now_.tick(), snapshot_->timeouts);
      if (is_over)
        stale = ref;
      else
        found = true;
    });
    if (!found && stale) flows_.erase(stale);  // by invariant 3 there is one at most
    return found;
  }

  // ---- next hop, rewrite, transmit ----

  bool find_next_hop(Walk& w) noexcept {
    const bool is_forward = w.direction == lb::Direction::kForward;
    const lb::NextHopId id = is_forward ? endpoint(w.endpoint_id)->next_hop : tables_.find_route(w.packet.destination);
    if (id == lb::NextHopId::kNone) return drop(w, lb::DropReason::kNoRoute);
    w.next_hop_id = id;
    w.next_hop = next_hops_.get(id);
    if (!has_interface(w.next_hop) || (!w.next_hop.is_resolved() && !can_hold(w)))
      return drop(w, lb::DropReason::kNeighUnresolved);
    if (w.packet.ip_length() > out_interface(w).mtu) return drop(w, lb::DropReason::kMtu);
    return true;
  }

  void rewrite(Walk& w) noexcept {
    steps_.lap(Step::kAdmit);  // of this packet and of those before it that were not admitted
    if (w.direction == lb::Direction::kForward) {
      const lb::EndpointEntry& e = *endpoint(w.endpoint_id);
      lb::translate<lb::Direction::kForward>(w.data, w.packet, e.address, endpoint_port(e, w.packet.destination_port));
    } else {
      lb::translate<lb::Direction::kReply>(w.data, w.packet, vip(w.vip_id)->address, w.vip_port);
    }
    steps_.lap(Step::kRewrite);
  }

  bool transmit(Walk& w) noexcept {
    if (!w.next_hop.is_resolved()) return hold(w);
    const lb::InterfaceEntry& out = out_interface(w);
    tracer_.forwarded(w.direction, w.vip_id, w.endpoint_id, w.next_hop);
    const std::uint16_t ether_type = w.packet.is_v4 ? lb::kEtherIpv4 : lb::kEtherIpv6;
    const bool sent = send(w, out, w.next_hop.mac(), ether_type, w.packet.ip_offset, w.packet.ip_length());
    steps_.lap(Step::kTransmit);
    return sent;
  }

  // Sends what lies from `offset` on, `length` bytes of it, behind a new Ethernet header. A trailer is cut off.
  bool send(Walk& w, const lb::InterfaceEntry& out, const lb::MacAddress& to, std::uint16_t ether_type, int offset,
            std::size_t length) noexcept {
    const std::uint16_t link = lb::link_length(out.vlan);
    std::uint8_t* start = Io::reshape(w.frame, offset - link, link + length);
    if (start == nullptr) return drop(w, lb::DropReason::kMtu);  // no room in front: an mbuf without headroom
    lb::write_link(start, to, out.mac, out.vlan, ether_type);
    io_.transmit(out.port, w.frame);
    return false;
  }

  // ---- side exits: all return false, for "this packet walks no further" ----

  bool exit_by(Walk& w, Exit exit) noexcept {
    w.exit = exit;
    return false;
  }

  void leave(Walk& w) noexcept {
    switch (w.exit) {
      case Exit::kArp: answer_arp(w); break;
      case Exit::kIcmp: answer_icmp(w); break;
      case Exit::kGroup: leave_group(w); break;
      case Exit::kUnbalanced: leave_unbalanced(w); break;
      case Exit::kUnknownType: punt(w, class_of_ethertype(w.link.type)); break;
      case Exit::kNoMatch: no_match(w); break;
      case Exit::kNone:
      case Exit::kGone: break;
    }
    steps_.lap(Step::kSideExit);
  }

  bool drop(Walk& w, lb::DropReason reason) noexcept {
    w.exit = Exit::kGone;
    tracer_.dropped(reason);
    counters_.drop(reason);
    io_.drop(w.frame, w.port, reason);
    return false;
  }

  bool answer_arp(Walk& w) noexcept {
    lb::Address target;
    const lb::ArpKind kind = lb::read_arp({w.data + w.link.length, Io::length(w.frame) - w.link.length}, target);
    if (kind == lb::ArpKind::kBad) return drop(w, lb::DropReason::kArpBad);
    heed(w, lb::read_arp_claim({w.data + w.link.length, Io::length(w.frame) - w.link.length}));
    if (kind != lb::ArpKind::kRequest || !answers_for(target, w)) return leave_arp(w, kind, target);
    if (!budget_->neighbors.take(now_.ns)) return drop(w, lb::DropReason::kRateLimit);
    lb::write_arp_reply(w.data + w.link.length, w.in->mac);
    return answered(w, lb::Event::kAnsweredArp, w.link.source, lb::kEtherArp, w.link.length, sizeof(lb::ArpPacket));
  }

  bool answer_icmp(Walk& w) noexcept {
    const lb::Packet& p = w.packet;
    const std::uint8_t type = w.data[p.l4_offset];
    if (!p.is_v4 && type == lb::kIcmp6NeighborSolicit) return answer_solicitation(w);
    if (!p.is_v4 && type == lb::kIcmp6NeighborAdvert)
      heed(w, lb::read_advertisement({w.data, Io::length(w.frame)}, p, w.link.source));
    if (w.link.destination.is_group()) return leave_group(w);
    if (w.in->has_twin && is_for_box(w)) return punt_own(w);
    if (is_icmp_error(p.is_v4, type)) return drop(w, lb::DropReason::kIcmpError);
    if (lb::is_martian_destination(p.destination)) return drop(w, lb::DropReason::kIpMartianDst);
    const lb::AddressEntry* entry = address(p.destination);
    if (entry == nullptr) return leave_transit(w, lb::DropReason::kNoVip);
    if (has_martian_source(w)) return drop(w, lb::DropReason::kIpMartianSrc);
    if (entry->own_on.empty() && !snapshot_->owns(*entry)) return drop(w, lb::DropReason::kIcmpIgnored);
    const std::uint8_t request = p.is_v4 ? lb::kIcmpEchoRequest : lb::kIcmp6EchoRequest;
    if (type != request || w.data[p.l4_offset + 1] != 0) return drop(w, lb::DropReason::kIcmpIgnored);
    if (!budget_->echoes.take(now_.ns)) return drop(w, lb::DropReason::kRateLimit);
    lb::write_echo_reply(w.data, p);
    return answered(w, lb::Event::kAnsweredEcho, w.link.source, w.link.type, p.ip_offset, p.ip_length());
  }

  // RFC 792: unreachable, source quench, time exceeded, parameter problem. RFC 4443 2.1: types below 128.
  static bool is_icmp_error(bool is_v4, std::uint8_t type) noexcept {
    return is_v4 ? type == 3 || type == 4 || type == 11 || type == 12 : type < 128;
  }

  bool answer_solicitation(Walk& w) noexcept {
    const auto solicitation = lb::read_solicitation({w.data, Io::length(w.frame)}, w.packet);
    if (!solicitation) return drop(w, lb::DropReason::kIcmpBad);
    if (!solicitation->is_dad && has_martian_source(w)) return drop(w, lb::DropReason::kIpMartianSrc);
    if (!answers_for(solicitation->target, w)) return leave_solicitation(w, solicitation->target);
    if (!budget_->neighbors.take(now_.ns)) return drop(w, lb::DropReason::kRateLimit);
    // Make room first: the advertisement carries an option that the solicitation may lack.
    const std::uint16_t ip_offset = w.packet.ip_offset;
    w.data = Io::reshape(w.frame, 0, ip_offset + lb::kAdvertisementLength);
    if (w.data == nullptr) return drop(w, lb::DropReason::kIcmpBad);
    lb::write_advertisement(w.data + ip_offset, *solicitation, w.packet.source, w.in->mac);
    return answered(w, lb::Event::kAnsweredNd, solicitation->is_dad ? lb::kAllNodesMac : w.link.source, lb::kEtherIpv6,
                    ip_offset, lb::kAdvertisementLength);
  }

  // ARP and ND: VIPs where they are announced, and an interface's own address on that interface, unless it has a twin
  // and with it the kernel, which answers for its own.
  bool answers_for(const lb::Address& target, const Walk& w) const noexcept {
    const lb::AddressEntry* entry = address(target);
    if (entry == nullptr) return false;
    return snapshot_->announces(*entry, w.in_id) || (entry->is_own_on(w.in_id) && !w.in->has_twin);
  }

  // Two hosts that announce one VIP take its packets from each other. Seen here, told by control.
  void heed(const Walk& w, const std::optional<lb::Claim>& claim) noexcept {
    if (!claim) return;
    const lb::AddressEntry* entry = address(claim->address);
    if (entry == nullptr || !snapshot_->announces(*entry, w.in_id) || is_own(claim->mac)) return;
    counters_.count(lb::Event::kVipConflict);
    io_.claimed({claim->address, w.in_id, claim->mac});
  }
  bool is_own(const lb::MacAddress& mac) const noexcept {
    return std::ranges::any_of(snapshot_->interfaces, [&](const lb::InterfaceEntry& i) { return i.mac == mac; });
  }

  // The request's own frame goes back: received and sent, nothing generated.
  bool answered(Walk& w, lb::Event event, const lb::MacAddress& to, std::uint16_t ether_type, int offset,
                std::size_t length) noexcept {
    tracer_.answered(event);
    counters_.count(event);
    return send(w, *w.in, to, ether_type, offset, length);
  }

  // The packet dies by `reason`; an answer saying so is made in its frame, if policy and rate allow. Never in answer
  // to a RST.
  bool refuse(Walk& w, lb::DropReason reason, lb::Reject how) noexcept {
    const lb::Packet& p = w.packet;
    if (w.vip_id != lb::VipId::kNone) counters_.of(w.vip_id).refused.add();
    const bool is_tcp = p.protocol == lb::Protocol::kTcp;
    const bool by_rst = is_tcp && how == lb::Reject::kRst;
    const bool is_silent = how == lb::Reject::kDrop || (is_tcp && is_rst(p)) ||
                           !(by_rst ? budget_->resets : budget_->unreachables).take(now_.ns);
    if (is_silent) {
      counters_.count(lb::Event::kRefusedSilently);
      tracer_.refused(reason, w.vip_id, lb::Event::kRefusedSilently);
      counters_.drop(reason);
      io_.drop(w.frame, w.port, reason);
      return false;
    }
    return by_rst ? refuse_with_rst(w, reason) : refuse_with_unreachable(w, reason);
  }

  bool refuse_with_rst(Walk& w, lb::DropReason reason) noexcept {
    count_refusal(w, reason, lb::Event::kRefusedRst, Io::length(w.frame));
    lb::write_rst(w.data, w.packet);
    return send(w, *w.in, w.link.source, w.link.type, w.packet.ip_offset, lb::rst_length(w.packet.is_v4));
  }

  bool refuse_with_unreachable(Walk& w, lb::DropReason reason) noexcept {
    const lb::Packet& p = w.packet;
    const auto overhead = static_cast<int>(lb::unreachable_overhead(p.is_v4));
    const std::size_t length = lb::unreachable_length(p, w.in->mtu);
    const std::size_t received = Io::length(w.frame);
    std::uint8_t* start = Io::reshape(w.frame, -overhead, p.ip_offset + length);
    if (start == nullptr) return drop(w, reason);
    count_refusal(w, reason, lb::Event::kRefusedIcmp, received);
    lb::write_port_unreachable(start + p.ip_offset, p, length);
    return send(w, *w.in, w.link.source, w.link.type, p.ip_offset, length);
  }

  // The frame, `length` bytes, still lies as it was received.
  void count_refusal(const Walk& w, lb::DropReason reason, lb::Event how, std::size_t length) noexcept {
    tracer_.refused(reason, w.vip_id, how);
    counters_.drop(reason);
    io_.refused({w.data, length}, w.port, reason);
    counters_.count(how);
    counters_.generated.add();
  }

  // ---- punt: what is for this box itself goes to the kernel, where the interface has a twin ----

  // A fragment, or a protocol that Weir does not balance, on an interface with a twin.
  bool leave_unbalanced(Walk& w) noexcept {
    const lb::DropReason refusal = w.is_fragment ? lb::DropReason::kIpFrag : lb::DropReason::kProto;
    if (w.packet.ttl == 0) return drop(w, lb::DropReason::kIpTtl);
    if (w.link.destination.is_group()) return leave_group(w, refusal);
    if (is_for_box(w)) return punt_own(w);
    // A fragment may be of a flow's packet, and nothing of a NAT service ever leaves untranslated.
    if (w.is_fragment || address(w.packet.destination) != nullptr) return drop(w, refusal);
    return leave_transit(w, refusal);
  }

  // An IP packet in a group frame: for the link's routers and hosts, or a broadcast of the interface's subnets.
  bool leave_group(Walk& w) noexcept {
    const bool ip_too = lb::is_martian_destination(w.packet.destination);
    return leave_group(w, ip_too ? lb::DropReason::kIpMartianDst : lb::DropReason::kL2NotUs);
  }
  bool leave_group(Walk& w, lb::DropReason otherwise) noexcept {
    if (!w.in->has_twin || !is_to_all_here(w)) return drop(w, otherwise);
    if (!w.packet.source.is_unspecified() && has_martian_source(w)) return drop(w, lb::DropReason::kIpMartianSrc);
    return punt(w, class_of_own(w.packet, headers_of(w), w.is_fragment));
  }
  bool is_to_all_here(const Walk& w) const noexcept {
    const lb::Address& to = w.packet.destination;
    return is_link_group(to) || is_broadcast(to, w.in->broadcasts);
  }

  // To an address of this box: of any interface, or a link-local one, which the kernel makes for itself.
  bool is_for_box(const Walk& w) const noexcept {
    const lb::Address& to = w.packet.destination;
    if (w.in->has_twin && to.is_link_local_v6()) return true;
    const lb::AddressEntry* entry = address(to);
    return entry != nullptr && !entry->is_vip;
  }
  bool punt_own(Walk& w) noexcept {
    if (has_martian_source(w)) return drop(w, lb::DropReason::kIpMartianSrc);
    if (!w.in->has_twin) return drop(w, lb::DropReason::kNoTwin);
    const auto punt_class = class_of_own(w.packet, headers_of(w), w.is_fragment);
    const bool is_known = punt_class == lb::PuntClass::kBgpNew && sessions_ != nullptr && sessions_->has(w.packet);
    return punt(w, is_known ? lb::PuntClass::kBgp : punt_class);
  }

  // Unicast to nobody here. The kernel routes it, or not, as it is told to.
  bool leave_transit(Walk& w, lb::DropReason otherwise) noexcept {
    if (!w.in->has_twin || !snapshot_->transit_to_kernel) return drop(w, otherwise);
    if (lb::is_martian_destination(w.packet.destination)) return drop(w, lb::DropReason::kIpMartianDst);
    if (has_martian_source(w)) return drop(w, lb::DropReason::kIpMartianSrc);
    return punt(w, lb::PuntClass::kTransit);
  }

  // Requests for its own addresses, the answers it asked for, and announcements by which it corrects what it knows.
  bool leave_arp(Walk& w, lb::ArpKind kind, const lb::Address& target) noexcept {
    if (!w.in->has_twin) return drop(w, lb::DropReason::kArpIgnored);
    if (kind == lb::ArpKind::kRequest)
      return is_own(target) ? punt(w, lb::PuntClass::kSolicit) : drop(w, lb::DropReason::kArpIgnored);
    const auto& arp = *reinterpret_cast<const lb::ArpPacket*>(w.data + w.link.length);
    const auto punt_class = class_of_arp(arp, !w.link.destination.is_group());
    return punt_class ? punt(w, *punt_class) : drop(w, lb::DropReason::kArpIgnored);
  }
  bool leave_solicitation(Walk& w, const lb::Address& target) noexcept {
    const bool is_kernels = w.in->has_twin && (target.is_link_local_v6() || is_own(target));
    return is_kernels ? punt(w, lb::PuntClass::kSolicit) : drop(w, lb::DropReason::kIcmpIgnored);
  }
  bool is_own(const lb::Address& a) const noexcept {
    const lb::AddressEntry* entry = address(a);
    return entry != nullptr && !entry->own_on.empty();
  }

  // Without its VLAN tag: the twin stands behind the interface, not behind the port.
  bool punt(Walk& w, lb::PuntClass punt_class) noexcept {
    if (!punt_buckets_.take(punt_class, now_.ns)) return drop(w, over_limit(punt_class));
    if (const int tag = w.link.length - static_cast<int>(sizeof(lb::EthernetHeader)); tag > 0) {
      std::memmove(w.data + tag, w.data, kMacs);
      w.data = Io::reshape(w.frame, tag, Io::length(w.frame) - static_cast<std::size_t>(tag));
    }
    if (!io_.punt(w.in_id, punt_class, w.frame)) return drop(w, lb::DropReason::kTwinFull);
    w.exit = Exit::kGone;
    tracer_.punted(punt_class);
    counters_.punted.add();
    counters_.count(punted_event(punt_class));
    return false;
  }

  static std::span<const std::uint8_t> headers_of(const Walk& w) noexcept { return {w.data, w.packet.frame_length}; }

  // ---- held: what waits for a neighbour that the kernel is asked for ----

  // Whether a packet to this next hop may wait. Asks for the next hop, held or not (who is not will come again), unless
  // one that waits has asked already.
  bool can_hold(const Walk& w) noexcept {
    if (!out_interface(w).has_twin) return false;
    const lb::Address& destination = destination_of(w);
    if (!held_.has(w.next_hop_id, destination) && wants_.take(now_.ns))
      io_.want({w.next_hop_id, w.next_hop.interface(), destination});
    return held_.has_room(w.next_hop_id, destination);
  }
  const lb::Address& destination_of(const Walk& w) const noexcept {
    return w.direction == lb::Direction::kForward ? endpoint(w.endpoint_id)->address : w.packet.destination;
  }

  bool hold(Walk& w) noexcept {
    const bool is_forward = w.direction == lb::Direction::kForward;
    held_.add({.frame = w.frame,
               .next_hop = w.next_hop_id,
               .endpoint = is_forward ? w.endpoint_id : lb::EndpointId::kNone,
               .destination = destination_of(w),
               .until_ns = now_.ns + HeldFrames<Frame>::kPatienceNs,
               .port = w.port,
               .ip_offset = w.packet.ip_offset,
               .ip_length = w.packet.ip_length(),
               .is_v4 = w.packet.is_v4});
    counters_.held.add();
    tracer_.forwarded(w.direction, w.vip_id, w.endpoint_id, w.next_hop);
    w.exit = Exit::kGone;
    return false;
  }

  // True: it waits on.
  bool tend(const Held& h) noexcept {
    const lb::NextHopWord hop = next_hops_.get(next_hop_of(h));
    const bool can_go = hop.is_resolved() && has_interface(hop);
    if (!can_go && now_.ns < h.until_ns) return true;
    counters_.held.subtract();
    if (can_go)
      send_held(h, hop);
    else
      drop_held(h, lb::DropReason::kNeighUnresolved);
    return false;
  }

  // As of now: the answer may be a route by another next hop than the one that the packet waited for.
  lb::NextHopId next_hop_of(const Held& h) const noexcept {
    const lb::EndpointEntry* to = endpoint(h.endpoint);
    const lb::NextHopId now = to != nullptr ? to->next_hop : tables_.find_route(h.destination);
    return now != lb::NextHopId::kNone ? now : h.next_hop;
  }

  void send_held(const Held& h, lb::NextHopWord hop) noexcept {
    const lb::InterfaceEntry& out = snapshot_->interfaces[index(hop.interface())];
    if (h.ip_length > out.mtu) return drop_held(h, lb::DropReason::kMtu);  // another interface than it was held for
    const std::uint16_t link = lb::link_length(out.vlan);
    std::uint8_t* start = Io::reshape(h.frame, h.ip_offset - link, std::size_t{link} + h.ip_length);
    if (start == nullptr) return drop_held(h, lb::DropReason::kMtu);  // as in send()
    lb::write_link(start, hop.mac(), out.mac, out.vlan, h.is_v4 ? lb::kEtherIpv4 : lb::kEtherIpv6);
    counters_.count(lb::Event::kHeldSent);
    io_.transmit(out.port, h.frame);
  }

  void drop_held(const Held& h, lb::DropReason reason) noexcept {
    counters_.drop(reason);
    io_.drop(h.frame, h.port, reason);
  }

  // ---- frames that were not received: the kernel's, and those that control makes ----

  void note_session(std::span<const std::uint8_t> frame) noexcept {
    lb::Link link;
    lb::Packet p;
    if (lb::parse_link(frame, link) || (link.type != lb::kEtherIpv4 && link.type != lb::kEtherIpv6)) return;
    if (!lb::parse_ip(frame, link, p) && is_bgp(p)) sessions_->sent(p);
  }

  // Sent as they are, but for the VLAN tag.
  void send_own(lb::InterfaceId id, std::span<const std::uint8_t> bytes) noexcept {
    const bool is_known = index(id) < snapshot_->interfaces.size() && !snapshot_->interfaces[index(id)].name.empty();
    if (!is_known || bytes.size() < sizeof(lb::EthernetHeader)) return counters_.drop(lb::DropReason::kInjectBad);
    const lb::InterfaceEntry& out = snapshot_->interfaces[index(id)];
    if (bytes.size() > out.mtu + sizeof(lb::EthernetHeader)) return drop_own(bytes, out, lb::DropReason::kInjectBad);
    const std::size_t tag = lb::link_length(out.vlan) - sizeof(lb::EthernetHeader);
    Frame frame = io_.make(bytes.size() + tag);
    if (frame == nullptr) return drop_own(bytes, out, lb::DropReason::kMbufAlloc);
    std::uint8_t* to = Io::data(frame);
    std::memcpy(to, bytes.data(), kMacs);
    if (tag > 0) {
      const lb::VlanTag between{lb::be16::from_host(lb::kEtherVlan), lb::be16::from_host(out.vlan)};
      std::memcpy(to + kMacs, &between, sizeof between);  // in front of the type that the frame brings
    }
    std::memcpy(to + kMacs + tag, bytes.data() + kMacs, bytes.size() - kMacs);
    io_.transmit(out.port, frame);
  }

  void drop_own(std::span<const std::uint8_t> bytes, const lb::InterfaceEntry& out, lb::DropReason reason) noexcept {
    counters_.drop(reason);
    io_.refused(bytes, out.port, reason);
  }

  // ---- small questions ----

  // A source that cannot be, or that is us: a VIP, an own address (LAND).
  bool has_martian_source(const Walk& w) const noexcept {
    return lb::is_martian_source(w.packet.source) || address(w.packet.source) != nullptr;
  }
  static bool is_syn(const lb::Packet& p) noexcept {
    return p.protocol == lb::Protocol::kTcp && (p.tcp_flags & (lb::kTcpSyn | lb::kTcpAck)) == lb::kTcpSyn;
  }
  static bool is_syn_ack(const lb::Packet& p) noexcept {
    constexpr std::uint8_t kBoth = lb::kTcpSyn | lb::kTcpAck;
    return p.protocol == lb::Protocol::kTcp && (p.tcp_flags & kBoth) == kBoth;
  }
  static bool is_rst(const lb::Packet& p) noexcept {
    return p.protocol == lb::Protocol::kTcp && (p.tcp_flags & lb::kTcpRst) != 0;
  }
  static lb::be16 endpoint_port(const lb::EndpointEntry& e, lb::be16 vip_port) noexcept {
    return e.port != lb::be16{} ? e.port : vip_port;
  }
  std::uint64_t selection_hash(const lb::Address& client, lb::be16 client_port, const lb::VipEntry& v,
                               lb::be16 vip_port) const noexcept {
    return lb::selection_hash(snapshot_->selection_key, v.protocol, client, client_port, v.address, vip_port);
  }
  bool was_crowded_lately() const noexcept { return now_.ns < crowded_until_ns_; }

  // Ids that the tables answered, as this snapshot knows them; null for a miss. Entry 0 is never live.
  static const lb::VipEntry* vip(const lb::Snapshot& s, lb::VipId id) noexcept {
    if (index(id) >= s.vips.size()) return nullptr;
    const lb::VipEntry& v = s.vips[index(id)];
    return v.is_live() ? &v : nullptr;
  }
  const lb::VipEntry* vip(lb::VipId id) const noexcept { return vip(*snapshot_, id); }
  const lb::EndpointEntry* endpoint(lb::EndpointId id) const noexcept {
    if (index(id) >= snapshot_->endpoints.size()) return nullptr;
    const lb::EndpointEntry& e = snapshot_->endpoints[index(id)];
    return e.is_live ? &e : nullptr;
  }
  const lb::AddressEntry* address(const lb::Address& a) const noexcept {
    const lb::AddressId id = tables_.find_address(a);
    if (index(id) >= snapshot_->addresses.size()) return nullptr;
    const lb::AddressEntry& entry = snapshot_->addresses[index(id)];
    return entry.is_live() ? &entry : nullptr;
  }
  // Routes and next hops are edited in place, ahead of the snapshot or behind it: theirs may be an interface that this
  // snapshot does not have.
  bool has_interface(lb::NextHopWord hop) const noexcept {
    const std::size_t i = index(hop.interface());
    return i < snapshot_->interfaces.size() && !snapshot_->interfaces[i].name.empty();
  }
  const lb::InterfaceEntry& out_interface(const Walk& w) const noexcept {
    return snapshot_->interfaces[index(w.next_hop.interface())];
  }

  void count_packet(const Walk& w) noexcept {
    EndpointCounters& c = counters_.of(w.endpoint_id);
    const bool is_forward = w.direction == lb::Direction::kForward;
    (is_forward ? c.packets_in : c.packets_out).add();
    (is_forward ? c.bytes_in : c.bytes_out).add(w.packet.ip_length());
  }

  static constexpr std::uint64_t kCrowdedMemoryNs = 60'000'000'000;  // as long as a SYN may wait for its answer
  static constexpr std::size_t kMacs = sizeof(lb::EthernetHeader) - sizeof(lb::be16);  // in front of the type
  static constexpr std::uint64_t kTendPeriodNs = 100'000;  // a look at each held frame takes about 20 ns
  static constexpr std::uint64_t kWantsPerSecond = 1000;   // next hops asked for

  const Tables& tables_;
  Io& io_;
  FlowTable& flows_;
  WorkerCounters& counters_;
  const lb::NextHops& next_hops_;
  [[no_unique_address]] Tracer tracer_;
  Steering* steering_;  // null: one worker
  StepClock steps_;

  AnswerBudget own_budget_;
  AnswerBudget* budget_ = &own_budget_;
  PuntBuckets punt_buckets_;
  SpokenSessions* sessions_ = nullptr;
  lb::TokenBucket wants_{kWantsPerSecond, kWantsPerSecond};
  HeldFrames<Frame> held_;
  std::uint64_t tended_ns_ = 0;
  std::uint64_t crowded_until_ns_ = 0;

  // This burst's.
  const lb::Snapshot* snapshot_ = nullptr;
  Now now_;
  lb::PortIndex port_{};
  std::size_t received_ = 0;
  std::uint64_t edits_at_find_ = 0;
  bool is_owner_sure_ = true;  // that every packet still walking is of this worker's flows
  Places walking_;
  std::array<Walk, kBurst> walk_;
  std::array<FlowQuery, kBurst> queries_;
  std::array<FlowRef, kBurst> refs_;
};

}  // namespace weir::dataplane
