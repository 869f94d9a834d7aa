#include "control/json_text.h"

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

namespace weir::control {

std::string error_json(std::string_view sentence) {
  return boost::json::serialize(boost::json::object{{"error", boost::json::string(sentence)}});
}

}  // namespace weir::control
