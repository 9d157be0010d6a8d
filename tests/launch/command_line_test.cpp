#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <regex>
#include <sstream>

#include "tests/support/binary.h"

// The real program, as a user meets it.

namespace lockstep {
namespace {

namespace fs = std::filesystem;

struct Outcome {
  int exit_code = -1;
  std::string out, err;
};

std::string read_all(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

/// An empty folder, removed at the end, in which commands run.
class CommandLine : public ::testing::Test {
 protected:
  CommandLine() {
    std::string name = (fs::temp_directory_path() / "lockstep-command-line-XXXXXX").string();
    root_ = mkdtemp(name.data());
    fs::create_directory(work());
  }
  ~CommandLine() override { fs::remove_all(root_); }

  fs::path work() const { return root_ / "work"; }

  void write(const std::string& name, const std::string& text) const { std::ofstream(work() / name) << text; }

  std::vector<std::string> left_behind() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::recursive_directory_iterator(work()))
      names.push_back(fs::relative(entry.path(), work()).string());
    std::sort(names.begin(), names.end());
    return names;
  }

  /// Runs lockstep in work() through the shell, with a home of its own.
  Outcome run(const std::string& arguments) const {
    const std::string command = "cd " + work().string() + " && HOME=" + root_.string() +
                                " XDG_CACHE_HOME= exec " + lockstep_binary() + " " + arguments + " >" +
                                (root_ / "out").string() + " 2>" + (root_ / "err").string() + " </dev/null";
    const int status = std::system(command.c_str());
    return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), read_all(root_ / "out"),
            read_all(root_ / "err")};
  }

 private:
  fs::path root_;
};

struct Mistake {
  const char* name;
  const char* arguments;
  int exit_code;
  const char* error;  ///< regular expression of the line on standard error
};

void PrintTo(const Mistake& mistake, std::ostream* out) { *out << mistake.arguments; }

class CommandLineMistake : public CommandLine, public ::testing::WithParamInterface<Mistake> {};

TEST_P(CommandLineMistake, IsOneLineWithTheRightExitCodeAndLeavesNothing) {
  write("text.h5", "this is no HDF5 file\n");
  write("empty.h5", "");
  write("unknown-key.toml", "[run]\nname = \"x\"\n[train]\nepoch = 3\n");
  write("broken.toml", "[train\nepochs = 3\n");
  write("digits.toml", "[data]\ntrain = \"text.h5:/train\"\n");
  write("net.toml", "[[layer]]\nkind = \"linaer\"\noutputs = 10\n");
  write("two-models.toml", "[model]\nname = \"cnn\"\nfile = \"net.toml\"\n");
  fs::create_directories(work() / "old/small/checkpoints");
  write("old/small/config.toml", "");
  const auto before = left_behind();

  const Outcome outcome = run(GetParam().arguments);
  EXPECT_EQ(outcome.exit_code, GetParam().exit_code) << outcome.err;
  EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
  EXPECT_TRUE(std::regex_search(outcome.err, std::regex(GetParam().error))) << outcome.err;
  EXPECT_TRUE(outcome.err.starts_with("error: ")) << outcome.err;
  EXPECT_EQ(left_behind(), before);
}

