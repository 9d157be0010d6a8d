// Tests of the emulator itself: graphs of small operations, which it computes one after the other.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <optional>
#include <vector>

#include "src/device/buffer.h"
#include "src/device/cuda_context.h"
#include "src/device/devices.h"
#include "src/device/libraries/cudnn_graph.h"

namespace lockstep {
namespace {

using testing::ElementsAre;

class EmulatedCudnnGraph : public testing::Test {
 protected:
  static constexpr size_t kBytes = 4096;

  void SetUp() override {
    if (find_devices().gpus.empty()) GTEST_SKIP() << "LOCKSTEP_EMULATED_GPUS is not set";
    context.emplace(0);
    memory = Buffer(exec(), Memory::device, 4 * kBytes);
    graph.emplace(context->cudnn());
  }

  Exec exec() { return {&*context}; }
  std::byte* at(size_t i) { return memory.as<std::byte>().data() + i * kBytes; }
  CudnnGraph::Tensor input(int64_t id, const std::vector<int64_t>& extents) {
    return graph->tensor(id, CUDNN_DATA_FLOAT, extents, {extents[1], 1});
  }
  CudnnGraph::Tensor between(const std::vector<int64_t>& extents) {
    return graph->between(CUDNN_DATA_FLOAT, extents);
  }
  std::vector<CudnnPlan> plans() { return make_plans(*graph, {.compiled_at_run_time = true}, 8); }
  void write(size_t i, const std::vector<float>& values) {
    copy(exec(), at(i), values.data(), values.size() * sizeof(float));
  }
  /// Runs the first plan with tensors 1, 2 and 3 at their places; returns so many numbers of tensor 3.
  std::vector<float> run(size_t count, float number = 0) {
    const std::vector<CudnnPlan> made = plans();
    if (made.empty()) return {};
    made.front().run(context->cudnn(), {{1, at(1)}, {2, at(2)}, {3, at(3)}, {4, &number}}, at(0));
    std::vector<float> values(count);
    copy(exec(), values.data(), at(3), count * sizeof(float));
    synchronize(exec());
    return values;
  }

