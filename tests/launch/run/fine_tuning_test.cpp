// model.init_from, optimizer.freeze and optimizer.lr_scale by the real program.
#include <gmock/gmock.h>

#include <filesystem>

#include "tests/launch/run/whole_run.h"

namespace lockstep {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

/// Two convolutions with batch norm, and a head.
constexpr const char* kNet = R"(
[[layer]]
name = "conv1"
kind = "conv2d"
filters = 4
kernel = 3
[[layer]]
name = "norm1"
kind = "batch_norm"
[[layer]]
kind = "relu"
[[layer]]
kind = "max_pool2d"
[[layer]]
name = "conv2"
kind = "conv2d"
filters = 6
kernel = 3
[[layer]]
kind = "relu"
[[layer]]
kind = "flatten"
[[layer]]
kind = "dropout"
rate = 0.2
[[layer]]
name = "head"
kind = "linear"
outputs = "classes"
)";

class FineTuning : public WholeRun {
 protected:
  static std::vector<std::string> settings(const std::vector<std::string>& more) {
    const std::string model = *folder_ / "net.toml";
    std::ofstream(model) << kNet;
    std::vector<std::string> all = {"run.reproducible=true", "run.threads=1", "model.file=" + model,
                                    "train.steps=6", "train.micro_batch=16"};
    all.insert(all.end(), more.begin(), more.end());
    return set(all);
  }
  /// A run of six steps that others start from; made once.
  static std::string pretrained() {
    if (!std::filesystem::exists(*folder_ / "pretrained")) train("pretrained", 1, settings({}));
    return *folder_ / "pretrained";
  }
  static ProgramResult run(const std::vector<std::string>& arguments) {
    return run_program(lockstep_command(1, arguments), folder_->path());
  }
  /// Of a training that does not start.
  static ProgramResult refused(const std::vector<std::string>& more) {
    std::vector<std::string> arguments = {"train",
                                          "--run",
                                          *folder_ / "refused",
                                          "--device",
                                          "cpu",
                                          "--set",
                                          "data.train=" + (*folder_ / "digits.h5") + ":/train"};
    const std::vector<std::string> sets = settings(more);
    arguments.insert(arguments.end(), sets.begin(), sets.end());
    ProgramResult result = run(arguments);
    EXPECT_FALSE(std::filesystem::exists(*folder_ / "refused"));
    return result;
  }
  static std::string header_of(const std::string& name) {
    std::ifstream log(*folder_ / name + "/log.txt");
    for (std::string line; std::getline(log, line);)
      if (const size_t at = line.find("fine-tuning: "); at != std::string::npos) return line.substr(at);
    return "";
  }
};

TEST_F(FineTuning, FrozenWeightsKeepTheirBitsOnAnyNumberOfRanks) {
  const std::string from = pretrained();
  const auto before = tensors_of(from);
  std::string hash;
  for (const int ranks : {1, 2, 4})
    for (const char* const sharded : {"false", "true"}) {
      const std::string name = fmt::format("frozen-{}-{}", ranks, sharded);
      const json end = train(name, ranks,
                             settings({"model.init_from=" + from, "optimizer.freeze=[\"conv*\", \"norm1\"]",
                                       "optimizer.sharded=" + std::string(sharded)}))
                           .back();
      if (hash.empty()) hash = end["weights_hash"];
      EXPECT_EQ(end["weights_hash"], hash) << name;
      for (const auto& [tensor, bytes] : tensors_of(*folder_ / name)) {
        if (tensor.starts_with("optimizer/")) {
          EXPECT_THAT(tensor, HasSubstr("/head."));
          continue;
        }
        const bool trained = tensor.starts_with("model/head.");
        EXPECT_EQ(bytes != before.at(tensor), trained) << tensor << " of " << name;
      }
    }
  EXPECT_EQ(header_of("frozen-1-false"),
            "fine-tuning: loaded 8 tensors (7540 parameters) and the running statistics of 1 layer from " +
                from + "/checkpoints/step-00000006.h5; frozen: 6 tensors (270 parameters)");
}

