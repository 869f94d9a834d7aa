#include "control/version.h"

namespace weir::control {

std::string_view version() noexcept {
  return WEIR_VERSION;
}

}  // namespace weir::control
