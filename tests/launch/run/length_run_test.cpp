// Whole runs in batches of similar length (data.buckets).
#include <gmock/gmock.h>

#include <fstream>

#include "src/core/rng.h"
#include "tests/io/sequence_files.h"
#include "tests/launch/run/whole_run.h"

namespace lockstep {
namespace {

using testing::HasSubstr;

std::vector<std::vector<uint8_t>> random_tokens(int64_t sequences, int64_t shortest, int64_t longest) {
  RandomStream random(5, static_cast<uint64_t>(longest));
  std::vector<std::vector<uint8_t>> tokens;
  for (int64_t i = 0; i < sequences; ++i) {
    const auto range = static_cast<uint32_t>(longest - shortest + 1);
    const int64_t length = shortest + random.next_below(range);
    tokens.emplace_back();
    for (int64_t at = 0; at < length; ++at)
      tokens.back().push_back(static_cast<uint8_t>(random.next_below(7)));
  }
  return tokens;
}

class LengthRun : public WholeRun {
 protected:
  static void SetUpTestSuite() {
    folder_ = std::make_unique<TemporaryFolder>();
    put_sequences(*folder_ / "text.h5", "/train/x", random_tokens(150, 2, 40), H5T_NATIVE_UINT8);
    put_sequences(*folder_ / "text.h5", "/test/x", random_tokens(20, 2, 30), H5T_NATIVE_UINT8);
  }
  /// A transformer that leaves out padding.
  static std::vector<std::string> settings(const std::vector<std::string>& more = {}) {
    std::vector<std::string> all = {"data.train=" + (*folder_ / "text.h5") + ":/train",
                                    "data.test=" + (*folder_ / "text.h5") + ":/test",
                                    "data.task=tokens",
                                    "data.length=41",
                                    "data.buckets=[8, 20]",
                                    "train.ignore_label=-1",
                                    "model.name=transformer",
                                    "model.layers=1",
                                    "model.width=16",
                                    "model.heads=2",
                                    "model.feed_forward=16",
                                    "model.dropout=0.1",
                                    "model.causal=true",
                                    "model.context=40",
                                    "optimizer.lr=0.01",
                                    "run.threads=1",
                                    "run.reproducible=true",
                                    "train.global_batch=16",
                                    "train.micro_batch=4",
                                    "train.steps=13"};
    all.insert(all.end(), more.begin(), more.end());
    return set(all);
  }
  static std::string hash(const std::vector<json>& events) { return events.back().at("weights_hash"); }
  static std::string log(const std::string& name) {
    std::ifstream file(*folder_ / name + "/log.txt");
    return {std::istreambuf_iterator<char>(file), {}};
  }
  /// Of the steps of a run.
  static std::vector<double> losses(const std::vector<json>& events) {
    std::vector<double> losses;
    for (const json& event : events)
      if (event["event"] == "step") losses.push_back(event["loss"]);
    return losses;
  }
};

TEST_F(LengthRun, HasTheSameBitsOnAnyNumberOfRanksAndWhenResumed) {
  const std::string whole = hash(train("one", 1, settings()));
  EXPECT_THAT(log("one"),
              testing::ContainsRegex("order: in batches of similar length, padded to 8 \\(. steps?\\), "
                                     "20 \\(. steps?\\) and 40 \\(. steps?\\): .. % of the positions "
                                     "are padding, instead of .. %"));
  EXPECT_EQ(hash(train("two", 2, settings())), whole);
  EXPECT_EQ(hash(train("four", 4, settings({"data.memory_budget=1000"}))), whole);
  EXPECT_NE(hash(train("padded", 1, settings({"data.buckets=[]"}))), whole);
  train("parts", 2, settings({"train.steps=5"}));
  std::vector<std::string> resume = settings();
  resume.insert(resume.end(), {"--resume", "auto"});
  EXPECT_EQ(hash(train("parts", 1, resume)), whole);
}

TEST_F(LengthRun, ComputesWhatThePaddedRunDoes) {
  // Two batches, of short and of long sequences; then one run for each of them, padded as far.
  std::vector<std::vector<uint8_t>> both = random_tokens(16, 2, 9);
  const std::vector<std::vector<uint8_t>> longer = random_tokens(16, 22, 40);
  put_sequences(*folder_ / "short.h5", "/train/x", both, H5T_NATIVE_UINT8);
  put_sequences(*folder_ / "long.h5", "/train/x", longer, H5T_NATIVE_UINT8);
  both.insert(both.end(), longer.begin(), longer.end());
  put_sequences(*folder_ / "both.h5", "/train/x", both, H5T_NATIVE_UINT8);
  const auto run = [&](const std::string& file, const std::string& buckets, const std::string& steps,
                       const std::string& device) {
    return losses(train(file + buckets + device, 1,
                        settings({"data.train=" + (*folder_ / file) + ".h5:/train",
                                  "data.test=", "data.classes=7", "data.buckets=" + buckets,
                                  "model.dropout=0", "optimizer.lr=1e-30", "train.steps=" + steps}),
                        device));
  };
  for (const std::string device : {"cpu", "cuda"}) {
#ifndef LOCKSTEP_EMULATED_CUDA
    if (device == "cuda") continue;
#endif
    SCOPED_TRACE(device);
    const double of_short = run("short", "[]", "1", device).at(0),
                 of_long = run("long", "[]", "1", device).at(0);
    ASSERT_GT(std::abs(of_short - of_long), 1e-3);
    // On a GPU the steps of the third epoch and those behind it are replayed.
    std::vector<double> found = run("both", "[8]", "8", device);
    ASSERT_EQ(found.size(), 8U);
    for (size_t epoch = 0; epoch < found.size(); epoch += 2) {
      if (std::abs(found[epoch] - of_short) > std::abs(found[epoch + 1] - of_short))
        std::swap(found[epoch], found[epoch + 1]);
      EXPECT_NEAR(found[epoch], of_short, 2e-6);
      EXPECT_NEAR(found[epoch + 1], of_long, 2e-6);
    }
  }
}

TEST_F(LengthRun, UsesTheMemoryThatIsPlanned) {
  const json end = train("planned", 2, settings({"train.steps=4"})).back();
  const auto allocated = end["memory"]["allocated_bytes"].get<double>();
  EXPECT_NEAR(allocated, end["memory"]["planned_bytes"].get<double>(), 0.05 * allocated);
}

TEST_F(LengthRun, SaysWhatDoesNotFit) {
  const auto error = [&](const std::vector<std::string>& more) {
    std::vector<std::string> arguments = {"train", "--run", *folder_ / "refused"};
    const std::vector<std::string> sets = settings(more);
    arguments.insert(arguments.end(), sets.begin(), sets.end());
    const ProgramResult result = run_program(lockstep_command(1, arguments), folder_->path());
    EXPECT_EQ(result.exit_code, 2) << result.err;
    return result.err;
  };
  EXPECT_THAT(
      error({"model.context=0"}),
      HasSubstr("data.buckets: positions.weight is (8, 16) for samples of 8 positions, but (40, 16)"));
  EXPECT_THAT(error({"data.buckets=[20, 8]"}), HasSubstr("must be ascending, but 8 follows 20"));
  EXPECT_THAT(error({"data.buckets=[8, 40]"}), HasSubstr("data.buckets: 40 is not below 40"));
  EXPECT_THAT(error({"data.shuffle=window"}), HasSubstr("set data.shuffle = \"full\""));
  EXPECT_THAT(error({"data.sampling=balanced"}), HasSubstr("remove one of them"));
}

}  // namespace
}  // namespace lockstep
