#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/launch/config/parsed_text.h"

namespace lockstep {
namespace {

using ::testing::HasSubstr;

/// What a config that must be refused is refused with.
struct Refused {
  const char* text;
  const char* set;
  const char* message;
};

class ConfigRefusal : public ::testing::TestWithParam<Refused> {};

TEST_P(ConfigRefusal, SaysWhereAndWhat) {
  const Refused& refused = GetParam();
  std::vector<std::string> sets;
  if (refused.set[0] != '\0') sets.emplace_back(refused.set);
  EXPECT_THAT(refusal(refused.text, sets), HasSubstr(refused.message));
}

INSTANTIATE_TEST_SUITE_P(
    Table, ConfigRefusal,
    ::testing::Values(
        Refused{"[train]\n\nepoch = 3", "",
                "test.toml:3: unknown key 'train.epoch'. Did you mean 'train.epochs'?"},
        Refused{"[train]\nlr = 3", "", "test.toml:2: unknown key 'train.lr'. Did you mean 'optimizer.lr'?"},
        Refused{"[trian]\nepochs = 3", "", "test.toml:1: unknown section [trian]. Did you mean [train]?"},
        Refused{"zzzzzzzzzz = 1", "", "lockstep train --help-config lists all keys"},
        Refused{"train = 3", "", "train: is a section: write [train]"},
        Refused{"[train]\nepochs = \"3\"", "", "test.toml:2: train.epochs: expects an integer, found text"},
        Refused{"[train]\nepochs = 3.0", "", "expects an integer, found a number with a fraction"},
        Refused{"[train]\nepochs = 0", "", "train.epochs: must be at least 1, is 0"},
        Refused{"[train]\nlabel_smoothing = 1.0", "", "must be below 1, is 1"},
        Refused{"[optimizer]\nlr = 0", "", "must be above 0, is 0"},
        Refused{"[optimizer]\nlr = nan", "", "expects a finite number"},
        Refused{"[optimizer]\nname = \"adamm\"", "", "unknown value 'adamm'. Did you mean 'adam'?"},
        Refused{"[run]\nreproducible = 1", "", "run.reproducible: expects true or false, found an integer"},
        Refused{"[run]\nprecision = \"fp8\"", "", "fp32, tf32, bf16"},
        Refused{"[run]\nseed = -1", "", "run.seed: must be at least 0, is -1"},
        Refused{"[run]\nthreads = 5000000000", "", "5000000000 is too large"},
        Refused{"[data]\ntrain = 3", "", "expects \"FILE:/GROUP\" or a table"},
        Refused{"[data]\ntrain = { x = \"/x\" }", "", "names no files"},
        Refused{"[data]\ntrain = { files = [], x = \"/x\" }", "", "data.train.files: names no file"},
        Refused{"[data]\ntrain = { file = \"a\" }", "", "unknown key 'file'. Did you mean 'files'?"},
        Refused{"[data]\nnormalize = \"unity\"", "", "unknown value 'unity'"},
        Refused{"[data]\nnormalize = { mean = [1, 2], std = [1] }", "", "must have equally many numbers"},
        Refused{"[data]\nnormalize = { mean = 0, std = 0 }", "", "std must be above 0, is 0"},
        Refused{"[data]\nmemory_budget = \"4 gigs\"", "", "\"4 gigs\" is not a size"},
        Refused{"[data]\nmemory_budget = -1", "", "must not be negative"},
        Refused{"[data]\nvalidation_split = -0.1", "", "must be at least 0, is -0.1"},
        Refused{"[train]\nearly_stop = true", "", "expects false or a table"},
        Refused{"[train]\nearly_stop = { patience = 0 }", "",
                "train.early_stop.patience: must be at least 1"},
        Refused{"[train]\nearly_stop = { metric = \"accuracy\" }", "",
                "unknown value 'accuracy'. Did you mean 'validation_accuracy'?"},
        Refused{"[train]\nearly_stop = { metric = \"validation_f2\" }", "", "Did you mean 'validation_f1'?"},
        Refused{"[train]\nmetrics = [\"acuracy\"]", "",
                "train.metrics: unknown metric 'acuracy'. Did you mean 'accuracy'?"},
        Refused{"[train]\nmetrics = []", "", "train.metrics: is empty"},
        Refused{"[train]\nclass_weights = \"equal\"", "", "expects \"none\", \"balanced\" or one number"},
        Refused{"[train]\nclass_weights = [1, -1]", "", "a weight must be at least 0, is -1"},
        Refused{"[train]\npos_weight = 0", "", "a weight must be above 0, is 0"},
        Refused{"[train]\nignore_label = \"x\"", "", "train.ignore_label: expects an integer"},
        Refused{"[model]\nname = \"cnm\"", "",
                "test.toml:2: model.name: unknown model 'cnm'. Did you mean 'cnn'?"},
        Refused{"[model]\nname = \"mlp\"\nhiden = [3]", "",
                "test.toml:3: unknown key 'model.hiden' of the model mlp. Did you"},
        Refused{"[model]\nname = \"mlp\"\nhidden = \"x\"", "",
                "model.hidden: expects an array of integers, such as [64, 32], found text"},
        Refused{"[model]\nfile = \"net.toml\"\nhidden = [3]", "", "a model file has no keys in [model]"},
        Refused{"[comm]\nbucket_mib = 0", "", "must be above 0"},
        Refused{"[comm]\nbucket_mib = \"large\"", "", "expects a number"},
        Refused{"[comm]\ngradients = \"bf61\"", "", "Did you mean 'bf16'?"},
        Refused{"[comm]\ntimeout_seconds = 1.5", "", "must be 0 or at least 2, is 1.5"},
        Refused{"[comm]\ntimeout_seconds = -1", "", "must be 0 or at least 2"},
        Refused{"[train\nepochs = 3", "", "test.toml:1: "},
        Refused{"[train]\nepochs = 3\nepochs = 4", "", "test.toml:3: "},
        Refused{"", "train.epoch=3", "--set unknown key 'train.epoch'. Did you mean 'train.epochs'?"},
        Refused{"", "train.epochs=many", "--set train.epochs: expects an integer, found text"},
        Refused{"", "train.epochs", "write --set SECTION.KEY=VALUE"},
        Refused{"", "=3", "write --set SECTION.KEY=VALUE"},
        Refused{"", "train..epochs=3", "'train..epochs' is not the name of a key"},
        Refused{"", "train.epochs=1\nrun.seed=2", "expects an integer, found text"},
        Refused{"[optimizer]\nlr = .5", "", "saw '.'. Write 0.5 for .5"},
        Refused{"[optimizer]\nlr = -5. # slow", "", "Write -5.0 for -5."},
        Refused{"[optimizer]\nlr = 1.e-3", "", "Write 1.0e-3 for 1.e-3"},
        Refused{"[optimizer]\nnesterov = True", "", "Write true for True"},
        Refused{"[train]\nepochs = 99999999999999999999", "", "The largest integer is 9223372036854775807"},
        Refused{"", "optimizer.lr=.5", "expects a number, found text. Write 0.5 for .5"},
        Refused{"", "optimizer.lr=0,5", "expects a number, found text. Write 0.5 for 0,5"},
        Refused{"[run]\nreproducible = \"true\"", "",
                "expects true or false, found text in quotes. Write reproducible = true, without quotes"},
        Refused{"[train]\nsteps = \"3\"", "", "found text in quotes. Write steps = 3, without quotes"},
        Refused{"[optimizer]\nlr = \"1e-3\"", "", "found text in quotes. Write lr = 1e-3, without quotes"},
        Refused{"[optimizer]\nlr = \"fast\"", "", "expects a number, found text"},
        Refused{"", "optimizer.nesterov=True", "expects true or false, found text. Write true for True"},
        Refused{"", "train.epochs=9223372036854775808",
                "found text. The largest integer is 9223372036854775807"},
        Refused{"", "data.classes=2000000", "must be at most 1048576, is 2000000"},
        Refused{"", "run.device=gpu", "unknown value 'gpu'. Did you mean 'cuda'?"}));

TEST(Config, AMissingFileAndAFolderAreToldApart) {
  try {
    load_config("/nowhere/run.toml", {});
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "cannot read the config file /nowhere/run.toml: No such file or directory");
  }
  try {
    load_config("/tmp", {});
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "/tmp is a folder, not a config file");
  }
}

}  // namespace
}  // namespace lockstep
