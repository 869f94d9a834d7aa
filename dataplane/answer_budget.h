// How many packets of its own Weir may make: a token bucket for each class, shared by all workers, because the rate is
// the box's and not a worker's (design part 4: 1,000 a second, burst 1,000).
#pragma once

#include <cstdint>

#include "lb/token_bucket.h"

namespace weir::dataplane {

struct AnswerBudget {
  static constexpr std::uint64_t kPerSecond = 1000;

  lb::SharedTokenBucket neighbors{kPerSecond, kPerSecond};  // ARP and ND
  lb::SharedTokenBucket echoes{kPerSecond, kPerSecond};
  lb::SharedTokenBucket resets{kPerSecond, kPerSecond};
  lb::SharedTokenBucket unreachables{kPerSecond, kPerSecond};
};

}  // namespace weir::dataplane
