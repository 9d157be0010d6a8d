#include "tests/launch/commands/command_line.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <sstream>

#include "src/core/text/json.h"

namespace lockstep {
namespace {

TEST_F(CommandLine, EveryHelpFitsATerminal) {
  for (const char* command : {"",
                              "train",
                              "eval",
                              "predict",
                              "data",
                              "data synth",
                              "data synth digits",
                              "data import",
                              "data import mnist",
                              "data import cifar10",
                              "data import text",
                              "data info",
                              "data stats",
                              "data split",
                              "data repack",
                              "data check",
                              "model",
                              "model list",
                              "model show",
                              "bench",
                              "bench step",
                              "bench allreduce",
                              "bench scaling",
                              "bench devices",
                              "slurm",
                              "slurm train",
                              "doctor",
                              "launch",
                              "help"}) {
    const Outcome outcome = run(std::string(command) + " --help");
    EXPECT_EQ(outcome.exit_code, 0) << command;
    EXPECT_EQ(outcome.err, "") << command;
    EXPECT_THAT(outcome.out, ::testing::HasSubstr("Usage: ")) << command;
    std::istringstream lines(outcome.out);
    for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 80u) << command << ": " << line;
    EXPECT_EQ(run(std::string("help ") + command).out, outcome.out) << command;
  }
}

TEST_F(CommandLine, WithoutACommandItsHelpIsTheAnswer) {
  for (const char* command : {"", "data", "data synth", "model", "bench", "slurm"}) {
    const Outcome outcome = run(command);
    EXPECT_EQ(outcome.exit_code, 2) << command;
    EXPECT_EQ(outcome.out, "") << command;
    EXPECT_EQ(outcome.err, run(std::string(command) + " --help").out) << command;
  }
}

TEST_F(CommandLine, VersionIsOneLine) {
  for (const char* option : {"--version", "-V"}) {
    const Outcome outcome = run(option);
    EXPECT_EQ(outcome.exit_code, 0);
    EXPECT_EQ(outcome.out, "lockstep " LOCKSTEP_VERSION "\n");
  }
}

TEST_F(CommandLine, ReportsAreJsonForPrograms) {
  ASSERT_EQ(run("data synth digits d.h5 --train 20 --test 10").exit_code, 0);
  const auto json = [&](const std::string& arguments) {
    const Outcome outcome = run(arguments + " --json");
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    return parse_json(outcome.out);
  };
  const auto doctor = json("doctor");
  EXPECT_GT(doctor["machine"]["cores"]["usable"].get<int>(), 0);
  EXPECT_TRUE(doctor["gpu"]["problems"].empty()) << doctor["gpu"]["problems"];
  EXPECT_EQ(json("data info d.h5")["datasets"].size(), 4u);
  EXPECT_EQ(json("data check d.h5")["problems"].size(), 0u);
  EXPECT_EQ(json("model show cnn")["parameters"].get<int>(), 34826);
  EXPECT_GT(json("model list").size(), 10u);
  const auto models = json("model list resnet50 cnn");
  ASSERT_EQ(models.size(), 2u);
  EXPECT_EQ(models[0]["parameters"].get<int>(), 25557032);
  EXPECT_THAT(models[0]["input"].get<std::vector<int>>(), ::testing::ElementsAre(224, 224, 3));
  EXPECT_EQ(models[0]["outputs"].get<int>(), 1000);
  EXPECT_EQ(json("model show resnet50")["parameters"].get<int>(), 25557032);
  EXPECT_GT(json("model list --layers")["kinds"].size(), 10u);
}

TEST_F(CommandLine, ModelsAreListedInATableAndWithTheirKeys) {
  const Outcome table = run("model list"), keys = run("model list resnet18 mlp");
  EXPECT_THAT(table.out, ::testing::ContainsRegex("\nresnet18 +11,689,512  residual network"));
  EXPECT_THAT(keys.out, ::testing::HasSubstr("\n  model.blocks = [2, 2, 2, 2]\n"));
  EXPECT_THAT(keys.out, ::testing::HasSubstr("\n\nmlp\n"));
  for (const std::string& text : {table.out, keys.out}) {
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 80u) << line;
  }
  const Outcome unknown = run("model list resnet19");
  EXPECT_EQ(unknown.exit_code, 2);
  EXPECT_THAT(unknown.err, ::testing::HasSubstr("unknown model 'resnet19'. Did you mean 'resnet1"));
}

