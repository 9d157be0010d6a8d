#include "src/tensor/tensor.h"

#include <gtest/gtest.h>

#include <vector>

namespace lockstep {
namespace {

TEST(Shape, CountsElementsAndIndexesFromBothEnds) {
  const Shape shape{4, 28, 28, 3};
  EXPECT_EQ(shape.elements(), 4 * 28 * 28 * 3);
  EXPECT_EQ(shape[0], 4);
  EXPECT_EQ(shape[-1], 3);
  EXPECT_EQ(Shape{}.elements(), 1) << "a scalar";
  EXPECT_EQ((Shape{5, 0}.elements()), 0);
  EXPECT_EQ(to_string(shape), "(4, 28, 28, 3)");
}

TEST(Shape, TakesTheBatchAxisOffAndPutsItOn) {
  const Shape sample{28, 28};
  EXPECT_EQ(sample.batched(7), (Shape{7, 28, 28}));
  EXPECT_EQ(sample.batched(7).sample(), sample);
  EXPECT_FALSE((Shape{28, 28} == Shape{28, 28, 1}));
  EXPECT_THROW((Shape{1, 2, 3, 4, 5, 6}.batched(2)), Error);
}

TEST(Tensor, ReadsItsElementsAsTheirOwnTypeOnly) {
  std::vector<float> values(6);
  const Tensor tensor(values.data(), DType::f32, {2, 3});
  EXPECT_EQ(tensor.data<float>(), values.data());
  EXPECT_EQ(tensor.bytes(), 24u);
  EXPECT_THROW(tensor.data<int32_t>(), Error);
  const ConstTensor view = tensor;
  EXPECT_EQ(view.reshaped({6}).shape(), Shape{6});
  EXPECT_THROW(static_cast<void>(view.reshaped({7})), Error);
}

TEST(Tensor, IsEmptyWhenItPointsNowhere) {
  EXPECT_FALSE(Tensor{});
  EXPECT_EQ(Tensor{}.elements(), 0);
}

TEST(DType, NamesReadBack) {
  for (const DType dtype :
       {DType::u8, DType::i32, DType::i64, DType::f16, DType::bf16, DType::f32, DType::f64})
    EXPECT_EQ(dtype_named(to_string(dtype)), dtype);
  EXPECT_THROW(dtype_named("float31"), Error);
}

}  // namespace
}  // namespace lockstep
