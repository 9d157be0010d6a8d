// Trainings on samples and targets that are no arrays of numbers, by the real program.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <fstream>

#include "src/core/text/json.h"
#include "tests/io/text_files.h"
#include "tests/support/run_program.h"

namespace lockstep {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

class KindsOfSamples : public testing::Test {
 protected:
  static constexpr int64_t kSamples = 60;

  std::string path() const { return folder_ / "a.h5"; }
  ProgramResult run(const std::vector<std::string>& arguments, int ranks = 1) const {
    return run_program(lockstep_command(ranks, arguments), folder_.path());
  }
  ProgramResult train(const std::vector<std::string>& sets, const std::string& name, int ranks = 1) const {
    std::vector<std::string> arguments = {"train", "--run", folder_ / name};
    std::vector<std::string> all = {"model.name=mlp", "run.device=cpu", "train.epochs=2",
                                    "train.global_batch=20", "data.normalize=none"};
    all.insert(all.end(), sets.begin(), sets.end());
    for (const std::string& set : all) arguments.insert(arguments.end(), {"--set", set});
    return run(arguments, ranks);
  }
  std::string hash_of(const std::string& run) const {
    std::ifstream file(folder_ / (run + "/metrics.jsonl"));
    std::string line, last;
    while (std::getline(file, line)) last = line;
    return parse_json(last).value("weights_hash", "none");
  }
  /// Adds samples of 4 numbers and the names of their classes, given by number.
  void put_named(const std::string& group, const std::vector<std::string>& names, size_t fixed = 0) const {
    put(path(), group + "/x", {kSamples, 4}, counting<float>(kSamples * 4, 7));
    std::vector<std::string> texts;
    for (size_t i = 0; i < kSamples; ++i) texts.push_back(names[i % names.size()]);
    put_text(path(), group + "/y", {kSamples}, texts, fixed, {.chunk = {16}, .deflate = 1});
  }

