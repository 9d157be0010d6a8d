// Weights in and out as safetensors, by the real program.
#include <fmt/ranges.h>
#include <gmock/gmock.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <limits>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include "io/hdf5/hdf5.h"
#include "io/safetensors/safetensors_file.h"
#include "io/safetensors/write_safetensors.h"
#include "tests/io/files.h"
#include "tests/launch/run/whole_run.h"

namespace lockstep {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

class WeightsRun : public WholeRun {
 protected:
  static ProgramResult run(const std::vector<std::string>& arguments) {
    return run_program(lockstep_command(1, arguments), folder_->path());
  }
  static void succeed(const std::vector<std::string>& arguments) {
    const ProgramResult result = run(arguments);
    ASSERT_EQ(result.exit_code, 0) << result.out << result.err;
  }
  static std::string refused(const std::vector<std::string>& arguments, int code) {
    const ProgramResult result = run(arguments);
    EXPECT_EQ(result.exit_code, code) << result.out << result.err;
    return result.err;
  }
  /// A run of a few steps of a network with batch norm, and its weights as safetensors; made once.
  static std::string trained() {
    std::ofstream(*folder_ / "net.toml") << kModel;
    if (!std::filesystem::exists(*folder_ / "trained")) {
      train("trained", 1,
            set({"run.reproducible=true", "model.file=" + (*folder_ / "net.toml"), "train.steps=4"}));
      succeed({"model", "export", "trained", "trained.safetensors"});
    }
    return *folder_ / "trained";
  }
  static std::vector<std::string> import_net(const std::string& from, const std::string& to) {
    return {"model", "import", from, to, "--model", *folder_ / "net.toml", "--force"};
  }
  /// The model's tensors of a checkpoint.
  static std::map<std::string, std::vector<std::byte>> weights_of(const std::string& checkpoint) {
    auto tensors = tensors_of(checkpoint);
    std::erase_if(tensors, [](const auto& entry) { return entry.first.starts_with("optimizer/"); });
    return tensors;
  }
  /// The tensors of the exported file, to be changed and written.
  struct Weights {
    explicit Weights(const std::string& path) {
      const SafetensorsFile file(path);
      for (const StoredTensor& tensor : file.tensors()) {
        values.push_back(file.floats(tensor));
        tensors.push_back({tensor.name, {values.back().data(), DType::f32, Shape(tensor.extents)}});
      }
    }
    NamedTensor& at(const std::string& name) { return *std::ranges::find(tensors, name, &NamedTensor::name); }
    void write(const std::string& name) const { write_safetensors(*folder_ / name, tensors); }