TEST_F(CommandLine, ShowListsTheTensorsThatACheckpointHolds) {
  ASSERT_EQ(run("data synth digits d.h5 --train 64 --test 10").exit_code, 0);
  const std::string model = LOCKSTEP_SOURCE_DIR "/examples/digits-net.toml";
  const Outcome trained = run("train --set data.train=d.h5:/train --set model.file=" + model +
                              " --set train.steps=1 --set train.global_batch=32 --run net");
  ASSERT_EQ(trained.exit_code, 0) << trained.err;
  std::map<std::string, nlohmann::json> held, shown;
  const auto file = parse_json(run("data info net/checkpoints/step-00000001.h5 --json").out);
  for (const auto& dataset : file["datasets"]) {
    const std::string name = dataset["name"];
    for (const std::string group : {"/model/", "/state/"})
      if (name.starts_with(group)) held[name.substr(group.size())] = dataset["shape"];
  }
  const auto model_shown = parse_json(run("model show " + model + " --json").out);
  for (const auto& tensor : model_shown["tensors"]) shown[tensor["name"]] = tensor["shape"];
  EXPECT_EQ(shown, held);
  EXPECT_TRUE(shown.contains("norm1.running_var"));

  const Outcome table = run("model show " + model + " --parameters");
  for (const auto& [name, shape] : held) EXPECT_THAT(table.out, ::testing::HasSubstr("\n" + name + " "));
  EXPECT_THAT(table.out,
              ::testing::ContainsRegex("norm1.weight +\\(16\\) +16  no weight decay, always float32"));
}

TEST_F(CommandLine, ShowFitsATerminalForAnyModel) {
  const std::string deep = LOCKSTEP_SOURCE_DIR "/examples/resnet50.toml";
  for (const std::string& model : {std::string("mlp"), std::string("cnn"), deep + " --input 64,64,3",
                                   deep + " --all --options --input 64,64,3 --outputs 1000"}) {
    const Outcome shown = run("model show " + model + " --ranks 2");
    ASSERT_EQ(shown.exit_code, 0) << shown.err;
    std::istringstream lines(shown.out);
    for (std::string line; std::getline(lines, line);)
      EXPECT_LE(line.size(), 80u + deep.size() * line.starts_with(deep)) << line;
    EXPECT_EQ(shown.out.find("layer3.5.conv2 ") != std::string::npos,
              model.find("--all") != std::string::npos);
  }
}

TEST_F(CommandLine, ShowCountsResNet50AsItsAuthorsDo) {
  const std::string model = LOCKSTEP_SOURCE_DIR "/examples/resnet50.toml";
  const auto shown = parse_json(run("model show " + model +
                                    " --input 224,224,3 --outputs 1000 --set train.micro_batch=2 --set "
                                    "optimizer.name=sgd --set optimizer.momentum=0.9 --device cpu --json")
                                    .out);
  EXPECT_EQ(shown["parameters"].get<int64_t>(), 25557032);
  // He et al. 2016, table 1: 3.8 billion multiply-adds, and more with the stride on the 3x3 convolutions.
  const int64_t forward = 2 * int64_t{4089184256};
  EXPECT_EQ(shown["forward_flops"].get<int64_t>(), forward);
  // Nobody needs the gradient of the images.
  const int64_t first = 2 * int64_t{112 * 112 * 64} * 7 * 7 * 3;
  EXPECT_EQ(shown["training_flops"].get<int64_t>(), 3 * forward - first);
  int64_t parameters = 0, activations = 0;
  for (const auto& layer : shown["layers"]) {
    parameters += layer["parameters"].get<int64_t>();
    activations += layer["activation_bytes"].get<int64_t>();
  }
  EXPECT_EQ(parameters, 25557032);
  EXPECT_EQ(shown["layers"][0]["activation_bytes"].get<int64_t>(), 2 * 112 * 112 * 64 * 4);
  const auto& memory = shown["memory"];
  EXPECT_EQ(memory["micro_batch"], 2);
  EXPECT_GE(memory["weights_bytes"].get<int64_t>(), 4 * (25557032 + 2 * 26560)) << "and running statistics";
  EXPECT_NEAR(memory["optimizer_bytes"].get<double>(), 4.0 * 25557032, 1e6) << "a momentum for each";
  EXPECT_LT(memory["arena_bytes"].get<int64_t>(), memory["unshared_bytes"].get<int64_t>());
  EXPECT_GT(memory["arena_bytes"].get<int64_t>(), activations / 4) << "backward needs most of them";
}

