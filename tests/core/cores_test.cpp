#include "src/core/cores.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/support/core_binding.h"

namespace lockstep {
namespace {

TEST(UsableCores, AreThoseThatThisProcessIsBoundTo) {
  const std::vector<int> before = usable_cores();
  ASSERT_FALSE(before.empty());
  EXPECT_TRUE(std::ranges::is_sorted(before));
  {
    const CoreBinding binding(before.back());
    EXPECT_THAT(usable_cores(), testing::ElementsAre(before.back()));
  }
  EXPECT_EQ(usable_cores(), before);
}

}  // namespace
}  // namespace lockstep
