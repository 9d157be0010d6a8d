// FOLDER STEP EVERY: trains for 20 steps on data that each rank makes in FOLDER. Rank 2 gets a bit of the
// gradients of STEP wrong; ranks are compared every EVERY steps. Run by ctest, which looks at the exit code
// and the output.
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "comm/collectives/world.h"
#include "io/import/synth_digits.h"
#include "io/probe/probe.h"
#include "models/registry.h"
#include "src/core/error.h"
#include "src/train/run/trainer.h"
#include "tests/train/control/flipping_communicator.h"

namespace lockstep {
namespace {

namespace fs = std::filesystem;

constexpr int kFaultyRank = 2;

TrainOptions options_in(const fs::path& folder, int rank, int64_t fingerprint_steps) {
  const std::string data = folder / ("rank-" + std::to_string(rank) + ".h5");
  synth_digits(data, {.train = 64, .test = 1});
  TrainOptions options;
  options.run.dir = folder / "run";
  options.run.threads = 1;
  options.data.train = {.files = {data}};
  options.train.steps = 20;
  options.train.global_batch = 16;
  options.checkpoint.every_epochs = 0;
  options.comm.bucket_bytes = 1 << 20;  // not measured: the communicator counts steps by its calls
  options.comm.fingerprint_steps = fingerprint_steps;
  return options;
}

void train(World& world, const fs::path& folder, int64_t step, int64_t fingerprint_steps) {
  if (world.rank() == 0) {
    fs::remove_all(folder);
    fs::create_directories(folder / "run");
  }
  world.barrier();
  const TrainOptions options = options_in(folder, world.rank(), fingerprint_steps);
  const ModelFactory model = [](const Value& input, const NetworkOutput& output) {
    return build_model({.name = "mlp", .keys = {{"hidden", std::vector<int64_t>{16}}}}, input, output, 1);
  };
  // The first float of the last layer's bias: behind it lie its weights and the first layer's bias and
  // weights.
  constexpr int64_t kFromEnd = 64 + 192 + 64 + 784 * 16;
  auto communicator = std::make_unique<FlippingCommunicator>(
      make_communicator(world, Exec{}, options.communicator()),
      Flip{.rank = kFaultyRank, .step = step, .from_end = kFromEnd, .bit = 22});
  TrainerParts parts;
  parts.communicator = std::move(communicator);
  Trainer(world, Exec{}, options, model, std::nullopt, std::move(parts)).run({});
}

int run(const fs::path& folder, int64_t step, int64_t fingerprint_steps) {
  World world({.launcher = "mpirun", .one_machine = true});
  try {
    train(world, folder, step, fingerprint_steps);
  } catch (const Error& error) {
    if (world.rank() != 0) world.barrier();  // rank 0 speaks and ends the job
    const bool saved = !fs::is_empty(folder / "run");
    std::fprintf(stderr, "error: %s\nrank %d: %s was written\n", error.what(), kFaultyRank,
                 saved ? "a checkpoint" : "no checkpoint");
    world.abort(static_cast<int>(error.code()));
  }
  return 0;
}

}  // namespace
}  // namespace lockstep

int main(int argc, char** argv) {
  if (const auto code = lockstep::run_probe(argc, argv)) return *code;
  return lockstep::run(argv[1], std::atoll(argv[2]), std::atoll(argv[3]));
}