TEST_F(FineTuning, AHeadOfAnotherWidthIsLeftAtItsInitialization) {
  const std::string from = pretrained();
  train("wide", 2,
        settings({"model.init_from=" + from, "data.classes=12", "optimizer.freeze=conv1",
                  "optimizer.lr_scale={ \"norm*\" = 0.1, conv2 = 0.5 }"}));
  EXPECT_EQ(header_of("wide"),
            "fine-tuning: loaded 6 tensors (270 parameters) and the running statistics of 1 layer from " +
                from +
                "/checkpoints/step-00000006.h5; left 2 tensors (8724 parameters) at their initialization: "
                "head.weight is (12, 726), in the checkpoint (10, 726), head.bias is (12), in the checkpoint "
                "(10); frozen: 2 tensors (40 parameters); scaled learning rate: 4 tensors (230 parameters)");
}

TEST_F(FineTuning, CheckpointsAreEvaluatedAndResumedWithoutWhatTheyStartedFrom) {
  const std::string from = pretrained(), copy = *folder_ / "moved";
  std::filesystem::copy(from, copy, std::filesystem::copy_options::recursive);
  const std::vector<std::string> frozen = {"model.init_from=" + copy,
                                           "optimizer.freeze=[\"conv1\", \"norm1\"]",
                                           "optimizer.lr_scale={ \"conv2.*\" = 0.1 }"};
  const json whole = train("whole", 1, settings(frozen)).back();
  std::vector<std::string> half = settings(frozen);
  const std::vector<std::string> shorter = set({"train.steps=3"});
  half.insert(half.end(), shorter.begin(), shorter.end());
  train("half", 2, half);
  std::filesystem::remove_all(copy);

  const ProgramResult evaluated = run({"eval", *folder_ / "whole", "--device", "cpu", "--json"});
  ASSERT_EQ(evaluated.exit_code, 0) << evaluated.err;
  EXPECT_EQ(parse_json(evaluated.out)["loss"], whole["test_loss"]);

  const ProgramResult resumed =
      run({"train", "--resume", *folder_ / "half", "--set", "train.steps=6", "--device", "cpu"});
  ASSERT_EQ(resumed.exit_code, 0) << resumed.err;
  EXPECT_EQ(events("half").back()["weights_hash"], whole["weights_hash"]);
  EXPECT_THAT(resumed.out,
              AllOf(HasSubstr("fine-tuning: frozen: 4 tensors (48 parameters); scaled learning rate: "),
                    Not(HasSubstr("loaded"))));

  const ProgramResult changed =
      run({"train", "--resume", *folder_ / "half", "--set", "optimizer.freeze=[]", "--device", "cpu"});
  EXPECT_EQ(changed.exit_code, 2);
  EXPECT_THAT(changed.err, HasSubstr("optimizer.freeze was [\"conv1\", \"norm1\"], is []"));
  const ProgramResult allowed = run({"train", "--resume", *folder_ / "half", "--set", "optimizer.freeze=[]",
                                     "--set", "train.steps=7", "--allow-changed", "--device", "cpu"});
  EXPECT_EQ(allowed.exit_code, 3);
  EXPECT_THAT(allowed.err, HasSubstr("start a new run with model.init_from"));
  train("unfrozen", 1, settings({"model.init_from=" + (*folder_ / "half"), "optimizer.lr=1e-4"}));
}

TEST_F(FineTuning, ARunFolderOfTheConfigIsRelativeToIt) {
  pretrained();
  const std::string model = *folder_ / "net.toml", config = *folder_ / "relative.toml";
  settings({});
  std::ofstream(config) << "[data]\ntrain = \"digits.h5:/train\"\n[model]\nfile = \"net.toml\"\n"
                        << "init_from = \"pretrained\"\n[optimizer]\nfreeze = [\"conv*\"]\n"
                        << "[optimizer.lr_scale]\nhead.bias = 2\n[train]\nsteps = 2\n";
  const ProgramResult result = run_program(
      lockstep_command(1, {"train", config, "--run", *folder_ / "relative", "--device", "cpu"}), "/");
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out,
              AllOf(HasSubstr("loaded 8 tensors"), HasSubstr("scaled learning rate: 1 tensor (10 ")));
}

