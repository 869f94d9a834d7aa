#include "control/api.h"

#include <fmt/format.h>
#include <unistd.h>

#include <boost/asio/post.hpp>
#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <memory>
#include <optional>
#include <utility>

#include "config/scalar.h"
#include "control/endpoint.h"
#include "control/filters.h"
#include "control/json_text.h"
#include "control/log.h"
#include "control/metrics.h"
#include "control/plural.h"
#include "control/privileges.h"
#include "control/table.h"
#include "control/version.h"

namespace weir::control {

namespace {

namespace json = boost::json;

constexpr std::chrono::milliseconds kPollWorkers{1};

Response ok(const json::object& body) {
  return {.status = 200, .body = json::serialize(body)};
}
Response refusal(unsigned status, std::string_view sentence) {
  return {.status = status, .body = error_json(sentence)};
}
Response view(const lb::Result<json::object>& body) {
  return body ? ok(*body) : refusal(404, body.error().message);
}

// What `weir trace` asks, out of the query; docs/api.md.
lb::Result<TraceRequest> trace_request(const Query& query) {
  TraceRequest r;
  const auto text = [&](const char* key) {
    const auto it = query.find(key);
    return it == query.end() ? std::string() : it->second;
  };
  const std::string protocol = text("protocol");
  if (protocol != "tcp" && protocol != "udp") return lb::fail("protocol must be tcp or udp");
  r.protocol = protocol == "udp" ? lb::Protocol::kUdp : lb::Protocol::kTcp;
  const auto source = parse_endpoint(text("source"));
  const auto destination = parse_endpoint(text("destination"));
  if (!source || !destination)
    return lb::fail("source and destination must be addresses with ports, as 192.0.2.7:40000 or [2001:db8::7]:40000");
  if (source->address.is_v4() != destination->address.is_v4())
    return lb::fail("source and destination must be of one family");
  r.source = *source;
  r.destination = *destination;
  r.mid_stream = text("mid_stream") == "1";
  if (r.mid_stream && r.protocol != lb::Protocol::kTcp)
    return lb::fail("mid_stream is about tcp; leave it out for udp");
  r.interface = text("interface");
  return r;
}

// The record, if a worker has one, that this packet would hit: as client to the VIP, or as endpoint to the client.
std::optional<dataplane::Flow> flow_for(const TraceRequest& r, const lb::Snapshot& s,
                                        const std::vector<std::unique_ptr<dataplane::FlowRequest>>& answers) {
  for (const auto& answer : answers) {
    for (const auto& [flow, expires] : answer->rows) {
      const bool is_client = flow.client == r.source.address && flow.client_port.host() == r.source.port;
      if (is_client && lb::index(flow.vip) < s.vips.size()) {
        const lb::VipEntry& v = s.vips[lb::index(flow.vip)];
        const std::uint16_t port = v.is_single_port() ? v.first_port : flow.port;
        if (v.is_live() && v.protocol == r.protocol && v.address == r.destination.address && port == r.destination.port)
          return flow;
      }
      if (!is_client && lb::index(flow.endpoint) < s.endpoints.size()) {
        const lb::EndpointEntry& e = s.endpoints[lb::index(flow.endpoint)];
        const std::uint16_t port = e.port != lb::be16{} ? e.port.host() : flow.port;
        if (e.protocol == r.protocol && e.address == r.source.address && port == r.source.port) return flow;
      }
    }
  }
  return std::nullopt;
}

/// The worker that a query asks alone; an error if there is none of that number.
lb::Result<std::optional<std::size_t>> worker_of(const Query& query, const DataPlane& data_plane) {
  const auto it = query.find("worker");
  if (it == query.end()) return std::nullopt;
  const auto n = config::parse_decimal(it->second);
  if (n && *n < data_plane.workers().size()) return *n;
  return lb::fail(fmt::format("there is no worker {}; `weir show workers` lists them", it->second));
}

}  // namespace

void Api::handle(const Request& request, const Responder& respond) {
  if (const auto ok = check_query(request.path, request.query, request.method); !ok)
    return respond(refusal(400, ok.error().message));
  if (request.path == "/v1/reload") {
    if (request.method != "POST") return respond(refusal(405, "a reload is asked for by POST"));
    return reload(respond);
  }
  if (request.path == "/v1/drain" || request.path == "/v1/enable") {
    if (request.method != "POST") return respond(refusal(405, "a backend is drained or enabled by POST"));
    return edit_drains(request, respond);
  }
  if (request.path == "/v1/flows" && request.method == "DELETE") return flush_flows(request, respond);
  if (request.path == "/v1/capture") {
    if (request.method != "GET" && request.method != "POST")
      return respond(refusal(405, "a capture is asked for by GET, or with a filter by POST"));
    return capture(request, respond);
  }
  if (request.method != "GET") return respond(refusal(405, fmt::format("{} is read by GET", request.path)));
  get(request, respond);
}

void Api::get(const Request& request, const Responder& respond) {
  const std::string& path = request.path;
  const auto aside = [&](auto make) { answer_aside(respond, std::move(make)); };
  if (path == "/v1/services")
    return aside([query = request.query](const Running& r) { return view(services_view(r, query)); });
  if (path == "/v1/backends")
    return aside([query = request.query](const Running& r) { return view(backends_view(r, query)); });
  if (path == "/v1/drains") return aside([](const Running& r) { return ok(drains_view(r)); });
  if (path == "/v1/flows") return list_flows(request, respond);
  if (path == "/v1/ports") return aside([](const Running& r) { return ok(ports_view(r)); });
  if (path == "/v1/routes") return aside([k = kernel_.network()](const Running& r) { return ok(routes_view(r, k)); });
  if (path == "/v1/neighbors")
    return aside([k = kernel_.network()](const Running& r) { return ok(neighbors_view(r, k)); });
  if (path == "/v1/workers") return respond(ok(workers_view(running())));
  if (path == "/v1/drops") return respond(ok(drops_view(running())));
  if (path == "/metrics") return scrapes_.ask(respond);
  if (path == "/v1/trace") return trace(request, respond);
  if (path == "/v1/config") {
    return aside([](const Running& r) {
      return ok({{"generation", r.compiled->snapshot->generation}, {"file", r.model().file}, {"text", r.loaded->text}});
    });
  }
  if (path == "/v1/status") {
    const auto up = std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now() - started_);
    const Privileges privileges = held_privileges();
    return respond(ok({{"version", version()},
                       {"generation", publisher_.generation()},
                       {"pid", getpid()},
                       {"uptime_s", up.count()},
                       {"user", privileges.user},
                       {"group", privileges.group},
                       {"capabilities", json::array(privileges.capabilities.begin(), privileges.capabilities.end())},
                       {"config", reloader_.running()->model.file}}));
  }
  respond(refusal(404, fmt::format("there is no {}; docs/api.md lists what there is", path)));
}

