#include "src/ops/shape/copy_columns.h"

#include <gmock/gmock.h>

#include "tests/support/backend.h"
#include "tests/support/harness/op_case.h"

namespace lockstep::test {
namespace {

struct Part {
  int64_t x_columns, x_first, y_columns, y_first, columns;
};

OpCase copy_case(const Part& part, int64_t rows) {
  OpCase op;
  op.input("x", {rows, part.x_columns}).state("y", {rows, part.y_columns}, {}, kExact);
  op.pointers = {"x", "y"};  // the matrices may have any number of other columns
  op.activations = {"x", "y"};
  op.runs([=](const OpCall& c) {
    copy_columns(c.exec, part.columns, c["x"], part.x_first, c["y"], part.y_first);
  });
  op.oracle = [=](const Values& in) {
    Doubles y = in["y"];
    for (int64_t row = 0; row < rows; ++row)
      for (int64_t i = 0; i < part.columns; ++i)
        y[static_cast<size_t>(row * part.y_columns + part.y_first + i)] =
            in["x"][static_cast<size_t>(row * part.x_columns + part.x_first + i)];
    return Values{{"y", y}};
  };
  return op;
}

const RegisterOp kCopyColumns("copy_columns", [](Op& op) {
  for (const Part& part : {Part{5, 0, 5, 0, 5},
                           {3, 0, 7, 4, 3},
                           {9, 2, 4, 1, 3},
                           {8, 4, 16, 8, 4},
                           {4, 1, 8, 4, 2},
                           {12, 0, 40, 28, 12}})
    op.add(fmt::format("{} columns of {} into {}", part.columns, part.x_columns, part.y_columns), {2, 70},
           [part](int64_t rows) { return copy_case(part, rows); });
  op.time("a block of DenseNet", 64 * 28 * 28, [](int64_t rows) {
    return copy_case({32, 0, 512, 256, 32}, rows);
  });
});

TEST(CopyColumns, RefusesOtherRowsAndColumnsThatDoNotExist) {
  const Guarded<float> memory({}, {24});
  const auto refuses = [&](const Shape& x, int64_t x_first, const Shape& y, int64_t y_first,
                           int64_t columns) {
    try {
      copy_columns({}, columns, Tensor(memory).reshaped(x), x_first, Tensor(memory).reshaped(y), y_first);
    } catch (const Error& error) {
      return error.code() == ExitCode::bug;
    }
    return false;
  };
  EXPECT_TRUE(refuses({4, 6}, 0, {3, 8}, 0, 2)) << "4 rows into 3";
  EXPECT_TRUE(refuses({3, 8}, 6, {4, 6}, 0, 3)) << "columns 6 to 8 of 8";
}

}  // namespace
}  // namespace lockstep::test
