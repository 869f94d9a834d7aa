#include <algorithm>

#include "config/read.h"
#include "config/scalar.h"
#include "config/text.h"

namespace weir::config {

namespace {

using Need = Key::Need;

constexpr std::size_t kLongestServiceName = 253;
constexpr std::uint64_t kMostPort = 65'535;
constexpr std::uint64_t kMostWeight = 65'535;
constexpr std::uint32_t kLeastMaglevSize = 11;
constexpr std::uint32_t kMostMaglevSize = 655'373;

void read_service_name(const Node& node, Values& values, std::string& out) {
  const auto text = values.text(node, "name", "a name");
  if (!text) return;
  const std::size_t characters = count_characters(*text);
  if (characters == 0 || characters > kLongestServiceName) {
    values.problems().error(node.where, "name: {} has {} characters; write 1 to {}", show(*text), characters,
                            kLongestServiceName);
  } else if (has_control_character(*text)) {
    values.problems().error(node.where, "name: {} has control characters; remove them", show(*text));
  } else {
    out = *text;
  }
}

/// 80 | 5000-5999 | all
bool read_ports(const Node& node, Values& values, PortRange& out) {
  constexpr std::string_view kExpected = "a number from 1 to 65535, a range such as 5000-5999, or all";
  const bool is_word = node.kind == NodeKind::kScalar && classify_plain(node.text).kind == PlainKind::kText;
  if (!is_word) {
    const bool is_whole = values.number_into(out.first, node, "port", 1, kMostPort);
    out.last = out.first;
    return is_whole;
  }
  if (node.text == "all") {
    out = {.first = 1, .last = kMostPort, .all = true};
    return true;
  }
  const auto dash = std::min(node.text.find('-'), node.text.size());
  const auto first = parse_decimal(node.text.substr(0, dash));
  const auto last = parse_decimal(node.text.substr(std::min(dash + 1, node.text.size())));
  Problems& problems = values.problems();
  if (!first || !last) {
    problems.error(node.where, "port: {} is not known; write {}", show(node.text), kExpected);
  } else if (*first < 1 || *last > kMostPort) {
    problems.error(node.where, "port: {} is out of range; write ports from 1 to {}", show(node.text), kMostPort);
  } else if (*first > *last) {
    problems.error(node.where, "port: {} is the wrong way round; write {}-{}", show(node.text), *last, *first);
  } else {
    // 1-65535 is another way to write all; the data path cannot tell them apart.
    const bool is_all = *first == 1 && *last == kMostPort;
    out = {.first = static_cast<std::uint16_t>(*first), .last = static_cast<std::uint16_t>(*last), .all = is_all};
    return true;
  }
  return false;
}

/// An address that clients or servers may have.
std::optional<lb::Address> read_host(const Node& node, std::string_view what, Values& values) {
  const auto address = read_address(node, "address", values);
  if (!address) return std::nullopt;
  std::string_view why;
  if (is_unusable(*address, why)) {
    values.problems().error(node.where, "address: {} is {}; {} needs a host's address", to_string(*address), why, what);
  } else if (address->is_link_local_v6()) {
    values.problems().error(node.where, "address: {} is link-local; {} needs an address that is the same on every link",
                            to_string(*address), what);
  } else {
    return address;
  }
  return std::nullopt;
}

std::optional<lb::Address> read_vip_address(const Node& node, Values& values) {
  if (node.kind == NodeKind::kScalar && lb::parse_prefix(node.text)) {
    values.problems().error(
        node.where, "address: {} is a prefix, and VIP prefixes are not in this version; write one address", node.text);
    return std::nullopt;
  }
  if (node.kind == NodeKind::kScalar && node.text.contains('/')) {
    static_cast<void>(read_prefix(node, "address", values));  // names what is wrong with it
    return std::nullopt;
  }
  return read_host(node, "a VIP", values);
}

bool read_vip(const Node& node, Values& values, Service& service) {
  static constexpr Key kKeys[] = {{"address", Need::kRequired}, {"port", Need::kRequired}};
  const std::size_t before = values.problems().error_count();
  Vip vip{.where = node.where};
  values.fields(node, "a VIP", kKeys, [&](std::string_view key, const Node& value) {
    if (key == "address") {
      vip.address = read_vip_address(value, values).value_or(lb::Address{});
    } else {
      read_ports(value, values, vip.ports);
    }
  });
  const bool is_whole = node.kind == NodeKind::kMap && values.problems().error_count() == before;
  if (is_whole) service.vips.push_back(vip);
  return is_whole;
}

bool read_backend(const Node& node, Values& values, Service& service) {
  static constexpr Key kKeys[] = {{"address", Need::kRequired}, {"port"}, {"weight"}};
  const std::size_t before = values.problems().error_count();
  Backend backend{.where = node.where};
  values.fields(node, "a backend", kKeys, [&](std::string_view key, const Node& value) {
    if (key == "address") {
      backend.address = read_host(value, "a backend", values).value_or(lb::Address{});
    } else if (key == "port") {
      values.number_into(backend.port, value, key, 1, kMostPort);
    } else {
      values.number_into(backend.weight, value, key, 0, kMostWeight);
    }
  });
  const bool is_whole = node.kind == NodeKind::kMap && values.problems().error_count() == before;
  if (is_whole) service.backends.push_back(backend);
  return is_whole;
}

bool is_prime(std::uint32_t n) {
  for (std::uint32_t d = 2; d * d <= n; ++d)
    if (n % d == 0) return false;
  return n > 1;
}

void read_maglev_size(const Node& node, Values& values, Service& service) {
  const auto n = values.number(node, "maglev_size", kLeastMaglevSize, kMostMaglevSize);
  if (!n) return;
  const auto size = static_cast<std::uint32_t>(*n);
  std::uint32_t prime = size;
  while (!is_prime(prime)) ++prime;  // ends: the largest size allowed is one
  if (prime != size) {
    values.problems().error(node.where, "maglev_size: {} is not a prime; the next one is {}", size, prime);
  } else {
    service.maglev_size = size;
  }
}

void read_drain_timeout(const Node& node, Values& values) {
  if (node.kind == NodeKind::kScalar && node.text == "never") return;
  if (values.duration(node, "drain_timeout", "never"))
    values.problems().error(node.where, "drain_timeout: anything but never is not in this version; write never");
}

constexpr Word kProtocols[] = {{"tcp"}, {"udp"}, {"sctp", true}};
constexpr Word kModes[] = {{"dnat"}, {"fullnat", true}, {"dr", true}, {"ipip", true}, {"gre", true}, {"gue", true}};
constexpr Word kSchedulers[] = {{"maglev"},    {"rr", true},     {"wrr", true}, {"lc", true},
                                {"wlc", true}, {"sed", true},    {"nq", true},  {"sh", true},
                                {"dh", true},  {"random", true}, {"p2c", true}};
constexpr Word kHashes[] = {{"flow"}, {"source", true}};
constexpr Word kRejects[] = {{"rst"}, {"icmp"}, {"drop"}};  // in the order of enum Reject
constexpr Word kOnDown[] = {{"keep"}, {"reset", true}};
constexpr Key kServiceKeys[] = {{"name", Need::kRequired},
                                {"vips", Need::kRequired},
                                {"protocol"},
                                {"mode"},
                                {"scheduler"},
                                {"hash"},
                                {"maglev_size"},
                                {"reject"},
                                {"backends", Need::kRequired},
                                {"drain_timeout"},
                                {"on_down"},
                                {"affinity", Need::kLater},
                                {"source_ranges", Need::kLater},
                                {"health", Need::kLater},
                                {"snat_addresses", Need::kLater},
                                {"mtu_exceeded", Need::kLater}};

}  // namespace

void read_service(const Node& node, Values& values, Draft& draft) {
  Service service{.where = node.where};
  Draft::Whole whole;
  const auto read_list = [&](const Node& list, std::string_view key, auto read_item, bool& is_whole) {
    bool all_read = true;
    is_whole =
        values.items(list, key, [&](const Node& item) { all_read &= read_item(item, values, service); }) && all_read;
  };
  values.fields(node, "a service", kServiceKeys, [&](std::string_view key, const Node& value) {
    if (key == "name") read_service_name(value, values, service.name);
    if (key == "vips") read_list(value, key, read_vip, whole.vips);
    if (key == "protocol") {
      const auto i = values.word(value, key, kProtocols);
      whole.protocol = i.has_value();
      if (i) service.protocol = *i == 0 ? lb::Protocol::kTcp : lb::Protocol::kUdp;
    }
    if (key == "mode") static_cast<void>(values.word(value, key, kModes));
    if (key == "scheduler") static_cast<void>(values.word(value, key, kSchedulers));
    if (key == "hash") static_cast<void>(values.word(value, key, kHashes));
    if (key == "maglev_size") read_maglev_size(value, values, service);
    if (key == "reject") {
      if (const auto i = values.word(value, key, kRejects)) service.reject = static_cast<Reject>(*i);
    }
    if (key == "backends") read_list(value, key, read_backend, whole.backends);
    if (key == "drain_timeout") read_drain_timeout(value, values);
    if (key == "on_down") static_cast<void>(values.word(value, key, kOnDown));
  });
  draft.model.services.push_back(std::move(service));
  draft.services.push_back(whole);
}

}  // namespace weir::config
