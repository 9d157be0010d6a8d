// `lockstep data stats`, `split` and `info`, by the real program.
#include <gmock/gmock.h>

#include <cmath>
#include <numeric>

#include "src/core/text/json.h"
#include "tests/io/hdf5/family_files.h"
#include "tests/io/text_files.h"
#include "tests/launch/commands/command_line.h"

namespace lockstep {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

class DataCommand : public CommandLine {
 protected:
  /// 60 images of 4x4 bytes, 0 to 239 evenly, of three classes.
  DataCommand() {
    put(path("a.h5"), "/train/x", {60, 4, 4}, counting<uint8_t>(960, 240));
    put(path("a.h5"), "/train/y", {60}, counting<int64_t>(60, 3));
  }

  std::string path(const std::string& name) const { return (work() / name).string(); }
  static size_t longest_line(const std::string& text) {
    size_t longest = 0;
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) longest = std::max(longest, line.size());
    return longest;
  }
};

TEST_F(DataCommand, StatsGivesWhatAConfigNormalizesBy) {
  const Outcome stats = run("data stats a.h5:/train");
  ASSERT_EQ(stats.exit_code, 0) << stats.err;
  // Mean 119.5 and variance (240^2 - 1) / 12 of 0 to 239, over 255.
  const double mean = 119.5 / 255, deviation = std::sqrt((240. * 240 - 1) / 12) / 255;
  const std::string normalize = fmt::format("{{ mean = [{:.9g}], std = [{:.9g}] }}", mean, deviation);
  EXPECT_THAT(stats.out, AllOf(HasSubstr("\nnormalize = " + normalize + "\n"), HasSubstr("class"),
                               HasSubstr("20  33.33 %  ####")));
  EXPECT_LE(longest_line(stats.out), 80u) << stats.out;
  write("a.toml", "[run]\ndevice = \"cpu\"\n[data]\ntrain = \"a.h5:/train\"\nnormalize = " + normalize +
                      "\n[model]\nname = \"mlp\"\n[train]\nsteps = 2\nglobal_batch = 20\n");
  EXPECT_EQ(run("train a.toml --run run").exit_code, 0);
  const nlohmann::json json = parse_json(run("data stats a.h5:/train --json --threads 2").out);
  EXPECT_EQ(json["samples"], 60);
  EXPECT_EQ(json["y"]["classes"], (std::vector<int>{20, 20, 20}));
  EXPECT_EQ(json["x"]["all"]["max"], 239);
  EXPECT_EQ(json["x"]["channels"].size(), 4u);
  EXPECT_NEAR(json["normalize"]["mean"][0].get<double>(), mean, 1e-15);
}

TEST_F(DataCommand, StatsNamesClasses) {
  put_text(path("b.h5"), "/names", {4}, {"dog", "cat", "dog", "dog"});
  put(path("b.h5"), "/values", {4, 2}, counting<float>(8));
  put(path("b.h5"), "/from_one", {4}, std::vector<int32_t>{1, 2, 2, 1});
  EXPECT_THAT(run("data stats b.h5 --x /values --y /names").out,
              AllOf(HasSubstr("\ncat          1  25.00 %"), HasSubstr("\ndog          3  75.00 %")));
  const Outcome from_one = run("data stats b.h5 --x /values --y /from_one --json");
  EXPECT_EQ(parse_json(from_one.out)["y"]["first_label"], 1) << from_one.err;
}

TEST_F(DataCommand, StatsTakesOtherNamesAndSaysWhatIsMissing) {
  put(path("b.h5"), "/values", {2, 3}, std::vector<float>{1, 2, NAN, 4, 5, 6});
  const Outcome stats = run("data stats b.h5 --x /values");
  ASSERT_EQ(stats.exit_code, 0) << stats.err;
  EXPECT_THAT(stats.out, AllOf(HasSubstr("all         3.6  1.85472"), Not(HasSubstr("class"))));
  const Outcome missing = run("data stats b.h5");
  EXPECT_EQ(missing.exit_code, 3);
  EXPECT_THAT(missing.err, HasSubstr("has no data set /train/x. It has: /values (2, 3)"));
}

