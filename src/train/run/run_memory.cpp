#include "src/train/run/run_memory.h"

#include <algorithm>

#include "io/dataset/loader.h"

namespace lockstep {

namespace {

int batches_held(const std::unique_ptr<Dataset>& dataset, Exec exec) {
  return dataset ? Loader::Options{.threads = loader_threads(*dataset, exec)}.batches_held() : 0;
}

}  // namespace

double MemoryUse::difference() const {
  const auto planned_bytes = static_cast<double>(std::max<int64_t>(1, planned_on.total()));
  return (static_cast<double>(allocated.total()) - planned_bytes) / planned_bytes;
}

TrainingMemory planned_memory(const TrainOptions& options, const TrainingSetup& setup, const TrainData& data,
                              const Evaluator* evaluator, const World& world) {
  const Exec exec = setup.exec;
  const int busy = std::min(setup.pool.lanes(), setup.batching.micro_batches);
  int64_t longest = 0;
  for (const Bucket& bucket : setup.step.buckets()) longest = std::max(longest, bucket.size);
  TrainingMemory memory = training_memory(
      {.options = options,
       .layout = setup.parameters.layout(),
       .data = setup.task.data(),
       .batching = setup.batching,
       .evaluation_batch = setup.evaluation_batch,
       .ranks = world.size(),
       .lanes = setup.pool.lanes(),
       .on_cuda = exec.on_cuda(),
       .longest_bucket = longest,
       .training_arena = static_cast<int64_t>(setup.step.activation_bytes()) / busy,
       .augmentation = setup.step.augmenter().lane_bytes(),
       .evaluation_arena = evaluator != nullptr ? evaluator->lane_bytes() : 0,
       .loader_batches = batches_held(data.train, exec),
       .evaluation_batches = std::max(batches_held(data.validation, exec), batches_held(data.test, exec))});
  if (world.rank() != 0) memory.snapshot = 0;
  return memory;
}

}  // namespace lockstep
