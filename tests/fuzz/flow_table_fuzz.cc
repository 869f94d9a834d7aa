// The input's bytes are the choices that drive a small flow table and its slow model (tests/dataplane/flow_model.h),
// which throws where they differ.
#include <cstdint>
#include <span>

#include "tests/dataplane/flow_model.h"

namespace {

/// Numbers from bytes: one byte, or two where one is not enough. Zeroes when there are no more.
class Choices {
 public:
  Choices(const std::uint8_t* data, std::size_t size) : left_(data, size) {}
  [[nodiscard]] bool empty() const { return left_.empty(); }
  std::uint64_t operator()(std::uint64_t n) {
    std::uint64_t v = byte();
    if (n > 256) v = v << 8 | byte();
    return v % n;
  }

 private:
  std::uint64_t byte() {
    if (left_.empty()) return 0;
    const std::uint8_t b = left_.front();
    left_ = left_.subspan(1);
    return b;
  }
  std::span<const std::uint8_t> left_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Choices choose(data, size);
  const auto capacity = static_cast<std::uint32_t>(choose(100));
  const auto wide = static_cast<std::uint32_t>(choose(50));
  const auto clients = static_cast<std::uint32_t>(2 + choose(30));
  weir::test::FlowModel model({capacity, wide}, clients, {choose(256), 7}, 65'400 + choose(200));
  while (!choose.empty()) model.step(choose);
  model.check_all();
  return 0;
}
