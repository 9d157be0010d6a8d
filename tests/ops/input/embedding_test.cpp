#include "src/ops/input/embedding.h"

#include <gmock/gmock.h>

#include <vector>

#include "tests/support/backend.h"
#include "tests/support/harness/op_case.h"

namespace lockstep::test {
namespace {

OpCase embedding_case(int64_t entries, int64_t width, int64_t rows, const Fill& ids) {
  OpCase op;
  op.input("ids", {rows}, ids, DType::i32).input("weight", {entries, width});
  op.output("y", {rows, width}, kExact).output_gradient("y").gradient("weight", kSum, {.last = width});
  op.prepare = [=](Exec exec, DType) {
    return OpRoutines{
        [](const OpCall& c) { embedding_forward(c.exec, c["ids"], c["weight"], c["y"]); },
        [](const OpCall& c) { embedding_backward(c.exec, c["ids"], c["dy"], c["dweight"], c.workspace); },
        embedding_workspace_bytes(exec, rows)};
  };
  op.oracle = [width](const Values& in) {
    const Doubles& weight = in["weight"];
    Values out;
    Doubles& y = out["y"];
    y.reserve(in["ids"].size() * static_cast<size_t>(width));
    for (const double id : in["ids"]) {
      const auto row = weight.begin() + static_cast<int64_t>(id) * width;
      y.insert(y.end(), row, row + width);
    }
    return out;
  };
  op.activations = {"y"};
  op.parameters = {"weight"};
  return op;
}

Op::Make any_ids(int64_t entries, int64_t width) {
  return [=](int64_t rows) {
    return embedding_case(entries, width, rows, between(0, static_cast<double>(entries)));
  };
}

const RegisterOp kEmbedding("embedding", [](Op& op) {
  for (const auto& [entries, width] :
       {std::pair<int64_t, int64_t>{1, 1}, {5, 3}, {7, 33}, {40, 130}, {9, 260}})
    op.add(fmt::format("{} entries of {}", entries, width), {2, 31, 70}, any_ids(entries, width));
  op.add("the same id often", 500, [](int64_t rows) { return embedding_case(3, 20, rows, between(1, 2)); });
  op.time("GPT-2", 1024, any_ids(50257, 768));
});

class EmbeddingTest : public BackendTest {};
INSTANTIATE_FOR_BACKENDS(EmbeddingTest);

/// The gradient of a table whose vectors have `width` numbers.
std::vector<float> gradient(Exec exec, int64_t entries, int64_t width, const std::vector<int32_t>& ids,
                            const std::vector<float>& dy) {
  const auto rows = static_cast<int64_t>(ids.size());
  const Guarded<int32_t> in(exec, {rows}, ids);
  const Guarded<float> from(exec, {rows, width}, dy), to(exec, {entries, width});
  const auto bytes = static_cast<int64_t>(embedding_workspace_bytes(exec, rows));
  const Guarded<uint8_t> workspace(exec, {bytes});
  embedding_backward(exec, in, from, to, bytes == 0 ? Tensor{} : Tensor(workspace));
  return to.values();
}

TEST_P(EmbeddingTest, AnEntryThatNoIdNamesHasNoGradient) {
  EXPECT_THAT(gradient(exec(), 4, 2, {2, 0, 2}, {1, 2, 3, 4, 5, 6}),
              testing::ElementsAre(3, 4, 0, 0, 6, 8, 0, 0));
}

TEST_P(EmbeddingTest, SortsIdsOfSeveralDigits) {
  constexpr int32_t kEntries = 70000;
  std::vector<int32_t> ids;
  std::vector<float> dy, expected(kEntries);
  for (int32_t row = 0; row < 700; ++row) {
    ids.push_back(static_cast<int32_t>(int64_t{row} * row * 7919 % kEntries));
    dy.push_back(static_cast<float>(row % 13) - 5);
    expected[static_cast<size_t>(ids.back())] += dy.back();
  }
  EXPECT_EQ(gradient(exec(), kEntries, 1, ids, dy), expected);
}

}  // namespace
}  // namespace lockstep::test
