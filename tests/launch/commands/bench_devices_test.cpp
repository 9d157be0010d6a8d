#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "src/core/cores.h"
#include "src/core/text/json.h"
#include "src/device/devices.h"
#include "tests/launch/commands/command_line.h"
#include "tests/support/run_program.h"

namespace lockstep {
namespace {

using testing::HasSubstr;

class BenchDevices : public CommandLine {
 protected:
  /// Few steps of a small model.
  Outcome run_small(const std::string& more) const {
    return run("bench devices --set model.name=mlp --set model.hidden=[8] --steps 2 --repeats 1 " + more);
  }
};

TEST_F(BenchDevices, MeasuresTrainingAndPredictionWithEachNumberOfThreads) {
  if (usable_cores().size() < 2) GTEST_SKIP() << "one core";
  const Outcome outcome =
      run_small("--devices cpu --threads 2,1 --batches 32,128 --csv d.csv --plot d.svg --json");
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("run 4 of 4: cpu, 2 threads, 128 samples per step\n"));
  const auto json = parse_json(outcome.out);
  EXPECT_EQ(json["model"], "mlp");
  EXPECT_EQ(json["parameters"], 28 * 28 * 8 + 8 + 8 * 10 + 10);
  EXPECT_EQ(json["timed_steps"], 10);
  EXPECT_EQ(json["warm_up_steps"], 4);
  ASSERT_EQ(json["points"].size(), 8u);
  for (size_t i = 0; i < 8; ++i) {
    const auto& point = json["points"][i];
    const bool training = i < 4;
    EXPECT_EQ(point["work"], training ? "training" : "prediction");
    EXPECT_EQ(point["device"], "cpu");
    EXPECT_EQ(point["threads"], i % 4 < 2 ? 1 : 2);
    EXPECT_EQ(point["batch"], i % 2 == 0 ? 32 : training ? 128 : 64) << "predictions compute 64 at a time";
    const double ms = point["ms_per_batch"];
    EXPECT_GT(ms, 0);
    EXPECT_NEAR(point["samples_per_s"].get<double>(), 1000 * point["batch"].get<double>() / ms, 1e-6);
    if (point["threads"] == 1) {
      EXPECT_EQ(point["speed_up"], 1);
    }
    EXPECT_TRUE(point["gpu_mj_per_sample"].is_null());
    EXPECT_EQ(point["cpu_mj_per_sample"].is_null(), json["cpu_energy_reason"] != "");
  }
  EXPECT_THAT(read_all(work() / "d.csv"), HasSubstr("\nprediction,cpu,2,64,"));
  EXPECT_THAT(read_all(work() / "d.svg"), testing::EndsWith("</svg>\n"));
}

TEST_F(BenchDevices, PredictionsOfTheSameBatchAreOnePoint) {
  const Outcome outcome = run_small("--devices cpu --threads 1 --batches 64,128");
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_THAT(outcome.out,
              testing::ContainsRegex("prediction: [^\n]*\ndevice [^\n]*\ncpu +1 +64 [^\n]*\n\n"));
  std::istringstream lines(outcome.out);
  for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 80u) << line;
}

TEST_F(BenchDevices, SaysWhatIsWrong) {
  const auto mistake = [&](const std::string& arguments) {
    const Outcome outcome = run("bench devices " + arguments);
    EXPECT_EQ(outcome.exit_code, 2) << arguments;
    EXPECT_EQ(outcome.out, "") << arguments;
    EXPECT_EQ(std::ranges::count(outcome.err, '\n'), 1) << outcome.err;
    return outcome.err;
  };
  EXPECT_THAT(mistake("--devices cpu,gpu"), HasSubstr("unknown value 'gpu'. Did you mean 'cuda'?"));
  EXPECT_THAT(mistake("--devices ,cpu"), HasSubstr("unknown value ''"));
  EXPECT_THAT(mistake("--device cpu"), HasSubstr("Did you mean '--devices'?"));
  EXPECT_THAT(mistake("--devices cuda --threads 1"), testing::ContainsRegex("--threads is for the CPU|GPU"));
  EXPECT_THAT(mistake("--threads 1,0"), HasSubstr("expects an integer of at least 1, found '0'"));
  EXPECT_THAT(
      mistake("--devices cpu --threads 1,100000"),
      testing::ContainsRegex("--threads 100000: this process may run on [0-9]+ cores?. Give at most"));
  EXPECT_THAT(mistake("--devices cpu --set run.threads=100000"), HasSubstr("run.threads = 100000: this"));
  EXPECT_THAT(mistake("--plot x.png"), HasSubstr("SVG"));
  EXPECT_THAT(mistake("--input 28,x"), HasSubstr("--input 28,x: write one to five sizes"));
  EXPECT_THAT(mistake("--set model.name=mpl"), HasSubstr("mlp"));
  // A run fails: its own message.
  const Outcome failed = run("bench devices --devices cpu --threads 1 --batches 7 --set train.micro_batch=2");
  EXPECT_EQ(failed.exit_code, 2);
  EXPECT_THAT(failed.err,
              HasSubstr("error: bench step ended with 2 on cpu, 1 thread: train.global_batch = 7"));
}

TEST_F(BenchDevices, SaysHowManyGpusThereAre) {
  if (!find_devices().gpus.empty()) GTEST_SKIP() << "a GPU";
  const Outcome outcome = run("bench devices --devices cpu,cuda");
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_THAT(outcome.err, HasSubstr("--devices cpu,cuda needs a GPU, but there are 0: "));
  EXPECT_THAT(outcome.err, HasSubstr(find_devices().reason));
}

TEST_F(BenchDevices, ComparesAGpuWithTheCpu) {
  if (find_devices().gpus.empty()) GTEST_SKIP() << "no GPU";
  const Outcome outcome = run_small("--devices cpu,cuda --threads 1 --batches 16 --json");
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const auto json = parse_json(outcome.out);
  ASSERT_EQ(json["points"].size(), 4u);
  for (const size_t i : {0, 1, 2, 3}) {
    const auto& point = json["points"][i];
    EXPECT_EQ(point["device"], i % 2 == 0 ? "cpu" : "cuda");
    EXPECT_EQ(point["threads"].is_null(), i % 2 == 1);
    EXPECT_GT(point["speed_up"].get<double>(), 0);
  }
  EXPECT_EQ(json["gpu"], find_devices().gpus.front().name);
}

TEST_F(BenchDevices, IsNotStartedByALauncher) {
  const ProgramResult result = run_program(lockstep_command(2, {"bench", "devices"}), work().string());
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.err,
              HasSubstr("starts its runs itself, each of one rank, and was itself started by mpirun"));
  const ProgramResult step =
      run_program(lockstep_command(2, {"bench", "step", "--predict", "--device", "cpu"}), work().string());
  EXPECT_EQ(step.exit_code, 2);
  EXPECT_THAT(step.err, HasSubstr("--predict times one rank, as predict computes on one, but there are 2."));
}

}  // namespace
}  // namespace lockstep
