#include "config/values.h"

#include <cassert>

#include "config/scalar.h"
#include "config/suggest.h"

namespace weir::config {

namespace {

/// An unquoted integer that is no less than 0.
std::optional<std::uint64_t> plain_number(const Node& node) {
  if (node.kind != NodeKind::kScalar || node.quoted) return std::nullopt;
  if (classify_plain(node.text).kind != PlainKind::kInteger) return std::nullopt;
  return parse_decimal(node.text.starts_with('+') ? node.text.substr(1) : node.text);
}

}  // namespace

std::string describe(const Node& node) {
  switch (node.kind) {
    case NodeKind::kMap: return "a mapping";
    case NodeKind::kSequence: return "a list";
    case NodeKind::kEmpty: return node.text.empty() ? "nothing" : fmt::format("{} (nothing)", node.text);
    case NodeKind::kRefused: return "an alias";
    case NodeKind::kScalar: break;
  }
  if (node.quoted) return "the text " + show(node.text);
  switch (classify_plain(node.text).kind) {
    case PlainKind::kInteger:
    case PlainKind::kFloat: return "the number " + escape(node.text.substr(0, 40));
    case PlainKind::kBool: return std::string(node.text);
    default: return "the text " + show(node.text);
  }
}

bool Values::is_a(const Node& node, NodeKind kind, std::string_view what, std::string_view expected) {
  if (node.kind == kind) return true;
  if (node.kind != NodeKind::kRefused)
    problems_.error(node.where, "{}: expected {}, found {}", what, expected, describe(node));
  return false;
}

std::optional<std::string_view> Values::scalar(const Node& node, std::string_view key, std::string_view expected) {
  if (node.kind == NodeKind::kScalar) return node.text;
  if (node.kind == NodeKind::kEmpty && node.text.empty()) {
    problems_.error(node.where, "{} has no value; write {}", key, expected);
  } else if (node.kind == NodeKind::kEmpty) {
    problems_.error(node.where,
                    "{}: {} without quotes is ambiguous, some YAML readers take it for nothing; quote it or write {}",
                    key, node.text, expected);
  } else {
    is_a(node, NodeKind::kScalar, key, expected);
  }
  return std::nullopt;
}

std::optional<std::string_view> Values::text(const Node& node, std::string_view key, std::string_view expected,
                                             bool (*is_shape)(std::string_view)) {
  if (outline_ != nullptr) return outline_->is_text = true, std::nullopt;
  const auto raw = scalar(node, key, expected);
  if (!raw || node.quoted || (is_shape != nullptr && is_shape(*raw))) return raw;
  const Plain plain = classify_plain(*raw);
  switch (plain.kind) {
    case PlainKind::kText: return raw;
    case PlainKind::kAmbiguous:
      problems_.error(node.where,
                      "{}: {} without quotes is ambiguous, some YAML readers take it for {}; quote it or write {}", key,
                      show(*raw), plain.why, expected);
      return std::nullopt;
    default:
      problems_.error(node.where, "{}: expected {}, found {}; quote it if it is meant as text", key, expected,
                      describe(node));
      return std::nullopt;
  }
}

std::optional<std::uint64_t> Values::number(const Node& node, std::string_view key, std::uint64_t least,
                                            std::uint64_t most) {
  if (outline_ != nullptr) return outline_->number = {least, most}, std::nullopt;
  if (const auto value = plain_number(node); value && *value >= least && *value <= most) return value;

  const std::string expected = fmt::format("a number from {} to {}", least, most);
  const auto raw = scalar(node, key, expected);
  if (!raw) return std::nullopt;
  const Plain plain = classify_plain(*raw);
  if (node.quoted) {
    const bool is_number = plain.kind == PlainKind::kInteger;
    problems_.error(node.where, "{}: expected {}, found {}{}", key, expected, describe(node),
                    is_number ? "; remove the quotes" : "");
    return std::nullopt;
  }
  if (plain.kind == PlainKind::kAmbiguous) {
    problems_.error(node.where,
                    "{}: {} is ambiguous, some YAML readers take it for {}; write {} in plain decimal digits", key,
                    show(*raw), plain.why, expected);
    return std::nullopt;
  }
  if (plain.kind != PlainKind::kInteger) {
    problems_.error(node.where, "{}: expected {}, found {}", key, expected, describe(node));
    return std::nullopt;
  }
  problems_.error(node.where, "{}: {} is out of range; write {}", key, escape(raw->substr(0, 40)), expected);
  return std::nullopt;
}

std::optional<bool> Values::boolean(const Node& node, std::string_view key) {
  if (outline_ != nullptr) return outline_->is_bool = true, std::nullopt;
  const auto raw = scalar(node, key, "true or false");
  if (!raw) return std::nullopt;
  const Plain plain = classify_plain(*raw);
  if (!node.quoted && plain.kind == PlainKind::kBool) return raw->front() == 't' || raw->front() == 'T';
  if (!node.quoted && plain.kind == PlainKind::kAmbiguous) {
    problems_.error(node.where, "{}: {} is ambiguous, some YAML readers take it for {}; write true or false", key,
                    show(*raw), plain.why);
  } else {
    problems_.error(node.where, "{}: expected true or false without quotes, found {}", key, describe(node));
  }
  return std::nullopt;
}

std::optional<std::chrono::milliseconds> Values::duration(const Node& node, std::string_view key,
                                                          std::string_view example) {
  if (outline_ != nullptr) return outline_->is_duration = true, std::nullopt;
  const std::string expected = fmt::format("one number with ms, s, m, h or d, such as {}", example);
  const auto raw = scalar(node, key, expected);
  if (!raw) return std::nullopt;
  const auto parsed = parse_duration(*raw);
  if (parsed) return *parsed;
  if (parsed.error() == DurationFault::kTooLong) {
    problems_.error(node.where, "{}: {} is longer than 100 years; write {}", key, show(*raw), expected);
  } else if (parsed.error() == DurationFault::kNoUnit) {
    problems_.error(node.where, "{}: {} has no unit; write {}", key, show(*raw), expected);
  } else if (const Plain plain = classify_plain(*raw); !node.quoted && plain.kind == PlainKind::kAmbiguous) {
    problems_.error(node.where, "{}: {} is ambiguous, some YAML readers take it for {}; write {}", key, show(*raw),
                    plain.why, expected);
  } else {
    problems_.error(node.where, "{}: {} is not a duration; write {}", key, show(*raw), expected);
  }
  return std::nullopt;
}

std::optional<std::size_t> Values::word(const Node& node, std::string_view key, std::span<const Word> words) {
  std::vector<std::string_view> names;
  std::string expected;  // the words of this version
  for (const Word& w : words) {
    names.push_back(w.name);
    if (!w.is_later) expected += (expected.empty() ? "" : " | ") + std::string(w.name);
  }
  if (outline_ != nullptr) {
    outline_->words.clear();
    for (const Word& w : words)
      if (!w.is_later) outline_->words.emplace_back(w.name);
    return std::nullopt;
  }
  const auto raw = text(node, key, expected);
  if (!raw) return std::nullopt;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (*raw != words[i].name) continue;
    if (!words[i].is_later) return i;
    problems_.error(node.where, "{}: {} is not in this version; write {}", key, *raw, expected);
    return std::nullopt;
  }
  const std::string hint = did_you_mean(*raw, names);
  problems_.error(node.where, "{}: {} is not known; write {}{}", key, show(*raw), expected, hint);
  return std::nullopt;
}