INSTANTIATE_TEST_SUITE_P(
    Table, CommandLineMistake,
    ::testing::Values(
        Mistake{"WrongCommand", "trai", 2, "unknown command 'trai'. Did you mean 'train'\\?"},
        Mistake{"CommandOfAnotherProgram", "fit c.toml", 2, "unknown command 'fit'. Did you mean 'train'\\?"},
        Mistake{"CommandOfAGroup", "info d.h5", 2,
                "unknown command 'info'. Did you mean 'lockstep data info'\\?"},
        Mistake{"WrongOption", "train --bogus", 2,
                "train has no option '--bogus'. See lockstep train --help."},
        Mistake{"KeyAsOption", "train --epochs 3", 2,
                "train has no option '--epochs'. A config key is set with --set train.epochs=VALUE."},
        Mistake{"FamiliarKeyAsOption", "bench step --batch-size=3", 2, "--set train.global_batch=VALUE."},
        Mistake{"FamiliarOption", "predict r --output p.h5", 2,
                "predict has no option '--output'. Did you mean '--out'\\?"},
        Mistake{"ConfigAsOption", "train --config c.toml", 2,
                "the config file needs no option: lockstep train C"},
        Mistake{"RanksAsOption", "train -n 2", 2, "lockstep launch -n N -- train CONFIG.toml starts N ranks"},
        Mistake{
            "KeyAsArgument", "train empty.toml train.epochs=3", 2,
            "train: unexpected argument 'train.epochs=3'. A config key is set with --set train.epochs=3."},
        Mistake{"KeyAndValueApart", "train --set train.epochs 3 4", 2,
                "Write --set SECTION.KEY=VALUE, without a"},
        Mistake{"OptionWithoutValue", "train --run", 2,
                "train: --run needs a value. See lockstep train --help."},
        Mistake{"WordAsNumber", "launch -n two -- train", 2, "launch: -n: expects a number, found 'two'"},
        Mistake{"LaunchOfNothing", "launch -n 2 --", 2, "launch: COMMAND is required"},
        Mistake{"TwoModels", "train two-models.toml", 2, "two-models.toml:1: model: has both name and file"},
        Mistake{"KeyOfAnotherModel", "train --set model.hidden=3", 2,
                "of the model cnn: the model mlp has it"},
        Mistake{"RunsFolder", "eval old", 3,
                "old: there is no checkpoint in it. Did you mean 'old/small'\\?"},
        Mistake{"FileOfARun", "eval old/small/config.toml", 3,
                "is not a checkpoint. Did you mean 'old/small'\\?"},
        Mistake{"MistypedRun", "eval old/smal", 3, "no such file or folder. Did you mean 'old/small'\\?"},
        Mistake{"MistypedResume", "train --resume old/smal", 2, "Did you mean 'old/small'\\?"},
        Mistake{"GroupWithoutASlash", "train --set data.train=text.h5:train", 3,
                "A group follows ':/': write .*/text.h5:/train."},
        Mistake{"PatternOfAShell", "train --set data.train=*.h5", 3,
                "are only understood by a shell: name each"},
        Mistake{"MistypedData", "data info test.h5", 3, "test.h5 does not exist. Did you mean 'text.h5'\\?"},
        Mistake{"ImportOfAFile", "data import mnist text.h5 out.h5", 3, "text.h5 is not a folder"},
        Mistake{"PredictIntoAFolder", "predict old --out old", 2, "--out old: that is a folder"},
        Mistake{"PredictIntoNowhere", "predict old --out no/p.h5", 3, "the folder .*/no does not exist"},
        Mistake{"OneArgumentTooMany", "eval a b", 2,
                "eval: unexpected argument 'b'. See lockstep eval --help."},
        Mistake{"WrongSubcommand", "data synth cats x.h5", 2,
                "unknown command 'data synth cats'. Known: digits."},
        Mistake{"HelpOfNothing", "help data chek", 2, "unknown command 'data chek'. Did you mean 'check'\\?"},
        Mistake{"PredictIntoCsv", "predict nowhere --out p.csv", 2,
                "--out p.csv: the name says CSV, and HDF5 is what can be written. Let it end in .h5."},
        Mistake{"SynthIntoNumpy", "data synth digits d.npy", 2, "Let it end in .h5"},
        Mistake{"PlotIntoPng", "bench scaling --plot x.png", 2,
                "and SVG is what can be written. Let it end in .svg"},
        Mistake{"TableIntoJson", "bench scaling --csv x.json", 2, "and CSV is what can be written"},
        Mistake{"MissingConfig", "train nowhere.toml", 2,
                "cannot read the config file nowhere.toml: No such file"},
        Mistake{"FolderAsConfig", "train .", 2, "\\. is a folder, not a config file"},
        Mistake{"UnknownKey", "train unknown-key.toml", 2,
                "unknown-key.toml:4: unknown key 'train.epoch'. Did you mean 'train.epochs'\\?"},
        Mistake{"BrokenToml", "train broken.toml", 2, "broken.toml:1: "},
        Mistake{"UnknownSet", "train --set optimizer.lrate=3", 2, "--set unknown key 'optimizer.lrate'"},
        Mistake{"WrongTypeInSet", "train --set train.epochs=many", 2, "expects an integer, found text"},
        Mistake{"SetWithoutValue", "train --set train.epochs", 2, "write --set SECTION.KEY=VALUE"},
        Mistake{"UnknownModel", "train --set model.name=cmm", 2, "there is no model 'cmm'"},
        Mistake{"UnknownDevice", "train --device gpu", 2, "unknown value 'gpu'. Did you mean 'cuda'"},
        Mistake{"OtherPrecision", "train --set run.precision=bf16", 2, "this version computes in fp32 only"},
        Mistake{"MissingData", "train --set data.train=nowhere.h5", 3, "nowhere.h5"},
        Mistake{"NotHdf5", "train digits.toml", 3, "text.h5 is not an HDF5 file"},
        Mistake{"EmptyFile", "train --set data.train=empty.h5", 3, "empty.h5"},
        Mistake{"UnwritableRunFolder", "train --run /proc/lockstep/run --set data.train=text.h5", 3,
                "error: "},
        Mistake{"RunFolderIsAFile", "train --run text.h5/run", 3, "text.h5 is not a folder"},
        Mistake{"ResumeFromNothing", "train --resume nowhere", 2, "there is no such file or folder"},
        Mistake{"ResumeFromEmptyFolder", "train --resume .", 3, "there is no checkpoint in it"},
        Mistake{"EvalOfNothing", "eval nowhere", 3, "there is no such file or folder"},
        Mistake{"EvalOfSomethingElse", "eval text.h5", 3, "text.h5"},
        Mistake{"PredictWithoutOut", "predict .", 2, "--out is required"},
        Mistake{"PredictOverAFile", "predict . --out text.h5", 2, "text.h5 exists already"},
        Mistake{"InfoOfText", "data info text.h5", 3, "text.h5 is not an HDF5 file"},
        Mistake{"CheckOfNothing", "data check nowhere.h5", 3, "nowhere.h5"},
        Mistake{"ImportOfNothing", "data import mnist nowhere out.h5", 3, "nowhere"},
        Mistake{"SynthOverAFile", "data synth digits text.h5", 2, "text.h5 exists already"},
        Mistake{"SynthIntoNowhere", "data synth digits nowhere/x.h5 --train 1 --test 1", 3, "nowhere/x.h5"},
        Mistake{"SynthOfNone", "data synth digits x.h5 --train 0", 2, "--train"},
        Mistake{"ShowUnknownModel", "model show cnm", 2, "there is no model 'cnm'. Did you mean 'cnn'\\?"},
        Mistake{"ShowWrongInput", "model show cnn --input 28x28", 2,
                "--input 28x28: write one to five sizes"},
        Mistake{"ShowInputTooSmall", "model show cnn --input 3,3,1", 2, "cnn"},
        Mistake{"AllReduceAlone", "bench allreduce", 2, "one rank alone. Start several: mpirun -np 2"},
        Mistake{"AllReduceOfHalfAFloat", "bench allreduce --min 6", 2, "--min 6 is not a number of floats"},
        Mistake{"AllReduceOfNothing", "bench allreduce --min 0", 2, "--min 0 is not a number of floats"},
        Mistake{"AllReduceBackwards", "bench allreduce --min 1M --max 8", 2, "--max 8 is less than --min"},
        Mistake{"AllReduceSizeOfWords", "bench allreduce --max much", 2, "--max: much unit not recognized"},
        Mistake{"ScalingOfNoRanks", "bench scaling --ranks 0", 2,
                "--ranks: expects an integer from 1 to 65536, found '0'"},
        Mistake{"ScalingOfWords", "bench scaling --ranks 1,two", 2, "--ranks"},
        Mistake{"ScalingOfAPart", "bench scaling --ranks 3", 2, "128 does not divide over 3 ranks"},
        Mistake{"ScalingSideways", "bench scaling --mode sideways", 2, "--mode: unknown value 'sideways'"},
        Mistake{"EvalOnAGpu", "eval nowhere --device gpu", 2,
                "--device: unknown value 'gpu'. Did you mean 'cuda'"},
        Mistake{"PredictFromOne", "bench scaling --ranks 1 --predict 8", 2,
                "on at least two numbers of ranks"},
        Mistake{"FabricForNothing", "bench scaling --fabric net.toml", 2, "unknown key 'layer'"},
        Mistake{"NoFabric", "bench scaling --fabric no.toml --predict 8", 2,
                "--fabric no.toml cannot be read"},
        Mistake{"SlurmWithoutTime", "slurm train --nodes 2", 2, "--time is required"},
        Mistake{"SlurmTimeOfWords", "slurm train --time 2h", 2, "--time 2h: write HOURS:MINUTES:SECONDS"},
        Mistake{"SlurmOfAPart", "slurm train --time 5 --tasks-per-node 3", 2,
                "128 does not divide over 3 ranks"},
        Mistake{"SlurmNoPowerOfTwo", "slurm train --time 5 --nodes 3 --set run.reproducible=true", 2,
                "is a power of two"},
        Mistake{"SlurmUnknownKey", "slurm train unknown-key.toml --time 5", 2, "Did you mean 'train.epochs'"},
        Mistake{"SlurmGpusForTheCpu", "slurm train --time 5 --gpus-per-node 2 --set run.device=cpu", 2,
                "no CUDA backend|uses none"},
        Mistake{"SlurmNoGpusForCuda", "slurm train --time 5 --set run.device=cuda", 2,
                "ask for them with --gpus-per-node"},
        Mistake{"SlurmOddJobName", "slurm train --time 5 --job-name 'a b'", 2,
                "--job-name 'a b': only letters"},
        Mistake{"SlurmNoOption", "slurm train --time 5 --sbatch qos=long", 2, "write an option of sbatch"},
        Mistake{"ShowWrongFile", "model show net.toml", 2, "linaer"}),
    [](const auto& mistake) { return std::string(mistake.param.name); });

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
    return nlohmann::json::parse(outcome.out);
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

