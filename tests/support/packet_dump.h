// Shows packets in test failures: what they say, their bytes, and where two of them first differ.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace weir::test {

/// One line: "ipv4 192.0.2.1 > 203.0.113.9 ttl 64 | tcp 40000 > 80 S seq 1 ... : 02 00 ...". Checksums that are
/// wrong are marked BAD. Any bytes will do.
[[nodiscard]] std::string dump(std::span<const std::uint8_t> bytes);

/// The name of the field that byte `at` belongs to ("ipv4 ttl"), or "payload" or "trailer".
[[nodiscard]] std::string field_at(std::span<const std::uint8_t> bytes, std::size_t at);

/// EXPECT_TRUE(same_packet(expected, got)): names the first byte that differs, its field, and shows both.
[[nodiscard]] ::testing::AssertionResult same_packet(std::span<const std::uint8_t> expected,
                                                     std::span<const std::uint8_t> got);

/// "45 00 0073": hex digits in pairs, blanks and line ends between them as you like.
[[nodiscard]] std::vector<std::uint8_t> from_hex(std::string_view text);

}  // namespace weir::test
