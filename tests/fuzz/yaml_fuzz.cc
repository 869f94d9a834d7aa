// Any bytes as weir.yaml: a model or errors with places, never a crash or a wait.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "config/load.h"

namespace {

/// What every caller relies on, whatever the text.
bool holds(const std::expected<weir::config::Loaded, weir::config::Refused>& loaded) {
  if (loaded) return true;
  const auto& errors = loaded.error().errors;
  for (const auto& e : errors)
    if (e.message.empty() || e.where.line == 0 || e.where.column == 0) return false;
  return !errors.empty();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (!holds(weir::config::load_text(text, "weir.yaml"))) std::abort();
  return 0;
}
