#include "control/daemon.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <csignal>
#include <ctime>
#include <filesystem>
#include <memory>
#include <optional>
#include <vector>

#include "config/load.h"
#include "control/announcer.h"
#include "control/api.h"
#include "control/compile.h"
#include "control/data_plane.h"
#include "control/drains.h"
#include "control/exit_code.h"
#include "control/heartbeat.h"
#include "control/http_server.h"
#include "control/instance_lock.h"
#include "control/kernel_side.h"
#include "control/log.h"
#include "control/notify.h"
#include "control/plural.h"
#include "control/privileges.h"
#include "control/publisher.h"
#include "control/reloader.h"
#include "control/stopping.h"
#include "control/version.h"

namespace weir::control {

namespace {

// One clear sentence, and the exit code that goes with it.
int stop_with(int exit_code, const std::string& sentence) {
  spdlog::error("{}", sentence);
  return exit_code;
}

void refuse_file(const std::string& file, const config::Refused& refused) {
  for (const config::Diagnostic& e : refused.errors) fmt::print(stderr, "{}\n", config::format(file, e));
  for (const config::Diagnostic& w : refused.warnings) fmt::print(stderr, "{}\n", config::format_warning(file, w));
}

std::vector<std::string> devices_of(const config::Model& m) {
  std::vector<std::string> devices;
  for (const config::Port& p : m.ports) devices.push_back(p.device);
  return devices;
}

// Whom to become, and that it will find its directories. None: stay as the start was.
lb::Result<std::optional<User>> prepare_user(const RunOptions& options, const config::Model& m) {
  if (options.user.empty()) return std::nullopt;
  auto user = find_user(options.user);
  if (!user) return std::unexpected(user.error());
  if (auto ok = check_can_become(*user); !ok) return std::unexpected(ok.error());
  if (geteuid() != 0) return *user;
  for (const std::string& directory :
       {std::filesystem::path(m.control.socket).parent_path().string(), m.control.state_dir})
    if (auto given = give_directory(directory, *user); !given) return std::unexpected(given.error());
  return *user;
}

// What this process is from here on. A reload reads the file again, as whoever we are now.
void log_privileges(const std::string& file) {
  const Privileges p = held_privileges();
  spdlog::info("user {}, group {}, capabilities: {}", p.user, p.group,
               p.capabilities.empty() ? "none" : fmt::format("{}", fmt::join(p.capabilities, " ")));
  if (::faccessat(AT_FDCWD, file.c_str(), R_OK, AT_EACCESS) != 0)
    spdlog::warn("user {0} cannot read {1}: reloads will be refused; chgrp {2} it and give the group r", p.user, file,
                 p.group);
}

// "worker on core 3", "2 workers on cores 3 and 2"; with fewer cores than workers none is pinned.
std::string where_workers_run(const DataPlane& data_plane) {
  std::vector<int> cores;
  for (const auto& worker : data_plane.workers()) cores.push_back(worker->options().core);
  if (cores.size() == 1) return fmt::format("worker on core {}", cores.front());
  if (cores.front() < 0) return fmt::format("{} workers on fewer cores", cores.size());
  return fmt::format("{} workers on cores {}", cores.size(), fmt::join(cores, ", "));
}

// What operators drained before the last stop.
std::vector<Drain> kept_drains(const config::Model& m) {
  auto kept = load_drains(m.control.state_dir, std::time(nullptr));
  if (!kept.problem.empty()) spdlog::error("{}", kept.problem);
  if (!kept.drains.empty())
    spdlog::info("{} drained by command; `weir show drains` lists them", plural(kept.drains.size(), "backend"));
  return std::move(kept.drains);
}

// A number for each worker that grows with every loop.
std::vector<std::uint64_t> loops_of(const DataPlane& data_plane) {
  std::vector<std::uint64_t> loops;
  for (const auto& worker : data_plane.workers()) loops.push_back(worker->load().total_ns.get());
  return loops;
}

// Workers read what the publisher owns, so they end before it does, whichever way run_daemon() is left.
struct WorkersEnd {
  DataPlane& data_plane;
  ~WorkersEnd() { data_plane.stop(); }
};

void watch_signals(boost::asio::signal_set& signals, Reloader& reloader, Stopping& stopping) {
  signals.async_wait([&](const boost::system::error_code& error, int signal) {
    if (error) return;
    if (signal == SIGHUP) {
      reloader.reload([](const ReloadOutcome& outcome) {
        for (const std::string& m : outcome.messages)
          log_event("configuration", outcome.is_refused ? LogLevel::kError : LogLevel::kWarning, m);
      });
    } else {
      stopping.ask(signal == SIGTERM ? "SIGTERM" : "SIGINT");
    }
    watch_signals(signals, reloader, stopping);
  });
}

}  // namespace

int run_daemon(const RunOptions& options) {
  set_up_log(options.log_format, options.log_level);

  // The file, before anything is touched.
  auto loaded = config::load_file(options.config_file);
  if (!loaded) {
    refuse_file(options.config_file, loaded.error());
    return kExitRefused;
  }
  if (options.socket) loaded->model.control.socket = *options.socket;
  for (const config::Diagnostic& w : loaded->warnings) spdlog::warn("{}", config::format(options.config_file, w));

  // From here on signals wait until the loop runs, so that a Ctrl-C during the start also ends in order.
  boost::asio::io_context io;
  boost::asio::signal_set signals(io, SIGHUP, SIGTERM, SIGINT);

  // The environment: privileges, locks, devices, memory.
  const Needs needs = needs_of(devices_of(loaded->model));
  const auto user = prepare_user(options, loaded->model);
  if (!user) return stop_with(kExitEnvironment, user.error().message);
  if (auto done = limit_privileges(needs); !done) return stop_with(kExitEnvironment, done.error().message);
  const auto lock = InstanceLock::acquire(devices_of(loaded->model));
  if (!lock) return stop_with(kExitEnvironment, lock.error().message);
  auto data_plane = DataPlane::open(loaded->model);
  if (!data_plane) return stop_with(kExitEnvironment, data_plane.error().message);

  // The first generation.
  Compiler compiler((*data_plane)->port_macs());
  const dataplane::RteTables& tables = (*data_plane)->tables();
  compiler.set_table_room(tables.route_capacity4(), tables.route_capacity6());
  Overlay overlay{.drains = kept_drains(loaded->model)};
  auto compiled = compiler.compile(loaded->model, 1, overlay);
  if (!compiled) return stop_with(kExitRefused, options.config_file + ": " + compiled.error().message);
  Publisher publisher(io, **data_plane);
  if (auto done = publisher.publish_first(std::make_shared<const Compiled>(std::move(*compiled))); !done)
    return stop_with(kExitEnvironment, done.error().message);
  const WorkersEnd workers_end{**data_plane};
  if (auto started = (*data_plane)->start_ports(); !started)
    return stop_with(kExitEnvironment, started.error().message);

  // All that takes privileges is open, and there is no thread of ours but this one.
  if (*user)
    if (auto done = become(**user, needs); !done) return stop_with(kExitEnvironment, done.error().message);
  log_privileges(options.config_file);
  dataplane::Eal::log_to(log_stream());
  (*data_plane)->start_workers();

  // What listens, now that the workers forward.
  const std::string socket = loaded->model.control.socket;
  const std::string services = plural(loaded->model.services.size(), "service");
  Reloader reloader(io, **data_plane, publisher, std::move(compiler),
                    std::make_shared<const config::Loaded>(std::move(*loaded)), std::move(overlay),
                    options.socket.has_value());
  KernelSide kernel(io, **data_plane, publisher, reloader);
  if (auto done = kernel.start(); !done) return stop_with(kExitEnvironment, done.error().message);
  Api api(io, **data_plane, publisher, reloader, kernel);
  auto server = HttpServer::listen(
      io, socket, [&](const Request& request, const Responder& respond) { api.handle(request, respond); });
  if (!server) return stop_with(kExitEnvironment, server.error().message);
  std::unique_ptr<HttpServer> metrics_server;
  if (const auto& at = reloader.running()->model.control.metrics) {
    auto listening = HttpServer::listen(
        io, *at, [&](const Request& request, const Responder& respond) { api.handle_metrics(request, respond); });
    if (!listening) return stop_with(kExitEnvironment, listening.error().message);
    metrics_server = std::move(*listening);
  }
  const Announcer announcer(io, **data_plane, publisher, reloader);
  Stopping stopping(io, reloader);
  watch_signals(signals, reloader, stopping);
  Heartbeat heartbeat(io, [&] { return loops_of(**data_plane); });
  spdlog::info("weir {} forwards: {}, {}, {}, {}; control socket {}", version(), services,
               plural((*data_plane)->ports().size(), "port"), where_workers_run(**data_plane),
               (*data_plane)->uses_huge_pages() ? "huge pages" : "no huge pages", socket);
  notify_ready(fmt::format("generation 1, {}", services));
  io.run();

  if (metrics_server) metrics_server->stop();
  (*server)->stop();
  spdlog::info("stopped");
  return kExitDone;
}

}  // namespace weir::control
