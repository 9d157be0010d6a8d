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
