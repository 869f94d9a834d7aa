#include "control/exposition.h"

#include <prometheus/text_serializer.h>

#include <cassert>
#include <streambuf>
#include <utility>

namespace weir::control {

/// Appends to a string, and leaves out lines that begin with '#' while asked to. The serializer writes those before
/// anything else of a family, and a line of a series never begins so.
class Exposition::Sink : public std::streambuf {
 public:
  explicit Sink(std::size_t expected_bytes) { text_.reserve(expected_bytes); }

  void skip_comments() { is_skipping_ = true; }
  [[nodiscard]] std::string take() { return std::move(text_); }

 protected:
  int_type overflow(int_type c) override {
    const char byte = traits_type::to_char_type(c);
    xsputn(&byte, 1);
    return c;
  }
  std::streamsize xsputn(const char* bytes, std::streamsize n) override {
    std::string_view rest(bytes, static_cast<std::size_t>(n));
    while (is_skipping_ && !rest.empty()) {
      if (!in_comment_ && rest.front() != '#') {
        is_skipping_ = false;
        break;
      }
      const std::size_t end = rest.find('\n');
      in_comment_ = end == std::string_view::npos;
      rest.remove_prefix(in_comment_ ? rest.size() : end + 1);
    }
    text_.append(rest);
    return n;
  }

 private:
  std::string text_;
  bool is_skipping_ = false;
  bool in_comment_ = false;
};

Exposition::Exposition(std::size_t expected_bytes)
    : sink_(std::make_unique<Sink>(expected_bytes)), out_(sink_.get()), family_(1) {}

Exposition::~Exposition() = default;

void Exposition::begin(Metric metric) {
  flush();
  const MetricInfo& info = metrics()[static_cast<std::size_t>(metric)];
  family_[0].name = info.name;
  family_[0].help = info.help;
  family_[0].type = info.is_counter ? prometheus::MetricType::Counter : prometheus::MetricType::Gauge;
  label_names_.clear();
  for (std::string_view rest = info.labels; !rest.empty();) {
    const std::size_t end = std::min(rest.find(' '), rest.size());
    label_names_.emplace_back(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  is_continued_ = false;
}

void Exposition::add(std::initializer_list<std::string_view> label_values, double value) {
  assert(label_values.size() == label_names_.size());
  if (used_ == kBatch) flush();
  auto& series = family_[0].metric;
  if (series.size() <= used_) series.resize(used_ + 1);
  prometheus::ClientMetric& m = series[used_++];
  m.label.resize(label_names_.size());
  std::size_t i = 0;
  for (const std::string_view v : label_values) {
    m.label[i].name = label_names_[i];
    m.label[i++].value = v;
  }
  m.counter.value = value;  // the family's type says which of the two counts
  m.gauge.value = value;
}

void Exposition::single(Metric metric, double value) {
  begin(metric);
  add({}, value);
}

void Exposition::flush() {
  if (used_ == 0) return;
  family_[0].metric.resize(used_);
  if (is_continued_) sink_->skip_comments();
  prometheus::TextSerializer().Serialize(out_, family_);
  used_ = 0;
  is_continued_ = true;
}

std::string Exposition::take() {
  flush();
  out_.flush();
  return sink_->take();
}

}  // namespace weir::control
