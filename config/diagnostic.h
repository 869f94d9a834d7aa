// One problem with the file: where, what, and what to do.
#pragma once

#include <string>

#include "config/model.h"

namespace weir::config {

struct Diagnostic {
  Where where;          // {0, 0}: the file as a whole
  std::string message;  // what is wrong and what to do
  bool operator==(const Diagnostic&) const = default;
};

}  // namespace weir::config
