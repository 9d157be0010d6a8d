#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>

#include "src/core/cores.h"
#include "src/core/text/json.h"
#include "tests/io/data_files.h"
#include "tests/launch/commands/command_line.h"
#include "tests/support/run_program.h"

namespace lockstep {
namespace {

using testing::AllOf;
using testing::Ge;
using testing::HasSubstr;
using testing::Le;

constexpr int64_t kRows = 100;
constexpr double kSampleBytes = 12 + 4;

class BenchLoader : public CommandLine {
 protected:
  BenchLoader() { put_samples("d.h5", {}); }

  void put_samples(const std::string& file, const hdf5::Storage& storage) const {
    const std::string path = work() / file;
    put(path, "/train/x", {kRows, 4, 3}, counting<uint8_t>(kRows * 12, 200), storage);
    put(path, "/train/y", {kRows}, counting<int32_t>(kRows, 10));
  }
  /// For a moment, and without h5py.
  Outcome run_briefly(const std::string& more) const {
    return run("bench loader --seconds 0.02 --python '' " + more);
  }
  nlohmann::json measure(const std::string& more) const {
    const Outcome outcome = run_briefly("--json " + more);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    return parse_json(outcome.out);
  }
};

void expect_spread(const nlohmann::json& spread) {
  EXPECT_GT(spread["min"].get<double>(), 0);
  EXPECT_LE(spread["min"], spread["median"]);
  EXPECT_LE(spread["median"], spread["max"]);
}

/// The rates of one number of threads have to agree with each other; how fast they are decides nothing.
void expect_consistent(const nlohmann::json& rates, double sample_bytes) {
  expect_spread(rates["samples_per_s"]);
  expect_spread(rates["gb_per_s"]);
  EXPECT_NEAR(rates["gb_per_s"]["median"].get<double>(),
              rates["samples_per_s"]["median"].get<double>() * sample_bytes / 1e9, 1e-9);
  for (const char* limit : {"copy", "read_in_order", "read_scattered"}) {
    SCOPED_TRACE(limit);
    expect_spread(rates[limit]["gb_per_s"]);
    EXPECT_GT(rates[limit]["cpu_us_per_sample"].get<double>(), 0);
    // The median of ratios lies between the ratios of the extremes.
    const double share = rates[limit]["share"];
    EXPECT_LE(share * 0.999,
              rates["gb_per_s"]["max"].get<double>() / rates[limit]["gb_per_s"]["min"].get<double>());
    EXPECT_GE(share * 1.001,
              rates["gb_per_s"]["min"].get<double>() / rates[limit]["gb_per_s"]["max"].get<double>());
  }
  EXPECT_GT(rates["decode_us_per_sample"].get<double>(), 0);
  EXPECT_GE(rates["read_us_per_sample"].get<double>(), 0);
  EXPECT_GT(rates["first_batch_ms"].get<double>(), 0);
  EXPECT_THAT(rates["waited"].get<double>(), AllOf(Ge(0), Le(1)));
}

TEST_F(BenchLoader, ReportsWhatTheFileHoldsAndHowItIsRead) {
  const auto json = measure("--data d.h5:/train --memory-budget 0 --threads 0,1,2 --batch 8 --shuffle off");
  EXPECT_THAT(json["data"].get<std::string>(), HasSubstr("d.h5:/train/x (100, 4, 3) uint8, streamed"));
  EXPECT_EQ(json["route"], "contiguous");
  EXPECT_EQ(json["rows"], kRows);
  EXPECT_EQ(json["x_bytes"], 12);
  EXPECT_EQ(json["y_bytes"], 4);
  EXPECT_EQ(json["file_bytes"], fs::file_size(work() / "d.h5"));
  EXPECT_EQ(json["ranks"], 1);
  EXPECT_EQ(json["global_batch"], 8);
  EXPECT_EQ(json["order"], "off");
  EXPECT_EQ(json["memory_budget"], 0);
  EXPECT_GT(json["open_seconds"].get<double>(), 0);
  EXPECT_GT(json["peak_host_bytes"].get<int64_t>(), 0);
#ifndef __SANITIZE_ADDRESS__  // which keeps freed memory
  EXPECT_LT(json["peak_host_bytes"].get<int64_t>(), int64_t{256} << 20) << "it includes the limits' memory";
#endif
  EXPECT_EQ(json["h5py"]["reason"], "--python names no program");
  ASSERT_EQ(json["loader"].size(), 3u);
  for (size_t i = 0; i < 3; ++i) {
    const nlohmann::json& rates = json["loader"][i];
    EXPECT_EQ(rates["threads"], i);
    // Whole batches, of which the last of an epoch has four samples.
    EXPECT_EQ(rates["timed_samples"].get<int64_t>() % 4, 0);
    EXPECT_GT(rates["timed_samples"].get<int64_t>(), 0);
    expect_consistent(rates, kSampleBytes);
  }
}

TEST_F(BenchLoader, TellsTheRoutesApart) {
  put_samples("gzip.h5", {{8, 4, 3}, 4});
  EXPECT_EQ(measure("--data d.h5 --threads 1")["route"], "memory");
  EXPECT_EQ(measure("--data gzip.h5 --threads 1")["route"], "memory");
  const auto gzip = measure("--data gzip.h5 --threads 1 --memory-budget 0");
  EXPECT_THAT(gzip["route"].get<std::string>(), HasSubstr("chunked"));
  EXPECT_EQ(gzip["order"], "auto");
  EXPECT_EQ(
      gzip["order_in_words"],
      "shuffled in windows: 1 run of 8 stored samples, 8 % of the data, is mixed at a time; each is read "
      "once");
  const auto full = measure("--data gzip.h5 --threads 1 --memory-budget 0 --shuffle full");
  EXPECT_THAT(full["order_in_words"].get<std::string>(),
              HasSubstr("a full shuffle each epoch, which decodes"));
}

// 1200 bytes of x in 13 blocks: each rank alone has room for five of them.
TEST_F(BenchLoader, RanksOfAMachineDecodeEachBlockOnceIfTheyHaveRoomTogether) {
  put_samples("gzip.h5", {{8, 4, 3}, 4});
  const auto measure_on = [&](int ranks) {
    const ProgramResult result = run_program(
        lockstep_command(
            ranks, {"bench", "loader", "--data", "gzip.h5", "--set", "data.memory_budget=700", "--shuffle",
                    "full", "--batch", "8", "--threads", "1", "--seconds", "0.02", "--python", "", "--json"}),
        work().string());
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return parse_json(result.out);
  };
  const auto alone = measure_on(1), together = measure_on(4);
  EXPECT_EQ(alone["cache_shared_by"], 1);
  EXPECT_GT(alone["decoded_blocks"].get<int64_t>(), 2 * 13);
  EXPECT_EQ(together["cache_shared_by"], 4);
  EXPECT_EQ(together["cache_bytes"], 13 * 96);
  EXPECT_EQ(together["decoded_blocks"], 13);
  EXPECT_THAT(together["data"].get<std::string>(), HasSubstr("4 share a cache of 1.2 KiB"));
}

TEST_F(BenchLoader, MeasuresEveryNumberOfThreadsUpToTheCores) {
  const auto json = measure("--data d.h5");
  EXPECT_EQ(json["loader"].front()["threads"], 1);
  EXPECT_EQ(json["loader"].back()["threads"], usable_cores().size());
}

TEST_F(BenchLoader, TakesTheDataOfAConfig) {
  put(work() / "d.h5", "/text", {1000}, counting<uint8_t>(1000, 50));
  write("c.toml",
        "[data]\ntrain = { files = [\"d.h5\"], x = \"/text\" }\ntask = \"tokens\"\ncontext = 9\n"
        "memory_budget = 1\n[train]\nglobal_batch = 4\n");
  const auto json = measure("c.toml --threads 1");
  EXPECT_EQ(json["rows"], (1000 - 9 - 1) / 9 + 1);
  EXPECT_EQ(json["x_bytes"], 9 * sizeof(int32_t));
  EXPECT_EQ(json["y_bytes"], 9 * sizeof(int32_t));
  EXPECT_EQ(json["global_batch"], 4);
  EXPECT_EQ(json["memory_budget"], 1);
  EXPECT_EQ(measure("c.toml --threads 1 --set data.context=19")["x_bytes"], 19 * sizeof(int32_t));
}

TEST_F(BenchLoader, ReadsADataSetWithoutTargets) {
  const auto json = measure("--data d.h5 --x /train/x --threads 1");
  EXPECT_EQ(json["x_bytes"], 12);
  EXPECT_EQ(json["y_bytes"], 0);
  expect_consistent(json["loader"][0], 12);
}

TEST_F(BenchLoader, PrintsTheSameForPeople) {
  const Outcome outcome = run_briefly("--data d.h5 --memory-budget 0 --threads 1,2");
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("\nroute   contiguous\n"));
  EXPECT_THAT(outcome.out, HasSubstr("\nsample  12 bytes of x, 4 of targets\n"));
  EXPECT_THAT(outcome.out, HasSubstr("\nreads of one sample's size "));
  EXPECT_THAT(outcome.out, HasSubstr("\nh5py: not measured: --python names no program\n"));
  std::istringstream lines(outcome.out);
  for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 80u) << line;
}