TEST_F(CommandLine, ShowTakesWhatTheRunWouldTake) {
  const auto memory = [&](const std::string& more) {
    return parse_json(run("model show cnn --device cpu --json " + more).out)["memory"];
  };
  const auto base = memory("--set run.threads=2");
  EXPECT_EQ(base["threads"], 2);
  EXPECT_EQ(base["activations_bytes"], 2 * base["arena_bytes"].get<int64_t>());
  const auto one = memory("--set run.threads=1 --set train.micro_batch=8");
  EXPECT_EQ(one["activations_bytes"], one["arena_bytes"]);
  EXPECT_EQ(one["micro_batches"], 128 / 8);
  EXPECT_EQ(memory("--set train.micro_batch=300")["micro_batch"], 300) << "more than train.global_batch";
  EXPECT_EQ(memory("--ranks 4 --set train.micro_batch=32")["micro_batches"], 1);
  const int64_t adam = base["optimizer_bytes"],
                sharded = memory("--ranks 4 --set optimizer.sharded=true")["optimizer_bytes"];
  EXPECT_NEAR(static_cast<double>(adam) / static_cast<double>(sharded), 4, 0.5);
  // A mask: an output at each position.
  write("mask.toml", "[[layer]]\nkind = \"conv2d\"\nfilters = \"classes\"\nkernel = 1\n");
  const Outcome mask = run("model show mask.toml --input 8,8,3 --outputs 4 --positions 8,8");
  EXPECT_THAT(mask.out, ::testing::HasSubstr("(8, 8, 4)")) << mask.err;
}

TEST_F(CommandLine, DoctorFailsWithoutTheGpuThatIsAskedFor) {
  write("gpu.toml", "[run]\ndevice = \"cuda\"\n");
  const bool has_gpu = !parse_json(run("doctor --json").out)["gpu"]["devices"].empty();
  for (const std::string asked : {"doctor gpu.toml", "doctor --device cuda"}) {
    const Outcome outcome = run(asked);
    EXPECT_EQ(outcome.exit_code, has_gpu ? 0 : 2) << outcome.err;
    EXPECT_THAT(outcome.out, ::testing::HasSubstr("folders")) << "the whole report comes first";
    if (!has_gpu) {
      EXPECT_THAT(outcome.err, ::testing::HasSubstr("run.device")) << asked;
    }
  }
  EXPECT_EQ(run("doctor gpu.toml --device cpu").exit_code, 0);
}

