#include "lb/checksum.h"

#include <gtest/gtest.h>

#include <array>
#include <random>
#include <vector>

namespace weir::lb {
namespace {

constexpr be16 w(std::uint16_t host) {
  return be16::from_host(host);
}

// RFC 1624 section 4: a word 0x5555 becomes 0x3285 under the checksum 0xdd2f. Equation 3 gives 0x0000, where
// RFC 1141's equation gives 0xffff.
static_assert(checksum_update(w(0xdd2f), w(0x5555), w(0x3285)) == w(0x0000));
// RFC 1071 section 3: the bytes 00 01 f2 03 f4 f5 f6 f7 add up to ddf2.
static_assert(internet_checksum(std::array<std::uint8_t, 8>{0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7}) ==
              w(0xffff ^ 0xddf2));
static_assert(internet_checksum({}) == w(0xffff));

/// The obvious one: 16-bit words, high byte first, carry brought round after each.
std::uint16_t slow_sum(std::span<const std::uint8_t> bytes, std::uint32_t sum = 0) {
  for (std::size_t i = 0; i < bytes.size(); i += 2) {
    sum += std::uint32_t{bytes[i]} << 8 | (i + 1 < bytes.size() ? bytes[i + 1] : 0u);
    if (sum > 0xffff) sum -= 0xffff;
  }
  return static_cast<std::uint16_t>(sum);
}

std::uint16_t slow_checksum(std::span<const std::uint8_t> bytes) {
  return static_cast<std::uint16_t>(~slow_sum(bytes));
}

/// One's-complement sum of two words.
std::uint16_t plus(std::uint32_t a, std::uint32_t b) {
  return static_cast<std::uint16_t>(a + b > 0xffff ? a + b - 0xffff : a + b);
}

std::vector<std::uint8_t> random_bytes(std::mt19937_64& random, std::size_t n) {
  std::vector<std::uint8_t> bytes(n);
  for (auto& b : bytes) b = static_cast<std::uint8_t>(random());
  return bytes;
}

TEST(InternetChecksum, EqualsTheSlowSumAtEveryLengthAndAlignment) {
  std::mt19937_64 random(1);
  const auto bytes = random_bytes(random, 9018 + 16);
  for (std::size_t length = 0; length < 300; ++length)
    for (std::size_t offset = 0; offset < 16; ++offset) {
      const auto part = std::span(bytes).subspan(offset, length);
      ASSERT_EQ(internet_checksum(part).host(), slow_checksum(part)) << length << " bytes at " << offset;
    }
  for (const std::size_t length : {1499, 1500, 9017, 9018}) {
    const auto part = std::span(bytes).subspan(3, length);
    EXPECT_EQ(internet_checksum(part).host(), slow_checksum(part)) << length;
  }
}

TEST(InternetChecksum, CarriesOutOfEveryWord) {
  const std::vector<std::uint8_t> ones(4096, 0xff);
  for (std::size_t length = 1; length < ones.size(); ++length)
    ASSERT_EQ(internet_checksum(std::span(ones).first(length)).host(), slow_checksum(std::span(ones).first(length)));
  EXPECT_EQ(internet_checksum(std::vector<std::uint8_t>(64, 0)), w(0xffff));
}

TEST(InternetChecksum, RunsAtCompileTimeAsAtRunTime) {
  static constexpr auto kBytes = [] {
    std::array<std::uint8_t, 61> bytes{};
    for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::uint8_t>(i * 37 + 200);
    return bytes;
  }();
  constexpr be16 kSum = internet_checksum(kBytes);
  EXPECT_EQ(kSum, internet_checksum(kBytes));
}

TEST(InternetChecksum, OfAHeaderWithItsChecksumIsZero) {
  // An IPv4 header much used as an example: 192.168.0.1 to 192.168.0.199, UDP, checksum b861.
  std::array<std::uint8_t, 20> header{0x45, 0x00, 0x00, 0x73, 0x00, 0x00, 0x40, 0x00, 0x40, 0x11,
                                      0xb8, 0x61, 0xc0, 0xa8, 0x00, 0x01, 0xc0, 0xa8, 0x00, 0xc7};
  EXPECT_EQ(internet_checksum(header), w(0));
  header[10] = header[11] = 0;
  EXPECT_EQ(internet_checksum(header), w(0xb861));
}

TEST(PseudoHeader, EqualsItsBytesInBothFamilies) {
  std::mt19937_64 random(2);
  for (int i = 0; i < 10'000; ++i) {
    const auto body = random_bytes(random, random() % 64);
    const auto length = static_cast<std::uint16_t>(body.size());

    const auto a4 = random_bytes(random, 8);
    std::vector<std::uint8_t> wire4(a4);
    wire4.insert(wire4.end(), {0, 17, 0, static_cast<std::uint8_t>(length)});
    wire4.insert(wire4.end(), body.begin(), body.end());
    const be32 source = be32::from_raw(detail::load_raw<std::uint32_t>(a4.data()));
    const be32 destination = be32::from_raw(detail::load_raw<std::uint32_t>(a4.data() + 4));
    EXPECT_EQ(pseudo_header_sum(source, destination, Protocol::kUdp, length).add(body).checksum().host(),
              slow_checksum(wire4));
    EXPECT_EQ(pseudo_header_sum(Address::v4(source), Address::v4(destination), Protocol::kUdp, length)
                  .add(body)
                  .checksum()
                  .host(),
              slow_checksum(wire4));

    const auto a6 = random_bytes(random, 32);
    std::vector<std::uint8_t> wire6(a6);
    wire6.insert(wire6.end(), {0, 0, 0, static_cast<std::uint8_t>(length), 0, 0, 0, 58});
    wire6.insert(wire6.end(), body.begin(), body.end());
    EXPECT_EQ(pseudo_header_sum(Address::v6(a6.data()), Address::v6(a6.data() + 16), Protocol::kIcmp6, length)
                  .add(body)
                  .checksum()
                  .host(),
              slow_checksum(wire6));
  }
}

// The words around a field add up to `rest`; the field is `from`, then `to`. A fresh computation is the oracle,
// over every value that the rest, and so the checksum, can have.
TEST(ChecksumUpdate, EqualsAFreshSumForEveryChecksumAndEdgeFields) {
  const std::uint16_t edges[] = {0, 1, 0x00ff, 0x0100, 0x5555, 0x7fff, 0x8000, 0xaaaa, 0xff00, 0xfffe, 0xffff};
  for (const std::uint16_t from : edges)
    for (const std::uint16_t to : edges)
      for (std::uint32_t rest = 1; rest <= 0xffff; ++rest) {  // 0: no packet is all zeroes
        const auto old_sum = static_cast<std::uint16_t>(~plus(rest, from));
        const auto fresh = static_cast<std::uint16_t>(~plus(rest, to));
        ASSERT_EQ(checksum_update(w(old_sum), w(from), w(to)).host(), fresh)
            << std::hex << from << " to " << to << " under " << old_sum;
      }
}

TEST(ChecksumUpdate, EqualsAFreshSumForRandomFieldsOfEverySize) {
  std::mt19937_64 random(3);
  for (int i = 0; i < 1'000'000; ++i) {
    const std::uint64_t r = random(), s = random();
    const auto rest = static_cast<std::uint16_t>(r % 0xffff + 1);
    const auto from = static_cast<std::uint32_t>(s), to = static_cast<std::uint32_t>(s >> 32);
    const auto words = [&](std::uint32_t v) { return plus(plus(rest, v >> 16), v & 0xffff); };
    const be16 old_sum = w(static_cast<std::uint16_t>(~words(from)));
    const auto fresh = static_cast<std::uint16_t>(~words(to));
    ASSERT_EQ(checksum_update(old_sum, be32::from_host(from), be32::from_host(to)).host(), fresh);
    ASSERT_EQ(checksum_update(old_sum, Address::v4(be32::from_host(from)), Address::v4(be32::from_host(to))).host(),
              fresh);
  }
  for (int i = 0; i < 100'000; ++i) {
    auto bytes = random_bytes(random, 18);  // an address and two bytes besides
    bytes[17] |= 1;
    const be16 old_sum = w(slow_checksum(bytes));
    const Address from = Address::v6(bytes.data());
    const auto other = random_bytes(random, 16);
    std::copy(other.begin(), other.end(), bytes.begin());
    ASSERT_EQ(checksum_update(old_sum, from, Address::v6(other.data())).host(), slow_checksum(bytes));
  }
}

TEST(ChecksumUpdate, LeavesAWrongChecksumWrongByTheSameAmount) {
  std::mt19937_64 random(4);
  for (int i = 0; i < 100'000; ++i) {
    const std::uint64_t r = random();
    const be16 from = w(static_cast<std::uint16_t>(r)), to = w(static_cast<std::uint16_t>(r >> 16));
    const be16 right = w(static_cast<std::uint16_t>((r >> 32) % 0xffff));
    const auto error = static_cast<std::uint16_t>((r >> 48) % 0xfffe + 1);  // neither zero
    const be16 wrong = w(plus(right.host(), error));
    const std::uint16_t off = plus(checksum_update(right, from, to).host(), error);
    const std::uint16_t got = checksum_update(wrong, from, to).host();
    ASSERT_EQ(got % 0xffff, off % 0xffff);
    ASSERT_NE(got % 0xffff, checksum_update(right, from, to).host() % 0xffff) << "repaired";
  }
}

// spec/faults.md P14: TTL and protocol share a word; every TTL under every checksum.
TEST(ChecksumUpdate, DecrementsEveryTtlUnderEveryChecksum) {
  const std::uint16_t protocol = 6;
  for (std::uint32_t ttl = 1; ttl <= 255; ++ttl) {
    const auto from = static_cast<std::uint16_t>(ttl << 8 | protocol);
    const auto to = static_cast<std::uint16_t>((ttl - 1) << 8 | protocol);
    for (std::uint32_t sum = 0; sum <= 0xffff; ++sum) {
      const std::uint16_t rest = plus(~sum & 0xffff, ~from & 0xffff);  // what else lies in a header with this sum
      const std::uint16_t updated = checksum_update(w(static_cast<std::uint16_t>(sum)), w(from), w(to)).host();
      const std::uint16_t check = plus(plus(rest, to), updated);
      if (check != 0xffff) FAIL() << "a receiver refuses TTL " << ttl << " to " << ttl - 1 << " under " << sum;
    }
  }
}

TEST(ChecksumDelta, GathersAddressAndPortForTwoChecksums) {
  std::mt19937_64 random(5);
  for (int i = 0; i < 100'000; ++i) {
    auto bytes = random_bytes(random, 20);  // destination address at 4, port at 10
    bytes[0] |= 1;
    const be16 old_sum = w(slow_checksum(bytes));
    const auto at = [&](std::size_t offset) { return be32::from_raw(detail::load_raw<std::uint32_t>(&bytes[offset])); };
    const auto port = [&] { return be16::from_raw(detail::load_raw<std::uint16_t>(&bytes[10])); };
    const be32 old_address = at(4);
    const be16 old_port = port();
    const auto other = random_bytes(random, 6);
    std::copy(other.begin(), other.begin() + 4, bytes.begin() + 4);
    std::copy(other.begin() + 4, other.end(), bytes.begin() + 10);

    const auto delta = ChecksumDelta().change(old_address, at(4)).change(old_port, port());
    ASSERT_EQ(delta.apply(old_sum).host(), slow_checksum(bytes));
    const auto same = ChecksumDelta().change(Address::v4(old_address), Address::v4(at(4))).change(old_port, port());
    ASSERT_EQ(same.apply(old_sum), delta.apply(old_sum));
  }
}

// spec/faults.md P08, over all values: none stays none, and no datagram that had a checksum leaves without one.
TEST(ChecksumDelta, KeepsUdpsZeroAndNeverMakesOne) {
  for (const unsigned value : {0x0000u, 0x0001u, 0x1234u, 0xfffeu, 0xffffu}) {
    const auto to = static_cast<std::uint16_t>(value);
    const auto delta = ChecksumDelta().change(w(0x5555), w(to));
    EXPECT_EQ(delta.apply_udp(w(0)), w(0));
    int came_to_zero = 0;
    for (std::uint32_t sum = 1; sum <= 0xffff; ++sum) {
      const be16 old_sum = w(static_cast<std::uint16_t>(sum));
      const be16 updated = delta.apply_udp(old_sum);
      ASSERT_NE(updated, w(0));
      if (delta.apply(old_sum) == w(0)) {
        ++came_to_zero;
        ASSERT_EQ(updated, w(0xffff));
      } else {
        ASSERT_EQ(updated, delta.apply(old_sum));
      }
    }
    EXPECT_EQ(came_to_zero, 1);
  }
}

TEST(ChecksumDelta, OfNothingChangesNothing) {
  for (std::uint32_t sum = 0; sum <= 0xffff; ++sum)
    ASSERT_EQ(ChecksumDelta().apply(w(static_cast<std::uint16_t>(sum))).host(), sum);
}

}  // namespace
}  // namespace weir::lb