TEST_F(BenchLoader, EachRankReadsItsPartOfABatch) {
  const ProgramResult result =
      run_program(lockstep_command(2, {"bench", "loader", "--data", "d.h5", "--memory-budget", "0", "--batch",
                                       "10", "--threads", "1", "--seconds", "0.02", "--json"}),
                  work().string());
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const auto json = parse_json(result.out);
  EXPECT_EQ(json["ranks"], 2);
  EXPECT_EQ(json["global_batch"], 10);
  EXPECT_EQ(json["loader"][0]["timed_samples"].get<int64_t>() % 10, 0) << "samples of all ranks, once";
  expect_consistent(json["loader"][0], kSampleBytes);
  EXPECT_THAT(json["h5py"]["reason"].get<std::string>(), HasSubstr("one rank"));
}

TEST_F(BenchLoader, ComparesWithH5py) {
  std::string python;
  for (const char* candidate : {"python3", "/usr/bin/python3"})
    if (std::system((std::string(candidate) + " -c 'import h5py' 2>/dev/null").c_str()) == 0)
      python = candidate;
  if (python.empty()) GTEST_SKIP() << "no Python with h5py";
  const Outcome outcome =
      run("bench loader --json --seconds 0.02 --data d.h5 --threads 1 --python " + python);
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const auto h5py = parse_json(outcome.out)["h5py"];
  ASSERT_FALSE(h5py.contains("reason")) << h5py["reason"];
  for (const char* way : {"in_order", "by_list", "row_by_row"})
    EXPECT_GT(h5py["samples_per_s"][way].get<double>(), 0) << way;
  EXPECT_EQ(h5py["dataloader"].size(), h5py["torch"].is_null() ? 0u : 1u);
}