  TemporaryFolder folder_;
};

TEST_F(KindsOfSamples, ClassesMayBeNames) {
  put_named("/train", {"dog", "cat", "cow"});
  put_named("/test", {"cow", "dog"}, 8);
  const std::vector<std::string> data = {"data.train=" + path() + ":/train",
                                         "data.test=" + path() + ":/test"};
  const ProgramResult trained = train(data, "run");
  ASSERT_EQ(trained.exit_code, 0) << trained.err;
  EXPECT_THAT(trained.out, AllOf(HasSubstr("\ntask: classification, 3 classes, cross-entropy"),
                                 HasSubstr("\nclass names, from 0 on: cat, cow, dog\n")));
  // The same numbers, without names, and streamed, train the same weights.
  put(path(), "/numbers/x", {kSamples, 4}, counting<float>(kSamples * 4, 7));
  std::vector<int64_t> numbers;
  for (size_t i = 0; i < kSamples; ++i) numbers.push_back(std::vector<int64_t>{2, 0, 1}[i % 3]);
  put(path(), "/numbers/y", {kSamples}, numbers);
  ASSERT_EQ(train({"data.train=" + path() + ":/numbers"}, "numbers").exit_code, 0);
  EXPECT_EQ(hash_of("run"), hash_of("numbers"));
  ASSERT_EQ(train({data[0], data[1], "data.memory_budget=1"}, "streamed", 2).exit_code, 0);
  EXPECT_EQ(hash_of("run"), hash_of("streamed"));

  const ProgramResult evaluated = run({"eval", folder_ / "run"});
  EXPECT_EQ(evaluated.exit_code, 0) << evaluated.err;
  EXPECT_THAT(evaluated.out,
              AllOf(HasSubstr("\ncat "), HasSubstr("\ncow "), HasSubstr("  as cat  as cow  as dog")));
  const nlohmann::json report = parse_json(run({"eval", folder_ / "run", "--json"}).out);
  EXPECT_EQ(report["classes"][1]["name"], "cow");
  EXPECT_EQ(report["classes"][1]["samples"], 30);

  // Numbers may be those of another order.
  const ProgramResult no_names = run({"eval", folder_ / "run", "--data", path() + ":/numbers"});
  EXPECT_EQ(no_names.exit_code, 3);
  EXPECT_THAT(no_names.err, HasSubstr("holds no names of classes, but the training data had them: cat, cow"));

  // Rank 0 alone predicts.
  const std::string out = folder_ / "out.h5";
  ASSERT_EQ(run({"predict", folder_ / "run", "--data", path() + ":/test", "--out", out}, 2).exit_code, 0);
  {
    const hdf5::Lock lock;
    const hdf5::File file = hdf5::File::open(out);
    const hdf5::Id attribute(
        H5Aopen_by_name(file.id(), "/prediction", "class_names", H5P_DEFAULT, H5P_DEFAULT));
    ASSERT_TRUE(attribute);
    const hdf5::Id type(H5Aget_type(attribute.get()));
    std::array<char*, 3> names{};
    ASSERT_GE(H5Aread(attribute.get(), type.get(), names.data()), 0);
    EXPECT_THAT(names, ElementsAre(testing::StrEq("cat"), testing::StrEq("cow"), testing::StrEq("dog")));
    for (char* name : names) H5free_memory(name);
  }

  const ProgramResult checked = run({"data", "check", path()});
  EXPECT_EQ(checked.exit_code, 0) << checked.err;
  EXPECT_THAT(checked.out,
              AllOf(HasSubstr("/train: names of 3 classes, with their targets: cat 20, cow 20, dog 20\n"),
                    HasSubstr("/train: task: classification, 3 classes, cross-entropy\n")));
  put_named("/other", {"dog", "bee"});
  const ProgramResult unknown = run({"eval", folder_ / "run", "--data", path() + ":/other"});
  EXPECT_EQ(unknown.exit_code, 3);
  EXPECT_THAT(
      unknown.err,
      HasSubstr("/other/y: sample 1 has the class 'bee', which is unknown. The classes are: cat, cow, dog."));
}

TEST_F(KindsOfSamples, ResumesWithTheSameNamesOnly) {
  put_named("/train", {"dog", "cat", "cow"});
  const std::string data = "data.train=" + path() + ":/train";
  ASSERT_EQ(train({data}, "run").exit_code, 0);
  const auto resume = [&] {
    return run({"train", "--run", folder_ / "run", "--resume", "auto", "--set", "train.epochs=3"});
  };
  EXPECT_EQ(resume().exit_code, 0);
  std::filesystem::remove(path());
  put_named("/train", {"dog", "cat", "bee"});
  const ProgramResult changed = resume();
  EXPECT_NE(changed.exit_code, 0);
  EXPECT_THAT(changed.err, HasSubstr("the training data has other samples than before"));
}

TEST_F(KindsOfSamples, RowsOfASparseMatrixTrainLikeDenseOnes) {
  constexpr int64_t kColumns = 30;
  std::vector<float> data, dense(static_cast<size_t>(kSamples * kColumns));
  std::vector<int32_t> columns, labels;
  std::vector<int64_t> starts = {0};
  for (int64_t row = 0; row < kSamples; ++row) {
    for (int64_t i = 0; i < row % 4; ++i) {
      const int64_t column = (7 * row + 11 * i) % kColumns;
      data.push_back(static_cast<float>(row % 5 + i) / 4);
      columns.push_back(static_cast<int32_t>(column));
      dense[static_cast<size_t>(row * kColumns + column)] = data.back();
    }
    starts.push_back(static_cast<int64_t>(data.size()));
    labels.push_back(static_cast<int32_t>(row % 3));
  }
  const auto values = static_cast<int64_t>(data.size());
  put(path(), "/X/data", {values}, data, {.chunk = {16}, .deflate = 4});
  put(path(), "/X/indices", {values}, columns, {.chunk = {16}, .deflate = 4});
  put(path(), "/X/indptr", {kSamples + 1}, starts);
  put(path(), "/obs/kind/codes", {kSamples}, labels);
  put_text(path(), "/obs/kind/categories", {3}, {"T", "B", "NK"});
  put(path(), "/dense/x", {kSamples, kColumns}, dense);
  put(path(), "/dense/y", {kSamples}, labels);
  {
    const hdf5::Lock lock;
    hdf5::File file = hdf5::File::open_for_writing(path());
    file.set_attribute("/X", "encoding-type", std::string("csr_matrix"));
    const hsize_t two = 2;
    const int64_t shape[] = {kSamples, kColumns};
    const hdf5::Id space(H5Screate_simple(1, &two, nullptr));
    const hdf5::Id attribute(H5Acreate_by_name(file.id(), "/X", "shape", H5T_STD_I64LE, space.get(),
                                               H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
    H5Awrite(attribute.get(), H5T_NATIVE_INT64, shape);
  }
  const std::string sparse = R"(data.train={ files = ")" + path() + R"(", x = "/X", y = "/obs/kind" })";
  const ProgramResult trained = train({sparse}, "sparse");
  ASSERT_EQ(trained.exit_code, 0) << trained.err;
  EXPECT_THAT(trained.out,
              AllOf(HasSubstr("sparse matrix (CSR)"), HasSubstr("class names, from 0 on: T, B, NK\n")));
  ASSERT_EQ(train({sparse, "data.memory_budget=1", "data.shuffle=full"}, "streamed", 2).exit_code, 0);
  ASSERT_EQ(train({"data.train=" + path() + ":/dense"}, "dense").exit_code, 0);
  EXPECT_EQ(hash_of("sparse"), hash_of("dense"));
  EXPECT_EQ(hash_of("streamed"), hash_of("dense"));
}

TEST_F(KindsOfSamples, MayBeADataSetEach) {
  std::vector<float> all;
  std::vector<int32_t> labels;
  for (int32_t i = 0; i < kSamples; ++i) {
    const std::vector<float> sample = {static_cast<float>(i % 7), static_cast<float>(i % 5), 1};
    const int32_t label = i % 2;
    const std::string group = "/data/run" + std::to_string(i);
    put(path(), group + "/obs", {3}, sample);
    hdf5::File::open_for_writing(path()).write(group + "/label", {&label, DType::i32, {}});
    all.insert(all.end(), sample.begin(), sample.end());
    labels.push_back(label);
  }
  put(path(), "/joined/x", {kSamples, 3}, all);
  put(path(), "/joined/y", {kSamples}, labels);
  const std::string each =
      R"(data.train={ files = ")" + path() + R"(", x = "/data/*/obs", y = "/data/*/label" })";
  const ProgramResult trained = train({each}, "each");
  ASSERT_EQ(trained.exit_code, 0) << trained.err;
  ASSERT_EQ(train({each, "data.memory_budget=1"}, "streamed", 2).exit_code, 0);
  ASSERT_EQ(train({"data.train=" + path() + ":/joined"}, "joined").exit_code, 0);
  EXPECT_EQ(hash_of("each"), hash_of("joined"));
  EXPECT_EQ(hash_of("streamed"), hash_of("joined"));
}

}  // namespace
}  // namespace lockstep
