#include "dataplane/rss.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace weir::dataplane {
namespace {

using ::testing::HasSubstr;
using ::testing::Optional;

// What a good NIC says of itself.
rte_eth_dev_info capable() {
  rte_eth_dev_info info{};
  info.hash_key_size = 52;
  info.reta_size = 512;
  info.flow_type_rss_offloads = rss_types(PortSide::kClients) | rss_types(PortSide::kServers);
  info.rx_offload_capa = RTE_ETH_RX_OFFLOAD_RSS_HASH;
  return info;
}
constexpr RssRequest kClients{4, PortSide::kClients, {}};

TEST(Rss, IsAskedForWhereTheDeviceCan) {
  EXPECT_EQ(why_no_rss(kClients, capable(), 4), std::nullopt);
  EXPECT_EQ(why_no_rss({4, PortSide::kServers, {}}, capable(), 8), std::nullopt);
}

TEST(Rss, IsNotAskedForWhereItCouldNotBringPacketsHome) {
  auto no_hash = capable(), no_source = capable(), long_key = capable(), short_key = capable(), small_table = capable(),
       silent = capable();
  no_hash.hash_key_size = 0;
  no_source.flow_type_rss_offloads &= ~RTE_ETH_RSS_L4_SRC_ONLY;
  long_key.hash_key_size = 65;
  short_key.hash_key_size = 21;
  small_table.reta_size = 64;
  silent.rx_offload_capa = 0;
  EXPECT_THAT(why_no_rss(kClients, no_hash, 4), Optional(HasSubstr("does not hash")));
  EXPECT_THAT(why_no_rss(kClients, capable(), 3), Optional(HasSubstr("3 queues for 4 workers")));
  EXPECT_THAT(why_no_rss({4, PortSide::kBoth, {}}, capable(), 4), Optional(HasSubstr("clients and servers")));
  EXPECT_THAT(why_no_rss(kClients, no_source, 4), Optional(HasSubstr("by source alone")));
  EXPECT_THAT(why_no_rss(kClients, long_key, 4), Optional(HasSubstr("65 bytes")));
  EXPECT_THAT(why_no_rss(kClients, short_key, 4), Optional(HasSubstr("21 bytes")));
  EXPECT_THAT(why_no_rss(kClients, small_table, 4), Optional(HasSubstr("64 entries")));
  EXPECT_THAT(why_no_rss(kClients, silent, 4), Optional(HasSubstr("tell its hash")));
}

// The port looks its hash up here; the workers compute lane[hash mod 128]. Both must name the same worker.
TEST(Rss, TableLeadsEveryHashToItsOwnersQueues) {
  const lb::Owners owners(3, lb::HashKey{1, 2});
  const std::vector<std::vector<std::uint16_t>> queues{{0, 3}, {1}, {2}};
  for (const std::size_t entries : {128u, 512u}) {
    const auto table = reta(owners, entries, queues);
    ASSERT_EQ(table.size(), entries / 64);
    std::vector<int> used(4);
    for (std::uint32_t hash = 0; hash < 5000; ++hash) {
      const std::size_t i = hash % entries;
      ASSERT_NE(table[i / 64].mask >> i % 64 & 1, 0u);
      const std::uint16_t queue = table[i / 64].reta[i % 64];
      ASSERT_THAT(queues[owners.at(hash)], ::testing::Contains(queue));
      ++used[queue];
    }
    EXPECT_NEAR(used[0], used[3], 100) << "a worker's queues take turns";
  }
}

}  // namespace
}  // namespace weir::dataplane
