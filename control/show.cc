#include "control/show.h"

#include <fmt/format.h>

#include <boost/json.hpp>
#include <cstdint>
#include <vector>

#include "control/table.h"

namespace weir::control {

namespace {

namespace json = boost::json;

constexpr std::array<std::string_view, 0> kNoFilters{};
constexpr std::array<std::string_view, 1> kServiceFilters{"service"};
constexpr std::array<std::string_view, 2> kBackendFilters{"service", "backend"};
constexpr std::array<std::string_view, 8> kFlowFilters{"service", "protocol", "client", "vip",
                                                       "backend", "state",    "worker", "limit"};

constexpr std::array<Noun, 10> kNouns{{
    {"services", "services, their VIPs, and what went through them", "weir show services --service web",
     kServiceFilters},
    {"backends", "backends with weight, state, connections (flows since start) and current (flows now)",
     "weir show backends --service web", kBackendFilters},
    {"drains", "backends drained by `weir drain`, those that have left the file too", "weir show drains", kNoFilters},
    {"flows",
     "flows: the first 1,000 (or --limit) that match; EXPIRES is seconds until one is forgotten if it stays silent",
     "weir show flows --client 192.0.2.7", kFlowFilters},
    {"ports", "device ports, their packet counters, and how they steer packets to workers", "weir show ports -o json",
     kNoFilters},
    {"routes", "routes Weir forwards by", "weir show routes", kNoFilters},
    {"neighbors", "next hops and their MAC addresses", "weir show neighbors", kNoFilters},
    {"drops", "packets dropped, by reason, and the balance of all packets (difference must be 0 at rest)",
     "weir show drops", kNoFilters},
    {"config", "the configuration that is loaded, as it was written", "weir show config > running.yaml", kNoFilters},
    {"workers",
     "per worker: packets, packets a burst, busy share, flows, hand-overs, nanoseconds a packet for each step; the "
     "durations of its loops (-o json)",
     "weir show workers", kNoFilters},
}};

enum class Kind : std::uint8_t { kText, kNumber, kTenths, kShare, kEndpoint };

struct Field {
  std::string_view header;
  std::string_view key;
  Kind kind = Kind::kText;
};

std::span<const Field> fields_of(std::string_view noun) {
  using enum Kind;
  static constexpr std::array kServices{Field{"NAME", "name"},
                                        Field{"PROTOCOL", "protocol"},
                                        Field{"MODE", "mode"},
                                        Field{"SCHEDULER", "scheduler"},
                                        Field{"VIPS", "vips"},
                                        Field{"BACKENDS", "backends", kNumber},
                                        Field{"USABLE", "usable", kNumber},
                                        Field{"CONNECTIONS", "connections", kNumber},
                                        Field{"CURRENT", "current", kNumber},
                                        Field{"PACKETS IN", "packets_in", kNumber},
                                        Field{"PACKETS OUT", "packets_out", kNumber},
                                        Field{"BYTES IN", "bytes_in", kNumber},
                                        Field{"BYTES OUT", "bytes_out", kNumber}};
  static constexpr std::array kBackends{Field{"SERVICE", "service"},
                                        Field{"BACKEND", "", kEndpoint},
                                        Field{"WEIGHT", "weight", kNumber},
                                        Field{"STATE", "state"},
                                        Field{"REASON", "reason"},
                                        Field{"CONNECTIONS", "connections", kNumber},
                                        Field{"CURRENT", "current", kNumber},
                                        Field{"PACKETS IN", "packets_in", kNumber},
                                        Field{"PACKETS OUT", "packets_out", kNumber},
                                        Field{"BYTES IN", "bytes_in", kNumber},
                                        Field{"BYTES OUT", "bytes_out", kNumber}};
  static constexpr std::array kDrains{Field{"BACKEND", "", kEndpoint}, Field{"SERVICE", "service"},
                                      Field{"SINCE", "since"}, Field{"IN THE FILE", "in_file"}};
  static constexpr std::array kFlows{
      Field{"PROTOCOL", "protocol"},          Field{"CLIENT", "client"},         Field{"VIP", "vip"},
      Field{"ENDPOINT", "endpoint"},          Field{"SOURCE", "source"},         Field{"STATE", "state"},
      Field{"EXPIRES", "expires_s", kNumber}, Field{"WORKER", "worker", kNumber}};
  static constexpr std::array kPorts{Field{"NAME", "name"},
                                     Field{"DEVICE", "device"},
                                     Field{"MAC", "mac"},
                                     Field{"RX PACKETS", "rx_packets", kNumber},
                                     Field{"TX PACKETS", "tx_packets", kNumber},
                                     Field{"RX MISSED", "rx_missed", kNumber},
                                     Field{"TX DROPPED", "tx_dropped", kNumber},
                                     Field{"STEERING", "steering"}};
  static constexpr std::array kRoutes{
      Field{"TO", "to"},         Field{"VIA", "via"},           Field{"INTERFACE", "interface"},
      Field{"ORIGIN", "origin"}, Field{"PROTOCOL", "protocol"}, Field{"METRIC", "metric"},
      Field{"USED", "used"}};
  static constexpr std::array kNeighbors{Field{"ADDRESS", "address"},     Field{"MAC", "mac"},
                                         Field{"INTERFACE", "interface"}, Field{"STATE", "state"},
                                         Field{"ORIGIN", "origin"},       Field{"AGE", "age_s", kNumber}};
  static constexpr std::array kWorkers{Field{"WORKER", "worker", kNumber},
                                       Field{"CORE", "core", kNumber},
                                       Field{"PACKETS", "packets", kNumber},
                                       Field{"A BURST", "packets_per_burst", kTenths},
                                       Field{"BUSY", "busy", kShare},
                                       Field{"FLOWS", "flows", kNumber},
                                       Field{"HANDED OVER", "handed_over", kNumber},
                                       Field{"TAKEN OVER", "taken_over", kNumber}};
  if (noun == "services") return kServices;
  if (noun == "backends") return kBackends;
  if (noun == "drains") return kDrains;
  if (noun == "flows") return kFlows;
  if (noun == "ports") return kPorts;
  if (noun == "routes") return kRoutes;
  if (noun == "neighbors") return kNeighbors;
  if (noun == "workers") return kWorkers;
  return {};
}

// Reading what a daemon of another version may have sent: nothing here throws on a shape it does not know.

const json::value* find(const json::value& in, std::string_view key) {
  const auto* object = in.if_object();
  return object == nullptr ? nullptr : object->if_contains(key);
}

std::string text_of(const json::value* v);

/// Longer lists in a cell end in the number of what is left out; JSON has all.
constexpr std::size_t kMostListed = 4;

/// {"address", "port"} as "10.0.0.5:8080"; without a port (as it arrived) as "10.0.0.5".
std::string endpoint_of(const json::value& v) {
  const std::string address = text_of(find(v, "address"));
  const json::value* port = find(v, "port");
  if (port == nullptr || port->is_null() || *port == 0) return address;
  const bool is_v6 = address.find(':') != std::string::npos;
  return fmt::format(fmt::runtime(is_v6 ? "[{}]:{}" : "{}:{}"), address, text_of(port));
}

std::string text_of(const json::value* v) {
  if (v == nullptr || v->is_null()) return "-";
  if (const auto* s = v->if_string()) return s->empty() ? "-" : std::string(*s);
  if (const auto* n = v->if_double()) return fmt::format("{:.1f}", *n);
  if (v->is_object() && find(*v, "address") != nullptr) return endpoint_of(*v);
  if (const auto* list = v->if_array()) {
    std::string out;
    const std::size_t shown = list->size() > kMostListed ? kMostListed - 1 : list->size();
    for (std::size_t i = 0; i < shown; ++i) out += (i == 0 ? "" : ", ") + text_of(&(*list)[i]);
    if (shown < list->size()) out += fmt::format(" +{}", list->size() - shown);
    return out.empty() ? "-" : out;
  }
  return json::serialize(*v);
}

double number_of(const json::value* v) {
  if (v == nullptr) return 0;
  boost::system::error_code ignored;
  return v->is_number() ? v->to_number<double>(ignored) : 0;
}

std::string cell_of(const json::value& row, const Field& field) {
  const json::value* v = field.key.empty() ? &row : find(row, field.key);
  switch (field.kind) {
    case Kind::kEndpoint: return endpoint_of(row);
    case Kind::kTenths: return v == nullptr ? "-" : fmt::format("{:.1f}", number_of(v));
    case Kind::kShare: return v == nullptr ? "-" : fmt::format("{:.1f} %", 100 * number_of(v));
    case Kind::kText:
    case Kind::kNumber: break;
  }
  return text_of(v);
}

/// Steps of the packet path are columns of their own, named by the first worker's.
std::vector<std::string> steps_of(const json::array& workers) {
  std::vector<std::string> out;
  const json::value* steps = workers.empty() ? nullptr : find(workers.front(), "step_ns");
  if (steps == nullptr || !steps->is_object()) return out;
  for (const auto& step : steps->get_object()) out.emplace_back(step.key());
  return out;
}

std::string upper(std::string text) {
  for (char& c : text)
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  return text;
}

std::string list_text(std::string_view noun, const json::value& answer) {
  const json::value* value = find(answer, noun);
  if (value == nullptr || !value->is_array()) return fmt::format("weir's answer holds no {}\n", noun);
  const json::array& list = value->get_array();
  if (list.empty()) return fmt::format("no {}\n", noun);

  const std::span<const Field> fields = fields_of(noun);
  const std::vector<std::string> steps = steps_of(list);
  std::vector<TableColumn> columns;
  for (const Field& f : fields)
    columns.push_back(
        {std::string(f.header), f.kind == Kind::kText || f.kind == Kind::kEndpoint ? Align::kLeft : Align::kRight});
  for (const std::string& step : steps) columns.push_back({upper(step) + " NS", Align::kRight});
  Table table(std::move(columns));
  for (const json::value& row : list) {
    std::vector<std::string> cells;
    for (const Field& f : fields) cells.push_back(cell_of(row, f));
    const json::value* step_ns = find(row, "step_ns");
    for (const std::string& step : steps)
      cells.push_back(step_ns == nullptr ? "-" : cell_of(*step_ns, {"", step, Kind::kTenths}));
    table.add_row(std::move(cells));
  }
  std::string out = table.text();
  const json::value* total = find(answer, "total");
  if (number_of(total) > static_cast<double>(list.size()))
    out += fmt::format("{} of {} {}; filters narrow the list (--help), --limit lengthens it\n", list.size(),
                       text_of(total), noun);
  return out;
}

std::string drops_text(const json::value& answer) {
  Table reasons({{"REASON", Align::kLeft}, {"PACKETS", Align::kRight}});
  if (const json::value* drops = find(answer, "drops"); drops != nullptr && drops->is_object())
    for (const auto& [reason, packets] : drops->get_object())
      if (number_of(&packets) != 0) reasons.add_row({std::string(reason), text_of(&packets)});
  Table balance({{"BALANCE", Align::kLeft}, {"PACKETS", Align::kRight}});
  for (const char* key : {"received", "injected", "generated", "sent", "dropped", "punted", "held", "difference"})
    balance.add_row({key, text_of(find(answer, key))});
  return (reasons.is_empty() ? "no drops\n" : reasons.text()) + "\n" + balance.text();
}

std::string config_text(const json::value& answer) {
  const json::value* text = find(answer, "text");
  if (text == nullptr || !text->is_string()) return "weir's answer holds no config\n";
  std::string out(text->get_string());
  if (!out.empty() && out.back() != '\n') out.push_back('\n');
  return out;
}

/// "33.3 % of new flows" where the backend was chosen among those that the packet might be given.
std::string share_text(const json::value& answer, const std::string& backend) {
  const json::value* candidates = find(answer, "candidates");
  if (candidates == nullptr || !candidates->is_array()) return {};
  for (const json::value& c : candidates->get_array())
    if (endpoint_of(c) == backend && find(c, "share") != nullptr)
      return fmt::format("{:.1f} % of new flows", 100 * number_of(find(c, "share")));
  return {};
}

std::string verdict_text(const json::value& answer) {
  const std::string verdict = text_of(find(answer, "verdict"));
  std::vector<std::string> notes;
  const auto note = [&](const char* key, std::string_view before) {
    const json::value* v = find(answer, key);
    if (v != nullptr && v->is_string() && !v->get_string().empty()) notes.push_back(std::string(before) + text_of(v));
  };
  std::string out = "verdict: " + verdict;
  if (verdict != "forward") note("reason", "");
  note("service", "service ");
  if (const json::value* backend = find(answer, "backend"); verdict == "forward" && backend != nullptr) {
    out += " to " + endpoint_of(*backend);
    // A known or adopted flow was not dealt out, so a share of new flows would say nothing of it.
    const json::value* reason = find(answer, "reason");
    if (reason != nullptr && *reason != "new flow")
      note("reason", "");
    else if (auto share = share_text(answer, endpoint_of(*backend)); !share.empty())
      notes.push_back(std::move(share));
  }
  std::string all;
  for (const std::string& n : notes) all += (all.empty() ? "" : ", ") + n;
  return printable(all.empty() ? out : fmt::format("{} ({})", out, all)) + "\n";
}

}  // namespace

std::span<const Noun> nouns() noexcept {
  return kNouns;
}

std::string show_text(std::string_view noun, const json::value& answer) {
  if (noun == "drops") return drops_text(answer);
  if (noun == "config") return config_text(answer);
  return list_text(noun, answer);
}

std::string trace_text(const json::value& answer) {
  std::string out;
  if (const json::value* steps = find(answer, "steps"); steps != nullptr && steps->is_array())
    for (const json::value& step : steps->get_array()) out += printable(text_of(&step)) + "\n";
  return out + verdict_text(answer);
}

}  // namespace weir::control