TEST_F(CommandLine, DoctorFailsWithoutTheGpuThatIsAskedFor) {
  write("gpu.toml", "[run]\ndevice = \"cuda\"\n");
  const bool has_gpu = !nlohmann::json::parse(run("doctor --json").out)["gpu"]["devices"].empty();
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
    last = nlohmann::json::parse(line);
    ++events[last["event"].get<std::string>()];
  }
  EXPECT_EQ(events["step"], 16);
  EXPECT_EQ(events["epoch"], 2);
  EXPECT_EQ(events["end"], 1);

  // What eval measures of the last checkpoint is what the run measured at its end.
  const Outcome evaluated = run("eval runs/small --json");
  ASSERT_EQ(evaluated.exit_code, 0) << evaluated.err;
  const auto report = nlohmann::json::parse(evaluated.out);
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
  const auto predicted = nlohmann::json::parse(run("data info p.h5 --json").out);
  EXPECT_EQ(predicted["datasets"][1]["shape"], nlohmann::json({70, 10}));

  // What the folder says it was trained with trains again, to the same weights, into a folder of its own.
  const std::string config = read_all(folder / "config.toml");
  ASSERT_EQ(run("train runs/small/config.toml").exit_code, 0);
  const auto end_of = [&](const std::string& name) {
    const std::string metrics = read_all(work() / "runs" / name / "metrics.jsonl");
    return nlohmann::json::parse(metrics.substr(metrics.rfind('\n', metrics.size() - 2) + 1));
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
  // Without a config, what was trained goes on.
  const Outcome on = run("train --resume r --set train.epochs=4 --allow-changed");
  EXPECT_EQ(on.exit_code, 0) << on.err;
  EXPECT_THAT(on.out, ::testing::HasSubstr("epoch 4/4"));
}

}  // namespace
}  // namespace lockstep