void Api::answer_aside(const Responder& respond, std::function<Response(const Running&)> make) {
  boost::asio::post(view_thread_, [this, respond, make = std::move(make), r = running()]() mutable {
    auto response = std::make_shared<Response>(make(r));
    boost::asio::post(io_, [respond, response] { respond(std::move(*response)); });
  });
}

std::function<std::string()> Api::begin_scrape() const {
  return [r = running(), reloads = reloader_.counts(), at = started_at_] { return metrics_text(r, reloads, at); };
}

void Api::reload(const Responder& respond) {
  reloader_.reload([respond](const ReloadOutcome& outcome) {
    json::array messages;
    for (const std::string& m : outcome.messages) messages.emplace_back(m);
    if (outcome.is_refused)
      return respond({.status = 422, .body = json::serialize(json::object{{"errors", std::move(messages)}})});
    respond(
        ok({{"generation", outcome.generation}, {"changed", outcome.is_changed}, {"warnings", std::move(messages)}}));
  });
}

void Api::list_flows(const Request& request, const Responder& respond) {
  auto filter = flow_filter(running(), request.query);
  if (!filter) return respond(refusal(404, filter.error().message));
  const auto worker = worker_of(request.query, data_plane_);
  if (!worker) return respond(refusal(404, worker.error().message));
  const auto limit = request.query.find("limit");
  const std::size_t most =
      limit == request.query.end() ? kListedFlows : config::parse_decimal(limit->second).value_or(kListedFlows);
  ask_workers({.filter = std::move(*filter), .limit = most, .worker = *worker},
              [this, respond, most](const std::shared_ptr<FlowRequests>& answers) {
                answer_aside(respond, [answers, most](const Running& r) { return ok(flows_view(r, *answers, most)); });
              });
}

