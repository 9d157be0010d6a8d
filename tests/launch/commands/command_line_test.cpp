#include "tests/launch/commands/command_line.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <sstream>

#include "src/core/json.h"

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
                              "data info",
                              "data check",
                              "model",
                              "model list",
                              "model show",
                              "bench",
                              "bench step",
                              "bench allreduce",
                              "bench scaling",
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
  EXPECT_EQ(json("model list").size(), 2u);
  EXPECT_GT(json("model list --layers")["kinds"].size(), 10u);
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