TEST_F(DataCommand, StatsAndTrainTakeThePartsOfComplexNumbersForChannels) {
  std::vector<float> parts(size_t{8} * 5 * 2);
  for (size_t i = 0; i < parts.size(); ++i) parts[i] = i % 2 == 0 ? 3 : static_cast<float>(i);
  {
    const hdf5::Lock lock;
    const hdf5::Id type(H5Tcreate(H5T_COMPOUND, 2 * sizeof(float)));
    H5Tinsert(type.get(), "r", 0, H5T_NATIVE_FLOAT);
    H5Tinsert(type.get(), "i", sizeof(float), H5T_NATIVE_FLOAT);
    put_elements(path("c.h5"), "/train/x", {8, 5}, type.get(), parts.data());
  }
  put(path("c.h5"), "/train/y", {8}, counting<int64_t>(8, 2));
  EXPECT_THAT(run("data stats c.h5").out,
              AllOf(HasSubstr("channel 0     3        0"), HasSubstr("channel 1    40")));
  const Outcome trained =
      run("train --run run --set data.train=c.h5:/train --set model.name=mlp --set run.device=cpu --set "
          "train.steps=1 --set train.global_batch=4");
  EXPECT_THAT(trained.out, HasSubstr("read as length 5, 2 channels")) << trained.err;
}

TEST_F(DataCommand, StatsShowsTheLengthsOfSequences) {
  std::vector<std::vector<float>> sequences = {{5, 7, 9}, {1}, {3, 5}, {2}, {6, 6, 6}};
  std::vector<hvl_t> elements;
  for (auto& sequence : sequences) elements.push_back({sequence.size(), sequence.data()});
  {
    const hdf5::Lock lock;
    const hdf5::Id type(H5Tvlen_create(H5T_NATIVE_FLOAT));
    put_elements(path("s.h5"), "/train/x", {5}, type.get(), elements.data());
  }
  EXPECT_THAT(run("data stats s.h5 --x /train/x").out,
              HasSubstr("\nlengths: min 1, median 2, max 3; padding is left out"));
  const nlohmann::json json = parse_json(run("data stats s.h5 --x /train/x --json").out);
  EXPECT_EQ(json["lengths"], (nlohmann::json{{"min", 1}, {"median", 2}, {"max", 3}}));
  EXPECT_EQ(json["x"]["all"]["values"], 10);
  EXPECT_EQ(parse_json(run("data stats a.h5 --json").out)["lengths"], nullptr);
}

TEST_F(DataCommand, InfoComparesAllOrders) {
  const Outcome info = run("data info a.h5 --shuffle /train");
  ASSERT_EQ(info.exit_code, 0) << info.err;
  for (const char* order : {"full", "window", "local", "chunk", "false"})
    EXPECT_THAT(info.out, HasSubstr(std::string("\n") + order)) << info.out;
}

TEST_F(DataCommand, SplitWritesGroupsThatTrain) {
  const std::string split = "data split a.h5 b.h5 --parts train=0.8,validation=0.2 --by-class";
  const Outcome outcome = run(split);
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, AllOf(HasSubstr("/train            48\n"),
                                 HasSubstr("class  train  validation\n    0     16           4\n"),
                                 HasSubstr("wrote b.h5")));
  EXPECT_LE(longest_line(outcome.out), 80u);
  EXPECT_EQ(run("train --run run --set data.train=b.h5:/train --set data.validation=b.h5:/validation --set "
                "model.name=mlp --set run.device=cpu --set train.steps=2 --set train.global_batch=8")
                .exit_code,
            0);
  const Outcome again = run(split);
  EXPECT_EQ(again.exit_code, 2);
  EXPECT_THAT(again.err, HasSubstr("b.h5 exists already"));
  const nlohmann::json json = parse_json(run(split + " --force --json").out);
  EXPECT_EQ(json["parts"][1]["classes"]["2"], 4);
}

