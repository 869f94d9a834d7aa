#include "config/scalar.h"

#include <gtest/gtest.h>

namespace weir::config {
namespace {

TEST(Plain, WhatReadersDifferOnIsAmbiguous) {
  for (const char* text : {"yes",
                           "Yes",
                           "YES",
                           "no",
                           "NO",
                           "on",
                           "On",
                           "off",
                           "oFF",
                           "y",
                           "Y",
                           "n",
                           "N",
                           "~",
                           "null",
                           "Null",
                           "NULL",
                           "010",
                           "00",
                           "-010",
                           "+07",
                           "0x10",
                           "0XfF",
                           "0o17",
                           "0b101",
                           "80:80",
                           "1:30",
                           "0:0",
                           "1:2:3",
                           "190:20:30.15",
                           "1_000",
                           "1_000.5",
                           "1e3",
                           "1E3",
                           "1.5e3",
                           "-1e-3",
                           ".5e+3",
                           "2026-11-20",
                           "2026-1-2",
                           "2026-11-20T10:00:00Z",
                           "2026-11-20 10:00:00",
                           ".inf",
                           "-.INF",
                           ".nan",
                           "1_"})
    EXPECT_EQ(classify_plain(text).kind, PlainKind::kAmbiguous) << text;
}

TEST(Plain, TextIsText) {
  for (const char* text : {"web",
                           "yess",
                           "none",
                           "nullable",
                           "a1e3",
                           "e3",
                           "5000-5999",
                           "300s",
                           "10.0.0.5",
                           "10.0.0.0/8",
                           "::1",
                           "fd00::5",
                           "02:00:00:00:0a:01",
                           "2001:db8::10",
                           "0000:3b:00.0",
                           "net_af_xdp0,iface=eth1",
                           "1.2.3",
                           "all",
                           "-",
                           "+",
                           ".",
                           "..",
                           "x",
                           "_1",
                           "1-",
                           "80:",
                           ":80",
                           "0x",
                           "0xg",
                           "",
                           "2026-11",
                           "20261-1-1",
                           "2026-11-20x",
                           "1e",
                           "1e+"})
    EXPECT_EQ(classify_plain(text).kind, PlainKind::kText) << text;
}

TEST(Plain, NumbersAndTruths) {
  for (const char* text : {"0", "1", "65535", "-1", "+5", "99999999999999999999999"})
    EXPECT_EQ(classify_plain(text).kind, PlainKind::kInteger) << text;
  for (const char* text : {"1.5", "1.10", "1.", ".5", "-0.5"})
    EXPECT_EQ(classify_plain(text).kind, PlainKind::kFloat) << text;
  for (const char* text : {"true", "True", "FALSE"}) EXPECT_EQ(classify_plain(text).kind, PlainKind::kBool) << text;
}

TEST(Duration, IsOneNumberWithItsUnit) {
  using namespace std::chrono_literals;
  EXPECT_EQ(parse_duration("0s"), 0ms);
  EXPECT_EQ(parse_duration("250ms"), 250ms);
  EXPECT_EQ(parse_duration("60s"), 60s);
  EXPECT_EQ(parse_duration("5m"), 5min);
  EXPECT_EQ(parse_duration("2h"), 2h);
  EXPECT_EQ(parse_duration("1d"), 24h);
  EXPECT_EQ(parse_duration("36500d"), 36500 * 24h);
}

TEST(Duration, SaysWhatIsWrong) {
  const auto fault = [](std::string_view text) { return parse_duration(text).error(); };
  EXPECT_EQ(fault(""), DurationFault::kNotANumber);
  EXPECT_EQ(fault("s"), DurationFault::kNotANumber);
  EXPECT_EQ(fault("-1s"), DurationFault::kNotANumber);
  EXPECT_EQ(fault("never"), DurationFault::kNotANumber);
  EXPECT_EQ(fault("60"), DurationFault::kNoUnit);
  EXPECT_EQ(fault("5w"), DurationFault::kUnknownUnit);
  EXPECT_EQ(fault("60S"), DurationFault::kUnknownUnit);
  EXPECT_EQ(fault("60 s"), DurationFault::kUnknownUnit);
  EXPECT_EQ(fault("1.5h"), DurationFault::kUnknownUnit);
  EXPECT_EQ(fault("1h30m"), DurationFault::kUnknownUnit);
  EXPECT_EQ(fault("36501d"), DurationFault::kTooLong);
  EXPECT_EQ(fault("18446744073709551617s"), DurationFault::kTooLong);
}

TEST(Decimal, TakesDigitsOnly) {
  EXPECT_EQ(parse_decimal("0"), 0u);
  EXPECT_EQ(parse_decimal("18446744073709551615"), UINT64_MAX);
  for (const char* text : {"", "+1", "-1", " 1", "1 ", "0x1", "18446744073709551616"})
    EXPECT_FALSE(parse_decimal(text)) << text;
}

}  // namespace
}  // namespace weir::config
