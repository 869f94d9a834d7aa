// Loads a text and gives its problems as "line:column: message", for tables of text and the problems expected.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "config/load.h"

namespace weir::config {

inline std::vector<std::string> as_text(const std::vector<Diagnostic>& diagnostics) {
  std::vector<std::string> out;
  for (const Diagnostic& d : diagnostics)
    out.push_back(std::to_string(d.where.line) + ":" + std::to_string(d.where.column) + ": " + d.message);
  return out;
}

inline std::vector<std::string> errors_of(std::string_view text) {
  const auto loaded = load_text(text, "weir.yaml");
  return loaded ? std::vector<std::string>{} : as_text(loaded.error().errors);
}

inline std::vector<std::string> warnings_of(std::string_view text) {
  const auto loaded = load_text(text, "weir.yaml");
  return as_text(loaded ? loaded->warnings : loaded.error().warnings);
}

/// A text and the beginnings of all its errors, in order.
struct Case {
  std::string text;
  std::vector<std::string> errors;
};

inline void expect(const std::vector<Case>& cases, std::string_view rest = "") {
  for (const Case& c : cases) {
    const auto found = errors_of(c.text + "\n" + std::string(rest));
    std::vector<testing::Matcher<std::string>> expected;
    for (const std::string& e : c.errors) expected.push_back(testing::StartsWith(e));
    EXPECT_THAT(found, testing::ElementsAreArray(expected)) << c.text;
  }
}

/// What a text about services needs besides them. Put behind it, so that its own lines count from 1.
inline constexpr std::string_view kNetwork = R"(
hash_key: "00112233445566778899aabbccddeeff"
ports: [{name: p0, device: net_null0}]
interfaces: [{name: lan, port: p0, addresses: [10.0.0.1/24, "fd00::1/64"]}]
neighbors:
  - {address: 10.0.0.5, mac: "02:00:00:00:00:05"}
  - {address: 10.0.0.6, mac: "02:00:00:00:00:06"}
  - {address: 10.0.0.254, mac: "02:00:00:00:00:fe"}
  - {address: "fd00::5", mac: "02:00:00:00:00:05"}
routes: [{to: 0.0.0.0/0, via: 10.0.0.254}]
)";

/// One service; the braces of a VIP's or backend's list go in as they are.
inline std::string service(std::string_view vips, std::string_view backends, std::string_view more = "protocol: tcp") {
  return "services:\n- name: web\n  vips: " + std::string(vips) + "\n  backends: " + std::string(backends) + "\n  " +
         std::string(more);
}

}  // namespace weir::config
