// Trains with a fault on rank 2 at step 5; started under mpirun by tests/launch/run/fault_test.cpp.
//   fault_program FAULT RUN_DIR [KEY=VALUE ...]
//   FAULT   delay-SECONDS   stands still for so long
//           leave           leaves the loop as if the run were over
//           throw           fails with an error
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "comm/watch/watchdog.h"
#include "io/probe/probe.h"
#include "launch/config/config.h"
#include "launch/run/choose_device.h"
#include "src/core/log.h"
#include "src/train/run/trainer.h"

namespace lockstep {
namespace {

struct Leave {};

void fail_as_told(const std::string& fault) {
  if (fault == "throw") throw Error(ExitCode::data, "this rank gives up");
  if (fault == "leave") throw Leave();
  const std::string delay = "delay-";
  if (fault.starts_with(delay))
    std::this_thread::sleep_for(std::chrono::duration<double>(std::stod(fault.substr(delay.size()))));
}

void train(World& world, const std::string& fault, const std::string& run_dir,
           const std::vector<std::string>& sets) {
  Config config = load_config("", sets);
  config.run.dir = run_dir;
  const Watchdog watchdog(world, config.comm.timeout_seconds);
  const ModelFactory model = [&](const Value& input, const NetworkOutput& output) {
    return build_model(config.model, input, output, config.run.seed);
  };
  const Device device = choose_device(world, config.run.device);
  Trainer trainer(world, device.exec(), config, model, std::nullopt);
  if (world.rank() == 0) std::filesystem::create_directories(run_dir + "/checkpoints");
  TrainObserver observer;
  observer.on_step = [&](const StepEvent& event) {
    if (world.rank() == 2 && event.step == 5) fail_as_told(fault);
  };
  try {
    const EndEvent end = trainer.run(observer);
    log_info("finished after {} steps", end.step);
  } catch (const Leave&) {
  }
}

}  // namespace
}  // namespace lockstep

int main(int argc, char** argv) {
  using namespace lockstep;
  if (const auto code = run_probe(argc, argv)) return *code;
  if (argc < 3) return static_cast<int>(ExitCode::usage);
  World world({.launcher = "mpirun", .one_machine = true});
  set_log_rank(world.rank(), world.size());
  try {
    train(world, argv[1], argv[2], {argv + 3, argv + argc});
    return 0;
  } catch (const Error& error) {
    log_error("{}", error.what());
    world.abort(static_cast<int>(error.code()));
  }
}
