#include <gmock/gmock.h>

#include <cmath>

#include "src/core/rng.h"
#include "tests/io/data_files.h"
#include "tests/launch/run/whole_run.h"

namespace lockstep {
namespace {

using testing::HasSubstr;

constexpr int64_t kTokens = 6, kLength = 33;
constexpr const char* kTokenNet = LOCKSTEP_SOURCE_DIR "/examples/next-token-net.toml";

/// Sequences of a Markov chain: after token s comes s + 1 or s + 2 (modulo 6) four times of five, else any.
std::vector<uint8_t> chain(int64_t sequences, uint64_t stream) {
  RandomStream random(11, stream);
  std::vector<uint8_t> tokens;
  for (int64_t sequence = 0; sequence < sequences; ++sequence) {
    uint32_t state = random.next_below(kTokens);
    for (int64_t i = 0; i < kLength; ++i) {
      tokens.push_back(static_cast<uint8_t>(state));
      const uint32_t choice = random.next_below(5);
      state = choice == 4 ? random.next_below(kTokens) : (state + 1 + choice % 2) % kTokens;
    }
  }
  return tokens;
}

/// The entropy of a token given the one before, of the chain's own probabilities.
double entropy() {
  const double likely = 0.4 + 0.2 / kTokens, other = 0.2 / kTokens;
  return -2 * likely * std::log(likely) - (kTokens - 2) * other * std::log(other);
}

/// Trainings of the example's network on a chain, which it can learn and no better.
class NextTokenRun : public WholeRun {
 protected:
  static void SetUpTestSuite() {
    folder_ = std::make_unique<TemporaryFolder>();
    put(*folder_ / "chain.h5", "/train/x", {400, kLength}, chain(400, 1));
    put(*folder_ / "chain.h5", "/test/x", {200, kLength}, chain(200, 2));
  }
  static std::vector<std::string> settings(const std::vector<std::string>& more = {}, int steps = 20) {
    std::vector<std::string> all = {"data.train=" + (*folder_ / "chain.h5") + ":/train",
                                    "data.test=" + (*folder_ / "chain.h5") + ":/test",
                                    "data.task=tokens",
                                    std::string("model.file=") + kTokenNet,
                                    "optimizer.lr=0.01",
                                    "run.threads=1",
                                    "run.reproducible=true",
                                    "train.global_batch=40",
                                    "train.micro_batch=10",
                                    "data.validation_split=0.1",
                                    "train.steps=" + std::to_string(steps)};
    all.insert(all.end(), more.begin(), more.end());
    return set(all);
  }
  static ProgramResult program(const std::vector<std::string>& arguments, int ranks = 1) {
    return run_program(lockstep_command(ranks, arguments), folder_->path());
  }
};

TEST_F(NextTokenRun, LearnsWhatAMarkovChainHasToTeach) {
  const json end = train("learned", 1, settings({}, 300)).back();
  // The test sequences are a sample of the chain: their mean loss is its entropy to about 1 %.
  EXPECT_NEAR(end.at("test_loss").get<double>(), entropy(), 0.03 * entropy());
  EXPECT_NEAR(end.at("test_perplexity").get<double>(), std::exp(end.at("test_loss").get<double>()), 1e-4);
  std::ifstream log(*folder_ / "learned" + "/log.txt");
  const std::string text((std::istreambuf_iterator<char>(log)), {});
  EXPECT_THAT(text, HasSubstr("task: the next token, classification of each position (32), 6 classes"));
  EXPECT_THAT(text, HasSubstr("read as 32 token ids"));
}

TEST_F(NextTokenRun, HasTheSameBitsOnAnyNumberOfRanks) {
  const auto hash = [](const std::vector<json>& events) { return events.back().at("weights_hash"); };
  const std::vector<json> alone = train("one", 1, settings());
  EXPECT_EQ(hash(train("two", 2, settings())), hash(alone));
  EXPECT_EQ(hash(train("four", 4, settings())), hash(alone));
  EXPECT_EQ(hash(train("streamed", 1, settings({"data.memory_budget=1000"}))), hash(alone));
}

TEST_F(NextTokenRun, IsEvaluatedAndPredictsAtEachPosition) {
  const json end = train("evaluated", 1, settings()).back();
  const ProgramResult evaluated = program({"eval", *folder_ / "evaluated", "--json"}, 2);
  ASSERT_EQ(evaluated.exit_code, 0) << evaluated.err;
  EXPECT_EQ(parse_json(evaluated.out).at("loss"), end.at("test_loss"));
  const std::string out = *folder_ / "answers.h5";
  const ProgramResult predicted = program({"predict", *folder_ / "evaluated", "--out", out});
  ASSERT_EQ(predicted.exit_code, 0) << predicted.err;
  const hdf5::Lock lock;
  EXPECT_EQ(Shape(hdf5::File::open(out).dataset("/prediction").extents()), (Shape{200, kLength - 1}));
}

TEST_F(NextTokenRun, WhatDoesNotFitIsSaidBeforeTheFirstStep) {
  const auto error = [&](const std::vector<std::string>& more) {
    std::vector<std::string> arguments = {"train", "--run", *folder_ / "refused"};
    const std::vector<std::string> sets = settings(more);
    arguments.insert(arguments.end(), sets.begin(), sets.end());
    const ProgramResult result = program(arguments);
    EXPECT_EQ(result.exit_code, 2) << result.err;
    return result.err;
  };
  std::ofstream(*folder_ / "small.toml")
      << "[[layer]]\nkind = \"embedding\"\nname = \"embed\"\nentries = 5\nwidth = 4\n"
         "[[layer]]\nkind = \"linear\"\noutputs = \"classes\"\n";
  EXPECT_THAT(error({"model.file=" + (*folder_ / "small.toml")}),
              HasSubstr("layer 'embed' has 5 entries, but the ids of the data are 0 to 5"));
  std::ofstream(*folder_ / "linear.toml") << "[[layer]]\nkind = \"linear\"\noutputs = \"classes\"\n";
  EXPECT_THAT(error({"model.file=" + (*folder_ / "linear.toml")}), HasSubstr("begins with an embedding"));
  EXPECT_THAT(error({"train.loss=huber"}), HasSubstr("does not fit data.task = \"tokens\""));
}

TEST_F(NextTokenRun, ItsCostIsShownAndMeasuredWithoutData) {
  for (const std::vector<std::string>& command :
       {std::vector<std::string>{"model", "show", kTokenNet},
        {"bench", "step", "--steps", "4", "--set", std::string("model.file=") + kTokenNet}}) {
    std::vector<std::string> arguments = command;
    arguments.insert(arguments.end(), {"--set", "data.task=tokens", "--input", "32", "--outputs", "6"});
    const ProgramResult result = program(arguments);
    EXPECT_EQ(result.exit_code, 0) << result.err;
  }
}

}  // namespace
}  // namespace lockstep
