#include "lb/hash.h"

#include <charconv>

namespace weir::lb {

std::optional<HashKey> parse_hash_key(std::string_view hex) {
  if (hex.size() != 32) return std::nullopt;
  std::uint64_t words[2];
  for (std::size_t i = 0; i < 2; ++i) {
    const char* at = hex.data() + i * 16;
    const auto [end, error] = std::from_chars(at, at + 16, words[i], 16);
    if (error != std::errc{} || end != at + 16) return std::nullopt;
  }
  return HashKey{words[0], words[1]};
}

}  // namespace weir::lb
