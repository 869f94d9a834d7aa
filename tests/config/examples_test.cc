#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "tests/config/support.h"

namespace weir::config {
namespace {

TEST(Examples, LoadWithoutErrorsOrWarnings) {
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(WEIR_EXAMPLES)) {
    if (entry.path().extension() != ".yaml") continue;
    ++files;
    const auto loaded = load_file(entry.path());
    if (!loaded) {
      for (const Diagnostic& d : loaded.error().errors) ADD_FAILURE() << format(entry.path().native(), d);
      continue;
    }
    for (const Diagnostic& d : loaded->warnings) ADD_FAILURE() << format_warning(entry.path().native(), d);
    EXPECT_EQ(loaded->model.file, entry.path());
    EXPECT_FALSE(loaded->model.services.empty()) << entry.path();
  }
  EXPECT_GE(files, 5);
}

std::vector<std::string> lines_of(const std::string& example) {
  std::ifstream file(std::string(WEIR_EXAMPLES) + "/" + example);
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  return lines;
}

/// Puts `with` in the place of line `n` (from 0), and wants an error on that line.
void expect_error_on_line(std::vector<std::string> lines, std::size_t n, const std::string& with) {
  lines[n] = with;
  std::string text;
  for (const std::string& line : lines) text += line + "\n";
  const auto loaded = load_text(text, "weir.yaml");
  ASSERT_FALSE(loaded) << n + 1 << ": " << with;
  const auto is_there = [&](const Diagnostic& d) { return d.where.line == n + 1; };
  EXPECT_TRUE(std::ranges::any_of(loaded.error().errors, is_there))
      << n + 1 << ": " << with << "\n"
      << testing::PrintToString(as_text(loaded.error().errors));
}

std::string without_last(std::string line, char c) {
  const auto at = line.rfind(c);
  return at == std::string::npos ? line : line.erase(at, 1);
}

TEST(Examples, ASyntaxErrorOnAnyLineIsReportedOnThatLine) {
  for (const char* example : {"first-light.yaml", "vlan-trunk.yaml"}) {
    const auto lines = lines_of(example);
    for (std::size_t n = 0; n < lines.size(); ++n) {
      const std::string line = lines[n].substr(0, lines[n].find(" #"));
      const auto first = line.find_first_not_of(' ');
      if (first == std::string::npos || line[first] == '#') continue;
      const auto colon = line.find(':');
      std::vector<std::string> broken{"\t" + line,
                                      "%" + line,
                                      without_last(line, '"'),
                                      without_last(line, '}'),
                                      without_last(line, ']'),
                                      std::string(line).erase(colon, 1)};
      if (line.contains(": ")) {
        broken.push_back(line.substr(0, colon + 2) + "@");
        broken.push_back(line.substr(0, colon + 2) + "\"" + line.substr(colon + 2));
      }
      for (const std::string& with : broken)
        if (with != line) expect_error_on_line(lines, n, with);
    }
  }
}

TEST(Examples, AWrongTypeOnAnyLineIsReportedOnThatLine) {
  for (const char* example : {"two-arm.yaml", "first-light.yaml"}) {  // two-arm.yaml has every key
    const auto lines = lines_of(example);
    for (std::size_t n = 0; n < lines.size(); ++n) {
      const auto first = lines[n].find_first_not_of(' ');
      const auto colon = lines[n].find(": ");
      if (first == std::string::npos || lines[n][first] == '#' || colon == std::string::npos) continue;
      for (const char* value : {"", "~", "null", "[~]", "[[]]", "{x: y}", "yes", "1e3", "0x10", "1_000"})
        expect_error_on_line(lines, n, lines[n].substr(0, colon + 2) + value);
    }
  }
}

}  // namespace
}  // namespace weir::config
