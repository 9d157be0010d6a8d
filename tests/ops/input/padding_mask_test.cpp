#include "src/ops/input/padding_mask.h"

#include "tests/support/harness/op_case.h"

namespace lockstep::test {
namespace {

const RegisterOp kPaddingMask("padding_mask", [](Op& op) {
  op.add("ids from -1 to 3", {5, 300}, [](int64_t rows) {
    OpCase mask;
    mask.input("ids", {rows, 3}, between(-1, 4), DType::i32).output("mask", {rows, 3}, kExact);
    mask.runs([](const OpCall& c) { padding_mask(c.exec, 2, c["ids"], c["mask"]); });
    mask.oracle = [](const Values& in) {
      Doubles expected;
      for (const double id : in["ids"]) expected.push_back(id == 2 ? 0 : 1);
      return Values{{"mask", expected}};
    };
    mask.activations = {"mask"};
    return mask;
  });
});

}  // namespace
}  // namespace lockstep::test
