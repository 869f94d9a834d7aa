#include "control/drains.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>
#include <tuple>

#include "config/suggest.h"
#include "control/table.h"

namespace weir::control {

namespace {

std::string name_of(const lb::Address& address, std::uint16_t port) {
  return port == 0 ? lb::to_string(address) : lb::to_string(address, port);
}

bool is_one(const config::Backend& b, const DrainRequest& r) {
  return b.address == r.address && b.port == r.port;
}
bool is_of(const Drain& d, const DrainRequest& r) {
  return d.address == r.address && d.port == r.port;
}

/// "; did you mean '10.0.0.5:8080'?": the same address with another port before names that merely look alike.
std::string near_backends(const config::Model& model, const DrainRequest& r) {
  std::set<std::string> same_address, all;
  for (const config::Service& s : model.services) {
    if (!r.service.empty() && s.name != r.service) continue;
    for (const config::Backend& b : s.backends)
      (b.address == r.address ? same_address : all).insert(name_of(b.address, b.port));
  }
  if (!same_address.empty()) return fmt::format("; there is {}", fmt::join(same_address, ", "));
  const std::vector<std::string_view> names(all.begin(), all.end());
  return config::did_you_mean(name_of(r.address, r.port), names);
}

lb::Result<void> check_service(const config::Model& model, const std::string& service) {
  if (service.empty() || std::ranges::find(model.services, service, &config::Service::name) != model.services.end())
    return {};
  std::vector<std::string_view> names;
  for (const config::Service& s : model.services) names.push_back(s.name);
  return lb::fail(
      fmt::format("there is no service \"{}\"{}", printable(service), config::did_you_mean(service, names)));
}

std::string who(const DrainRequest& r) {
  return r.service.empty() ? "there is no backend" : fmt::format("service {} has no backend", r.service);
}

/// Families of VIPs that no backend may take new flows of any more.
std::vector<lb::Family> without_backends(const config::Service& s, const Overlay& overlay) {
  std::vector<lb::Family> out;
  for (const lb::Family family : {lb::Family::kIpv4, lb::Family::kIpv6}) {
    const auto is_usable = [&](const config::Backend& b) {
      return b.address.family() == family && b.weight > 0 && overlay.drain_of(s.name, b) == nullptr;
    };
    const auto is_vip = [family](const config::Vip& v) { return v.address.family() == family; };
    if (std::ranges::any_of(s.vips, is_vip) && std::ranges::none_of(s.backends, is_usable)) out.push_back(family);
  }
  return out;
}

void warn_of_services(const config::Model& model, const DrainRequest& r, DrainEdit& edit) {
  Overlay overlay;
  overlay.drains = edit.drains;
  for (const config::Service& s : model.services) {
    if (std::ranges::find(edit.services, s.name) == edit.services.end()) continue;
    if (r.is_drain)
      for (const lb::Family family : without_backends(s, overlay))
        edit.warnings.push_back(
            fmt::format("service {}: no {} backend is left that takes new flows; its clients are "
                        "refused",
                        s.name, lb::name(family)));
    for (const config::Backend& b : s.backends)
      if (!r.is_drain && is_one(b, r) && b.weight == 0)
        edit.warnings.push_back(fmt::format("service {}: {} stays draining, its weight is 0 in the file", s.name,
                                            name_of(b.address, b.port)));
  }
}

void drain(DrainEdit& edit, const DrainRequest& r) {
  const auto covers = [&r](const Drain& d) { return is_of(d, r) && (d.service.empty() || d.service == r.service); };
  if (std::ranges::any_of(edit.drains, covers)) return;
  if (r.service.empty()) std::erase_if(edit.drains, [&r](const Drain& d) { return is_of(d, r); });  // it covers them
  edit.drains.push_back({.address = r.address, .port = r.port, .service = r.service, .since_s = r.now_s});
  edit.is_changed = true;
}

lb::Result<void> enable(DrainEdit& edit, const DrainRequest& r) {
  const auto is_everywhere = [&r](const Drain& d) { return is_of(d, r) && d.service.empty(); };
  if (!r.service.empty() && std::ranges::any_of(edit.drains, is_everywhere))
    return lb::fail(fmt::format("{0} is drained in every service; `weir enable {0}` without --service ends that",
                                name_of(r.address, r.port)));
  edit.is_changed = std::erase_if(edit.drains, [&r](const Drain& d) {
                      return is_of(d, r) && (r.service.empty() || d.service == r.service);
                    }) > 0;
  return {};
}

}  // namespace

lb::Result<DrainEdit> edit_drains(const config::Model& model, const std::vector<Drain>& now,
                                  const DrainRequest& request) {
  DrainEdit edit{.drains = now};
  const bool is_drained = std::ranges::any_of(now, [&](const Drain& d) {
    return is_of(d, request) && (request.service.empty() || d.service == request.service);
  });
  // What has left the file can still be enabled.
  if (!is_drained)
    if (auto ok = check_service(model, request.service); !ok) return std::unexpected(ok.error());
  for (const config::Service& s : model.services)
    if ((request.service.empty() || s.name == request.service) &&
        std::ranges::any_of(s.backends, [&](const config::Backend& b) { return is_one(b, request); }))
      edit.services.push_back(s.name);
  if (edit.services.empty() && !is_drained)
    return lb::fail(
        fmt::format("{} {}{}", who(request), name_of(request.address, request.port), near_backends(model, request)));
  if (request.is_drain)
    drain(edit, request);
  else if (auto done = enable(edit, request); !done)
    return std::unexpected(done.error());
  std::ranges::sort(edit.drains, {}, [](const Drain& d) { return std::tie(d.address, d.port, d.service); });
  warn_of_services(model, request, edit);
  return edit;
}

std::string utc_text(std::int64_t since_s) {
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(static_cast<std::time_t>(since_s)));
}

}  // namespace weir::control
