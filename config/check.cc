#include "config/check.h"

namespace weir::config {

void check_model(Draft& draft, Problems& problems) {
  if (!draft.has_hash_key)
    problems.warn(
        draft.root,
        "hash_key is not given, and the default is public: anyone can aim flows at one backend; run `weir keygen`");
  check_network(draft, problems);
  check_services(draft, problems);
  check_reach(draft, problems);
}

}  // namespace weir::config