  std::optional<CudaContext> context;
  std::optional<CudnnGraph> graph;
  Buffer memory;
};

TEST_F(EmulatedCudnnGraph, ComputesOneOperationAfterTheOther) {
  // exp(3 x) summed over columns, without those above the diagonal, as a column.
  const CudnnGraph::Tensor x = input(1, {2, 3});
  const CudnnGraph::Tensor scaled =
      graph->combine(CUDNN_POINTWISE_MUL, x, graph->number(4, 2), between({2, 3}));
  const CudnnGraph::Tensor row = graph->index(scaled, 0, graph->between(CUDNN_DATA_INT32, {2, 3})),
                           column = graph->index(scaled, 1, graph->between(CUDNN_DATA_INT32, {2, 3}));
  const CudnnGraph::Tensor is_kept =
      graph->combine(CUDNN_POINTWISE_CMP_GE, row, column, graph->between(CUDNN_DATA_BOOLEAN, {2, 3}));
  const CudnnGraph::Tensor powers = graph->map(CUDNN_POINTWISE_EXP, scaled, between({2, 3}));
  const CudnnGraph::Tensor kept = graph->select(is_kept, powers, input(2, {1, 1}), between({2, 3}));
  const CudnnGraph::Tensor sums = graph->reduce(CUDNN_REDUCE_TENSOR_ADD, kept, between({2, 1}));
  graph->map(CUDNN_POINTWISE_IDENTITY, sums, input(3, {2, 1}));
  write(1, {1, 5, 5, 0, 2, 5});
  write(2, {0});
  EXPECT_THAT(run(2, 3), ElementsAre(std::exp(3.0f), 1 + std::exp(6.0f)));
}

TEST_F(EmulatedCudnnGraph, MultipliesTransposedAndRoundsBetweenOperations) {
  // A tensor with other strides is another view of the same elements.
  const std::vector<int64_t> extents = {4, 4};
  const CudnnGraph::Tensor x = input(1, extents);
  const CudnnGraph::Tensor turned = graph->reshape(x, graph->between(CUDNN_DATA_BFLOAT16, extents, {1, 4}));
  graph->multiply(turned, input(2, extents), input(3, extents));
  write(1, {1, 2, 3, 4, 0, 1 + 0x1p-12f, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0});
  write(2, {1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1});
  EXPECT_THAT(run(16), ElementsAre(1, 0, 0, 0, 2, 1, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0));
}

TEST_F(EmulatedCudnnGraph, TheLargestOfARowMayBeNan) {
  graph->reduce(CUDNN_REDUCE_TENSOR_MAX, input(1, {2, 2}), input(3, {2, 1}));
  write(1, {-3, -2, 1, std::numeric_limits<float>::quiet_NaN()});
  const std::vector<float> largest = run(2);
  EXPECT_EQ(largest[0], -2);
  EXPECT_TRUE(std::isnan(largest[1]));
}

TEST_F(EmulatedCudnnGraph, ItsEnginesAreCompiledAtRunTime) {
  graph->map(CUDNN_POINTWISE_EXP, input(1, {2, 2}), input(3, {2, 2}));
  EXPECT_EQ(plans().size(), 2u)
      << "that can be compiled and give the same bits each time, within the limit for a workspace";
  EXPECT_TRUE(make_plans(*graph, {}, 8).empty());
}

TEST_F(EmulatedCudnnGraph, RowsOfFactorsAreMultiplesOf16Bytes) {
  graph->multiply(input(1, {4, 4}), input(2, {4, 5}), input(3, {4, 5}));
  EXPECT_TRUE(plans().empty());
}

TEST_F(EmulatedCudnnGraph, RefusesExtentsThatDoNotFit) {
  graph->multiply(input(1, {4, 4}), input(2, {8, 4}), input(3, {4, 4}));
  EXPECT_THROW(plans(), Error);
}

TEST_F(EmulatedCudnnGraph, RefusesToReadWhatNothingHasComputed) {
  graph->map(CUDNN_POINTWISE_EXP, between({2, 2}), input(3, {2, 2}));
  EXPECT_THROW(plans(), Error);
}

TEST_F(EmulatedCudnnGraph, RefusesToOverwriteWhatItReads) {
  graph->map(CUDNN_POINTWISE_EXP, input(1, {2, 2}), input(3, {2, 2}));
  const std::vector<CudnnPlan> made = plans();
  EXPECT_THROW(made.front().run(context->cudnn(), {{1, at(1)}, {3, at(1)}}, at(0)), Error);
  EXPECT_THROW(made.front().run(context->cudnn(), {{1, at(1)}}, at(0)), Error) << "a tensor is missing";
  EXPECT_THROW(made.front().run(context->cudnn(), {{1, at(1) + 4}, {3, at(3)}}, at(0)), Error);
}

TEST_F(EmulatedCudnnGraph, ResultsMayLieBetweenEachOther) {
  const auto every_other = [&](int64_t id) { return graph->tensor(id, CUDNN_DATA_FLOAT, {4, 4}, {8, 1}); };
  const CudnnGraph::Tensor x = input(1, {4, 4});
  graph->map(CUDNN_POINTWISE_IDENTITY, x, every_other(2));
  graph->map(CUDNN_POINTWISE_IDENTITY, x, every_other(3));
  const std::vector<CudnnPlan> made = plans();
  made.front().run(context->cudnn(), {{1, at(1)}, {2, at(2)}, {3, at(2) + 16}}, at(0));
  EXPECT_THROW(made.front().run(context->cudnn(), {{1, at(1)}, {2, at(2)}, {3, at(2) + 32}}, at(0)), Error);
}

}  // namespace
}  // namespace lockstep