// A flow that is forgotten is a stranger to its next packet: adopted where a hash says where it belongs, refused else.
void Api::flush_flows(const Request& request, const Responder& respond) {
  const bool is_all = request.query.contains("all") && request.query.at("all") == "1";
  const bool has_filter = request.query.size() > (request.query.contains("all") ? 1 : 0);
  if (is_all == has_filter)
    return respond(refusal(400, is_all ? "all=1 takes no filter beside it; give one or the other"
                                       : "which flows? Give a filter, or all=1 for every one"));
  auto filter = flow_filter(running(), request.query);
  if (!filter) return respond(refusal(404, filter.error().message));
  const auto worker = worker_of(request.query, data_plane_);
  if (!worker) return respond(refusal(404, worker.error().message));
  ask_workers({.filter = std::move(*filter), .limit = 0, .erases = true, .worker = *worker},
              [this, respond](const std::shared_ptr<FlowRequests>& answers) {
                std::uint64_t flushed = 0;
                for (const auto& answer : *answers) flushed += answer->matched;
                log_event("flush", LogLevel::kInfo, fmt::format("flushed {}", plural(flushed, "flow")),
                          {{"flows", flushed}});
                respond(ok({{"generation", publisher_.generation()}, {"flushed", flushed}}));
              });
}

void Api::trace(const Request& request, const Responder& respond) {
  const auto wanted = trace_request(request.query);
  if (!wanted) return respond(refusal(400, wanted.error().message));
  // The flow's client may be either end; both sockets hash to their own buckets.
  const auto as_socket = [](const Endpoint& e) { return std::pair(e.address, lb::be16::from_host(e.port)); };
  const auto answer = [this, respond, r = *wanted](const FlowRequests& asked, bool is_last) {
    const auto flow = flow_for(r, *publisher_.current()->snapshot, asked);
    if (!flow && !is_last) return false;
    answer_aside(respond, [r, flow, ways = kernel_.ways()](const Running& running) {
      return view(trace_packet(running.model(), *running.compiled, r, flow, ways));
    });
    return true;
  };
  ask_workers({.filter = {}, .socket = as_socket(wanted->source)},
              [this, answer, to = as_socket(wanted->destination)](const auto& forward) {
                if (answer(*forward, false)) return;
                ask_workers({.filter = {}, .socket = to}, [answer](const auto& reply) { answer(*reply, true); });
              });
}

// ---- drains: made and written aside, so that what the workers get would survive a restart ----

void Api::edit_drains(const Request& request, const Responder& respond) {
  const auto backend = request.query.find("backend");
  const auto service = request.query.find("service");
  if (backend == request.query.end()) return respond(refusal(400, "which backend? Give backend=10.0.0.5:8080"));
  const auto parsed = parse_backend_filter(backend->second);  // check_query() has seen that it is one
  const DrainRequest wanted{
      .is_drain = request.path == "/v1/drain",
      .address = parsed->address,
      .port = parsed->port.value_or(0),
      .service = service == request.query.end() ? "" : service->second,
      .now_s = std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch())
                   .count()};
  drain_edits_.push_back([this, wanted, respond] {
    boost::asio::post(view_thread_, [this, wanted, respond, loaded = reloader_.running(),
                                     now = reloader_.wanted().drains] {
      auto edit = control::edit_drains(loaded->model, now, wanted);
      auto saved =
          edit && edit->is_changed ? save_drains(loaded->model.control.state_dir, edit->drains) : lb::Result<void>();
      boost::asio::post(io_, [this, wanted, respond, edit = std::move(edit), saved = std::move(saved)] {
        if (!edit)
          respond(refusal(404, edit.error().message));
        else if (!saved)
          respond(refusal(500, "nothing is changed, because it would not survive a restart: " + saved.error().message));
        else
          apply_drains(wanted, *edit, respond);
        next_drain_edit();
      });
    });
  });
  if (drain_edits_.size() == 1) drain_edits_.front()();
}

