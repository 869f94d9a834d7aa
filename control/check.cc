#include "control/check.h"

#include <fmt/format.h>

#include <ostream>

#include "config/load.h"
#include "control/plural.h"

namespace weir::control {

namespace {

std::string summary(const config::Model& model) {
  std::size_t backends = 0;
  for (const config::Service& s : model.services) backends += s.backends.size();
  return fmt::format("{}, {}, {}", plural(model.services.size(), "service"), plural(backends, "backend"),
                     plural(model.interfaces.size(), "interface"));
}

bool check_file(const std::string& file, std::ostream& out, std::ostream& err) {
  const auto loaded = config::load_file(file);
  for (const auto& warning : loaded ? loaded->warnings : loaded.error().warnings)
    err << config::format_warning(file, warning) << '\n';
  if (loaded) {
    out << file << ": good: " << summary(loaded->model) << '\n';
    return true;
  }
  for (const auto& error : loaded.error().errors) err << config::format(file, error) << '\n';
  return false;
}

}  // namespace

bool check_files(const std::vector<std::string>& files, std::ostream& out, std::ostream& err) {
  bool all_good = true;
  for (const std::string& file : files) all_good = check_file(file, out, err) && all_good;
  return all_good;
}

}  // namespace weir::control
