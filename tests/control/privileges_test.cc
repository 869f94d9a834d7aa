#include "control/privileges.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

namespace weir::control {
namespace {

using ::testing::HasSubstr;

TEST(Privileges, AUserIsANameOrANumberWithAGroup) {
  const auto root = find_user("root");
  ASSERT_TRUE(root);
  EXPECT_EQ(root->uid, 0u);
  EXPECT_EQ(root->gid, 0u);
  const auto numbers = find_user("63110:63111");
  ASSERT_TRUE(numbers);
  EXPECT_EQ(numbers->uid, 63110u);
  EXPECT_EQ(numbers->gid, 63111u);
  EXPECT_EQ(find_user("63110:root")->gid, 0u);
}

TEST(Privileges, SaysWhichUserOrGroupIsMissing) {
  for (const auto& [text, says] :
       {std::pair{"no-such-user", "there is no user \"no-such-user\" here"},
        std::pair{"root:no-such-group", "there is no group \"no-such-group\" here"},
        std::pair{"63110", "write 63110:GROUP"}, std::pair{"", "there is no user \"\" here"},
        std::pair{"root:", "there is no group \"\" here"}, std::pair{"-1:0", "there is no user \"-1\" here"}}) {
    const auto user = find_user(text);
    ASSERT_FALSE(user) << text;
    EXPECT_THAT(user.error().message, HasSubstr(says));
  }
}

TEST(Privileges, OnlyAfXdpNeedsBpf) {
  EXPECT_TRUE(needs_of({"0000:3b:00.0", "net_af_xdp0,iface=eth1"}).bpf);
  EXPECT_FALSE(needs_of({"0000:3b:00.0", "net_af_packet0,iface=eth1"}).bpf);
}

TEST(Privileges, LeavesDirectoriesThatAreNotWeirsAlone) {
  EXPECT_TRUE(give_directory("/tmp", {.uid = 63110, .gid = 63111, .name = "weir"}));  // untouched, or this would fail
  EXPECT_EQ(access("/tmp", X_OK), 0);
}

TEST(Privileges, BecomingOneselfChangesNothing) {
  const auto before = held_privileges();
  EXPECT_TRUE(become({.uid = geteuid(), .gid = getegid(), .name = "me"}, {}));
  const auto after = held_privileges();
  EXPECT_EQ(after.user, before.user);
  EXPECT_EQ(after.capabilities, before.capabilities);
}

}  // namespace
}  // namespace weir::control
