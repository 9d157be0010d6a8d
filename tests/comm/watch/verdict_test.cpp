#include "comm/watch/verdict.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "comm/watch/rank_table.h"

namespace lockstep {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

constexpr double kTimeout = 30;

RankStatus status(int64_t step, Phase phase, int64_t number = -1, double stuck = 0,
                  const std::string& file = "") {
  return make_status({.step = step, .phase = phase, .number = number, .progress = 0, .file = file}, stuck);
}

/// All ranks of a run, each in the same place.
std::vector<RankState> run_of(int ranks, const RankStatus& status, double silent = 0.1) {
  std::vector<RankState> states;
  for (int rank = 0; rank < ranks; ++rank) states.push_back({rank, status, silent});
  return states;
}

TEST(Verdict, LeavesARunAloneThatMakesProgress) {
  EXPECT_FALSE(judge(run_of(4, status(0, Phase::setup)), kTimeout));
  EXPECT_FALSE(judge(run_of(4096, status(9, Phase::collective, 2, 29)), kTimeout));
  EXPECT_FALSE(judge(run_of(4, status(0, Phase::setup, -1, 29), 29), kTimeout));
  EXPECT_FALSE(judge(run_of(3, status(100, Phase::ended, -1, 1e6), 1e6), kTimeout)) << "all have left";
}

TEST(Verdict, NamesTheSilentRankAndNotThoseThatWaitForIt) {
  for (const int ranks : {2, 4, 4096}) {
    auto states = run_of(ranks, status(17, Phase::collective, 0, 29.9));
    states.back() = {ranks - 1, status(16, Phase::compute, 1, 0.2), 30.1};
    const auto verdict = judge(states, kTimeout);
    ASSERT_TRUE(verdict) << ranks;
    EXPECT_THAT(verdict->culprits, ElementsAre(ranks - 1));
    EXPECT_THAT(verdict->reason, HasSubstr(fmt::format("rank {} has sent no status for 30 s", ranks - 1)));
    EXPECT_FALSE(judge(states, 31));
  }
}

TEST(Verdict, WaitsForTheLastWordOnARankThatFallsSilent) {
  // The others' patience ends a little before that one's silence is long enough.
  auto states = run_of(4, status(17, Phase::collective, 0, 30.5));
  states[2] = {2, status(17, Phase::collective, 0, 0.2), 29.9};
  EXPECT_FALSE(judge(states, kTimeout));
  states[2].silent_seconds = 30.1;
  EXPECT_THAT(judge(states, kTimeout)->culprits, ElementsAre(2));
}

TEST(Verdict, NamesARankThatHangsInItsOwnWork) {
  for (const Phase phase : {Phase::setup, Phase::read, Phase::copy, Phase::compute, Phase::update,
                            Phase::report, Phase::evaluate, Phase::checkpoint}) {
    auto states = run_of(4, status(17, Phase::collective, 0, 31));
    states[1].status = status(17, phase, 3, 31);
    const auto verdict = judge(states, kTimeout);
    ASSERT_TRUE(verdict);
    EXPECT_THAT(verdict->culprits, ElementsAre(1)) << describe(phase, 3);
    EXPECT_THAT(verdict->reason, HasSubstr("rank 1 has made no progress for 31 s: it " + describe(phase, 3)));
  }
}

TEST(Verdict, NamesTheFileThatARankHangsIn) {
  auto states = run_of(2, status(17, Phase::wait, -1, 40));
  states[1].status = status(17, Phase::read, -1, 40, "/scratch/a.h5:/train/x, rows 128 to 255");
  EXPECT_THAT(judge(states, kTimeout)->reason,
              testing::AllOf(HasSubstr("waits for its batch (/scratch/a.h5:/train/x, rows 128 to 255)"),
                             HasSubstr("Look at that file system")));
}

TEST(Verdict, KeepsTheEndOfALongFileName) {
  const std::string end = "/train/x, rows 128 to 255";
  EXPECT_THAT(status(1, Phase::read, -1, 0, std::string(500, 'a') + end).file.data(), testing::EndsWith(end));
  EXPECT_EQ(std::string(status(1, Phase::read, -1, 0, "").file.data()), "");
}

TEST(Verdict, NeverEndsASlowRankThatMakesProgress) {
  // Rank 0 writes a large checkpoint, evaluates or computes: the others wait for minutes.
  for (const Phase phase : {Phase::checkpoint, Phase::evaluate, Phase::compute, Phase::read}) {
    auto states = run_of(64, status(17, Phase::collective, 0, 4000));
    states[0].status = status(16, phase, 3, 5);
    EXPECT_FALSE(judge(states, kTimeout)) << describe(phase, 3);
  }
}

TEST(Verdict, NamesARankThatHasLeft) {
  auto states = run_of(4, status(17, Phase::collective, 0, 31));
  states[3] = {3, status(16, Phase::ended), 35};
  const auto verdict = judge(states, kTimeout);
  ASSERT_TRUE(verdict);
  EXPECT_THAT(verdict->culprits, ElementsAre(3));
  EXPECT_THAT(verdict->reason, HasSubstr("rank 3 has left the training while the others still wait for it"));
  states[0].status = status(17, Phase::evaluate, 5, 3);
  EXPECT_FALSE(judge(states, kTimeout)) << "rank 0 still works: it may not need the others";
}

TEST(Verdict, BlamesTheNetworkWhenAllWaitInTheSameCollective) {
  const auto verdict = judge(run_of(8, status(17, Phase::collective, 2, 33)), kTimeout);
  ASSERT_TRUE(verdict);
  EXPECT_TRUE(verdict->culprits.empty());
  EXPECT_THAT(verdict->reason,
              HasSubstr("no rank has made progress for 33 s: each reduces bucket 2 in step 17. The network"));
}

TEST(Verdict, NamesTheRanksThatAreOutOfStep) {
  auto states = run_of(8, status(17, Phase::collective, 2, 33));
  states[5].status = status(16, Phase::wait, -1, 33);
  auto verdict = judge(states, kTimeout);
  ASSERT_TRUE(verdict);
  EXPECT_THAT(verdict->culprits, ElementsAre(5)) << "behind";
  states[5].status = status(17, Phase::collective, 3, 33);
  verdict = judge(states, kTimeout);
  ASSERT_TRUE(verdict);
  EXPECT_THAT(verdict->culprits, ElementsAre(5)) << "ahead of most";
  EXPECT_THAT(verdict->reason,
              HasSubstr("rank 5 is out of step with the others: reduces bucket 3 in step 17, another "
                        "reduces bucket 2 in step 17"));
}

TEST(Verdict, OfSilenceIsAllThatTheWatcherOfRank0Gives) {
  std::vector<RankState> states = {{0, status(17, Phase::compute, 0, 500), 1}};
  EXPECT_FALSE(judge_silence(states, kTimeout)) << "rank 0 judges itself while it lives";
  states[0].silent_seconds = 31;
  EXPECT_THAT(judge_silence(states, kTimeout)->culprits, ElementsAre(0));
  states[0].status = status(17, Phase::ended);
  EXPECT_FALSE(judge_silence(states, kTimeout));
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

RankPlace place(const std::string& machine, int32_t process) {
  RankPlace result{.machine = {}, .process = process};
  machine.copy(result.machine.data(), result.machine.size() - 1);
  return result;
}

TEST(RankTable, ShowsTheCulpritFirstAndFits80Columns) {
  auto states = run_of(4, status(1234567, Phase::collective, 12, 31));
  states[2] = {
      2,
      status(1234566, Phase::read, -1, 0.2, "/scratch/project/very/long/path/name.h5:/train/x, rows 1 to 9"),
      31};
  const std::vector<RankPlace> places = {place("node1", 100), place("node1", 101),
                                         place("node17.cluster.example", 4194304), place("", 1)};
  const auto lines = lines_of(rank_table(states, places, {2}));
  ASSERT_GE(lines.size(), 6u);
  for (const std::string& line : lines) EXPECT_LE(line.size(), 80u) << line;
  EXPECT_THAT(lines[1], testing::AllOf(HasSubstr("    2  node17.clust 4194304 1234566   31s"),
                                       HasSubstr("silent; before: waits for its batch")));
  EXPECT_THAT(lines[2] + lines[3], HasSubstr("rows 1 to 9"));
  EXPECT_THAT(lines.back(), HasSubstr("    3"));
  EXPECT_THAT(lines.back(), HasSubstr("reduces bucket 12"));
  EXPECT_THAT(lines.back(), Not(HasSubstr("silent")));
}

TEST(RankTable, SumsUpALargeRun) {
  auto states = run_of(4096, status(17, Phase::collective, 3, 31));
  states[4000].status = status(16, Phase::compute, 3, 31);
  for (int rank = 100; rank < 130; ++rank)
    states[static_cast<size_t>(rank)].status = status(17, Phase::update);
  const std::vector<RankPlace> places(4096, place("node1", 100));
  const auto lines = lines_of(rank_table(states, places, {4000}));
  ASSERT_EQ(lines.size(), 1u + 16 + 2);
  EXPECT_THAT(lines[1], HasSubstr(" 4000  node1"));
  EXPECT_THAT(lines[17],
              testing::AllOf(HasSubstr(" 4050 more"), HasSubstr("17"), HasSubstr("is in a collective")));
  EXPECT_THAT(lines[18], testing::AllOf(HasSubstr("   30 more"), HasSubstr("updates the weights")));
}

TEST(RankTable, StaysShortWhenARunIsInManyPlaces) {
  std::vector<RankState> states;
  for (int rank = 0; rank < 4096; ++rank) states.push_back({rank, status(rank, Phase::compute), 0});
  const std::vector<RankPlace> places(4096, place("node1", 100));
  EXPECT_LE(lines_of(rank_table(states, places, {})).size(), 40u);
}

}  // namespace
}  // namespace lockstep
