// Prometheus text, made family by family so that a million series never stand in memory as objects.
//
// prometheus-cpp writes the text. Its own objects take 400 bytes and five allocations a series, 350 MB for 10,000
// services x 10 backends, so this hands it at most kBatch of them at a time and uses them again; of every batch but a
// family's first, the lines that say what the family is are left out.
#pragma once

#include <prometheus/metric_family.h>

#include <cstddef>
#include <initializer_list>
#include <memory>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include "control/metrics.h"

namespace weir::control {

/// One text; any thread, one at a time.
class Exposition {
 public:
  /// `expected_bytes` is set aside at once (memory that is not written to costs nothing), so the text never moves.
  explicit Exposition(std::size_t expected_bytes);
  ~Exposition();

  /// The series that follow are this metric's. Each metric once.
  void begin(Metric metric);
  /// One series: values of the metric's labels, in the list's order, as many as it has. Any bytes: they are escaped.
  void add(std::initializer_list<std::string_view> label_values, double value);
  /// A metric without labels: begin() and add().
  void single(Metric metric, double value);

  /// The whole text; nothing may follow.
  [[nodiscard]] std::string take();

 private:
  class Sink;
  void flush();

  static constexpr std::size_t kBatch = 1024;
  std::unique_ptr<Sink> sink_;
  std::ostream out_;
  std::vector<prometheus::MetricFamily> family_;  // always one; the serializer takes a vector
  std::vector<std::string> label_names_;
  std::size_t used_ = 0;  // of family_[0].metric
  bool is_continued_ = false;
};

}  // namespace weir::control
