#include "launch/config/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "launch/config/option_table.h"
#include "launch/config/values/data_values.h"
#include "src/core/error.h"
#include "tests/launch/config/parsed_text.h"

namespace lockstep {
namespace {

using ::testing::HasSubstr;

TEST(Config, EveryKeyOfTheDesignIsRead) {
  const Config config = parse(R"(
[run]
name = "mnist-cnn"
seed = 7
reproducible = true
dir = "../out"
device = "cpu"
threads = 2
capture = false
[data]
train = "mnist.h5:/digits"
test = { files = ["a.h5", "/b.h5"], x = "/test/x", y = "/test/y" }
validation_split = 0.1
normalize = { mean = [0.5, 0.25, 1], std = [1, 2.0, 3] }
layout = "channels_first"
memory_budget = "1.5 GiB"
[model]
name = "mlp"
hidden = [128, 64]
dropout = 0
[optimizer]
name = "sgd"
lr = 1
momentum = 0.9
nesterov = true
weight_decay = 5e-4
[schedule]
name = "cosine"
warmup_steps = 100
[train]
epochs = 3
global_batch = 256
micro_batch = 16
label_smoothing = 0.1
clip_norm = 1.0
early_stop = { metric = "validation_accuracy", patience = 4, min_delta = 0.001 }
[checkpoint]
every_epochs = 0
every_steps = 50
every_minutes = 2.5
keep = 2
[comm]
bucket_mib = 0.5
fingerprint_steps = 0
)");
  EXPECT_EQ(config.run.name, "mnist-cnn");
  EXPECT_EQ(config.run.seed, 7u);
  EXPECT_TRUE(config.run.reproducible);
  EXPECT_EQ(config.run.dir, "/data/out");
  EXPECT_EQ(config.data.train.files, std::vector<std::string>{"/data/configs/mnist.h5"});
  EXPECT_EQ(config.data.train.x, "/digits/x");
  ASSERT_TRUE(config.data.test);
  EXPECT_EQ(config.data.test->files, (std::vector<std::string>{"/data/configs/a.h5", "/b.h5"}));
  EXPECT_EQ(config.data.normalize.kind, Normalize::Kind::moments);
  EXPECT_EQ(config.data.normalize.mean, (std::vector<double>{0.5, 0.25, 1}));
  EXPECT_EQ(config.data.layout, Layout::channels_first);
  EXPECT_EQ(config.data.memory_budget, int64_t{3} << 29);
  EXPECT_EQ(std::get<std::vector<int64_t>>(config.model.keys.at("hidden")), (std::vector<int64_t>{128, 64}));
  EXPECT_EQ(std::get<double>(config.model.keys.at("dropout")), 0.0);
  EXPECT_EQ(config.optimizer.lr, 1.0);
  EXPECT_EQ(config.schedule.warmup_steps, 100);
  EXPECT_EQ(config.optimizer.clip_norm, 1.0);
  ASSERT_TRUE(config.train.early_stop);
  EXPECT_EQ(config.train.early_stop->patience, 4);
  EXPECT_EQ(config.checkpoint.every_minutes, 2.5);
  EXPECT_EQ(config.comm.bucket_bytes, 1 << 19);
  EXPECT_EQ(config.comm.fingerprint_steps, 0);
}

/// "KEY=VALUE" with a value that the key takes and that is not its default; "" when none is found.
std::string unusual(const Option& option) {
  const std::string standard = option.get(parse(""));
  std::vector<std::string> candidates = {"7",    "0.25",     "30",    "2.5",
                                         "true", "false",    "7 MiB", "/a.h5:/one",
                                         "mlp",  "accuracy", "other", "{ patience = 6 }",
                                         "flip", "balanced", "[7]"};
  // Names of choices are in the type: "auto | cpu | cuda".
  std::istringstream words(option.type);
  for (std::string word; words >> word;) candidates.push_back(word);
  for (const std::string& candidate : candidates) {
    const std::string set = option.key + "=" + candidate;
    try {
      if (option.get(parse("", {set})) != standard) return set;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::usage) << set;
    }
  }
  return "";
}

TEST(Config, SetReachesEveryKeyAndTheEchoReadsBack) {
  const Config standard = parse("");
  for (const Option& option : option_table()) {
    // There is one choice of the former, and the latter takes the place of model.name.
    if (option.key == "run.precision" || option.key == "model.file") continue;
    const std::string set = unusual(option);
    ASSERT_NE(set, "") << "unusual() knows no value of " << option.key << " but its default";
    const Config config = parse("", {set});
    // Only this key moves, so that one which is bound to another key's field is noticed.
    int moved = 0;
    for (const Option& other : option_table()) moved += other.get(config) != other.get(standard) ? 1 : 0;
    EXPECT_EQ(moved, 1) << set;
    const Config again = parse(echo_config(config));
    EXPECT_EQ(echo_config(again), echo_config(config)) << set;
    for (const Option& other : option_table()) EXPECT_EQ(other.get(again), other.get(config)) << set;
  }
}

TEST(Config, EchoNamesEveryKey) {
  const std::string echo = echo_config(parse("", {"model.name=mlp"}));
  for (const Option& option : option_table())
    EXPECT_THAT(echo, HasSubstr(option.key.substr(option.key.find('.') + 1) + " "));
  EXPECT_THAT(echo, HasSubstr("hidden = [64]"));
}

TEST(Config, EchoKeepsEveryBitOfANumberAndEveryCharacterOfAText) {
  const Config config =
      parse("", {"optimizer.lr=0.1", "optimizer.weight_decay=1e-300", "run.name=a\"b\\c\t'd\n\xc3\xa9"});
  const Config again = parse(echo_config(config));
  EXPECT_EQ(again.optimizer.lr, 0.1);
  EXPECT_EQ(again.optimizer.weight_decay, 1e-300);
  EXPECT_EQ(again.run.name, "a\"b\\c\t'd\n\xc3\xa9");
}

TEST(Config, PathsAreRelativeToTheFileAndThoseOfSetToTheCurrentFolder) {
  const std::string here = std::filesystem::current_path().string();
  EXPECT_EQ(parse("data.train = \"../x.h5\"").data.train.files[0], "/data/x.h5");
  EXPECT_EQ(parse("data.train = \"../x.h5\"", {"data.train=y.h5:/g"}).data.train.files[0], here + "/y.h5");
  EXPECT_EQ(parse("[model]\nfile = \"net.toml\"").model.file, "/data/configs/net.toml");
}

TEST(Config, ASetTableChangesOnlyTheMembersItNames) {
  const Config config =
      parse("[data]\ntest = { files = \"a.h5\", x = \"/p\", y = \"/q\" }", {"data.test.x=/images"});
  EXPECT_EQ(config.data.test->files[0], "/data/configs/a.h5");
  EXPECT_EQ(config.data.test->x, "/images");
  EXPECT_EQ(config.data.test->y, "/q");
  EXPECT_FALSE(parse("data.test = \"a.h5\"", {"data.test="}).data.test);
  EXPECT_EQ(parse("[train]\nearly_stop = { patience = 2 }", {"train.early_stop.min_delta=0.5"})
                .train.early_stop->patience,
            2);
  EXPECT_FALSE(parse("[train]\nearly_stop = { patience = 2 }", {"train.early_stop=false"}).train.early_stop);
}

TEST(Config, ASourceSaysHowItsSamplesLie) {
  const std::string table =
      "{ files = \"a.h5\", x = \"/t.a,b\", y = \"/y\", sample_axis = \"last\", rows = \"10:-5\", window = 8, "
      "stride = 4, window_target = \"all\" }";
  const Config config = parse("[data]\ntrain = " + table, {"data.train.window=16"});
  const DataSource& source = config.data.train;
  EXPECT_EQ(source.x, "/t.a,b");
  EXPECT_EQ(source.sample_axis, -1);
  EXPECT_EQ(to_string(source.rows), "10:-5");
  EXPECT_EQ(source.window, 16);
  EXPECT_EQ(source.stride, 4);
  EXPECT_EQ(source.window_target, WindowTarget::all);
  const DataSource again = parse(echo_config(config)).data.train;
  EXPECT_EQ(toml_text(again), toml_text(source));
  EXPECT_THAT(toml_text(source),
              HasSubstr("sample_axis = \"last\", rows = \"10:-5\", window = 16, stride = 4, "
                        "window_target = \"all\""));
  EXPECT_EQ(parse("", {"data.train={files=\"a.h5\", sample_axis=2}"}).data.train.sample_axis, 2);
  EXPECT_EQ(to_string(parse("[data]\ntrain = " + table, {"data.train.rows=:40"}).data.train.rows), ":40");
}

TEST(Config, ASourceWhoseSamplesCannotLieSoIsRefused) {
  const auto error = [](const std::string& member) {
    return refusal("[data]\ntrain = { files = \"a.h5\", " + member + " }");
  };
  EXPECT_THAT(error("rows = \"1-2\""), HasSubstr("data.train.rows: expects \"FIRST:END\""));
  EXPECT_THAT(error("sample_axis = \"first\""),
              HasSubstr("data.train.sample_axis: expects the number of an axis"));
  EXPECT_THAT(error("sample_axis = 9"), HasSubstr("must be from -6 to 5, is 9"));
  EXPECT_THAT(error("stride = 2"), HasSubstr("a stride without a window"));
  EXPECT_THAT(error("window = -1"), HasSubstr("data.train.window: must be at least 0, is -1"));
  EXPECT_THAT(error("window_target = \"lst\""), HasSubstr("Did you mean 'last'?"));
  EXPECT_THAT(error("sampel_axis = 1"), HasSubstr("Did you mean 'sample_axis'?"));
}

TEST(Config, BareWordsAreText) {
  EXPECT_EQ(parse("", {"schedule.name=cosine"}).schedule.name, "cosine");
  EXPECT_EQ(parse("", {"schedule.name=\"cosine\""}).schedule.name, "cosine");
  EXPECT_EQ(parse("", {"run.name=2024"}).run.name, "2024");
  EXPECT_EQ(parse("", {"run.name=2024-01-02"}).run.name, "2024-01-02");
}

TEST(Config, AResumedRunMayRaiseItsEndAndMoveButNotChange) {
  const Config before = parse("[data]\ntrain = \"a.h5\"");
  const std::vector<std::string> free = {"train.epochs=9",    "run.threads=4",         "run.name=x",
                                         "run.device=cpu",    "checkpoint.keep=1",     "run.dir=/other",
                                         "comm.bucket_mib=1", "comm.timeout_seconds=0"};
  EXPECT_THAT(changed_keys(before, parse("[data]\ntrain = \"a.h5\"", free)), ::testing::IsEmpty());
  const std::vector<std::string> changes = {"train.epochs=2", "optimizer.lr=0.5", "model.filters=[8]",
                                            "data.train=/b.h5"};
  EXPECT_THAT(changed_keys(before, parse("[data]\ntrain = \"a.h5\"", changes)),
              ::testing::UnorderedElementsAre(
                  HasSubstr("train.epochs was 5, is 2"), HasSubstr("optimizer.lr was 0.001, is 0.5"),
                  HasSubstr("model.filters was [32, 64], is [8]"), HasSubstr("data.train was")));
}

TEST(Config, HelpFitsATerminalAndTheDocumentationHoldsIt) {
  std::istringstream lines(config_help());
  for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 80u) << line;
  std::ifstream file(LOCKSTEP_SOURCE_DIR "/docs/config.md");
  std::ostringstream text;
  text << file.rdbuf();
  EXPECT_THAT(text.str(), HasSubstr(config_help()))
      << "docs/config.md is old: put `lockstep train --help-config` into it";
}

}  // namespace
}  // namespace lockstep
