#include "control/reloader.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <chrono>
#include <iterator>
#include <utility>

#include "config/diff.h"
#include "control/log.h"
#include "control/notify.h"
#include "control/plural.h"

namespace weir::control {

namespace {

constexpr std::chrono::seconds kCollectPeriod{1};

std::vector<std::string> warnings_of(const config::Loaded& loaded) {
  std::vector<std::string> out;
  for (const config::Diagnostic& w : loaded.warnings) out.push_back(config::format_warning(loaded.model.file, w));
  return out;
}

}  // namespace

Reloader::Reloader(boost::asio::io_context& io, DataPlane& data_plane, Publisher& publisher, Compiler compiler,
                   std::shared_ptr<const config::Loaded> loaded, Overlay overlay, bool keeps_socket)
    : io_(io),
      collect_timer_(io),
      data_plane_(data_plane),
      publisher_(publisher),
      compiler_(std::move(compiler)),
      keeps_socket_(keeps_socket),
      running_(std::move(loaded)),
      overlay_(std::make_shared<const Overlay>(std::move(overlay))),
      wanted_(overlay_) {
  schedule_collect();
}

Reloader::~Reloader() {
  compile_thread_.join();
}

template <class Work>
void Reloader::on_compile_thread(Work work) {
  boost::asio::post(compile_thread_, std::move(work));
}

template <class Work>
void Reloader::on_control(Work work) {
  boost::asio::post(io_, std::move(work));
}

// ---- what is asked for ----

void Reloader::reload(Done done) {
  waiting_reloads_.push_back(std::move(done));
  begin();
}

void Reloader::change(const std::function<void(Overlay&)>& edit, Generation generation, Done done) {
  auto next = std::make_shared<Overlay>(*wanted_);
  edit(*next);
  wanted_ = std::move(next);
  if (done) waiting_changes_.push_back(std::move(done));
  is_change_wanted_ = true;
  is_next_generation_ |= generation == Generation::kNext;
  begin();
}

void Reloader::begin() {
  if (is_busy_) return;
  if (!waiting_neighbors_.empty()) return begin_neighbors();
  if (is_change_wanted_) return begin_change();
  if (!waiting_reloads_.empty()) begin_reload();
}

void Reloader::begin_change() {
  is_busy_ = true;
  is_reload_ = false;
  asked_ = std::exchange(waiting_changes_, {});
  is_change_wanted_ = false;
  tried_ = wanted_;
  is_tried_next_ = std::exchange(is_next_generation_, false);
  const std::uint64_t generation = publisher_.generation() + (is_tried_next_ ? 1 : 0);
  on_compile_thread([this, next = Sources{running_, wanted_}, generation] { compile(next, generation); });
}

void Reloader::begin_reload() {
  is_busy_ = true;
  is_reload_ = true;
  asked_ = std::exchange(waiting_reloads_, {});
  tried_ = wanted_;
  is_tried_next_ = std::exchange(is_next_generation_, false);  // of a refused change that this one brings along
  notify_reloading();
  on_compile_thread(
      [this, now = Sources{running_, wanted_}, next = publisher_.generation() + 1] { load_and_compile(now, next); });
}

// ---- on the compile thread ----

void Reloader::load_and_compile(const Sources& now, std::uint64_t generation) {
  const std::shared_ptr<const config::Loaded>& running = now.loaded;
  const auto refuse_with = [this](std::vector<std::string> messages) {
    on_control([this, messages = std::move(messages)]() mutable { refuse(std::move(messages)); });
  };
  const std::string& file = running->model.file;
  auto loaded = config::load_file(file);
  std::vector<std::string> problems;
  if (!loaded) {
    for (const config::Diagnostic& e : loaded.error().errors) problems.push_back(config::format(file, e));
    return refuse_with(std::move(problems));
  }
  if (keeps_socket_) loaded->model.control.socket = running->model.control.socket;
  if (loaded->text == running->text) {
    return on_control([this, warnings = warnings_of(*loaded)] {
      is_next_generation_ |= is_tried_next_;
      finish({.generation = publisher_.generation(), .messages = warnings});
      become_idle();
    });
  }
  for (const std::string& key : config::changes_that_need_restart(running->model, loaded->model))
    problems.push_back(
        fmt::format("{}: `{}` differs from what runs; restart weir to change it, or put it back", file, key));
  if (!problems.empty()) return refuse_with(std::move(problems));

  compile({std::make_shared<const config::Loaded>(std::move(*loaded)), now.overlay}, generation);
}

void Reloader::compile(const Sources& next, std::uint64_t generation) {
  auto compiled = compiler_.prepare(next.loaded->model, *next.overlay, generation);
  if (!compiled) {
    return on_control([this, message = fmt::format("{}: {}", next.loaded->model.file, compiled.error().message)] {
      refuse({message});
    });
  }
  on_control([this, next, made = std::make_shared<const Compiled>(std::move(*compiled))] { publish(next, made); });
}

// ---- back on the control thread ----

void Reloader::publish(const Sources& next, const std::shared_ptr<const Compiled>& compiled) {
  auto before = Sources{running_, overlay_};
  const auto on_workers = [this] {
    const config::Model& m = running_->model;
    if (is_reload_) {
      log_event("reload", LogLevel::kInfo,
                fmt::format("reloaded {}: generation {}, {}", m.file, publisher_.generation(),
                            plural(m.services.size(), "service")),
                {{"generation", publisher_.generation()}, {"services", m.services.size()}});
    }
    finish({.is_changed = true, .generation = publisher_.generation(), .messages = warnings_of(*running_)});
  };
  // The compiler goes on from here, and what is no longer used is dropped there.
  const auto on_idle = [this, before](std::shared_ptr<const Compiled> old) mutable {
    on_compile_thread([this, before = std::exchange(before, {}), old = std::move(old)]() mutable {
      compiler_.accept();
      before = {};
      old.reset();
      on_control([this] { become_idle(); });
    });
  };
  const auto on_published = [this, next] {
    running_ = next.loaded, overlay_ = next.overlay;
    if (listener_.on_published) listener_.on_published();
  };
  const auto on_refused = [this, file = next.loaded->model.file](const std::string& why) {
    on_compile_thread([this, message = fmt::format("{}: {}", file, why)] {
      compiler_.reject();
      on_control([this, message] { refuse({message}); });
    });
  };
  publisher_.publish(
      compiled, {.on_published = on_published, .on_workers = on_workers, .on_idle = on_idle, .on_refused = on_refused});
}

// A kernel network that does not fit must not stand in the way of drains, reloads and the withdrawal: what runs of it
// stays, and what else was asked for is tried again with that. True if so.
bool Reloader::gives_up_kernel(const std::vector<std::string>& messages) {
  if (is_reload_ || tried_->kernel == overlay_->kernel) return false;
  log_event(
      "kernel", LogLevel::kError,
      fmt::format("the kernel's network is refused and what ran before goes on; its next change is tried again: {}",
                  fmt::join(messages, "; ")));
  if (wanted_->kernel == tried_->kernel) {  // else a newer one waits already
    auto next = std::make_shared<Overlay>(*wanted_);
    next->kernel = overlay_->kernel;
    wanted_ = std::move(next);
  }
  is_change_wanted_ |=
      !asked_.empty() || wanted_->drains != overlay_->drains || wanted_->is_withdrawn != overlay_->is_withdrawn;
  waiting_changes_.insert(waiting_changes_.begin(), asked_.begin(), asked_.end());
  asked_.clear();
  return true;
}

void Reloader::refuse(std::vector<std::string> messages) {
  is_next_generation_ |= is_tried_next_;
  if (gives_up_kernel(messages)) return become_idle();
  if (is_reload_) {
    log_event("reload", LogLevel::kError,
              fmt::format("reload refused: {}, generation {} goes on", plural(messages.size(), "problem"),
                          publisher_.generation()),
              {{"generation", publisher_.generation()}, {"problems", messages.size()}});
  } else {
    log_event("change", LogLevel::kError,
              fmt::format("a change beside the file is refused and stays wanted: {}", fmt::join(messages, "; ")));
  }
  finish({.is_refused = true, .generation = publisher_.generation(), .messages = std::move(messages)});
  become_idle();
}

void Reloader::finish(const ReloadOutcome& outcome) {
  if (is_reload_) {
    counts_.add(outcome.is_refused   ? ReloadResult::kRefused
                : outcome.is_changed ? ReloadResult::kApplied
                                     : ReloadResult::kUnchanged,
                std::chrono::system_clock::now());
    notify_ready(
        fmt::format("generation {}, {}", outcome.generation, plural(running_->model.services.size(), "service")));
  }
  for (const auto& done : std::exchange(asked_, {})) done(outcome);
}

void Reloader::become_idle() {
  is_busy_ = false;
  begin();
}

// ---- collecting ----

void Reloader::schedule_collect() {
  collect_timer_.expires_after(kCollectPeriod);
  collect_timer_.async_wait([this](const boost::system::error_code& error) {
    if (error) return;
    if (!is_busy_) collect();
    schedule_collect();
  });
}

// Of removed VIPs and endpoints whose flows have ended, ids are freed, and the same model compiles to smaller tables.
void Reloader::collect() {
  if (compiler_.retired_count() == 0) return;  // nobody else has the compiler now
  is_busy_ = true;
  on_compile_thread([this, now = Sources{running_, overlay_}, baselines = *baselines_,
                     generation = publisher_.generation()]() mutable {
    Compiler::Freed freed;
    const bool is_smaller = compiler_.collect({[this](lb::VipId id) { return data_plane_.flows_of(id); },
                                               [this](lb::EndpointId id) { return data_plane_.flows_of(id); }},
                                              &freed);
    baselines.set(data_plane_, freed.vips, freed.endpoints);
    std::shared_ptr<const Compiled> smaller;
    if (is_smaller)
      if (auto compiled = compiler_.prepare(now.loaded->model, *now.overlay, generation))
        smaller = std::make_shared<const Compiled>(std::move(*compiled));
    on_control(
        [this, smaller, next = std::make_shared<const Baselines>(std::move(baselines))] { collected(smaller, next); });
  });
}

void Reloader::collected(const std::shared_ptr<const Compiled>& smaller,
                         const std::shared_ptr<const Baselines>& baselines) {
  baselines_ = baselines;
  if (smaller == nullptr) return become_idle();
  const auto on_published = [this] {
    if (listener_.on_published) listener_.on_published();
  };
  const auto on_idle = [this](std::shared_ptr<const Compiled> old) {
    on_compile_thread([this, old = std::move(old)]() mutable {
      compiler_.accept();
      old.reset();
      on_control([this] { become_idle(); });
    });
  };
  const auto on_refused = [this](const std::string&) {
    on_compile_thread([this] {  // fewer entries always fit; but were they not to, the next round tries again
      compiler_.reject();
      on_control([this] { become_idle(); });
    });
  };
  publisher_.publish(smaller,
                     {.on_published = on_published, .on_workers = [] {}, .on_idle = on_idle, .on_refused = on_refused});
}

// ---- neighbours, the short way ----

void Reloader::change_neighbors(std::vector<std::pair<NextHopKey, bool>> is_there) {
  std::ranges::move(is_there, std::back_inserter(waiting_neighbors_));
  begin();
}

void Reloader::begin_neighbors() {
  is_busy_ = true;
  on_compile_thread([this, is_there = std::exchange(waiting_neighbors_, {})] {
    auto routes = std::make_shared<const NeighborRoutes>(compiler_.prepare_neighbors(is_there));
    on_control([this, routes] { publish_neighbors(routes); });
  });
}

void Reloader::publish_neighbors(const std::shared_ptr<const NeighborRoutes>& routes) {
  const auto on_workers = [this, routes] {
    if (listener_.on_neighbor_routes) listener_.on_neighbor_routes(*routes);
  };
  const auto on_idle = [this](const std::shared_ptr<const Compiled>&) {
    on_compile_thread([this] {
      compiler_.accept_neighbors();
      on_control([this] { become_idle(); });
    });
  };
  const auto on_refused = [this](const std::string& why) {
    log_event("kernel", LogLevel::kWarning,
              fmt::format("neighbors of the kernel's find no room and go by way of it: {}", why));
    on_compile_thread([this] {
      compiler_.reject();
      on_control([this] { become_idle(); });
    });
  };
  publisher_.publish_neighbors(
      routes, {.on_published = [] {}, .on_workers = on_workers, .on_idle = on_idle, .on_refused = on_refused});
}

}  // namespace weir::control
