#include "tests/models/parity_run.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <numeric>
#include <utility>

#include "comm/collectives/communicator.h"
#include "src/core/thread_pool.h"
#include "src/device/buffer.h"
#include "src/graph/rewrites/rewrites.h"
#include "src/train/checkpoint/file_tensors.h"
#include "src/train/checkpoint/snapshot.h"
#include "src/train/step/step.h"
#include "tests/io/temporary_folder.h"
#include "tests/support/backend.h"

namespace lockstep {

namespace {

constexpr int kSteps = 3;

/// The samples of a golden case in host memory.
class GoldenBatch {
 public:
  GoldenBatch(Exec exec, const Golden& golden)
      : x_(buffer(exec, golden.at("x"), golden.signature().x_dtype)),
        y_(buffer(exec, golden.at("y"), y_dtype(golden))),
        index_(exec, Memory::pinned, static_cast<size_t>(golden.samples()) * sizeof(int64_t)) {
    std::iota(index_.as<int64_t>().begin(), index_.as<int64_t>().end(), int64_t{0});
    batch_.global_valid = golden.samples();
    batch_.x = Tensor(x_.data(), golden.signature().x_dtype, golden.at("x").shape);
    batch_.y = Tensor(y_.data(), y_dtype(golden), golden.at("y").shape);
    batch_.sample_index = Tensor(index_.data(), DType::i64, {golden.samples()});
  }
  const Batch& batch() const { return batch_; }

 private:
  static DType y_dtype(const Golden& golden) {
    return golden.signature().target_kind == TargetKind::classes ? DType::i32 : DType::f32;
  }
  static Buffer buffer(Exec exec, const Golden::Entry& entry, DType dtype) {
    Buffer values(exec, Memory::pinned, entry.single.size() * sizeof(float));
    if (dtype == DType::i32)
      std::ranges::transform(entry.single, values.as<int32_t>().begin(),
                             [](float value) { return static_cast<int32_t>(value); });
    else
      std::ranges::copy(entry.single, values.as<float>().begin());
    return values;
  }

  Buffer x_, y_, index_;
  Batch batch_;
};

/// The initial weights and statistics, as a checkpoint of which they are views.
Checkpoint initial_values(const Golden& golden) {
  Checkpoint checkpoint;
  for (const std::string& name : golden.names("start")) {
    const Golden::Entry& entry = golden.at(name);
    checkpoint.tensors.push_back(
        {name.substr(name.find(' ') + 1), ConstTensor(entry.single.data(), DType::f32, entry.shape)});
  }
  return checkpoint;
}

class Runner {
 public:
  Runner(Exec exec, const Golden& golden)
      : exec_(exec),
        golden_(golden),
        batch_(exec, golden),
        task_(exec, TrainOptions{}, golden.signature()),
        graph_(rewrite(
            build_model(golden.model(folder_.path()), task_.input(), task_.objective().network_output(), 1))),
        parameters_(exec, graph_) {
    restore_model(initial_values(golden), golden.name, exec, parameters_, "", nullptr);
  }

  ParityRun run() {
    micro_batch();
    steps();
    return std::move(result_);
  }

 private:
  /// Outputs and gradients.
  void micro_batch() {
    const int64_t rows = golden_.samples();
    const ParameterLayout& layout = parameters_.layout();
    Network network(exec_, graph_, parameters_, rows, /*training=*/true);
    const MicroBatches samples(exec_, task_, rows, 1);
    CopyStream copies(exec_);
    samples.load(copies, batch_.batch());
    copies.join();
    const test::OnBackend<MicroBatchInfo> info(
        exec_, micro_batch_info(0, rows, rows, 0, 1.0f / static_cast<float>(rows)));
    const test::Guarded<float> reduced(exec_, {layout.reduced_size()});
    train(task_, network, samples.at(0, info.get()), reduced.span(), /*joint_sum=*/nullptr,
          {.forward_done = [&](int, ConstTensor) { keep_outputs(network); }});
    const std::vector<float> sums = reduced.values();
    std::vector<float> gradients(sums.begin() + layout.gradients_offset(), sums.end());
    make_logical(layout.trained, gradients);
    for (const ParameterLayout::Slot& slot : layout.trained)
      for (const FileTensor& tensor : tensors_of(slot))
        result_.values["gradient " + tensor.name] = part(gradients, slot.offset + tensor.offset, tensor);
  }

  /// After the last layer, all outputs are there; their gradients then take their memory.
  void keep_outputs(const Network& network) {
    for (size_t k = 0; k < network.outputs().size(); ++k)
      result_.values["output " + std::to_string(k)] = test::from_backend(exec_, network.outputs()[k].values);
  }

  void steps() {
    ThreadPool pool(1);
    const std::unique_ptr<Communicator> communicator = make_self_communicator();
    const OptimizerSpec spec = golden_.optimizer();
    Optimizer optimizer(exec_, spec, parameters_.layout().blocks);
    Step step({exec_, pool, *communicator, task_, graph_, parameters_, optimizer},
              {golden_.samples(), golden_.samples(), 1}, {});
    for (int number = 1; number <= kSteps; ++number) {
      step.run(batch_.batch(), number, spec.lr);
      result_.losses.push_back(step.flush()->loss);
      if (number == 1) keep("first", "state/");
    }
    keep("last", "");
  }

  /// The weights and statistics whose names have a prefix, as they are now.
  void keep(const std::string& when, const std::string& prefix) {
    Snapshot snapshot(exec_, parameters_, "", nullptr, false);
    snapshot.take();
    snapshot.finish();
    Checkpoint checkpoint;
    snapshot.add_to(checkpoint);
    for (const auto& [name, tensor] : checkpoint.tensors) {
      if (!name.starts_with(prefix)) continue;
      const float* const values = tensor.data<float>();
      result_.values[when + " " + name] = std::vector<float>(values, values + tensor.elements());
    }
  }

  static std::vector<float> part(const std::vector<float>& values, int64_t offset, const FileTensor& tensor) {
    const auto first = values.begin() + offset;
    return {first, first + tensor.shape.elements()};
  }

  Exec exec_;
  const Golden& golden_;
  TemporaryFolder folder_;
  GoldenBatch batch_;
  Task task_;
  Graph graph_;
  Parameters parameters_;
  ParityRun result_;
};

}  // namespace

ParityRun run_golden(Exec exec, const Golden& golden) { return Runner(exec, golden).run(); }

}  // namespace lockstep