TEST_F(BenchLoader, SaysWhyH5pyIsNotMeasured) {
  const auto reason = [&](const std::string& python) {
    const Outcome outcome =
        run("bench loader --json --seconds 0.02 --data d.h5 --threads 1 --python " + python);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    return parse_json(outcome.out)["h5py"]["reason"].get<std::string>();
  };
  EXPECT_THAT(reason("no-such-python"), HasSubstr("cannot start no-such-python: No such file"));
  EXPECT_THAT(reason("false"), HasSubstr("false ended with 1"));
  EXPECT_THAT(reason("echo"), HasSubstr("echo printed something other than JSON"));
}

TEST_F(BenchLoader, SaysWhatIsWrong) {
  const auto mistake = [&](const std::string& arguments, int exit_code = 2) {
    const Outcome outcome = run_briefly(arguments);
    EXPECT_EQ(outcome.exit_code, exit_code) << arguments;
    EXPECT_EQ(outcome.out, "") << arguments;
    return outcome.err;
  };
  EXPECT_THAT(mistake(""), HasSubstr("name it with --data FILE.h5:/GROUP"));
  EXPECT_THAT(mistake("--data d.h5 --shuffle of"), HasSubstr("unknown value 'of'. Did you mean 'off'?"));
  EXPECT_THAT(mistake("--data d.h5 --threads 1,x"),
              HasSubstr("expects an integer from 0 to 4096, found 'x'"));
  EXPECT_THAT(mistake("--data d.h5 --batch 0"), HasSubstr("expects an integer of at least 1, found '0'"));
  EXPECT_THAT(run("bench loader --data d.h5 --seconds 0").err, HasSubstr("--seconds 0 must be above 0"));
  EXPECT_THAT(mistake("--data none.h5", 3), HasSubstr("none.h5"));
  EXPECT_THAT(mistake("--data d.h5:/none", 3), HasSubstr("/none/x"));
  const ProgramResult result = run_program(
      lockstep_command(2, {"bench", "loader", "--data", "d.h5", "--batch", "7"}), work().string());
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.err, HasSubstr("a batch of 7 does not divide over 2 ranks. Use --batch 8."));
}

}  // namespace
}  // namespace lockstep