TEST_F(CommandLine, TrainEvalAndPredictWorkTogether) {
  ASSERT_EQ(run("data synth digits d.h5 --train 256 --test 70").exit_code, 0);
  write("run.toml",
        "[run]\nname = \"small\"\n[data]\ntrain = \"d.h5:/train\"\ntest = \"d.h5:/test\"\n[model]\nname = "
        "\"mlp\"\n"
        "hidden = [16]\n[train]\nepochs = 2\nglobal_batch = 32\n");
  const Outcome trained = run("train run.toml --set run.threads=1 --set run.seed=5");
  ASSERT_EQ(trained.exit_code, 0) << trained.err;
  EXPECT_THAT(trained.out, ::testing::HasSubstr("epoch 2/2"));
  const fs::path folder = work() / "runs/small";
  EXPECT_THAT(read_all(folder / "config.toml"), ::testing::HasSubstr("seed = 5"));

  std::istringstream lines(read_all(folder / "metrics.jsonl"));
  std::map<std::string, int> events;
  nlohmann::json last;
  for (std::string line; std::getline(lines, line);) {
    last = parse_json(line);
    ++events[last["event"].get<std::string>()];
  }
  EXPECT_EQ(events["step"], 16);
  EXPECT_EQ(events["epoch"], 2);
  EXPECT_EQ(events["end"], 1);

  // What eval measures of the last checkpoint is what the run measured at its end.
  const Outcome evaluated = run("eval runs/small --json");
  ASSERT_EQ(evaluated.exit_code, 0) << evaluated.err;
  const auto report = parse_json(evaluated.out);
  EXPECT_EQ(report["samples"].get<int>(), 70);
  EXPECT_EQ(report["loss"].get<double>(), last["test_loss"].get<double>());
  EXPECT_EQ(report["accuracy"].get<double>(), last["test_accuracy"].get<double>());
  int64_t counted = 0, right = 0;
  for (size_t t = 0; t < report["confusion"].size(); ++t) {
    for (const auto& count : report["confusion"][t]) counted += count.get<int64_t>();
    right += report["confusion"][t][t].get<int64_t>();
  }
  EXPECT_EQ(counted, 70);
  EXPECT_DOUBLE_EQ(static_cast<double>(right) / 70, report["accuracy"].get<double>());

  ASSERT_EQ(run("predict runs/small --data d.h5:/test --out p.h5").exit_code, 0);
  const auto predicted = parse_json(run("data info p.h5 --json").out);
  EXPECT_EQ(predicted["datasets"][1]["shape"], nlohmann::json({70, 10}));

  // The config in the run folder trains again, to the same weights, in a new folder.
  const std::string config = read_all(folder / "config.toml");
  ASSERT_EQ(run("train runs/small/config.toml").exit_code, 0);
  const auto end_of = [&](const std::string& name) {
    const std::string metrics = read_all(work() / "runs" / name / "metrics.jsonl");
    return parse_json(metrics.substr(metrics.rfind('\n', metrics.size() - 2) + 1));
  };
  EXPECT_EQ(end_of("small-2")["weights_hash"], end_of("small")["weights_hash"]);
  EXPECT_EQ(read_all(work() / "runs/small-2/config.toml"), config);
  fs::remove_all(work() / "runs/small-2");

  // The same name again is another folder; a folder that was named is not mixed with another run.
  EXPECT_EQ(run("train run.toml --set train.epochs=1").exit_code, 0);
  EXPECT_TRUE(fs::exists(work() / "runs/small-2/config.toml"));
  const Outcome again = run("train run.toml --run runs/small");
  EXPECT_EQ(again.exit_code, 2);
  EXPECT_THAT(again.err, ::testing::HasSubstr("holds a run already"));
}

TEST_F(CommandLine, AResumedRunIsHeldToItsConfig) {
  ASSERT_EQ(run("data synth digits d.h5 --train 128 --test 10").exit_code, 0);
  const std::string base =
      "train --run r --set data.train=d.h5 --set model.name=mlp --set train.global_batch=32 ";
  // Where nothing has run, auto begins: a batch script always says it.
  ASSERT_EQ(run(base + "--set train.epochs=1 --resume auto").exit_code, 0);
  const Outcome changed = run(base + "--set train.epochs=2 --set optimizer.lr=0.5 --resume auto");
  EXPECT_EQ(changed.exit_code, 2);
  EXPECT_THAT(changed.err, ::testing::HasSubstr("optimizer.lr was 0.001, is 0.5"));
  EXPECT_EQ(run(base + "--set train.epochs=2 --resume auto").exit_code, 0);
  EXPECT_EQ(run(base + "--set train.epochs=3 --set optimizer.lr=0.5 --allow-changed --resume auto").exit_code,
            0);
  // Without a config, that of the checkpoint is used.
  const Outcome on = run("train --resume r --set train.epochs=4 --allow-changed");
  EXPECT_EQ(on.exit_code, 0) << on.err;
  EXPECT_THAT(on.out, ::testing::HasSubstr("epoch 4/4"));
}

}  // namespace
}  // namespace lockstep
