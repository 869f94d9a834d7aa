#include "control/table.h"

#include <gtest/gtest.h>

namespace weir::control {
namespace {

TEST(Table, AlignsTextLeftAndNumbersRight) {
  Table table({{"NAME", Align::kLeft}, {"PACKETS", Align::kRight}, {"STATE", Align::kLeft}});
  table.add_row({"a", "1", "up"});
  table.add_row({"longer-than-its-header", "12345678", ""});
  EXPECT_EQ(table.text(),
            "NAME                     PACKETS  STATE\n"
            "a                              1  up\n"
            "longer-than-its-header  12345678\n");
}

TEST(Table, ShowsControlCharactersAsNumbers) {
  Table table({{"NAME", Align::kLeft}});
  table.add_row({"a\x1b[31m\r\nb\x7f"});
  EXPECT_EQ(table.text(), "NAME\na\\x1b[31m\\x0d\\x0ab\\x7f\n");
}

}  // namespace
}  // namespace weir::control