const Key* Values::known_key(const Node& key, std::string_view what, std::span<const Key> keys, Seen& seen) {
  assert(keys.size() <= seen.size());
  if (key.kind == NodeKind::kRefused) return nullptr;
  if (key.kind != NodeKind::kScalar) {
    problems_.error(key.where, "{}: a key must be a word, found {}", what, describe(key));
    return nullptr;
  }
  if (key.text == "<<" && !key.quoted) {
    problems_.error(key.where, "merge keys (<<) are not supported; write the keys out");
    return nullptr;
  }
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (key.text != keys[i].name) continue;
    if (seen[i] != Where{}) {
      problems_.error(key.where, "{} has key '{}' twice, first at {}; remove one", what, key.text, seen[i]);
      return nullptr;
    }
    seen[i] = key.where;
    if (keys[i].need != Key::kLater) return &keys[i];
    problems_.error(key.where, "key '{}' is not in this version; remove it", key.text);
    return nullptr;
  }
  std::vector<std::string_view> names;
  for (const Key& k : keys) names.push_back(k.name);
  problems_.error(key.where, "{} has no key {}{}", what, show(key.text), did_you_mean(key.text, names));
  return nullptr;
}

void Values::report_missing(const Node& map, std::string_view what, std::span<const Key> keys, const Seen& seen) {
  for (std::size_t i = 0; i < keys.size(); ++i)
    if (keys[i].need == Key::kRequired && seen[i] == Where{})
      problems_.error(map.where, "{} needs key '{}'; add it", what, keys[i].name);
}

}  // namespace weir::config
