#include "lb/id_registry.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <string>

namespace weir::lb {
namespace {

using Registry = IdRegistry<std::string, 16>;
constexpr auto kYes = [](std::uint32_t) { return true; };

TEST(IdRegistry, NeverGivesOutZero) {
  Registry r;
  EXPECT_EQ(r.acquire("a"), 1u);
  EXPECT_EQ(r.find("b"), Registry::kNone);
  EXPECT_EQ(r.key_of(Registry::kNone), nullptr);
  EXPECT_FALSE(r.is_live(Registry::kNone));
}

TEST(IdRegistry, KeepsAnIdWhileItsKeyIsConfigured) {
  Registry r;
  const auto a = *r.acquire("a"), b = *r.acquire("b");
  EXPECT_NE(a, b);
  r.commit();
  EXPECT_EQ(*r.acquire("b"), b);
  EXPECT_EQ(*r.acquire("a"), a);
  EXPECT_EQ(*r.key_of(b), "b");
  EXPECT_EQ(r.live_count(), 2u);
  EXPECT_EQ(r.end_of_ids(), 3u);
}

TEST(IdRegistry, GivesARetiredKeyItsOldIdBack) {
  Registry r;
  const auto a = *r.acquire("a");
  EXPECT_TRUE(r.retire("a"));
  EXPECT_FALSE(r.retire("a"));
  EXPECT_FALSE(r.retire("never seen"));
  r.commit();
  EXPECT_TRUE(r.is_retired(a));
  EXPECT_EQ(*r.key_of(a), "a") << "its flows still mean it";
  EXPECT_EQ(*r.acquire("a"), a);
  EXPECT_TRUE(r.is_live(a));
  EXPECT_TRUE(r.retired().empty());
}

TEST(IdRegistry, FreesARetiredIdOnlyWhenTheCallerSaysSo) {
  Registry r;
  const auto a = *r.acquire("a"), b = *r.acquire("b"), c = *r.acquire("c");
  r.retire("a"), r.retire("b"), r.commit();
  std::map<std::uint32_t, int> flows{{a, 0}, {b, 7}, {c, 0}};
  EXPECT_EQ(r.collect([&](std::uint32_t id) { return flows[id] == 0; }), 1u);
  EXPECT_EQ(r.key_of(a), nullptr);
  EXPECT_TRUE(r.is_retired(b));
  EXPECT_TRUE(r.is_live(c)) << "live ids are never asked about";
  EXPECT_NE(*r.acquire("a"), b);
}

TEST(IdRegistry, LetsFreedIdsRestAndUsesTheLongestRestedFirst) {
  Registry r;
  std::vector<std::uint32_t> ids;
  for (std::size_t i = 0; i < Registry::kRestingIds + 1; ++i) ids.push_back(*r.acquire("old" + std::to_string(i)));
  // Freed in another order than their numbers'.
  const auto free = [&](std::size_t i) { r.retire("old" + std::to_string(i)), r.commit(), r.collect(kYes); };
  free(5);
  EXPECT_EQ(*r.acquire("x"), ids.back() + 1) << "one freed id rests";
  for (std::size_t i = Registry::kRestingIds; i > 5; --i) free(i);
  for (std::size_t i = 0; i < 3; ++i) free(i);
  EXPECT_EQ(*r.acquire("y"), ids.back() + 2) << "255 rest: one short";
  free(4);
  EXPECT_EQ(*r.acquire("z"), ids[5]);
  EXPECT_EQ(*r.acquire("zz"), ids.back() + 3) << "and again one short";
}

TEST(IdRegistry, ReportsExhaustionAndRecovers) {
  IdRegistry<int, 3> r;
  for (int key = 0; key < 7; ++key) EXPECT_EQ(*r.acquire(key), static_cast<std::uint32_t>(key + 1));
  EXPECT_FALSE(r.acquire(7));
  EXPECT_EQ(*r.acquire(6), 7u) << "known keys are no new ids";
  r.retire(3), r.commit();
  EXPECT_FALSE(r.acquire(7)) << "retired is not free";
  r.collect(kYes);
  EXPECT_EQ(*r.acquire(7), 4u);
  EXPECT_FALSE(r.acquire(8));
}

TEST(IdRegistry, RollsBackARefusedConfiguration) {
  IdRegistry<int, 3> r;
  for (int key = 0; key < 5; ++key) ASSERT_TRUE(r.acquire(key));
  r.retire(4), r.retire(3), r.commit(), r.collect([](std::uint32_t id) { return id == 5; });

  ASSERT_TRUE(r.acquire(3));  // revived
  r.retire(0);
  for (int key = 10; key < 13; ++key) ASSERT_TRUE(r.acquire(key));  // two fresh numbers and the freed one
  EXPECT_FALSE(r.acquire(13));
  r.rollback();

  EXPECT_TRUE(r.is_retired(4));
  EXPECT_TRUE(r.is_live(1));
  EXPECT_EQ(r.find(10), 0u);
  EXPECT_EQ(r.live_count(), 3u);
  EXPECT_EQ(r.end_of_ids(), 6u);
  EXPECT_EQ(*r.acquire(20), 6u);
  EXPECT_EQ(*r.acquire(21), 7u);
  EXPECT_EQ(*r.acquire(22), 5u);
}

TEST(IdRegistry, RollsBackTheOrderInWhichIdsRest) {
  IdRegistry<int, 2> r;
  for (int key = 0; key < 3; ++key) ASSERT_TRUE(r.acquire(key));
  for (const int key : {1, 0, 2}) r.retire(key), r.commit(), r.collect(kYes);
  for (int attempt = 0; attempt < 2; ++attempt) {
    for (const std::uint32_t id : {2u, 1u, 3u}) EXPECT_EQ(*r.acquire(static_cast<int>(id) + 10), id);
    r.rollback();
  }
  EXPECT_EQ(*r.acquire(20), 2u);
  r.rollback();
  EXPECT_EQ(*r.acquire(21), 2u);
}

TEST(IdRegistry, VisitsLiveIdsInOrder) {
  Registry r;
  for (const char* key : {"a", "b", "c"}) ASSERT_TRUE(r.acquire(key));
  r.retire("b");
  std::string seen;
  r.for_each_live([&](std::uint32_t id, const std::string& key) { seen += std::to_string(id) + key; });
  EXPECT_EQ(seen, "1a3c");
}

// Against a model that is copied whole before each transaction: identity, uniqueness, and rollback as if it had
// never been.
TEST(IdRegistry, AgreesWithASlowModelOverRandomTransactions) {
  std::mt19937 random(1);
  IdRegistry<int, 6> r;
  struct Entry {
    std::uint32_t id;
    bool live;
  };
  std::map<int, Entry> model;
  const auto check = [&] {
    std::map<std::uint32_t, int> seen;
    std::size_t live = 0;
    for (const auto& [key, entry] : model) {
      ASSERT_EQ(r.find(key), entry.id);
      ASSERT_EQ(r.is_live(entry.id), entry.live);
      ASSERT_EQ(r.is_retired(entry.id), !entry.live);
      ASSERT_EQ(*r.key_of(entry.id), key);
      ASSERT_TRUE(seen.emplace(entry.id, key).second) << "two keys share an id";
      live += entry.live;
    }
    ASSERT_EQ(r.live_count(), live);
    ASSERT_EQ(r.retired().size(), model.size() - live);
    for (std::uint32_t id = 0; id < 70; ++id) ASSERT_EQ(r.key_of(id) != nullptr, seen.contains(id));
  };
  for (int transaction = 0; transaction < 5'000; ++transaction) {
    const auto before = model;
    for (auto change = random() % 20; change > 0; --change) {
      const int key = static_cast<int>(random() % 100);
      if (random() % 2 != 0) {
        const auto id = r.acquire(key);
        ASSERT_EQ(id.has_value(), model.contains(key) || model.size() < 63);
        if (!id) continue;
        if (model.contains(key)) {
          ASSERT_EQ(*id, model[key].id);
        }
        model[key] = {*id, true};
      } else {
        const bool was_live = model.contains(key) && model[key].live;
        ASSERT_EQ(r.retire(key), was_live);
        if (was_live) model[key].live = false;
      }
    }
    check();
    if (random() % 3 == 0) {
      r.rollback();
      model = before;
    } else {
      r.commit();
      const std::uint32_t odd = random() % 2;
      r.collect([&](std::uint32_t id) { return id % 2 == odd; });
      std::erase_if(model, [&](const auto& e) { return !e.second.live && e.second.id % 2 == odd; });
    }
    check();
  }
}

}  // namespace
}  // namespace weir::lb
