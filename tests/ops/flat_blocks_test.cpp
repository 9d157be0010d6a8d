#include "src/ops/flat_blocks.h"

#include <algorithm>

#include "tests/support/harness/op_case.h"

namespace lockstep::test {
namespace {

constexpr auto kBlock = static_cast<size_t>(kFlatBlock);

/// Some numbers of `blocks` blocks, none twice and in no order, and -1 for none.
Doubles some_numbers(int64_t count, int64_t blocks) {
  Doubles numbers;
  for (int64_t i = 0; i < count; ++i)
    numbers.push_back(i % 5 == 3 ? -1.0 : static_cast<double>((7 * i + 2) % blocks));
  return numbers;
}

/// With more blocks than are packed, of a number that 7 does not divide.
OpCase block_case(int64_t count, bool takes) {
  const int64_t blocks = 2 * count + (2 * count % 7 == 0 ? 1 : 0);
  OpCase op;
  op.input("numbers", {count}, exactly(some_numbers(count, blocks)), DType::i32);
  if (takes)
    op.input("flat", {blocks * kFlatBlock}).state("packed", {count * kFlatBlock}, {}, kExact);
  else
    op.input("packed", {count * kFlatBlock}).state("flat", {blocks * kFlatBlock}, {}, kExact);
  const auto floats = [](const Tensor& tensor) {
    return std::span(tensor.data<float>(), static_cast<size_t>(tensor.elements()));
  };
  op.runs([=](const OpCall& c) {
    const std::span<const int32_t> numbers(c["numbers"].data<int32_t>(),
                                           static_cast<size_t>(c["numbers"].shape().elements()));
    if (takes)
      take_blocks(c.exec, floats(c["flat"]), numbers, floats(c["packed"]));
    else
      put_blocks(c.exec, floats(c["packed"]), numbers, floats(c["flat"]));
  });
  op.oracle = [=](const Values& in) {
    Doubles flat = in["flat"], packed = in["packed"];
    for (size_t i = 0; i < in["numbers"].size(); ++i) {
      if (in["numbers"][i] < 0) continue;
      const auto in_flat = flat.begin() + static_cast<int64_t>(in["numbers"][i]) * kFlatBlock;
      const auto in_packed = packed.begin() + static_cast<int64_t>(i * kBlock);
      if (takes)
        std::copy_n(in_flat, kBlock, in_packed);
      else
        std::copy_n(in_packed, kBlock, in_flat);
    }
    return takes ? Values{{"packed", packed}} : Values{{"flat", flat}};
  };
  return op;
}

const RegisterOp kTakeBlocks("take_blocks", [](Op& op) {
  op.add("some of many", {2, 15, 16, 17, 100}, [](int64_t rows) { return block_case(rows, true); });
  op.time("a million floats", 16384, [](int64_t rows) { return block_case(rows, true); });
});

const RegisterOp kPutBlocks("put_blocks", [](Op& op) {
  op.add("some of many", {2, 15, 16, 17, 100}, [](int64_t rows) { return block_case(rows, false); });
  op.time("a million floats", 16384, [](int64_t rows) { return block_case(rows, false); });
});

}  // namespace
}  // namespace lockstep::test
