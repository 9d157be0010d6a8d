// Mistakes of the command line and of small files: each is one line that says what was meant.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <regex>

#include "tests/launch/commands/command_line.h"

namespace lockstep {
namespace {

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
  write("data.h5", "\x89HDF\r\n\x1a\n");
  write("yaml.toml", "train:\n  epochs: 3\n");
  write("unquoted.toml", "[data]\ntrain = d.h5\n");
  write("unquoted-net.toml", "[[layer]]\nkind = relu\n");
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
                "old: no checkpoint in this folder. Did you mean 'old/small'\\?"},
        Mistake{"FileOfARun", "eval old/small/config.toml", 3,
                "is not a checkpoint. Did you mean 'old/small'\\?"},
        Mistake{"MistypedRun", "eval old/smal", 3, "no such file or folder. Did you mean 'old/small'\\?"},
        Mistake{"MistypedResume", "train --resume old/smal", 2, "Did you mean 'old/small'\\?"},
        Mistake{"GroupWithoutASlash", "train --set data.train=text.h5:train", 3,
                "A group follows ':/': write .*/text.h5:/train."},
        Mistake{"PatternOfNothing", "train --set data.train=no*.h5", 3,
                "no\\*.h5: no file matches this pattern"},
        Mistake{"MistypedData", "data info test.h5", 3, "test.h5 does not exist. Did you mean 'text.h5'\\?"},
        Mistake{"ImportOfAFile", "data import mnist text.h5 out.h5", 3, "text.h5 is not a folder"},
        Mistake{"PredictIntoAFolder", "predict old --out old", 2, "--out old: that is a folder"},
        Mistake{"PredictIntoNowhere", "predict old --out no/p.h5", 3, "the folder .*/no does not exist"},
        Mistake{"OneArgumentTooMany", "eval a b", 2,
                "eval: unexpected argument 'b'. See lockstep eval --help."},
        Mistake{"WrongSubcommand", "data synth cats x.h5", 2,
                "unknown command 'data synth cats'. Known: digits."},
        Mistake{"HelpOfNothing", "help data chek", 2, "unknown command 'data chek'. Did you mean 'check'\\?"},
        Mistake{
            "PredictIntoCsv", "predict nowhere --out p.csv", 2,
            "--out p.csv: the name implies CSV, but only HDF5 is supported. Use a name that ends in .h5."},
        Mistake{"SynthIntoNumpy", "data synth digits d.npy", 2, "Use a name that ends in .h5"},
        Mistake{"PlotIntoPng", "bench scaling --plot x.png", 2,
                "but only SVG is supported. Use a name that ends in .svg"},
        Mistake{"TableIntoJson", "bench scaling --csv x.json", 2, "but only CSV is supported"},
        Mistake{"MissingConfig", "train nowhere.toml", 2,
                "cannot read the config file nowhere.toml: No such file"},
        Mistake{"MistypedConfig", "train digit.toml", 2,
                "No such file or directory. Did you mean 'digits.toml'\\?"},
        Mistake{"DataAsConfig", "train data.h5", 2,
                "data.h5:1: .*This is an HDF5 file, where a TOML file is exp"},
        Mistake{"YamlAsConfig", "train yaml.toml", 2, "yaml.toml:1: .*This looks like YAML"},
        Mistake{"UnquotedPath", "train unquoted.toml", 2,
                "unquoted.toml:2: .*Text goes in quotes: train = \"d.h5\""},
        Mistake{"UnquotedKind", "model show unquoted-net.toml", 2, "Text goes in quotes: kind = \"relu\""},
        Mistake{"FolderAsConfig", "train .", 2, "\\. is a folder, not a config file"},
        Mistake{"UnknownKey", "train unknown-key.toml", 2,
                "unknown-key.toml:4: unknown key 'train.epoch'. Did you mean 'train.epochs'\\?"},
        Mistake{"BrokenToml", "train broken.toml", 2, "broken.toml:1: "},
        Mistake{"UnknownSet", "train --set optimizer.lrate=3", 2, "--set unknown key 'optimizer.lrate'"},
        Mistake{"WrongTypeInSet", "train --set train.epochs=many", 2, "expects an integer, found text"},
        Mistake{"SetWithoutValue", "train --set train.epochs", 2, "write --set SECTION.KEY=VALUE"},
        Mistake{"UnknownModel", "train --set model.name=cmm", 2, "unknown model 'cmm'"},
        Mistake{"UnknownDevice", "train --device gpu", 2, "unknown value 'gpu'. Did you mean 'cuda'"},
        Mistake{"OtherPrecision", "train --device cpu --set run.precision=fp16", 2,
                "run.precision = \"fp16\": The CPU does not train in fp16."},
        Mistake{"MissingData", "train --set data.train=nowhere.h5", 3, "nowhere.h5"},
        Mistake{"NotHdf5", "train digits.toml", 3, "text.h5 is not an HDF5 file"},
        Mistake{"EmptyFile", "train --set data.train=empty.h5", 3, "empty.h5"},
        Mistake{"UnwritableRunFolder", "train --run /proc/lockstep/run --set data.train=text.h5", 3,
                "error: "},
        Mistake{"RunFolderIsAFile", "train --run text.h5/run", 3, "text.h5 is not a folder"},
        Mistake{"ResumeFromNothing", "train --resume nowhere", 2, "no such file or folder"},
        Mistake{"ResumeFromEmptyFolder", "train --resume .", 3, "no checkpoint in this folder"},
        Mistake{"EvalOfNothing", "eval nowhere", 3, "no such file or folder"},
        Mistake{"EvalOfSomethingElse", "eval text.h5", 3, "text.h5"},
        Mistake{"PredictWithoutOut", "predict .", 2, "--out is required"},
        Mistake{"PredictOverAFile", "predict . --out text.h5", 2, "text.h5 exists already"},
        Mistake{"InfoOfText", "data info text.h5", 3, "text.h5 is not an HDF5 file"},
        Mistake{"CheckOfNothing", "data check nowhere.h5", 3, "nowhere.h5"},
        Mistake{"ImportOfNothing", "data import mnist nowhere out.h5", 3, "nowhere"},
        Mistake{"SynthOverAFile", "data synth digits text.h5", 2, "text.h5 exists already"},
        Mistake{"SynthIntoNowhere", "data synth digits nowhere/x.h5 --train 1 --test 1", 3, "nowhere/x.h5"},
        Mistake{"SynthOfNone", "data synth digits x.h5 --train 0", 2, "--train"},
        Mistake{"ShowUnknownModel", "model show cnm", 2, "unknown model 'cnm'. Did you mean 'cnn'\\?"},
        Mistake{"ShowWrongInput", "model show cnn --input 28x28", 2,
                "--input 28x28: write one to five sizes"},
        Mistake{"ShowInputTooSmall", "model show cnn --input 3,3,1", 2, "cnn"},
        Mistake{"AllReduceAlone", "bench allreduce", 2,
                "only one rank was started. Start several: mpirun -np 2"},
        Mistake{"AllReduceOfHalfAFloat", "bench allreduce --min 6", 2,
                "--min 6 must be a multiple of 4 bytes"},
        Mistake{"AllReduceOfNothing", "bench allreduce --min 0", 2, "--min 0 must be a multiple of 4 bytes"},
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
                "request them with --gpus-per-node"},
        Mistake{"SlurmOddJobName", "slurm train --time 5 --job-name 'a b'", 2,
                "--job-name 'a b': only letters"},
        Mistake{"SlurmNoOption", "slurm train --time 5 --sbatch qos=long", 2, "write an option of sbatch"},
        Mistake{"ShowWrongFile", "model show net.toml", 2, "linaer"}),
    [](const auto& mistake) { return std::string(mistake.param.name); });

}  // namespace
}  // namespace lockstep
