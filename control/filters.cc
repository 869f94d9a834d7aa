#include "control/filters.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <span>

#include "config/scalar.h"
#include "config/suggest.h"
#include "control/endpoint.h"
#include "control/show.h"
#include "control/table.h"

namespace weir::control {

namespace {

using Keys = std::span<const std::string_view>;

constexpr std::array<std::string_view, 4> kStates{"new", "replied", "established", "closing"};

std::optional<Keys> keys_of(std::string_view path, std::string_view method) {
  static constexpr std::array<std::string_view, 8> kFlush{"service", "protocol", "client", "vip",
                                                          "backend", "state",    "worker", "all"};
  if (path == "/v1/flows" && method == "DELETE") return kFlush;
  static constexpr std::array<std::string_view, 5> kTrace{"protocol", "source", "destination", "mid_stream",
                                                          "interface"};
  static constexpr std::array<std::string_view, 7> kCapture{"points", "reason", "interface", "snaplen",
                                                            "rate",   "count",  "seconds"};
  if (path == "/v1/trace") return kTrace;
  if (path == "/v1/capture") return kCapture;
  static constexpr std::array<std::string_view, 2> kDrain{"backend", "service"};
  if (path == "/v1/drain" || path == "/v1/enable") return kDrain;
  if (path == "/v1/status" || path == "/v1/reload") return Keys();
  if (!path.starts_with("/v1/")) return std::nullopt;
  const auto noun = std::ranges::find(nouns(), path.substr(4), &Noun::name);
  return noun == nouns().end() ? std::nullopt : std::optional(noun->filters);
}

lb::Result<void> check_value(std::string_view key, const std::string& value) {
  if (key == "protocol" && value != "tcp" && value != "udp")
    return lb::fail(fmt::format("protocol \"{}\" is neither tcp nor udp", value));
  const bool is_socket = key == "client" || key == "vip" || key == "backend";
  if (is_socket && !parse_backend_filter(value))
    return lb::fail(
        fmt::format("{} \"{}\" is no address; write 10.0.0.5:8080, [fd00::5]:8080 or 10.0.0.5", key, value));
  if (key == "state" && std::ranges::find(kStates, value) == kStates.end())
    return lb::fail(fmt::format("state \"{}\" is none of {}", value, fmt::join(kStates, ", ")));
  if (key == "worker" && !config::parse_decimal(value))
    return lb::fail(fmt::format("worker \"{}\" is no number; `weir show workers` lists them", value));
  if (key == "limit") {
    const auto limit = config::parse_decimal(value);
    if (!limit || *limit == 0 || *limit > kMostListedFlows)
      return lb::fail(fmt::format("limit \"{}\" is not a number from 1 to {}", value, kMostListedFlows));
  }
  if ((key == "mid_stream" || key == "all") && value != "0" && value != "1")
    return lb::fail(fmt::format("{} \"{}\" is neither 0 nor 1", key, value));
  return {};
}

}  // namespace

lb::Result<void> check_query(std::string_view path, const Query& query, std::string_view method) {
  const auto keys = keys_of(path, method);
  if (!keys) return {};
  for (const auto& [key, value] : query) {
    if (std::ranges::find(*keys, key) == keys->end())
      return lb::fail(fmt::format("{} has no filter \"{}\"{}", path, printable(key), config::did_you_mean(key, *keys)));
    if (auto ok = check_value(key, value); !ok) return ok;
  }
  return {};
}

std::span<const std::string_view> flush_filters() noexcept {
  const Keys keys = *keys_of("/v1/flows", "DELETE");
  return keys.first(keys.size() - 1);  // without `all`
}

std::optional<BackendFilter> parse_backend_filter(std::string_view text) {
  if (const auto endpoint = parse_endpoint(text)) return BackendFilter{endpoint->address, endpoint->port};
  if (const auto address = lb::parse_address(text)) return BackendFilter{*address, {}};
  return std::nullopt;
}

}  // namespace weir::control