TEST_F(FineTuning, WhatCannotBeMeantIsRefusedBeforeTheFirstStep) {
  const ProgramResult pattern = refused({"optimizer.freeze=convolution*"});
  EXPECT_EQ(pattern.exit_code, 2);
  EXPECT_THAT(pattern.err,
              HasSubstr("optimizer.freeze: 'convolution*' matches no parameter, layer or block. The "
                        "parameters are: conv1.weight, conv1.bias, norm1.weight"));
  const ProgramResult scale = refused({"optimizer.lr_scale={ tail = 2 }"});
  EXPECT_EQ(scale.exit_code, 2);
  EXPECT_THAT(scale.err, HasSubstr("optimizer.lr_scale: 'tail' matches no parameter"));
  const ProgramResult zero = refused({"optimizer.lr_scale={ head = 0 }"});
  EXPECT_EQ(zero.exit_code, 2);
  EXPECT_THAT(zero.err, HasSubstr("optimizer.lr_scale.head: must be above 0, is 0"));
  const ProgramResult everything = refused({"optimizer.freeze=*"});
  EXPECT_EQ(everything.exit_code, 2);
  EXPECT_THAT(everything.err, HasSubstr("leaves nothing to train"));
  const ProgramResult nowhere = refused({"model.init_from=" + (*folder_ / "nowhere")});
  EXPECT_EQ(nowhere.exit_code, 3);
  EXPECT_THAT(nowhere.err,
              HasSubstr("model.init_from = " + (*folder_ / "nowhere") + ": no such file or folder"));
  const ProgramResult other = refused({"model.init_from=" + pretrained(), "model.name=mlp"});
  EXPECT_EQ(other.exit_code, 3);
  EXPECT_THAT(other.err, AllOf(HasSubstr("has no parameter of this model with the same name"),
                               HasSubstr("It has conv1.bias, conv1.weight, "), HasSubstr("The model has ")));
}

// From generated digits to pictures of clothes: what the convolutions have learned is of use there.
TEST_F(FineTuning, ConvolutionsOfDigitsServeFashionMnistBetterThanRandomOnes) {
  const std::string source = LOCKSTEP_SHARED_DATA "/fashion-mnist";
  if (!std::filesystem::exists(source)) GTEST_SKIP() << "fashion-mnist is absent";
  const std::string data = *folder_ / "fashion.h5";
  const ProgramResult made = run({"data", "import", "mnist", source, data});
  ASSERT_EQ(made.exit_code, 0) << made.err;
  train("digits", 1, set({"train.epochs=20", "run.reproducible=true"}));
  const auto accuracy_from = [&](const std::string& name, const std::vector<std::string>& more) {
    std::vector<std::string> all = {"data.train=" + data + ":/train", "data.test=" + data + ":/test",
                                    "optimizer.freeze=conv*", "train.steps=300", "run.reproducible=true"};
    all.insert(all.end(), more.begin(), more.end());
    return train(name, 1, set(all)).back()["test_accuracy"].get<double>();
  };
  const double learned = accuracy_from("learned", {"model.init_from=" + (*folder_ / "digits")});
  const double random = accuracy_from("random", {});
  std::printf("Fashion-MNIST, head only, 300 steps: %.4f from digits, %.4f from random convolutions\n",
              learned, random);
  EXPECT_GT(learned, 0.75);
  EXPECT_GT(learned, random);
  const auto before = tensors_of(*folder_ / "digits"), after = tensors_of(*folder_ / "learned");
  for (const char* const tensor :
       {"model/conv1.weight", "model/conv1.bias", "model/conv2.weight", "model/conv2.bias"})
    EXPECT_TRUE(after.at(tensor) == before.at(tensor)) << tensor;
}

}  // namespace
}  // namespace lockstep
