// Text tables: columns as wide as their widest cell, two spaces apart, numbers to the right.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace weir::control {

enum class Align : std::uint8_t { kLeft, kRight };

struct TableColumn {
  std::string header;
  Align align = Align::kLeft;
};

class Table {
 public:
  explicit Table(std::vector<TableColumn> columns) : columns_(std::move(columns)) {}

  /// One cell a column. Control characters are shown as \xNN: a name must not draw on the operator's terminal.
  void add_row(std::vector<std::string> cells);
  [[nodiscard]] bool is_empty() const noexcept { return rows_.empty(); }
  /// Header and rows, each line ended, no line with trailing blanks.
  [[nodiscard]] std::string text() const;

 private:
  std::vector<TableColumn> columns_;
  std::vector<std::vector<std::string>> rows_;
};

/// `text` with control characters as \xNN.
[[nodiscard]] std::string printable(std::string_view text);

}  // namespace weir::control
