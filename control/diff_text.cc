#include "control/diff_text.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <boost/json/array.hpp>
#include <utility>
#include <vector>

#include "control/plural.h"
#include "control/table.h"

namespace weir::control {

namespace {

namespace json = boost::json;

std::string what_of(const config::Change& c) {
  const std::string of = c.service.empty() ? "" : fmt::format("service {}: ", c.service);
  const std::string noun = c.what == "setting" ? "" : c.what == "vip" ? "VIP " : c.what + " ";
  return fmt::format("{}{}{}{}{}", of, noun, c.name, c.key.empty() ? "" : ": ", c.key);
}

std::string_view sign_of(config::ChangeKind kind) {
  static constexpr std::string_view kSigns[] = {"+", "-", "~"};
  return kSigns[static_cast<std::size_t>(kind)];
}

std::string value_of(const config::Change& c, const std::string& value) {
  return value.empty() && c.kind == config::ChangeKind::kChanged ? "(default)" : value;
}

std::string moved_text(const config::Moved& m) {
  const std::string share =
      m.share ? fmt::format("{:.1f} % of its new {} flows get another backend", 100 * *m.share, lb::name(m.family))
              : fmt::format("new {} flows get another backend, how many is not estimated", lb::name(m.family));
  const std::string_view because = m.why.empty() ? "" : ", because of ";
  return printable(fmt::format("service {}: {}{}{}", m.service, share, because, m.why)) + "\n";
}

}  // namespace

std::string diff_text(const config::Difference& d) {
  if (d.changes.empty()) return "no changes\n";
  Table table({{"", Align::kLeft},
               {"WHAT", Align::kLeft},
               {"NOW", Align::kLeft},
               {"NEXT", Align::kLeft},
               {"EFFECT", Align::kLeft}});
  for (const config::Change& c : d.changes)
    table.add_row({std::string(sign_of(c.kind)), what_of(c), value_of(c, c.before), value_of(c, c.after), c.effect});
  std::string out = table.text() + "\n";
  for (const config::Moved& m : d.moved) out += moved_text(m);
  if (!d.moved.empty()) out += "flows under way stay where they are\n";
  out += plural(d.changes.size(), "change");
  if (!d.needs_restart.empty())
    out += fmt::format("; a reload would refuse them all: {} can only change by a restart",
                       fmt::join(d.needs_restart, ", "));
  return out + "\n";
}

json::object diff_json(const config::Difference& d) {
  json::array changes, moved, restart;
  for (const config::Change& c : d.changes) {
    json::object o{{"change", config::name(c.kind)}, {"what", c.what}, {"name", c.name}};
    if (!c.service.empty()) o["service"] = c.service;
    if (!c.key.empty()) o["key"] = c.key;
    if (!c.before.empty() || !c.after.empty()) {
      o["before"] = c.before.empty() ? json::value(nullptr) : json::value(c.before);
      o["after"] = c.after.empty() ? json::value(nullptr) : json::value(c.after);
    }
    if (!c.effect.empty()) o["effect"] = c.effect;
    changes.emplace_back(std::move(o));
  }
  for (const config::Moved& m : d.moved) {
    json::object o{{"service", m.service},
                   {"family", lb::name(m.family)},
                   {"share", m.share ? json::value(*m.share) : json::value(nullptr)}};
    if (!m.why.empty()) o["why"] = m.why;
    moved.emplace_back(std::move(o));
  }
  for (const std::string& key : d.needs_restart) restart.emplace_back(key);
  return {{"changes", std::move(changes)}, {"moved", std::move(moved)}, {"needs_restart", std::move(restart)}};
}

}  // namespace weir::control