TEST_F(DataCommand, SplitRefusesPartsThatMakeNoSense) {
  const auto refusal = [&](const std::string& parts) {
    const Outcome outcome = run("data split a.h5 c.h5 --parts " + parts);
    EXPECT_EQ(outcome.exit_code, 2) << parts;
    return outcome.err;
  };
  EXPECT_THAT(refusal("train=0.8,test=0.1"), HasSubstr("add up to 0.9, not to 1. Add rest=0.1"));
  EXPECT_THAT(refusal("train=0.8,train=0.2"), HasSubstr("train is named twice"));
  EXPECT_THAT(refusal("train"), HasSubstr("'train' is not NAME=SHARE"));
  EXPECT_THAT(refusal("a/b=1"), HasSubstr("cannot be the name of a group"));
  EXPECT_THAT(refusal("a=1.5"), HasSubstr("above 0 and at most 1"));
  EXPECT_THAT(refusal("train=0.995,test=0.005"), HasSubstr("test=0.005: of 60 samples, that is none"));
  EXPECT_EQ(left_behind(), std::vector<std::string>{"a.h5"});
}

TEST_F(DataCommand, SplitAndRepackDoNotReplaceTheirInput) {
  std::filesystem::create_symlink("a.h5", path("link.h5"));
  for (const std::string out : {"a.h5", "link.h5"})
    for (const std::string& words :
         {"split a.h5 " + out + " --parts train=0.5,test=0.5", "repack a.h5 " + out}) {
      const Outcome refused = run("data " + words + " --force");
      EXPECT_EQ(refused.exit_code, 2) << words;
      EXPECT_THAT(refused.err, HasSubstr(out + " is a.h5, an input. Name another file to write."));
    }
}

TEST_F(DataCommand, AFamilyIsDividedAndRepackedAndNoneOfItsFilesIsReplaced) {
  copy_as_family(path("a.h5"), path("f-%d.h5"), 1024);
  for (const std::string in : {"f-%d.h5", "f-0.h5"}) {
    EXPECT_EQ(run("data split " + in + " s.h5 --parts train=0.5,test=0.5 --force").exit_code, 0);
    const Outcome repacked = run("data repack " + in + " r.h5 --force");
    EXPECT_EQ(repacked.exit_code, 0) << repacked.err;
    EXPECT_EQ(parse_json(run("data stats r.h5 --json").out)["x"],
              parse_json(run("data stats a.h5 --json").out)["x"]);
    const Outcome refused = run("data repack " + in + " f-1.h5 --force");
    EXPECT_EQ(refused.exit_code, 2);
    EXPECT_THAT(refused.err, HasSubstr("f-1.h5 is f-1.h5, an input."));
  }
  const Outcome info = run("data info f-0.h5");
  EXPECT_THAT(info.out, AllOf(HasSubstr("f-0.h5 is read as a family of "), Not(HasSubstr("libhdf5"))))
      << info.err;
  const nlohmann::json json = parse_json(run("data info f-0.h5 --json").out);
  EXPECT_THAT(json["family"].get<std::string>(), HasSubstr("f-0.h5 is read as a family of "));
  EXPECT_THAT(run("data check f-0.h5").out, HasSubstr("targets of each: 20 20 20"));
}