void Api::next_drain_edit() {
  drain_edits_.pop_front();
  if (!drain_edits_.empty()) drain_edits_.front()();
}

void Api::apply_drains(const DrainRequest& wanted, const DrainEdit& edit, const Responder& respond) {
  const auto answer = [edit, respond](std::uint64_t generation) {
    respond(ok({{"generation", generation},
                {"changed", edit.is_changed},
                {"services", json::array(edit.services.begin(), edit.services.end())},
                {"warnings", json::array(edit.warnings.begin(), edit.warnings.end())}}));
  };
  if (!edit.is_changed) return answer(publisher_.generation());
  const std::string name =
      wanted.port == 0 ? lb::to_string(wanted.address) : lb::to_string(wanted.address, wanted.port);
  log_event("drain", LogLevel::kInfo,
            fmt::format("{} {} in {}", wanted.is_drain ? "drained" : "enabled", name,
                        wanted.service.empty() ? "every service" : "service " + printable(wanted.service)));
  for (const std::string& w : edit.warnings) log_event("drain", LogLevel::kWarning, printable(w));
  reloader_.change([&edit](Overlay& overlay) { overlay.drains = edit.drains; }, Reloader::Generation::kNext,
                   [answer, respond](const ReloadOutcome& outcome) {
                     if (!outcome.is_refused) return answer(outcome.generation);
                     respond(refusal(500, outcome.messages.empty() ? "the workers could not be given it"
                                                                   : outcome.messages.front()));
                   });
}

// ---- asking the workers: post to each, look again every millisecond, never wait ----

void Api::capture(const Request& request, const Responder& respond) {
  const config::Model& model = reloader_.running()->model;
  auto plan = capture_plan(request.query, request.body, model);
  if (!plan) return respond(refusal(400, plan.error().message));
  captures_.start(std::move(*plan), model, respond);
}

void Api::ask_workers(const FlowQuestion& question, std::function<void(const std::shared_ptr<FlowRequests>&)> then) {
  auto requests = std::make_shared<FlowRequests>();
  for (std::size_t w = 0; w < data_plane_.workers().size(); ++w) {
    auto request = std::make_unique<dataplane::FlowRequest>();
    request->filter = question.filter;
    request->socket = question.socket;
    request->erases = question.erases;
    request->limit = question.limit;
    if (question.worker.value_or(w) == w)
      request->rows.reserve(question.limit);
    else
      request->is_done.store(true, std::memory_order_relaxed);  // not asked; an answer of nothing
    requests->push_back(std::move(request));
  }
  poll_workers(requests, 0, then);
}

void Api::poll_workers(const std::shared_ptr<FlowRequests>& requests, std::size_t posted,
                       const std::function<void(const std::shared_ptr<FlowRequests>&)>& then) {
  const auto& workers = data_plane_.workers();
  // A worker takes one question at a time; another client's may be before ours.
  const auto is_answered = [](const auto& r) { return r->is_done.load(std::memory_order_acquire); };
  while (posted < workers.size() && (is_answered((*requests)[posted]) || workers[posted]->post(*(*requests)[posted])))
    ++posted;
  const bool is_done = posted == workers.size() && std::ranges::all_of(*requests, is_answered);
  if (is_done) return then(requests);
  auto timer = std::make_shared<boost::asio::steady_timer>(io_, kPollWorkers);
  timer->async_wait([this, timer, requests, posted, then](const boost::system::error_code& error) {
    if (!error) poll_workers(requests, posted, then);
  });
}

}  // namespace weir::control
