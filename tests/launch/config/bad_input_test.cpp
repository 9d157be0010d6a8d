// What is wrong with data, checkpoints, sizes and disks, given to the real program on one rank and on two:
// each ends in one sentence, the right exit code and nothing half-written. Mistakes of the command line alone
// are in command_line_test.cpp.
#include <gtest/gtest.h>

#include <ostream>
#include <regex>
#include <string>
#include <vector>

#include "tests/launch/config/bad_input.h"

namespace lockstep {
namespace {

struct Row {
  const char* name;
  int ranks;
  const char* command;
  int exit_code;
  const char* error;  ///< regular expression found in the one line of ours on standard error
};
void PrintTo(const Row& row, std::ostream* out) { *out << row.command; }

class BadInputTable : public BadInput, public testing::WithParamInterface<Row> {};

TEST_P(BadInputTable, EndsInOneSentenceAndLeavesNothing) {
  const std::vector<std::string> before = files_below(at(""));
  const ProgramResult result = run(GetParam().command, GetParam().ranks);
  EXPECT_EQ(result.exit_code, GetParam().exit_code) << result.out << result.err;
  const std::vector<std::string> errors = errors_in(result.err);
  ASSERT_EQ(errors.size(), 1u) << result.err;
  EXPECT_TRUE(std::regex_search(errors[0], std::regex(GetParam().error))) << errors[0];
  if (GetParam().ranks == 1) {
    EXPECT_EQ(result.err, errors[0] + "\n");
  }
  EXPECT_EQ(files_below(at("")), before);
}

INSTANTIATE_TEST_SUITE_P(
    Data, BadInputTable,
    testing::Values(
        Row{"Missing", 2, "TRAIN --set data.train=@no.h5:/good", 3, "no.h5 does not exist"},
        Row{"Truncated", 1, "TRAIN --set data.train=@cut.h5:/good", 3, "cut.h5 is truncated"},
        Row{"TruncatedTwoRanks", 2, "TRAIN --set data.train=@cut.h5:/good", 3, "cut.h5 is truncated"},
        Row{"NotHdf5", 2, "TRAIN --set data.train=@text.h5:/good", 3, "text.h5 is not an HDF5 file"},
        Row{"AFolder", 1, "TRAIN --set data.train=@folder:/good", 3, "is a folder, not an HDF5 file"},
        Row{"ADevice", 1, "TRAIN --set data.train=/dev/zero:/good", 3, "is not a regular file"},
        Row{"AbsentDataSet", 1, "TRAIN --set data.train=@data.h5:/god", 3,
            "has no data set /god/x. It has: .*/good/x \\(40, 8, 8\\)"},
        Row{"AbsentTestSet", 2, "TRAIN DATA --set data.test=@data.h5:/test", 3, "has no data set /test/x"},
        Row{"NoSamples", 1, "TRAIN --set data.train=@data.h5:/empty", 3, "/empty/x"},
        Row{"LengthsDiffer", 1, "TRAIN --set data.train=@data.h5:/short", 3,
            "/short/x has 40 samples, but /short/y has 39"},
        Row{"LengthsDifferTwoRanks", 2, "TRAIN --set data.train=@data.h5:/short", 3,
            "40 samples, but /short/y has 39"},
        Row{"NegativeLabel", 2, "TRAIN --set data.train=@data.h5:/negative", 3,
            "/negative/y.*-2.*17|/negative/y.*17.*-2"},
        Row{"LabelOutsideTheClasses", 1, "TRAIN DATA --set data.test=@data.h5:/outside", 3,
            "/outside/y.*(17.*7|7.*17)"},
        Row{"NanInTheSamples", 1, "TRAIN --set data.train=@data.h5:/nan", 3, "/nan/x"},
        Row{"NanInTheSamplesTwoRanks", 2, "TRAIN --set data.train=@data.h5:/nan", 3, "/nan/x"},
        Row{"NanInTheTargets", 1,
            "TRAIN --set data.train=@data.h5:/nan_target --set train.loss=mean_squared_error", 3,
            "/nan_target/y.*23"},
        Row{"OtherShapeInTheTest", 1, "TRAIN DATA --set data.test=@data.h5:/wide", 3, "\\(16, 8\\)"},
        Row{"WrongRankForTheModel", 1, "train --device cpu --set data.train=@data.h5:/flat", 2, "conv1"},
        Row{"CheckFindsNan", 1, "data check @data.h5", 3, "not finite|NaN"},
        Row{"InfoOfTruncated", 1, "data info @cut.h5", 3, "is truncated"},
        Row{"ImportOfNonsense", 1, "data import mnist @folder out.h5", 3, "no file of MNIST's train-labels"}),
    [](const auto& row) { return row.param.name; });

INSTANTIATE_TEST_SUITE_P(
    Networks, BadInputTable,
    testing::Values(
        Row{"Cycle", 1, "NET --set data.train=@data.h5:/good --set model.file=@cycle.toml", 2,
            "cycle.toml:6: layer 'sum': a cycle: 'sum' reads 'again', which reads 'sum'"},
        Row{"CycleTwoRanks", 2, "NET --set data.train=@data.h5:/good --set model.file=@cycle.toml", 2,
            "a cycle: 'sum' reads 'again'"},
        Row{"CycleShown", 1, "model show @cycle.toml", 2, "a cycle: 'sum' reads 'again'"},
        Row{"MaskOfAnotherSize", 2,
            "NET --set data.train=@data.h5:/small_mask --set data.task=classes --set model.file=@mask.toml",
            2, "the last layer gives \\(8, 8, 3\\) for a sample, but the data needs \\(6, 6, 3\\)"},
        Row{"MaskOfAnotherSizeInTheTest", 1,
            "NET --set data.train=@data.h5:/mask --set data.test=@data.h5:/small_mask --set "
            "data.task=classes --set model.file=@mask.toml",
            3, "targets of .*/small_mask/x.* are of another kind or shape"},
        Row{"TokensOutsideTheVocabulary", 2,
            "NET --set data.train=@data.h5:/tokens --set data.task=tokens --set "
            "model.file=@four-tokens.toml",
            2, "layer 'embed' has 4 entries, but the ids of the data are 0 to 4"},
        Row{"TokensOutsideThoseOfTheTraining", 1,
            "NET --set data.train=@data.h5:/tokens --set data.test=@data.h5:/other_tokens --set "
            "data.task=tokens --set model.file=@four-tokens.toml",
            3, "/other_tokens/x.*has the token id 5, outside the vocabulary: ids must be 0 to 4"},
        Row{"WindowLargerThanTheSample", 1,
            "NET --set data.train=@data.h5:/good --set model.file=@wide-window.toml", 2,
            "layer 'max_pool2d_1' \\(max_pool2d\\): window 9x9 is larger than the 8x8 input"}),
    [](const auto& row) { return row.param.name; });

INSTANTIATE_TEST_SUITE_P(
    Sizes, BadInputTable,
    testing::Values(
        Row{"BatchOverTheRanks", 2, "TRAIN DATA --set train.global_batch=9", 2,
            "9 does not divide over 2 ranks. Try 8 or 10"},
        Row{"RanksNoPowerOfTwo", 3, "TRAIN DATA --set run.reproducible=true", 2, "power of two"},
        Row{"SyncBatchNormIsNotReproducible", 1,
            "TRAIN DATA --set run.reproducible=true --set train.sync_batch_norm=true", 2,
            "cannot be combined with train.sync_batch_norm"},
        Row{"UnknownKey", 2, "TRAIN DATA --set train.epoch=3", 2, "Did you mean 'train.epochs'"},
        Row{"RunNameIsAPath", 1, "TRAIN DATA --set run.name=../run", 2, "cannot name a folder below runs"},
        Row{"UnknownOption", 2, "TRAIN DATA --wrong", 2, "train has no option '--wrong'"},
        Row{"HugeLayer", 1, "TRAIN DATA --set model.hidden=[2000000000]", 2, "outputs is 2000000000"},
        Row{"HugeModel", 1, "TRAIN DATA --set model.hidden=[1000000,1000000]", 2, "1e\\+12 parameters"},
        Row{"HugeModelShown", 1, "model show mlp --set model.hidden=[1000000,1000000]", 2,
            "1e\\+12 parameters"},
        Row{"BatchBeyondMemory", 1, "TRAIN DATA --set train.global_batch=100000000000", 6,
            "out of host memory"},
        Row{"BatchBeyondMemoryTwoRanks", 2, "TRAIN DATA --set train.global_batch=100000000000", 6,
            "out of host memory"},
        Row{"BenchOfWrongInput", 1, "bench step --device cpu --input 2,2,1", 2, "kernel 3x3 is larger"},
        Row{"BenchOfTooMany", 1, "bench step --device cpu --steps -3", 2,
            "--steps: expects an integer of at least 1, found '-3'"},
        Row{"ShowOfWrongInput", 1, "model show cnn --input 28,x", 2, "--input 28,x"},
        Row{"ShowOfMissing", 1, "model show @no.toml", 2, "no.toml cannot be read"}),
    [](const auto& row) { return row.param.name; });

INSTANTIATE_TEST_SUITE_P(
    Checkpoints, BadInputTable,
    testing::Values(
        Row{"FlippedByte", 1, "TRAIN DATA --resume @flipped.h5 --run new", 3,
            "flipped.h5.*damaged: tensor .* hash"},
        Row{"FlippedByteTwoRanks", 2, "eval @flipped.h5 --device cpu", 3, "damaged: tensor .* hash"},
        Row{"CutCheckpoint", 1, "predict @cut-checkpoint.h5 --data @data.h5:/good --out p.h5", 3,
            "is truncated"},
        Row{"NoCheckpoint", 1, "eval @data.h5", 3, "not a Lockstep checkpoint"},
        Row{"EmptyRunFolder", 2, "eval @folder", 3, "no checkpoint in this folder"},
        Row{"OtherModel", 2, "TRAIN DATA --resume @run --set model.hidden=[32]", 2,
            "model.hidden was \\[64\\], is \\[32\\]"},
        Row{"OtherModelAllowed", 1, "TRAIN DATA --resume @run --allow-changed --set model.hidden=[32]", 3,
            "another model"},
        Row{"OtherClasses", 1, "TRAIN --set data.train=@data.h5:/outside --allow-changed --resume @run", 3,
            "another model"},
        Row{"RunFolderTaken", 1, "TRAIN DATA --run @run", 2, "holds a run already"},
        Row{"EvalOfOtherShape", 2, "eval @run --data @data.h5:/wide", 3, "\\(16, 8\\)"},
        Row{"PredictOfOtherShape", 1, "predict @run --data @data.h5:/wide --out p.h5", 3, "\\(16, 8\\)"},
        Row{"PredictOverItsData", 1, "predict @run --data @data.h5:/good --out @data.h5 --force", 2,
            "data.h5, an input"},
        Row{"PredictIntoNoFolder", 2, "predict @run --data @data.h5:/good --out no/p.h5", 3,
            "--out no/p.h5: the folder .*/no does not exist"}),
    [](const auto& row) { return row.param.name; });

}  // namespace
}  // namespace lockstep
