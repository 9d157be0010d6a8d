#include "src/device/elementwise.h"

#include <gtest/gtest.h>

#include <vector>

#include "src/device/buffer.h"
#include "tests/support/backend.h"

namespace lockstep {
namespace {

using test::BackendTest, test::Guarded, test::random_values;

class AddInPlace : public BackendTest {};
INSTANTIATE_FOR_BACKENDS(AddInPlace);

TEST_P(AddInPlace, AddsEveryElementAndNoMore) {
  for (const int64_t n : {0, 1, 3, 64, 1001, 5000}) {
    // A GPU reads four floats at once where both are aligned for it.
    for (const int64_t destination_offset : {0, 1}) {
      for (const int64_t source_offset : {0, 1, 3}) {
        const std::vector<float> a = random_values(n + 4, 1), b = random_values(n + 4, 2);
        const Guarded<float> destination(exec(), {n + 4}, a), source(exec(), {n + 4}, b);
        add_in_place(exec(), destination.span().data() + destination_offset,
                     source.span().data() + source_offset, n);
        std::vector<float> expected = a;
        for (int64_t i = 0; i < n; ++i)
          expected[static_cast<size_t>(destination_offset + i)] += b[static_cast<size_t>(source_offset + i)];
        EXPECT_EQ(destination.values(), expected)
            << n << " floats, from " << source_offset << " to " << destination_offset;
        EXPECT_EQ(source.values(), b);
      }
    }
  }
}

class AddTree : public BackendTest {};
INSTANTIATE_FOR_BACKENDS(AddTree);

TEST_P(AddTree, AddsNeighboursFirstWhoeverHasWhichOfThem) {
  for (const int count : {1, 2, 4, 8, kMaxTreeLeaves}) {
    for (const int64_t n : {0, 1, 65, 1001}) {
      const std::vector<float> all = random_values(count * n, 3);
      std::vector<std::vector<float>> level;
      for (int k = 0; k < count; ++k) level.emplace_back(all.begin() + k * n, all.begin() + (k + 1) * n);
      for (; level.size() > 1; level.resize(level.size() / 2))
        for (size_t pair = 0; 2 * pair < level.size(); ++pair)
          for (size_t i = 0; i < static_cast<size_t>(n); ++i)
            level[pair][i] = level[2 * pair][i] + level[2 * pair + 1][i];
      for (int position = 0; position < count; position += 3) {
        const auto own = all.begin() + position * n;
        std::vector<float> rest(all.begin(), own);
        rest.insert(rest.end(), own + n, all.end());
        const Guarded<float> destination(exec(), {n}, std::vector<float>(own, own + n)),
            others(exec(), {(count - 1) * n}, rest);
        add_tree(exec(), destination.span().data(), others.span().data(), n, count, position);
        EXPECT_EQ(destination.values(), level[0]) << count << " of " << n << " floats, own " << position;
      }
    }
  }
}

class CopyFew : public BackendTest {};
INSTANTIATE_FOR_BACKENDS(CopyFew);

TEST_P(CopyFew, CopiesEveryElementAndNoMoreToTheHostToo) {
  for (const int64_t n : {0, 1, 3, 64, 1001}) {
    const std::vector<float> values = random_values(n + 1, 1);
    const Guarded<float> source(exec(), {n + 1}, values), destination(exec(), {n});
    const Buffer host(exec(), Memory::pinned, static_cast<size_t>(n + 1) * sizeof(float));
    copy_few(exec(), destination.span().data(), source.span().data() + 1, n);
    copy_few(exec(), host.as<float>().data(), source.span().data(), n);
    const std::vector<float> behind(values.begin() + 1, values.end());
    EXPECT_EQ(destination.values(), behind);
    synchronize(exec());
    std::vector<float> expected(values.begin(), values.end() - 1);
    expected.push_back(0);
    EXPECT_EQ(std::vector(host.as<float>().begin(), host.as<float>().end()), expected);
  }
}

}  // namespace
}  // namespace lockstep