TEST_F(DataCommand, InfoGroupsWhatIsAlikeAndLosesNothing) {
  {
    const hdf5::Lock lock;
    hdf5::File file = hdf5::File::create(path("many.h5"));
    const std::vector<float> values(28 * 28 * 3, 1);
    for (int64_t i = 0; i < 120; ++i)
      file.write(fmt::format("/data/{}", i), {values.data(), DType::f32, {i % 2 == 0 ? 2 : 3, 28, 28}});
    file.write("/labels", {values.data(), DType::f32, {120}});
    file.write("/data/2\x1b[31m", {values.data(), DType::f32, {4}});
    file.write("/split", {values.data(), DType::f32, {20, 10, 10}}, {.chunk = {20, 1, 1}});
  }
  const Outcome info = run("data info many.h5");
  ASSERT_EQ(info.exit_code, 0) << info.err;
  EXPECT_THAT(
      info.out,
      AllOf(HasSubstr("123 data sets"), HasSubstr("/data/0 to /data/119 (120 data sets)"),
            HasSubstr("(2 to 3, 28, 28)"), HasSubstr("/labels"), HasSubstr("\\x1b[31m"),
            HasSubstr("/split is read slowly in random order: the values of a sample lie in 100 chunks."),
            HasSubstr("lockstep data repack many.h5 OUT.h5"), Not(HasSubstr("\x1b"))));
  EXPECT_LE(longest_line(info.out.substr(0, info.out.find(" is read slowly"))), 80u) << info.out;
  EXPECT_EQ(parse_json(run("data info many.h5 --json").out)["datasets"].size(), 123u);
  EXPECT_THAT(run("data info a.h5").out, Not(HasSubstr("repack")));
}

TEST_F(DataCommand, InfoSaysWhatTrainingMakesOfEachLayout) {
  EXPECT_THAT(run("data info a.h5").out,
              HasSubstr("  # 60 samples of (4, 4) uint8\n  train = \"a.h5:/train\"\n"));
  for (int i = 0; i < 5; ++i) {
    put(path("b.h5"), fmt::format("/data/{}/obs", i), {2, 3}, counting<float>(6));
    put(path("b.h5"), fmt::format("/data/{}/label", i), {1}, std::vector<int64_t>{i % 2});
  }
  put(path("b.h5"), "/packed", {4, 2}, counting<int32_t>(8));
  put(path("b.h5"), "/images", {7, 3, 9}, counting<float>(189));
  put(path("b.h5"), "/classes", {1, 9}, counting<double>(9, 3));
  {
    hdf5::File file = hdf5::File::open_for_writing(path("b.h5"));
    file.set_attribute("/packed", "scale_factor", 0.5);
  }
  const std::string info = run("data info b.h5").out;
  EXPECT_THAT(info, AllOf(HasSubstr("/packed holds int32 that stand for other numbers (CF conventions)"),
                          HasSubstr("/data/*/obs: a data set for each of 5 samples, (2, 3) float32"),
                          HasSubstr("/images (7, 3, 9) has its samples on the last axis"),
                          HasSubstr("{ files = \"b.h5\", x = \"/data/*/obs\", y = \"/data/*/label\" }"),
                          HasSubstr("{ files = \"b.h5\", x = \"/images\", y = \"/classes\" }")));
  {
    struct Event {
      float energy, charge;
      int32_t label;
    };
    const std::vector<Event> events = {{1, 2, 0}, {3, 4, 1}, {5, 6, 0}, {7, 8, 1}};
    const hdf5::Lock lock;
    const hdf5::Id type(H5Tcreate(H5T_COMPOUND, sizeof(Event)));
    H5Tinsert(type.get(), "energy", HOFFSET(Event, energy), H5T_NATIVE_FLOAT);
    H5Tinsert(type.get(), "charge", HOFFSET(Event, charge), H5T_NATIVE_FLOAT);
    H5Tinsert(type.get(), "label", HOFFSET(Event, label), H5T_NATIVE_INT32);
    put_elements(path("c.h5"), "/events", {4}, type.get(), events.data());
  }
  EXPECT_THAT(
      run("data info c.h5").out,
      HasSubstr("# 4 samples of (2) float32\n"
                "  train = { files = \"c.h5\", x = \"/events.energy,charge\", y = \"/events.label\" }"));
  EXPECT_THAT(run("data check c.h5").out, HasSubstr("task: classification, 2 classes"));
  // Such a line trains.
  const std::string model =
      " --set model.name=mlp --set run.device=cpu --set train.steps=1 "
      "--set train.global_batch=4 --run run";
  EXPECT_EQ(run("train --set 'data.train={ files = \"b.h5\", x = \"/images\", y = \"/classes\" }'" + model)
                .exit_code,
            0);
  EXPECT_EQ(parse_json(run("data info b.h5 --json").out)["sources"].size(), 2u);
}

