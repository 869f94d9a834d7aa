#include "control/reloader.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <chrono>
#include <memory>
#include <utility>

#include "control/notify.h"

namespace weir::control {

namespace {

constexpr std::chrono::seconds kCollectPeriod{1};

// What only a restart can change. A reload that touches it is refused as a whole.
std::vector<std::string> changes_that_need_restart(const config::Model& now, const config::Model& next) {
  std::vector<std::string> keys;
  const auto differs = [&](bool d, const char* key) {
    if (d) keys.emplace_back(key);
  };
  differs(now.workers != next.workers || now.worker_cores != next.worker_cores, "workers");
  differs(!(now.memory == next.memory), "memory");
  differs(!(now.control == next.control), "control");
  differs(now.conntrack.capacity != next.conntrack.capacity, "conntrack.capacity");
  differs(now.conntrack.wide_capacity != next.conntrack.wide_capacity, "conntrack.wide_capacity");
  differs(!std::ranges::equal(now.ports, next.ports,
                              [](const config::Port& a, const config::Port& b) {
                                return a.name == b.name && a.device == b.device && a.queues == b.queues;
                              }),
          "ports");
  return keys;
}

}  // namespace

Reloader::Reloader(boost::asio::io_context& io, DataPlane& data_plane, Publisher& publisher, Compiler compiler,
                   config::Loaded loaded)
    : io_(io),
      collect_timer_(io),
      data_plane_(data_plane),
      publisher_(publisher),
      compiler_(std::move(compiler)),
      running_(std::move(loaded)) {
  schedule_collect();
}

Reloader::~Reloader() { compile_thread_.join(); }

void Reloader::reload(std::function<void(const ReloadOutcome&)> done) {
  waiting_.push_back(std::move(done));
  if (!is_busy_) begin();
}

void Reloader::begin() {
  is_busy_ = true;
  asked_ = std::exchange(waiting_, {});
  notify_reloading();
  boost::asio::post(compile_thread_, [this, file = running_.model.file,
                                      generation = publisher_.current().snapshot->generation + 1] {
    load_and_compile(file, generation);
  });
}

// On the compile thread. Reads running_, which control leaves alone while is_busy_.
void Reloader::load_and_compile(std::string file, std::uint64_t generation) {
  auto loaded = config::load_file(file);
  if (!loaded) {
    std::vector<std::string> messages;
    for (const config::Diagnostic& e : loaded.error().errors) messages.push_back(config::format(file, e));
    boost::asio::post(io_, [this, messages = std::move(messages)]() mutable { refuse(std::move(messages)); });
    return;
  }
  loaded->model.control.socket = running_.model.control.socket;  // may have been given on the command line
  if (loaded->text == running_.text) {
    boost::asio::post(io_, [this, warnings = warnings_of(*loaded)]() mutable {
      finish({.generation = publisher_.current().snapshot->generation, .messages = std::move(warnings)});
      become_idle();
    });
    return;
  }
  if (const auto keys = changes_that_need_restart(running_.model, loaded->model); !keys.empty()) {
    std::vector<std::string> messages;
    for (const std::string& key : keys)
      messages.push_back(fmt::format("{}: `{}` differs from what runs; restart weir to change it, or put it back", file,
                                     key));
    boost::asio::post(io_, [this, messages = std::move(messages)]() mutable { refuse(std::move(messages)); });
    return;
  }
  auto compiled = compiler_.compile(loaded->model, generation);
  if (!compiled) {
    boost::asio::post(io_, [this, message = fmt::format("{}: {}", file, compiled.error().message)]() mutable {
      refuse({std::move(message)});
    });
    return;
  }
  // std::function wants copyable; these are large values.
  auto both = std::make_shared<std::pair<config::Loaded, Compiled>>(std::move(*loaded), std::move(*compiled));
  boost::asio::post(io_, [this, both] { publish(std::move(both->first), std::move(both->second)); });
}

void Reloader::publish(config::Loaded loaded, Compiled compiled) {
  const std::uint64_t generation = compiled.snapshot->generation;
  auto next = std::make_shared<config::Loaded>(std::move(loaded));
  publisher_.publish(
      std::move(compiled),
      [this, next, generation](lb::Result<void> result) {
        if (!result) {
          report_refusal({fmt::format("{}: {}", running_.model.file, result.error().message)});
          return;
        }
        running_ = std::move(*next);
        spdlog::info("reloaded {}: generation {}, {} services", running_.model.file, generation,
                     running_.model.services.size());
        finish({.is_changed = true, .generation = generation, .messages = warnings_of(running_)});
      },
      [this] { become_idle(); });
}

void Reloader::refuse(std::vector<std::string> messages) {
  report_refusal(std::move(messages));
  become_idle();
}

void Reloader::report_refusal(std::vector<std::string> messages) {
  spdlog::error("reload refused, {} problem(s), generation {} goes on; the first: {}", messages.size(),
                publisher_.current().snapshot->generation, messages.front());
  finish({.is_refused = true,
          .generation = publisher_.current().snapshot->generation,
          .messages = std::move(messages)});
}

void Reloader::finish(const ReloadOutcome& outcome) {
  notify_ready(fmt::format("generation {}, {} services", outcome.generation, running_.model.services.size()));
  for (const auto& done : std::exchange(asked_, {})) done(outcome);
}

void Reloader::become_idle() {
  is_busy_ = false;
  if (!waiting_.empty()) begin();
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

// Of removed endpoints whose flows have ended, ids are freed, and the same model compiles to smaller tables.
void Reloader::collect() {
  if (compiler_.retired_count() == 0) return;  // nobody else has the compiler now
  is_busy_ = true;
  boost::asio::post(compile_thread_, [this, generation = publisher_.current().snapshot->generation] {
    const bool is_smaller = compiler_.collect({[this](lb::VipId id) { return data_plane_.flows_of(id); },
                                               [this](lb::EndpointId id) { return data_plane_.flows_of(id); }});
    std::shared_ptr<Compiled> shared;
    if (is_smaller)
      if (auto compiled = compiler_.compile(running_.model, generation))
        shared = std::make_shared<Compiled>(std::move(*compiled));
    boost::asio::post(io_, [this, shared] {
      if (shared == nullptr) {
        become_idle();
        return;
      }
      publisher_.publish(std::move(*shared), [](const lb::Result<void>&) {}, [this] { become_idle(); });
    });
  });
}

std::vector<std::string> Reloader::warnings_of(const config::Loaded& loaded) const {
  std::vector<std::string> out;
  for (const config::Diagnostic& w : loaded.warnings) out.push_back(config::format_warning(loaded.model.file, w));
  return out;
}

}  // namespace weir::control
