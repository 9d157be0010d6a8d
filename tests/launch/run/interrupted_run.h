#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "tests/launch/process/rank_processes.h"
#include "tests/launch/run/whole_run.h"
#include "tests/support/await.h"

namespace lockstep {

/// Runs to which something is done from outside while they train.
class InterruptedRun : public WholeRun {
 protected:
  static std::vector<std::string> command(const std::string& name, int ranks,
                                          const std::vector<std::string>& settings,
                                          const std::vector<std::string>& more = {}) {
    std::vector<std::string> arguments = {"train", "--run", *folder_ / name};
    for (const std::string& setting :
         set({"data.train=" + (*folder_ / "digits.h5") + ":/train", "model.name=mlp", "run.device=cpu",
              "run.threads=1", "run.reproducible=true", "checkpoint.every_epochs=0"}))
      arguments.push_back(setting);
    for (const std::string& setting : set(settings)) arguments.push_back(setting);
    arguments.insert(arguments.end(), more.begin(), more.end());
    return lockstep_command(ranks, arguments);
  }

  /// Runs a command; when it has written a few steps, does something to its processes.
  static ProgramResult run_and(const std::string& name, const std::vector<std::string>& command,
                               const std::function<void()>& act) {
    std::atomic<bool> over = false;
    std::thread other([&] {
      const auto steps = [&] {
        return std::ranges::count(contents(*folder_ / name + "/metrics.jsonl"), '\n');
      };
      while (!over && steps() < 3) std::this_thread::sleep_for(std::chrono::milliseconds(20));
      if (!over) act();
    });
    ProgramResult result = run_program(command, folder_->path());
    over = true;
    other.join();
    return result;
  }

  /// An endless run on `ranks` ranks, for a test to interrupt.
  static ProgramResult stop(const std::string& name, int ranks, const std::function<void()>& act) {
    return run_and(name, command(name, ranks, {"train.steps=1000000"}), act);
  }

  /// The run `name` was preempted: resumes it on `ranks` ranks for a few more steps, and expects the result
  /// of an uninterrupted run.
  static void expect_resumes(const std::string& name, int ranks) {
    const std::vector<json> all = events(name);
    ASSERT_FALSE(all.empty()) << "the run has left nothing";
    const json& end = all.back();
    ASSERT_EQ(end.at("event"), "end");
    EXPECT_EQ(end.at("reason"), "preempted");
    const std::string steps = "train.steps=" + std::to_string(end.at("step").get<int64_t>() + 5);
    const ProgramResult resumed =
        run_program(command(name, ranks, {steps}, {"--resume", "auto", "--allow-changed"}), folder_->path());
    ASSERT_EQ(resumed.exit_code, 0) << resumed.err;
    const ProgramResult whole = run_program(command(name + "-whole", 1, {steps}), folder_->path());
    ASSERT_EQ(whole.exit_code, 0) << whole.err;
    EXPECT_EQ(events(name).back().at("reason"), "finished");
    EXPECT_EQ(events(name).back().at("weights_hash"), events(name + "-whole").back().at("weights_hash"));
  }

  /// Nothing is left behind: a process that was killed may still be ending when mpirun has.
  static void await_none(const std::string& mark) {
    EXPECT_TRUE(await([&] { return find_processes(mark).empty(); }));
  }

  static pid_t rank_of(const std::string& name, int rank) { return find_rank(rank, *folder_ / name); }
};

}  // namespace lockstep
