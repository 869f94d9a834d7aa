// Longest-prefix match over the file's few subnets and routes: a hash table for each length in use.
#pragma once

#include <functional>
#include <map>
#include <unordered_map>

#include "lb/address.h"

namespace weir::config {

template <class T>
class PrefixMap {
 public:
  /// The value that stands at the prefix's network, new if there was none, and whether it is new.
  std::pair<T*, bool> add(const lb::Prefix& prefix, T value) {
    const auto [at, is_new] = lengths(prefix.address)[prefix.length].try_emplace(prefix.network(), std::move(value));
    return {&at->second, is_new};
  }

  /// The value of the longest prefix that holds `address`; null if none does.
  [[nodiscard]] const T* find(const lb::Address& address) const {
    for (const auto& [length, networks] : address.is_v4() ? v4_ : v6_)
      if (const auto at = networks.find(lb::Prefix{address, length}.network()); at != networks.end())
        return &at->second;
    return nullptr;
  }

  /// The value at exactly this prefix's network and length; null if there is none.
  [[nodiscard]] const T* find_exact(const lb::Prefix& prefix) const {
    const Lengths& lengths = prefix.address.is_v4() ? v4_ : v6_;
    const auto networks = lengths.find(prefix.length);
    if (networks == lengths.end()) return nullptr;
    const auto at = networks->second.find(prefix.network());
    return at == networks->second.end() ? nullptr : &at->second;
  }

 private:
  using Lengths = std::map<std::uint8_t, std::unordered_map<lb::Address, T>, std::greater<>>;
  Lengths& lengths(const lb::Address& a) { return a.is_v4() ? v4_ : v6_; }

  Lengths v4_;
  Lengths v6_;
};

}  // namespace weir::config
