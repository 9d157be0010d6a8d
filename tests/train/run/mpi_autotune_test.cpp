// run.autotune on ranks whose GPUs are not equally fast.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "src/core/error.h"
#include "src/core/hash.h"
#include "src/graph/layers/layers.h"
#include "src/train/run/setup.h"
#include "tests/support/emulator/cudnn_backend.h"
#include "tests/support/mpi_world.h"
#include "tests/train/made_up_data.h"

namespace lockstep {
namespace {

/// The place in the emulator's table of the engine that is the fastest, but not on every rank.
constexpr size_t kOneOfTheEngines = 8;

class MpiAutotune : public MpiBackendTest {
 protected:
  void TearDown() override { emulator::cudnn::set_milliseconds(kOneOfTheEngines, 10); }

  TrainOptions options() const {
    TrainOptions options;
    options.run.threads = 1;
    options.run.autotune = true;
    options.comm.bucket_bytes = 1 << 20;
    options.train.global_batch = 4 * world.size();
    return options;
  }
  static DataSignature images() { return {{8, 8, 1}, DType::u8, TargetKind::classes, {}, 3}; }
  static ModelFactory cnn() {
    return [](const Value& input, const NetworkOutput& output) {
      Graph graph(input);
      graph.add("conv", layers::conv2d({.filters = 4}));
      graph.add("relu", layers::relu());
      graph.add("conv2", layers::conv2d({.filters = 5}));
      graph.add("flatten", layers::flatten());
      graph.add("output", layers::linear({.outputs = output.shape().elements()}));
      return graph;
    };
  }
  std::unique_ptr<TrainingSetup> set_up(const std::string& engines = "") {
    return std::make_unique<TrainingSetup>(world, exec(), options(), images(), cnn(), nullptr, engines);
  }
};
INSTANTIATE_FOR_BACKENDS(MpiAutotune);

TEST_P(MpiAutotune, AllRanksTakeTheEnginesThatAreFastestOnRank0) {
  if (world.rank() > 0) emulator::cudnn::set_milliseconds(kOneOfTheEngines, 100);
  const std::unique_ptr<TrainingSetup> setup = set_up();
  ASSERT_NE(setup->tuner, nullptr);
  const std::string text = setup->tuner->text();
  EXPECT_FALSE(world.find_different(hash_name(text)));
  if (!exec().on_cuda()) {
    EXPECT_EQ(text, "");
    return;
  }
  // Three engines run for each of five convolutions, and the second of them is the fastest.
  EXPECT_EQ(std::ranges::count(text, '\n'), 1 + 5);
  for (size_t end = text.find('\n') + 1; (end = text.find('\n', end)) != std::string::npos; ++end)
    EXPECT_EQ(text[end - 1], '1') << text;
}

TEST_P(MpiAutotune, AReproducibleRunIsRefused) {
  TrainOptions wrong = options();
  wrong.run.reproducible = true;
  wrong.train.micro_batch = 4;  // one for each rank
  try {
    TrainingSetup(world, exec(), wrong, images(), cnn());
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::usage);
    EXPECT_THAT(error.what(), testing::HasSubstr("run.autotune = true"));
  }
}

}  // namespace
}  // namespace lockstep
