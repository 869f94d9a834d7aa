#include "config/check.h"

namespace weir::config {

namespace {

constexpr std::uint32_t kLeastFlowsOfWorker = 64;

// Each worker has a table of its own.
void check_shares(const Draft& draft, Problems& problems) {
  const Model& m = draft.model;
  const auto check = [&](std::string_view key, std::uint32_t flows) {
    if (flows / m.workers < kLeastFlowsOfWorker)
      problems.error(draft.root, "conntrack.{}: {} flows over {} workers leave {} for each; write {} or more", key,
                     flows, m.workers, flows / m.workers, kLeastFlowsOfWorker * m.workers);
  };
  check("capacity", m.conntrack.capacity);
  check("wide_capacity", m.conntrack.wide_capacity);
}

}  // namespace

void check_model(Draft& draft, Problems& problems) {
  if (!draft.has_hash_key)
    problems.warn(
        draft.root,
        "hash_key is not given, and the default is public: anyone can aim flows at one backend; run `weir keygen`");
  check_shares(draft, problems);
  check_network(draft, problems);
  check_services(draft, problems);
  check_reach(draft, problems);
}

}  // namespace weir::config
