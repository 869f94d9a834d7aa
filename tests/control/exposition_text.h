// A strict reader of Prometheus' text format 0.0.4, independent of what writes it. A fault is an exception that says
// which line breaks which rule.
#pragma once

#include <cctype>
#include <cmath>
#include <cstdlib>
#include <map>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>

namespace weir::control::testing {

class ExpositionText {
 public:
  struct Family {
    std::string help, type;
    std::map<std::string, double> series;  // by "{a=\"1\",b=\"2\"}" as it stands, unescaped; "" without labels
  };

  explicit ExpositionText(std::string_view text) {
    if (!text.ends_with('\n')) fail("the text does not end with a line feed");
    while (!text.empty()) {
      const std::size_t end = text.find('\n');
      read_line(text.substr(0, end));
      text.remove_prefix(end + 1);
    }
  }

  [[nodiscard]] const std::map<std::string, Family>& families() const { return families_; }
  /// NaN where there is no such series.
  [[nodiscard]] double value(const std::string& name, const std::string& labels = "") const {
    const auto family = families_.find(name);
    if (family == families_.end()) return NAN;
    const auto series = family->second.series.find(labels);
    return series == family->second.series.end() ? NAN : series->second;
  }

 private:
  [[noreturn]] static void fail(const std::string& why) { throw std::runtime_error(why); }

  void read_line(std::string_view line) {
    line_ = line;
    if (line.starts_with("# HELP ")) return read_comment(line.substr(7), &Family::help);
    if (line.starts_with("# TYPE ")) return read_comment(line.substr(7), &Family::type);
    if (line.empty() || line.front() == '#') return;
    read_series(line);
  }
  void read_comment(std::string_view rest, std::string Family::* part) {
    const std::string name(take_name(rest));
    if (rest.empty() || rest.front() != ' ') fail("no text after the name: " + line_);
    if (name != current_ && families_.contains(name)) fail("the family is in two places: " + line_);
    current_ = name;
    Family& family = families_[name];
    if (!family.series.empty()) fail("a comment after the family's series: " + line_);
    if (!(family.*part).empty()) fail("said twice: " + line_);
    family.*part = rest.substr(1);
  }
  void read_series(std::string_view rest) {
    const std::string name(take_name(rest));
    if (name != current_) fail("a series outside its family: " + line_);
    Family& family = families_[name];
    if (family.type != "counter" && family.type != "gauge") fail("no type before it: " + line_);
    const std::string labels = rest.starts_with('{') ? take_labels(rest) : "";
    if (!rest.starts_with(' ')) fail("no value: " + line_);
    const std::string number(rest.substr(1));
    char* end = nullptr;
    const double value = std::strtod(number.c_str(), &end);
    if (number.empty() || *end != '\0') fail("no number: " + line_);
    if (family.type == "counter" && !(value >= 0)) fail("a counter below zero: " + line_);
    if (!family.series.emplace(labels, value).second) fail("the series is there twice: " + line_);
  }
  std::string_view take_name(std::string_view& rest) const {
    std::size_t n = 0;
    while (n < rest.size() && (std::isalnum(static_cast<unsigned char>(rest[n])) || rest[n] == '_' || rest[n] == ':'))
      ++n;
    if (n == 0 || std::isdigit(static_cast<unsigned char>(rest[0]))) fail("no name: " + line_);
    const std::string_view name = rest.substr(0, n);
    rest.remove_prefix(n);
    return name;
  }
  std::string take_labels(std::string_view& rest) const {
    std::string out = "{";
    std::set<std::string_view> names;
    rest.remove_prefix(1);
    while (!rest.starts_with('}')) {
      const std::string_view name = take_name(rest);
      if (!names.insert(name).second) fail("a label twice: " + line_);
      if (!rest.starts_with("=\"")) fail("a label without a value: " + line_);
      rest.remove_prefix(2);
      out += std::string(name) + "=\"" + take_text(rest) + "\"";
      if (rest.starts_with(','))
        rest.remove_prefix(1), out += ',';
      else if (!rest.starts_with('}'))
        fail("neither , nor }: " + line_);
    }
    rest.remove_prefix(1);
    return out + "}";
  }
  std::string take_text(std::string_view& rest) const {
    std::string out;
    for (;;) {
      if (rest.empty()) fail("a label's value does not end: " + line_);
      const char c = rest.front();
      rest.remove_prefix(1);
      if (c == '"') return out;
      if (c != '\\') {
        out += c;
        continue;
      }
      if (rest.empty() || std::string_view("\\\"n").find(rest.front()) == std::string_view::npos)
        fail("an escape that is none: " + line_);
      out += rest.front() == 'n' ? '\n' : rest.front();
      rest.remove_prefix(1);
    }
  }

  std::map<std::string, Family> families_;
  std::string current_, line_;
};

}  // namespace weir::control::testing
