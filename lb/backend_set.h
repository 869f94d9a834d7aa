// The backends of a service for one family: who may be chosen, by which table.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "lb/hash.h"
#include "lb/ids.h"
#include "lb/maglev.h"
#include "lb/parse.h"

namespace weir::lb {

struct BackendSet {
  std::vector<EndpointId> members;         // by position, as the Maglev table's entries name them; drained ones too
  std::vector<EndpointId> sorted_members;  // ascending, for contains()
  MaglevTable table;                       // empty: nobody may take new flows

  [[nodiscard]] bool contains(EndpointId e) const noexcept {
    return std::binary_search(sorted_members.begin(), sorted_members.end(), e);
  }
  /// kNone if nobody may take new flows. `hash` comes from selection_hash().
  [[nodiscard]] EndpointId choose(std::uint64_t hash) const noexcept {
    return table.empty() ? EndpointId::kNone : members[table.lookup(hash)];
  }
};

/// The hash that picks a backend: of the five-tuple as the client sends it, whichever side asks. Equal on every
/// worker and every box with the same key; independent of ids, order and time.
[[nodiscard]] inline std::uint64_t selection_hash(const HashKey& key, Protocol protocol, const Address& client,
                                                  be16 client_port, const Address& vip, be16 vip_port) noexcept {
  const std::uint64_t ports = std::uint64_t{client_port.host()} << 32 | std::uint64_t{vip_port.host()} << 16 |
                              static_cast<std::uint64_t>(protocol);
  if (client.is_v4()) return sip_hash(key, std::uint64_t{client.to_v4().host()} << 32 | vip.to_v4().host(), ports);
  std::uint64_t words[4];
  std::memcpy(words, client.bytes.data(), 16);
  std::memcpy(words + 2, vip.bytes.data(), 16);
  return sip_hash(key, words[0], words[1], words[2], words[3], ports);
}

}  // namespace weir::lb