    std::vector<std::vector<float>> values;
    std::vector<NamedTensor> tensors;
  };
};

TEST_F(WeightsRun, ComeBackWithTheirBitsAndAreExportedToTheSameBytes) {
  const std::string from = trained();
  succeed(import_net("trained.safetensors", "again.h5"));
  EXPECT_EQ(weights_of(*folder_ / "again.h5"), weights_of(from));
  succeed({"model", "export", "again.h5", "again.safetensors"});
  EXPECT_EQ(content_of(*folder_ / "again.safetensors"), content_of(*folder_ / "trained.safetensors"));

  // Names and shapes are PyTorch's: filters (K, C, R, S).
  const SafetensorsFile file(*folder_ / "trained.safetensors");
  std::vector<std::string> lines;
  for (const StoredTensor& tensor : file.tensors())
    lines.push_back(fmt::format("{} {}", tensor.name, fmt::join(tensor.extents, " ")));
  EXPECT_THAT(lines, ElementsAre("batch_norm_1.bias 8", "batch_norm_1.running_mean 8",
                                 "batch_norm_1.running_var 8", "batch_norm_1.weight 8", "conv2d_1.bias 8",
                                 "conv2d_1.weight 8 1 3 3", "linear_1.bias 10", "linear_1.weight 10 1352"));

  // Columns of the linear layer are in the order of (C, H, W) in the file, of (H, W, C) in the checkpoint.
  const auto& linear = file.tensors().back();
  const std::vector<float> there = file.floats(linear);
  std::vector<float> here(there.size());
  const std::vector<std::byte> bytes = weights_of(from).at("model/linear_1.weight");
  std::memcpy(here.data(), bytes.data(), bytes.size());
  EXPECT_EQ(there[1], here[8]);
  EXPECT_EQ(there[1352 + 169 * 3 + 13 * 2 + 5], here[1352 + (13 * 2 + 5) * 8 + 3]);
}

TEST_F(WeightsRun, OfAnImportedModelPredictAndEvaluateAsTheRun) {
  trained();
  std::vector<std::string> import = import_net("trained.safetensors", "model.h5");
  import.insert(import.end(), {"--input", "28,28"});  // as the digits are stored
  succeed(import);
  std::vector<std::string> reports;
  for (const std::string from : {"trained", "model.h5"}) {
    succeed({"predict", from, "--data", "digits.h5:/test", "--out", from + "-predicted.h5", "--force"});
    const ProgramResult report = run({"eval", from, "--data", "digits.h5:/test", "--json"});
    EXPECT_EQ(report.exit_code, 0) << report.err;
    const json facts = parse_json(report.out);
    reports.push_back(fmt::format("{} {}", facts.at("loss").dump(), facts.at("accuracy").dump()));
  }
  EXPECT_EQ(reports[0], reports[1]);
  const auto probabilities = [](const std::string& file) {
    std::vector<float> values(300 * 10);
    hdf5::File::open(*folder_ / file).dataset("/probabilities").read(DType::f32, values.data());
    return values;
  };
  EXPECT_EQ(probabilities("trained-predicted.h5"), probabilities("model.h5-predicted.h5"));
  EXPECT_THAT(run({"model", "show", "model.h5"}).out, HasSubstr("conv2d_1"));
  EXPECT_THAT(refused({"train", "--resume", "model.h5"}, 3), HasSubstr("not a checkpoint of a training run"));
  EXPECT_THAT(refused({"eval", "trained.safetensors"}, 3), HasSubstr("lockstep model import"));
}

TEST_F(WeightsRun, ThatDoNotFitAreNamedWithWhatToDo) {
  trained();
  Weights weights(*folder_ / "trained.safetensors");
  const std::vector<float> more(16);
  weights.at("conv2d_1.bias").tensor = {more.data(), DType::f32, {16}};
  weights.at("linear_1.bias").name = "fc.bias";
  weights.write("other.safetensors");
  const std::string error = refused(import_net("other.safetensors", "other.h5"), 3);
  EXPECT_THAT(error, AllOf(HasSubstr("it lacks 1 tensor (linear_1.bias (10))"),
                           HasSubstr("conv2d_1.bias is (16) in the file, (8) in the model"),
                           HasSubstr("1 tensor that the model has not (fc.bias (10))"), HasSubstr("--model"),
                           HasSubstr("--outputs"), HasSubstr("model.init_from")));
  EXPECT_FALSE(std::filesystem::exists(*folder_ / "other.h5"));
  EXPECT_THAT(refused({"model", "import", "trained.safetensors", "other.h5", "--model", "resnet18"}, 3),
              AllOf(HasSubstr("it lacks 102 tensors (conv1.weight (64, 3, 7, 7)"), HasSubstr("and 98 more"),
                    Not(HasSubstr("layer4"))));

  weights = Weights(*folder_ / "trained.safetensors");
  weights.values[0][0] = std::numeric_limits<float>::infinity();
  weights.write("infinite.safetensors");
  EXPECT_THAT(refused(import_net("infinite.safetensors", "other.h5"), 3), HasSubstr("not finite"));
  const std::vector<int32_t> integers(8);
  weights.at("conv2d_1.bias").tensor = {integers.data(), DType::i32, {8}};
  weights.write("integers.safetensors");
  EXPECT_THAT(refused(import_net("integers.safetensors", "other.h5"), 3), HasSubstr("type I32"));
  EXPECT_THAT(refused({"model", "export", "trained", "out.h5"}, 2), HasSubstr("safetensors"));
  EXPECT_THAT(refused({"model", "export", "trained", "out.safetensors", "--names", "timm"}, 2),
              HasSubstr("--names timm"));
}

TEST_F(WeightsRun, DecideOutputsAndChannelsAndIgnoreCounters) {
  trained();
  // As another library would write them: with counters of batch norm.
  Weights weights(*folder_ / "trained.safetensors");
  const std::vector<float> head(12 * 1352), bias(12), filters(8 * 3 * 9);
  const int64_t steps = 4;
  weights.at("linear_1.weight").tensor = {head.data(), DType::f32, {12, 1352}};
  weights.at("linear_1.bias").tensor = {bias.data(), DType::f32, {12}};
  weights.at("conv2d_1.weight").tensor = {filters.data(), DType::f32, {8, 3, 3, 3}};
  weights.tensors.push_back({"batch_norm_1.num_batches_tracked", {&steps, DType::i64, {}}});
  weights.write("colour.safetensors");
  const ProgramResult imported = run(import_net("colour.safetensors", "colour.h5"));
  EXPECT_EQ(imported.exit_code, 0) << imported.err;
  EXPECT_THAT(imported.out + imported.err, HasSubstr("samples of (28, 28, 3), 12 outputs"));
  std::vector<std::string> given = import_net("colour.safetensors", "colour.h5");
  given.insert(given.end(), {"--outputs", "10"});
  EXPECT_THAT(refused(given, 3), HasSubstr("linear_1.bias is (12) in the file, (10) in the model"));
}

TEST_F(WeightsRun, AreWhereTrainingStartsWithInitFrom) {
  const std::string from = trained();
  const auto with = [](std::vector<std::string> settings, const std::string& init_from) {
    settings.push_back("model.init_from=" + init_from);
    return set(settings);
  };
  EXPECT_THAT(refused({"train", "--set", "model.init_from=none.safetensors"}, 3),
              HasSubstr("none.safetensors: no such file"));
  // On two ranks, from the exported weights and from the run: the same bits.
  const std::vector<std::string> settings = {"model.file=" + (*folder_ / "net.toml"), "train.steps=2",
                                             "run.reproducible=true", "optimizer.freeze=[\"conv*\"]"};
  train("from-file", 2, with(settings, *folder_ / "trained.safetensors"));
  train("from-run", 2, with(settings, from));
  EXPECT_EQ(weights_of(*folder_ / "from-file"), weights_of(*folder_ / "from-run"));

  // A head of another size keeps its initialization.
  train("other-head", 1,
        with({"model.file=" + (*folder_ / "net.toml"), "train.steps=2", "data.classes=12"},
             *folder_ / "trained.safetensors"));
  std::ifstream log(*folder_ / "other-head/log.txt");
  const std::string text{std::istreambuf_iterator<char>(log), {}};
  EXPECT_THAT(text, AllOf(HasSubstr("loaded 4 tensors"), HasSubstr("left 2 tensors"),
                          HasSubstr("linear_1.weight is (12, 1352), in the checkpoint (10, 1352)")));
}

}  // namespace
}  // namespace lockstep
