#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "comm/collectives/first_of_machine.h"
#include "comm/collectives/world.h"
#include "launch/process/environment.h"

namespace lockstep {

class Command;

/// State shared by the subcommands: the environment, and the World of those that need MPI.
class Program {
 public:
  explicit Program(Environment environment) : environment_(std::move(environment)) {}

  const Environment& environment() const { return environment_; }
  /// Initializes MPI on the first call. Commands that only read files or print facts never call it.
  World& world();
  bool has_world() const { return world_ != nullptr; }
  /// Whether this rank reports an error that all ranks have: true for the first rank of its machine to call
  /// this.
  bool speaks_first() { return first_ == nullptr || first_->claim(); }

  /// The chosen subcommand, set while the command line is parsed; returns the exit code.
  std::function<int()> action;
  /// Whether the command's result is on standard output. For training it is the run folder instead.
  bool prints_its_result = true;
  /// Whether the chosen subcommand handles signals itself and calls let_signals_in().
  bool takes_signals = false;

 private:
  Environment environment_;
  std::unique_ptr<World> world_;
  std::unique_ptr<FirstOfMachine> first_;
};

// Each of these adds a subcommand, with its options and help, to the command line.
void add_train_command(Command app, Program& program);
void add_eval_command(Command app, Program& program);
void add_predict_command(Command app, Program& program);
void add_data_command(Command app, Program& program);
void add_model_command(Command app, Program& program);
void add_bench_command(Command app, Program& program);
void add_slurm_command(Command app, Program& program);
void add_doctor_command(Command app, Program& program);
void add_launch_command(Command app, Program& program);

/// Inserts a missing "--" before the command that `launch` starts, whose options then belong to it.
void separate_launched_command(std::vector<std::string>& words);

}  // namespace lockstep
