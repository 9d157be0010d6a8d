// Each check of an operation finds the mistake that it is for, and says where it is.
#include "tests/support/harness/op_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest-spi.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <thread>

#include "src/ops/check.h"
#include "tests/support/harness/op_expected.h"
#include "tests/support/harness/values.h"

namespace lockstep::test {
namespace {

using testing::HasSubstr;

/// y (N, 3) = x * w on the first info->valid rows, and zero on the others; dx and dw.
struct Scale {
  int64_t rows;
  float* operator()(const OpCall& c, const char* name) const { return c[name].data<float>(); }
  int64_t valid(const OpCall& c) const { return c.info->valid; }

  void check(const OpCall& c) const {
    for (const char* name : {"x", "y", "dy", "dx"}) expect(c[name], DType::f32, {rows, 3}, name);
    for (const char* name : {"w", "dw"}) expect(c[name], DType::f32, {3}, name);
  }
  void forward(const OpCall& c) const {
    check(c);
    for (int64_t i = 0; i < rows * 3; ++i)
      (*this)(c, "y")[i] = i < valid(c) * 3 ? (*this)(c, "x")[i] * (*this)(c, "w")[i % 3] : 0;
  }
  void backward(const OpCall& c) const {
    check(c);
    const float *x = (*this)(c, "x"), *dy = (*this)(c, "dy"), *w = (*this)(c, "w");
    float *dx = (*this)(c, "dx"), *dw = (*this)(c, "dw");
    std::fill_n(dw, 3, 0.f);
    for (int64_t i = 0; i < valid(c) * 3; ++i) dw[i % 3] += x[i] * dy[i];
    for (int64_t i = 0; i < rows * 3; ++i) dx[i] = i < valid(c) * 3 ? dy[i] * w[i % 3] : 0;
  }
};

using Mistake = std::function<void(const OpCall&)>;

/// The operation, with something done after forward or backward.
Op scale(
    const Mistake& after_forward, const Mistake& after_backward = [](const OpCall&) {}) {
  Op op("scale");
  op.add("plain", 5, [=](int64_t rows) {
    OpCase c;
    c.input("x", {rows, 3}).input("w", {3}).output("y", {rows, 3}, kRounding).output_gradient("y");
    c.gradient("x", kGradient, {.first = rows}).gradient("w", kGradient);
    const Scale scale{rows};
    c.runs(
        [=](const OpCall& call) {
          scale.forward(call);
          after_forward(call);
        },
        [=](const OpCall& call) {
          scale.backward(call);
          after_backward(call);
        });
    c.oracle = [](const Values& in) {
      Values out = {{"y", in["x"]}};
      for (size_t i = 0; i < out["y"].size(); ++i) out["y"][i] *= in["w"][i % 3];
      return out;
    };
    c.may_alias = {{"dx", "dy"}};
    c.is_padded = true;
    return c;
  });
  return op;
}

template <typename Check>
std::string failures(Check check) {
  testing::TestPartResultArray results;
  {
    const testing::ScopedFakeTestPartResultReporter reporter(
        testing::ScopedFakeTestPartResultReporter::INTERCEPT_ALL_THREADS, &results);
    check();
  }
  std::string text;
  for (int i = 0; i < results.size(); ++i) text += std::string(results.GetTestPartResult(i).message()) + "\n";
  return text;
}

void nothing(const OpCall&) {}

TEST(OpCheck, FindsNothingInARightOperation) {
  const Op op = scale(nothing);
  EXPECT_EQ(failures([&] {
              check_oracle({}, op);
              check_padding({}, op);
              check_repeats({}, op);
              check_shapes({}, op);
              check_threads(op);
            }),
            "");
}

TEST(OpCheck, NamesOperationCaseBackendTensorPlaceValuesAndBound) {
  const Op op = scale([](const OpCall& c) {
    if (c["y"].shape()[0] == 5) c["y"].data<float>()[7] = 100;
  });
  EXPECT_THAT(failures([&] { check_oracle({}, op); }),
              testing::AllOf(HasSubstr("scale, case 'plain' with 5 rows on cpu: y at (2, 1) is 100, but the "
                                       "oracle's is "),
                             HasSubstr("e-07 is allowed, because at most four roundings"),
                             HasSubstr("(1 of 15 elements are wrong)")));
}

TEST(OpCheck, FindsAWrongSignInAGradient) {
  const Op op = scale(nothing, [](const OpCall& c) { c["dw"].data<float>()[1] *= -1; });
  EXPECT_THAT(failures([&] { check_oracle({}, op); }), HasSubstr("dw at (1) is"));
}

TEST(OpCheck, FindsAMistakeInAnEmptyBatchAlone) {
  const Op op = scale(nothing, [](const OpCall& c) {
    if (c["x"].shape()[0] == 0) c["dw"].data<float>()[2] = 1e-9f;
  });
  EXPECT_THAT(failures([&] { check_oracle({}, op); }),
              HasSubstr("with 0 rows on cpu: dw at (2) is 9.99999972e-10"));
}

TEST(OpCheck, FindsAWriteOutsideOfATensorAndAChangedInput) {
  const Op past = scale([](const OpCall& c) { c["y"].data<float>()[c["y"].shape().elements()] = 1; });
  EXPECT_THAT(failures([&] { check_oracle({}, past); }), HasSubstr("past the end"));
  const Op before = scale(nothing, [](const OpCall& c) { c["dx"].data<float>()[-1] = 1; });
  EXPECT_THAT(failures([&] { check_oracle({}, before); }), HasSubstr("before the start"));
  const Op changed = scale([](const OpCall& c) { c["w"].data<float>()[0] += 1; });
  EXPECT_THAT(failures([&] { check_oracle({}, changed); }), HasSubstr("has changed its input w"));
}

TEST(OpCheck, FindsAnElementThatNobodyWrites) {
  const Op op = scale([](const OpCall& c) {
    if (c["y"].shape()[0] > 0) c["y"].data<float>()[0] = std::numeric_limits<float>::quiet_NaN();
  });
  EXPECT_THAT(failures([&] { check_oracle({}, op); }), testing::ContainsRegex("y at .0, 0. is -?nan"));
}

TEST(OpCheck, FindsPaddingThatCountsOrIsNotZero) {
  const Op counts = scale(nothing, [](const OpCall& c) {
    const int64_t rows = c["x"].shape()[0];
    if (rows > c.info->valid) c["dw"].data<float>()[0] += c["x"].data<float>()[3 * rows - 3];
  });
  EXPECT_THAT(failures([&] { check_padding({}, counts); }),
              testing::ContainsRegex("of which 4 are real: dw at .0. is -?nan"));
  const Op not_zero = scale([](const OpCall& c) {
    if (c["y"].shape()[0] > c.info->valid) c["y"].data<float>()[3 * c["y"].shape()[0] - 1] = 1e-9f;
  });
  EXPECT_THAT(failures([&] { check_padding({}, not_zero); }), HasSubstr("y at (4, 2) is 9.99999972e-10"));
}

TEST(OpCheck, FindsAnOutputThatMayNotAliasAfterAll) {
  const Op op = scale(nothing, [](const OpCall& c) {  // reads dy when dx is written already
    const bool is_aliased = c["dx"].raw() == c["dy"].raw();
    if (is_aliased && c["dw"].elements() > 0) c["dw"].data<float>()[0] += 1;
  });
  EXPECT_THAT(failures([&] { check_aliases({}, op); }), HasSubstr("dx where dy was: dw at (0) is"));
}

TEST(OpCheck, FindsWhatDependsOnWhatWasThereBefore) {
  int runs = 0;
  const Op counted = scale([&](const OpCall& c) {
    if (c["y"].elements() > 0) c["y"].data<float>()[0] += static_cast<float>(runs++);
  });
  EXPECT_THAT(failures([&] { check_repeats({}, counted); }), HasSubstr("the second time"));
  Op stale("stale");
  stale.add("sum", OpCase().output("y", {2}, kExact).runs([](const OpCall& c) {
    float* const y = c["y"].data<float>();
    y[0] = 1;
    y[1] = std::isnan(y[1]) ? 2 : y[1];  // right over NaN alone
  }));
  EXPECT_THAT(failures([&] { check_repeats({}, stale); }), HasSubstr("over other garbage: y at (1)"));
}

TEST(OpCheck, FindsAnOperationThatTakesAnyShape) {
  Op op("any");
  op.add("shape", 2, [](int64_t rows) { return OpCase().input("x", {rows, 2}).runs([](const OpCall&) {}); });
  EXPECT_THAT(failures([&] { check_shapes({}, op); }), HasSubstr("accepts x of shape (2, 3) for (2, 2)"));
}

TEST(OpCheck, FindsWhatSharesStateBetweenThreads) {
  std::atomic<int> running = 0;
  const Op op = scale([&](const OpCall& c) {
    ++running;
    for (int64_t until = 0; running == 1 && until < 1000; ++until) std::this_thread::yield();
    if (running > 1) c["y"].data<float>()[0] += 1;
    std::this_thread::yield();
    --running;
  });
  EXPECT_THAT(failures([&] { check_threads(op); }), HasSubstr("beside three others: y at (0, 0)"));
}

TEST(OpCheck, FindsKinksThatTheCaseDoesNotName) {
  OpCase op;
  op.input("x", {4}, exactly({0, 1, -1, 2}))
      .output("y", {4}, kExact)
      .output_gradient("y")
      .gradient("x", kGradient, {.first = 4});
  op.oracle = [](const Values& in) {
    Values out = {{"y", in["x"]}};
    for (double& value : out["y"]) value = std::max(value, 0.0);
    return out;
  };
  const Values inputs = {{"x", {0, 1, -1, 2}}, {"dy", {1, 2, 3, 4}}};
  EXPECT_THAT(failures([&] { expected_of(op, inputs, "here"); }), HasSubstr("here: dx has kinks"));
  op.kinks = 0.25;
  Expected expected;
  EXPECT_EQ(failures([&] { expected = expected_of(op, inputs, "here"); }), "");
  EXPECT_EQ(expected.kinks["dx"], (std::vector<bool>{true, false, false, false}));
  EXPECT_NEAR(expected.values["dx"][1], 2, 1e-9);
  EXPECT_NEAR(expected.values["dx"][2], 0, 1e-9);
}

TEST(OpValues, AreWhatTheTypesSay) {
  EXPECT_EQ(decode(DType::f16, encode(DType::f16, {1, -2.5, 65504, 0x1p-24, 0x1p-25, 1 + 0x1p-11, 70000})),
            (Doubles{1, -2.5, 65504, 0x1p-24, 0, 1, HUGE_VAL}));
  EXPECT_EQ(decode(DType::bf16, encode(DType::bf16, {1, -3.5, 1 + 0x1p-8, 1 + 3 * 0x1p-8, 0x1p-130})),
            (Doubles{1, -3.5, 1, 1 + 0x1p-6, 0x1p-130}));
  EXPECT_EQ(decode(DType::u8, encode(DType::u8, {0, 255, 3.9})), (Doubles{0, 255, 3}));
  EXPECT_EQ(decode(DType::i64, encode(DType::i64, {0x1p40, -1})), (Doubles{0x1p40, -1}));
  EXPECT_TRUE(std::isnan(decode(DType::f16, encode(DType::f16, {std::nan("")}))[0]));
}

}  // namespace
}  // namespace lockstep::test
