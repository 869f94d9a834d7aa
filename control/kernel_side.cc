#include "control/kernel_side.h"

#include <fmt/format.h>
#include <net/if.h>

#include <algorithm>

#include "control/log.h"

namespace weir::control {

namespace {

constexpr std::chrono::milliseconds kNeighborsEvery{50};
constexpr std::chrono::milliseconds kNetworkEvery{100};
constexpr std::chrono::milliseconds kTick{5};  // a first packet waits for this, and for the neighbour's answer
constexpr std::chrono::seconds kAskAgain{1};
constexpr std::chrono::seconds kKeepAgain{5};  // as the kernel does it itself
constexpr std::size_t kKeepAtOnce = 64;        // requests of about 10 us
constexpr std::chrono::seconds kRoomLogEvery{60};
constexpr std::size_t kAskedMost = 10'000;

// The writer must leave these alone: asked to resolve one, the kernel forgets that it was told.
bool is_told(const KernelNeighbor* n) {
  return n != nullptr && (n->state == NeighborState::kPermanent || n->state == NeighborState::kNoArp);
}

}  // namespace

KernelSide::KernelSide(boost::asio::io_context& io, DataPlane& data_plane, Publisher& publisher, Reloader& reloader)
    : io_(io),
      data_plane_(data_plane),
      publisher_(publisher),
      reloader_(reloader),
      neighbors_timer_(io),
      network_timer_(io),
      tick_timer_(io) {
  publisher_.ask_for_words([this](const NextHopKey& key) { return word_of(key); });
  reloader_.listen({.on_published = [this] { on_published(); },
                    .on_neighbor_routes = [this](const NeighborRoutes& r) { on_neighbor_routes(r); }});
}

lb::Result<void> KernelSide::start() {
  if (auto done = follow_twins(); !done) return done;
  on_published();
  return {};
}

// One line a second: what the kernel refuses for one backend it refuses for all.
void KernelSide::log_error(const lb::Result<void>& done) {
  if (done || Clock::now() - logged_ < std::chrono::seconds(1)) return;
  logged_ = Clock::now();
  log_event("kernel", LogLevel::kWarning, "kernel: " + done.error().message);
}

// ---- which twins there are ----

lb::Result<void> KernelSide::follow_twins() {
  std::map<LinkIndex, std::string> twins;
  for (const config::Interface& i : reloader_.running()->model.interfaces) {
    const unsigned index = i.twin ? if_nametoindex(i.name.c_str()) : 0;
    if (index != 0) twins[LinkIndex(index)] = i.name;
  }
  if (twins.empty() && mirror_ == nullptr) return {};
  if (!writer_) {
    auto writer = KernelWriter::open();
    if (!writer) return std::unexpected(writer.error());
    writer_.emplace(std::move(*writer));
    tick();
  }
  const bool is_other = twins != twins_ || mirror_ == nullptr;  // the latter: it could not be opened the last time
  give_addresses(twins);
  twins_ = std::move(twins);
  if (!is_other) return {};
  if (mirror_ != nullptr) return mirror_->follow_others(twins_), lb::Result<void>();
  auto mirror = KernelMirror::open(io_, twins_);
  if (!mirror) return std::unexpected(mirror.error());
  mirror_ = std::move(*mirror);
  mirror_->follow(
      {.on_neighbor = [this](const KernelNeighbor& n) { on_neighbor(n); }, .on_network = [this] { on_network(); }});
  on_network();
  return {};
}

void KernelSide::give_addresses(const std::map<LinkIndex, std::string>& twins) {
  std::set<std::pair<LinkIndex, lb::Prefix>> wanted;
  for (const auto& [link, name] : twins) {
    const auto& all = reloader_.running()->model.interfaces;
    const auto interface = std::ranges::find(all, name, &config::Interface::name);
    for (const lb::Prefix& own : interface->addresses) wanted.emplace(link, own);
    if (!twins_.contains(link)) log_error(writer_->set_up(link));
  }
  for (const auto& [link, own] : given_)
    if (twins.contains(link) && !wanted.contains({link, own})) log_error(writer_->remove_address(link, own));
  for (const auto& [link, own] : wanted)
    if (!given_.contains({link, own})) log_error(writer_->add_address(link, own));
  given_ = std::move(wanted);
}

// The kernel flushes IPv6 addresses of a link that goes down, and leaves it to others to give them again.
void KernelSide::give_again() {
  for (const auto& [index, link] : mirror_->state().links()) {
    const bool was_up = std::exchange(was_up_[index], link.is_up);
    if (!link.is_up || was_up) continue;
    for (const auto& [of, own] : given_)
      if (of == index && std::ranges::count(mirror_->state().addresses(), KernelAddress{of, own}) == 0)
        log_error(writer_->add_address(of, own));
  }
}

// ---- towards the workers ----

void KernelSide::on_published() {
  if (auto done = follow_twins(); !done) log_event("kernel", LogLevel::kError, "kernel: " + done.error().message);
  if (mirror_ == nullptr) return;
  const auto compiled = publisher_.current();
  index_ = compiled->next_hop_index;
  beside_.clear();
  const auto before = std::exchange(ids_, {});
  const auto& interfaces = compiled->snapshot->interfaces;
  for (const auto& [link, name] : twins_)
    for (std::size_t id = 1; id < interfaces.size(); ++id)
      if (interfaces[id].name == name) ids_[link] = lb::InterfaceId(static_cast<std::uint16_t>(id));
  // Words that changed between the reading of the tables and now.
  for (const auto& [key, id] : compiled->new_followed) write_word(key);
  for (const NextHopKey& key : compiled->kept) keep(key);
  for (const NextHopKey& key : compiled->released)
    if (const auto link = link_of(key.interface); link && !is_told(mirror_->state().neighbor(*link, key.address)))
      log_error(writer_->forget(*link, key.address));
  if (compiled->routes_left_out > 0)
    log_event("kernel", LogLevel::kWarning,
              fmt::format("kernel: {} routes are more than the workers' tables hold and stay with the kernel",
                          compiled->routes_left_out));
  warn_of_room(compiled->neighbors_left_out);
  if (ids_ == before) return;
  for (const auto& [key, n] : mirror_->state().neighbors()) on_neighbor(n);
  if (index_ != nullptr)
    for (const auto& [key, info] : index_->by_key)
      if (info.is_kept) keep(key);
}

void KernelSide::on_neighbor(const KernelNeighbor& n) {
  const auto id = ids_.find(n.link);
  if (id == ids_.end()) return;  // on_published() will come for it
  const NextHopKey key{id->second, n.address};
  write_word(key);
  if (n.is_usable()) {
    tell_of(key, true);
  } else if (n.state == NeighborState::kNone) {
    tell_of(key, false);
    const NextHopInfo* info = index_ == nullptr ? nullptr : index_->find(key);
    if (info != nullptr && info->is_kept) keep(key);
  }
}

lb::NextHopId KernelSide::id_of(const NextHopKey& key) const {
  if (const auto it = beside_.find(key); it != beside_.end() && it->second != lb::NextHopId::kNone) return it->second;
  const NextHopInfo* info = index_ == nullptr ? nullptr : index_->find(key);
  if (info == nullptr || !info->is_followed) return lb::NextHopId::kNone;
  return info->is_kept || !beside_.contains(key) ? info->id : lb::NextHopId::kNone;
}

lb::NextHopWord KernelSide::word_of(const NextHopKey& key) const {
  const auto link = link_of(key.interface);
  const KernelNeighbor* n = link && mirror_ != nullptr ? mirror_->state().neighbor(*link, key.address) : nullptr;
  return n != nullptr && n->is_usable() ? lb::NextHopWord(key.interface, n->mac)
                                        : lb::NextHopWord::unresolved(key.interface);
}

void KernelSide::write_word(const NextHopKey& key) {
  if (const lb::NextHopId id = id_of(key); id != lb::NextHopId::kNone) data_plane_.next_hops().set(id, word_of(key));
}

// A neighbour that has its host route already changes by its word alone.
void KernelSide::tell_of(const NextHopKey& key, bool is_there) {
  neighbors_to_send_.emplace_back(key, is_there);
  if (std::exchange(are_neighbors_due_, true)) return;
  neighbors_timer_.expires_at(std::max(neighbors_sent_ + kNeighborsEvery, Clock::now()));
  neighbors_timer_.async_wait([this](const boost::system::error_code& error) {
    if (!error) send_neighbors();
  });
}

void KernelSide::send_neighbors() {
  are_neighbors_due_ = false;
  neighbors_sent_ = Clock::now();
  reloader_.change_neighbors(std::exchange(neighbors_to_send_, {}));
}

void KernelSide::warn_of_room(std::size_t left_out) {
  if (left_out == 0 || Clock::now() - room_logged_ < kRoomLogEvery) return;
  room_logged_ = Clock::now();
  log_event("kernel", LogLevel::kWarning,
            fmt::format("kernel: {} neighbors are more than the workers' tables hold and are reached by way of the "
                        "kernel",
                        left_out));
}

void KernelSide::on_neighbor_routes(const NeighborRoutes& routes) {
  warn_of_room(routes.left_out);
  for (const NextHopKey& key : routes.removed) beside_[key] = lb::NextHopId::kNone;
  for (const auto& [key, id] : routes.added) {
    beside_[key] = id;
    write_word(key);  // it may have changed on the way
  }
}

void KernelSide::on_network() {
  give_again();
  if (std::exchange(is_network_due_, true)) return;
  network_timer_.expires_at(std::max(network_sent_ + kNetworkEvery, Clock::now() + std::chrono::milliseconds(1)));
  network_timer_.async_wait([this](const boost::system::error_code& error) {
    if (!error) send_network();
  });
}

void KernelSide::send_network() {
  is_network_due_ = false;
  network_sent_ = Clock::now();
  auto now = std::make_shared<KernelNetwork>(mirror_->state().network());
  now->neighbors.clear();  // they go other ways
  reloader_.change([&](Overlay& o) { o.kernel = std::move(now); }, Reloader::Generation::kSame);
}

// ---- towards the kernel ----

std::optional<LinkIndex> KernelSide::link_of(lb::InterfaceId id) const {
  const auto it = std::ranges::find(ids_, id, &std::pair<const LinkIndex, lb::InterfaceId>::second);
  return it == ids_.end() ? std::nullopt : std::optional(it->first);
}

void KernelSide::keep(const NextHopKey& key) {
  to_keep_.push_back(key);
}

void KernelSide::tick() {
  data_plane_.take_wanted([this](const dataplane::Wanted& w) { take_wanted(w); });
  keep_some();
  tick_timer_.expires_after(kTick);
  tick_timer_.async_wait([this](const boost::system::error_code& error) {
    if (!error) tick();
  });
}

void KernelSide::take_wanted(const dataplane::Wanted& w) {
  if (mirror_ == nullptr) return;
  NextHopKey key{w.interface, w.destination};
  if (index_ != nullptr)
    if (const auto it = index_->by_id.find(static_cast<std::uint32_t>(w.next_hop)); it != index_->by_id.end())
      key = it->second;
  const auto link = link_of(key.interface);
  if (!link || key.address.is_unspecified()) return;
  const KernelNeighbor* n = mirror_->state().neighbor(*link, key.address);
  if (is_told(n) || (n != nullptr && n->is_usable())) return;
  const auto now = Clock::now();
  if (asked_.size() >= kAskedMost) asked_.clear();
  if (const auto [it, is_new] = asked_.try_emplace(key, now); !is_new) {
    if (now - it->second < kAskAgain) return;
    it->second = now;
  }
  const auto ns = std::chrono::duration_cast<std::chrono::nanoseconds>(now.time_since_epoch()).count();
  if (resolve_bucket_.take(static_cast<std::uint64_t>(ns))) log_error(writer_->resolve(*link, key.address));
}

void KernelSide::keep_some() {
  if (mirror_ == nullptr) return;
  const auto now = Clock::now();
  if (!writer_->kernel_keeps() && index_ != nullptr && to_keep_.empty() && now - kept_again_ > kKeepAgain) {
    kept_again_ = now;
    for (const auto& [key, info] : index_->by_key)
      if (info.is_kept) keep(key);
  }
  for (std::size_t n = 0; n < kKeepAtOnce && !to_keep_.empty(); ++n) {
    const NextHopKey key = to_keep_.front();
    to_keep_.pop_front();
    const NextHopInfo* info = index_ == nullptr ? nullptr : index_->find(key);
    const auto link = link_of(key.interface);
    if (info == nullptr || !info->is_kept || !link) continue;  // left again meanwhile
    if (!is_told(mirror_->state().neighbor(*link, key.address))) log_error(writer_->keep_resolved(*link, key.address));
  }
}

// ---- for those who ask ----

KernelNetwork KernelSide::network() const {
  return mirror_ == nullptr ? KernelNetwork{} : mirror_->state().network();
}

KernelWays KernelSide::ways() const {
  KernelWays ways;
  if (mirror_ == nullptr) return ways;
  for (const auto& [key, n] : mirror_->state().neighbors()) {
    const auto interface = ids_.find(n.link);
    if (interface == ids_.end() || !n.is_usable()) continue;
    const lb::NextHopId id = id_of({interface->second, n.address});
    if (id != lb::NextHopId::kNone) ways.words.emplace_back(id, lb::NextHopWord(interface->second, n.mac));
  }
  for (const auto& [key, id] : beside_)
    if (id != lb::NextHopId::kNone) ways.routes.emplace_back(lb::Prefix{key.address, host_length(key.address)}, id);
  return ways;
}

}  // namespace weir::control