TEST_F(DataCommand, CheckTakesTheKeysOfAConfig) {
  put(path("b.h5"), "/images", {4, 2}, std::vector<float>{0, 1, 2, NAN, 4, 5, 6, 7});
  put(path("b.h5"), "/labels", {4}, std::vector<int64_t>{0, 255, 1, 2});
  const std::string check = "data check b.h5 --x /images --y /labels";
  const Outcome refused = run(check);
  EXPECT_EQ(refused.exit_code, 3);
  EXPECT_THAT(refused.err, HasSubstr("/images: sample 1 holds NaN"));
  const Outcome checked = run(check + " --set data.missing=0 --set train.ignore_label=255");
  EXPECT_EQ(checked.exit_code, 0) << checked.err;
  EXPECT_THAT(checked.out, AllOf(HasSubstr("task: classification, 3 classes"),
                                 HasSubstr("classes 0 to 2, targets of each: 1 1 1\n")));
  const Outcome wrong = run(check + " --set train.epochs=3");
  EXPECT_EQ(wrong.exit_code, 2);
  EXPECT_THAT(wrong.err, HasSubstr("'train.epochs' does not say how data is read"));
  EXPECT_THAT(run("data check a.h5:/train").out, HasSubstr("targets of each: 20 20 20"));
  EXPECT_THAT(run("data check a.h5").out, HasSubstr("targets of each: 20 20 20"));
}

TEST_F(DataCommand, PredictTakesDataThatLiesOtherwise) {
  put(path("b.h5"), "/images", {7, 3, 9}, counting<float>(189, 5));
  put(path("b.h5"), "/labels", {9}, counting<int64_t>(9, 3));
  ASSERT_EQ(
      run("train --run run --set 'data.train={ files = \"b.h5\", x = \"/images\", y = \"/labels\" }' --set "
          "model.name=mlp --set run.device=cpu --set train.steps=1 --set train.global_batch=4")
          .exit_code,
      0);
  std::vector<float> other = counting<float>(105, 5);
  other[30] = NAN;
  put(path("c.h5"), "/x", {5, 7, 3}, other);
  const std::string predict = "predict run --device cpu --data c.h5 --x /x --out p.h5";
  // As in training, the samples would be on the last axis.
  put(path("d.h5"), "/x", {5, 7, 3}, counting<float>(105, 5));
  const Outcome otherwise = run("predict run --device cpu --data d.h5 --x /x --out p.h5");
  EXPECT_EQ(otherwise.exit_code, 3);
  EXPECT_THAT(otherwise.err,
              AllOf(HasSubstr("d.h5:/x has the shape (5, 7, 3), and its axis 2 was taken to count"),
                    HasSubstr("Add --sample-axis 0 if axis 0 counts them.")));
  const Outcome nan = run(predict + " --sample-axis 0");
  EXPECT_EQ(nan.exit_code, 3);
  EXPECT_THAT(nan.err, HasSubstr("sample 1 holds NaN"));
  const Outcome done = run(predict + " --sample-axis 0 --missing 0");
  EXPECT_EQ(done.exit_code, 0) << done.err;
  EXPECT_THAT(done.out, HasSubstr("5 predictions"));
  EXPECT_EQ(run(predict + " --sample-axis x").exit_code, 2);
}

}  // namespace
}  // namespace lockstep
