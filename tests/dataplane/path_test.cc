// The packet cases through the packet path, without EAL: plain tables, frames in memory. tests/dataplane/
// rte_path_test.cc runs the same through the workers' tables and mbufs, tests/pcap/ through the whole program.
#include <gtest/gtest.h>

#include "tests/dataplane/mutation.h"
#include "tests/dataplane/rig.h"

namespace weir::test {
namespace {

struct OneCase {
  const Group* group;
  const Case* which;
};

void PrintTo(const OneCase& c, std::ostream* out) {
  *out << c.group->name << ": " << c.which->says();
}

std::vector<OneCase> all_cases() {
  std::vector<OneCase> all;
  for (const Group& group : groups())
    for (const Case& c : group.cases) all.push_back({&group, &c});
  return all;
}

class PathCase : public ::testing::TestWithParam<OneCase> {};

TEST_P(PathCase, OnPlainTables) {
  PlainRig rig(compiled(*GetParam().group));
  std::uint64_t now = 1'000'000 * kSecond;
  run_case(*GetParam().which, rig, now);
}

// gtest's filters want a word; the sentence is printed as the parameter.
std::string word_for(const ::testing::TestParamInfo<OneCase>& c) {
  return fmt::format("{}_{}", c.param.group->name, c.index);
}

INSTANTIATE_TEST_SUITE_P(Table, PathCase, ::testing::ValuesIn(all_cases()), word_for);

// What a worker does: frames of many flows in one burst, on one flow table. The same frames leave in the same order,
// and the same drops are counted, however the bursts are cut.
class AllCases : public ::testing::TestWithParam<std::size_t> {};

TEST_P(AllCases, MixInBurstsOfAnySize) {
  for (const Group& group : groups()) {
    SCOPED_TRACE(group.name);
    const Script script = mixed(group);
    PlainRig rig(compiled(group));
    std::vector<Bytes> sent, punted;
    for (std::size_t i = 0; i < script.in.size(); i += GetParam()) {
      const auto burst = std::span(script.in).subspan(i, std::min(GetParam(), script.in.size() - i));
      for (Bytes& frame : rig.process(burst, 1'000'000 * kSecond)) sent.push_back(std::move(frame));
      punted.insert(punted.end(), rig.punted().begin(), rig.punted().end());
    }
    expect_frames(script.out, sent);
    expect_frames(script.punted, punted);
    EXPECT_EQ(
        risen(std::vector<std::uint64_t>(lb::kDropReasons.size()), Counts(rig.counters()).drops, lb::kDropReasons),
        risen(std::vector<std::uint64_t>(lb::kDropReasons.size()), script.drops, lb::kDropReasons));
    EXPECT_TRUE(conserves(rig.counters()));
  }
}

INSTANTIATE_TEST_SUITE_P(Bursts, AllCases, ::testing::Values(1, 2, 7, 31, 32));

TEST(Conservation, IsExactForAMillionMutatedFrames) {
  for (const Group& group : groups()) {
    PlainRig rig(compiled(group));
    mutate(group, rig, frames_to_mutate() / groups().size(), 0x5eed);
    expect_variety(group.name, rig.counters(), 20);
  }
}

TEST(Cases, AreEnough) {
  std::size_t cases = 0, mixing = 0;
  for (const Group& group : groups())
    for (const Case& c : group.cases) ++cases, mixing += c.mixes();
  EXPECT_GE(cases, 300u);
  EXPECT_GE(mixing, 280u);
}

}  // namespace
}  // namespace weir::test
