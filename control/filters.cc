#include "control/filters.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <span>

#include "config/suggest.h"
#include "control/endpoint.h"
#include "control/show.h"
#include "control/table.h"

namespace weir::control {

namespace {

using Keys = std::span<const std::string_view>;

std::optional<Keys> keys_of(std::string_view path) {
  static constexpr std::array<std::string_view, 5> kTrace{"protocol", "source", "destination", "mid_stream",
                                                          "interface"};
  if (path == "/v1/trace") return kTrace;
  if (path == "/v1/status" || path == "/v1/reload") return Keys();
  if (!path.starts_with("/v1/")) return std::nullopt;
  const auto noun = std::ranges::find(nouns(), path.substr(4), &Noun::name);
  return noun == nouns().end() ? std::nullopt : std::optional(noun->filters);
}

lb::Result<void> check_value(std::string_view key, const std::string& value) {
  if (key == "protocol" && value != "tcp" && value != "udp")
    return lb::fail(fmt::format("protocol \"{}\" is neither tcp nor udp", value));
  if (key == "client" && !lb::parse_address(value))
    return lb::fail(fmt::format("client \"{}\" is no address; write 192.0.2.7", value));
  if (key == "backend" && !parse_backend_filter(value))
    return lb::fail(
        fmt::format("backend \"{}\" is no address; write 10.0.0.5:8080, [fd00::5]:8080 or 10.0.0.5", value));
  if (key == "mid_stream" && value != "0" && value != "1")
    return lb::fail(fmt::format("mid_stream \"{}\" is neither 0 nor 1", value));
  return {};
}

}  // namespace

lb::Result<void> check_query(std::string_view path, const Query& query) {
  const auto keys = keys_of(path);
  if (!keys) return {};
  for (const auto& [key, value] : query) {
    if (std::ranges::find(*keys, key) == keys->end())
      return lb::fail(fmt::format("{} has no filter \"{}\"{}", path, printable(key), config::did_you_mean(key, *keys)));
    if (auto ok = check_value(key, value); !ok) return ok;
  }
  return {};
}

std::optional<BackendFilter> parse_backend_filter(std::string_view text) {
  if (const auto endpoint = parse_endpoint(text)) return BackendFilter{endpoint->address, endpoint->port};
  if (const auto address = lb::parse_address(text)) return BackendFilter{*address, {}};
  return std::nullopt;
}

}  // namespace weir::control
