#include <algorithm>

#include "config/read.h"

namespace weir::config {

namespace {

constexpr std::string_view kNameCharacters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-";

bool is_address(std::string_view t) {
  return lb::parse_address(t).has_value();
}
bool is_prefix(std::string_view t) {
  return lb::parse_prefix(t).has_value();
}

/// The usual slips, each with its remedy; empty for anything else.
std::string_view address_hint(std::string_view t) {
  if (t.contains('/')) return "; write it without a prefix length";
  if (t.contains('%')) return "; zones (%) are not supported, use 'interface'";
  if (t.starts_with("::ffff:") || t.starts_with("::FFFF:")) return "; write IPv4 addresses as IPv4";
  if (t.starts_with('[')) return "; write it without brackets";
  if (std::ranges::count(t, '.') == 3 && t.contains(':')) return "; the port has its own key";
  if (std::ranges::count(t, '.') == 3) return "; each of the four parts is 0 to 255 without leading zeros";
  return "";
}

}  // namespace

std::optional<lb::Address> read_address(const Node& node, std::string_view key, Values& values) {
  constexpr std::string_view kExpected = "an address such as 192.0.2.1 or \"2001:db8::1\"";
  const auto text = values.text(node, key, kExpected, is_address);
  if (!text) return std::nullopt;
  const auto address = lb::parse_address(*text);
  if (!address)
    values.problems().error(node.where, "{}: {} is not an IPv4 or IPv6 address{}", key, show(*text),
                            address_hint(*text));
  return address;
}

std::optional<lb::Prefix> read_prefix(const Node& node, std::string_view key, Values& values) {
  constexpr std::string_view kExpected = "an address with its length such as 192.0.2.1/24 or \"2001:db8::1/64\"";
  const auto text = values.text(node, key, kExpected, is_prefix);
  if (!text) return std::nullopt;
  const auto prefix = lb::parse_prefix(*text);
  if (prefix) return prefix;

  Problems& problems = values.problems();
  const auto slash = text->find('/');
  const auto address = lb::parse_address(text->substr(0, slash));
  if (!address) {
    const std::string_view hint = slash == std::string_view::npos ? "" : address_hint(text->substr(0, slash));
    problems.error(node.where, "{}: {} is not {}{}", key, show(*text), kExpected, hint);
  } else if (slash == std::string_view::npos) {
    problems.error(node.where, "{}: {} has no length; write it as {}/{} or with its own", key, show(*text), *text,
                   address->is_v4() ? 24 : 64);
  } else {
    problems.error(node.where, "{}: the length of {} must be 0 to {}", key, show(*text), address->is_v4() ? 32 : 128);
  }
  return std::nullopt;
}

std::optional<std::string> read_name(const Node& node, std::string_view key, std::size_t longest, Values& values) {
  const auto text = values.text(node, key, "a name");
  if (!text) return std::nullopt;
  Problems& problems = values.problems();
  if (text->empty() || text->size() > longest) {
    problems.error(node.where, "{}: {} has {} characters; write 1 to {}", key, show(*text), text->size(), longest);
  } else if (text->find_first_not_of(kNameCharacters) != std::string_view::npos) {
    problems.error(node.where, "{}: {} has characters other than A-Z a-z 0-9 _ . -; write it with these", key,
                   show(*text));
  } else {
    return std::string(*text);
  }
  return std::nullopt;
}

bool is_unusable(const lb::Address& a, std::string_view& why) noexcept {
  if (a.is_unspecified()) return why = "the unspecified address", true;
  if (a.is_loopback()) return why = "a loopback address", true;
  if (a.is_multicast()) return why = "a multicast address", true;
  if (a.is_v4() && a.to_v4().host() == 0xffffffff) return why = "the broadcast address", true;
  if (a.is_v4() && a.to_v4().host() >> 24 == 0)
    return why = "in 0.0.0.0/8, which is no address of a host (RFC 1122)", true;
  if (a.is_v4() && a.to_v4().host() >> 28 == 0xf) return why = "in 240.0.0.0/4, which is reserved (RFC 1112)", true;
  return false;
}

}  // namespace weir::config
