#include "src/train/observe/examination.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "src/ops/pointwise/cast.h"
#include "src/tensor/real.h"
#include "src/train/step/micro_batch.h"

namespace lockstep {

namespace {

/// More than the number of parameters of a layer.
constexpr int64_t kPerLayer = 64;

int64_t order_of_loss(const Graph& graph) { return static_cast<int64_t>(graph.nodes().size()) + 1; }
int64_t order_of_gradient(const Graph& graph, const ParameterLayout::Slot& slot) {
  const auto layers_before = static_cast<int64_t>(graph.nodes().size()) - 1 - slot.node;
  return order_of_loss(graph) + 1 + layers_before * kPerLayer + slot.index;
}

/// Keeps the first place with a non-finite number.
class Search {
 public:
  explicit Search(Exec exec) : exec_(exec) {}

  /// samples: indices of the real samples that the tensor's first rows belong to; empty if it belongs to
  /// none.
  void look(int64_t order, const float* values, int64_t elements, std::span<const int64_t> samples = {},
            int64_t rows = 1) {
    if (first_ && first_->order <= order) return;
    host_.resize(static_cast<size_t>(elements));
    copy(exec_, host_.data(), values, host_.size() * sizeof(float));
    synchronize(exec_);
    const int64_t row = std::max<int64_t>(1, elements / rows);
    const int64_t real = samples.empty() ? rows : static_cast<int64_t>(samples.size());
    int64_t bad_rows = 0, first_bad = -1;
    for (int64_t r = 0; r < real; ++r) {
      const float* const begin = host_.data() + r * row;
      if (std::all_of(begin, begin + row, [](float value) { return std::isfinite(value); })) continue;
      if (bad_rows++ == 0) first_bad = r;
    }
    if (bad_rows == 0) return;
    // Layers that combine all samples do not point to one.
    const bool is_of_one = !samples.empty() && (bad_rows < real || real == 1);
    first_ = Place{order, is_of_one ? samples[static_cast<size_t>(first_bad)] : -1};
  }
  const std::optional<Place>& first() const { return first_; }

 private:
  Exec exec_;
  std::vector<float> host_;
  std::optional<Place> first_;
};

}  // namespace

PlaceNames names_of(int64_t order, const Graph& graph, const ParameterLayout& layout) {
  if (order == 0) return {"input", "input", "input"};
  if (order < order_of_loss(graph)) {
    const std::string& layer = graph.nodes()[static_cast<size_t>(order - 1)].name;
    return {layer, layer + ".output", "forward"};
  }
  for (const ParameterLayout::Slot& slot : layout.parameters)
    if (order_of_gradient(graph, slot) == order)
      return {graph.nodes()[static_cast<size_t>(slot.node)].name, slot.name, "backward"};
  return {"loss", "loss", "loss"};
}

std::optional<Place> first_not_finite(Exec exec, const Task& task, const Graph& graph,
                                      const Parameters& parameters, const Batching& batching,
                                      int64_t first_slot, const Batch& batch, int64_t step) {
  const ParameterLayout& layout = parameters.layout();
  const int64_t rows = batching.micro_batch;
  Network network(exec, graph, parameters, rows, /*training=*/true);
  const Buffer reduced(exec, Memory::device, static_cast<size_t>(layout.reduced_size()) * sizeof(float));
  const MicroBatches samples(exec, task, rows, batching.micro_batches);
  CopyStream copies(exec);
  samples.load(copies, batch);
  Augmenter augmenter(task, network.input().shape().sample(), rows, batching.micro_batches, 1);
  augmenter.load(copies, batch);
  copies.join();
  const Buffer info(exec, Memory::device, sizeof(MicroBatchInfo));
  Search search(exec);
  for (int64_t m = 0; m < batching.micro_batches; ++m) {
    const MicroBatchInfo host_info =
        micro_batch_info(first_slot + m * rows, rows, batch.global_valid, step - 1,
                         1.0f / static_cast<float>(batch.global_valid));
    if (host_info.valid == 0) break;
    copy(exec, info.data(), &host_info, sizeof host_info);
    const std::span<const int64_t> indices(batch.sample_index.data<int64_t>() + m * rows,
                                           static_cast<size_t>(host_info.valid));
    const auto look = [&](int64_t order, ConstTensor of_samples) {
      if (!is_real(of_samples.dtype())) return;  // token ids are always finite
      const Buffer floats(exec, Memory::device, static_cast<size_t>(of_samples.elements()) * sizeof(float));
      cast(exec, of_samples, Tensor(floats.data(), DType::f32, of_samples.shape()));
      search.look(order, floats.as<float>().data(), of_samples.elements(), indices, rows);
    };
    float* const sums = reduced.as<float>().data();
    const auto look_at_gradients = [&](int node) {
      for (const ParameterLayout::Slot& slot : layout.parameters)
        if (slot.node == node && !slot.frozen)
          search.look(order_of_gradient(graph, slot), sums + layout.gradients_offset() + slot.offset,
                      slot.elements);
    };
    MicroBatch micro_batch = samples.at(m, info.as<MicroBatchInfo>().data());
    if (augmenter.is_active()) micro_batch.augmentation = {&augmenter, 0, m};
    train(task, network, micro_batch, reduced.as<float>(),
          /*joint_sum=*/nullptr,
          {.input_done = [&] { look(0, network.input()); },
           .forward_done = [&](int node, ConstTensor output) { look(1 + node, output); },
           .loss_done =
               [&] {
                 search.look(order_of_loss(graph), sums, 1);
                 for (const Network::Output& output : network.outputs())
                   look(order_of_loss(graph), output.gradient);
               },
           .gradients_done = look_at_gradients});
  }
  synchronize(exec);
  return search.first();
}

}  // namespace lockstep
