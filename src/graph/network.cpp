#include "src/graph/network.h"

#include "src/ops/pointwise/add.h"

namespace lockstep {

namespace {

Graph prepared(Exec exec, const Graph& graph, int64_t micro_batch) {
  Graph copy_of_graph = graph.clone();
  const std::vector<bool> needs_gradient = values_with_gradient(copy_of_graph);
  for (Graph::Node& node : copy_of_graph.nodes()) {
    bool needs_input_gradient = false;
    for (const int input : node.inputs)
      needs_input_gradient = needs_input_gradient || needs_gradient[static_cast<size_t>(input)];
    node.layer->prepare(exec, micro_batch, needs_input_gradient);
  }
  return copy_of_graph;
}

}  // namespace

Plan plan_network(Exec exec, const Graph& graph, int64_t micro_batch, bool training) {
  return Plan(prepared(exec, graph, micro_batch), micro_batch, training);
}

struct Network::Bound {
  std::vector<ConstTensor> inputs;
  Tensor output, output_gradient;
  std::vector<ConstTensor> parameters;
  std::vector<Tensor> states, saved;
  Tensor forward_workspace, backward_workspace;
  std::vector<Tensor> input_gradients;  // where backward writes; empty where nobody reads
  std::vector<Tensor> accumulate_into;  // behind it, added to this; empty: nothing to add
  // Slices of the reduced buffer, as (offset, shape).
  std::vector<std::pair<int64_t, Shape>> parameter_gradients, state_sums;

  std::vector<Tensor> slices(const std::vector<std::pair<int64_t, Shape>>& parts, float* base) const {
    std::vector<Tensor> result;
    for (const auto& [offset, shape] : parts) result.emplace_back(base + offset, DType::f32, shape);
    return result;
  }
};

Network::~Network() = default;
Network::Network(Network&&) noexcept = default;

Tensor Network::tensor_at(const Plan::Placement& placement, DType dtype, const Shape& shape) const {
  if (placement.offset < 0) return {};
  return {arena_.data() + placement.offset, dtype, shape};
}

Network::Network(Exec exec, const Graph& graph, const Parameters& parameters, int64_t micro_batch,
                 bool training)
    : exec_(exec),
      micro_batch_(micro_batch),
      training_(training),
      graph_(prepared(exec, graph, micro_batch)),
      plan_(graph_, micro_batch, training),
      arena_(exec, Memory::device, static_cast<size_t>(plan_.arena_bytes())) {
  const auto value = [&](int v) {
    return tensor_at(plan_.value(v), DType::f32, graph_.shape(v).batched(micro_batch));
  };
  const auto gradient = [&](int v) {
    return tensor_at(plan_.gradient(v), DType::f32, graph_.shape(v).batched(micro_batch));
  };
  const auto workspace = [&](const Plan::Placement& placement) {
    return tensor_at(placement, DType::u8, {placement.bytes});
  };
  input_ = value(0);
  output_ = value(graph_.output());
  output_gradient_ = gradient(graph_.output());

  for (int i = 0; i < static_cast<int>(graph_.nodes().size()); ++i) {
    const Graph::Node& node = graph_.nodes()[static_cast<size_t>(i)];
    const Plan::NodePlan& plan = plan_.node(i);
    Bound& bound = bound_.emplace_back();
    for (const int v : node.inputs) bound.inputs.emplace_back(value(v));
    bound.output = value(i + 1);
    bound.output_gradient = gradient(i + 1);
    bound.forward_workspace = workspace(plan.forward_workspace);
    bound.backward_workspace = workspace(plan.backward_workspace);
    const std::vector<Layer::Saved> saved = node.layer->saved();
    for (size_t s = 0; s < saved.size(); ++s)
      bound.saved.push_back(tensor_at(plan.saved[s], saved[s].dtype, saved[s].shape));
    for (size_t k = 0; k < plan.input_gradients.size(); ++k) {
      const Plan::NodePlan::InputGradient& planned = plan.input_gradients[k];
      const Tensor whole = planned.wanted ? gradient(node.inputs[k]) : Tensor{};
      bound.input_gradients.push_back(
          planned.accumulate ? tensor_at(planned.scratch, DType::f32, whole.shape()) : whole);
      bound.accumulate_into.push_back(planned.accumulate ? whole : Tensor{});
    }
  }

  const ParameterLayout& layout = parameters.layout();
  for (size_t p = 0; p < layout.parameters.size(); ++p) {
    const ParameterLayout::Slot& slot = layout.parameters[p];
    Bound& bound = bound_[static_cast<size_t>(slot.node)];
    bound.parameters.emplace_back(parameters.parameter(static_cast<int>(p)));
    bound.parameter_gradients.emplace_back(layout.gradients_offset() + slot.offset, slot.shape);
  }
  for (size_t s = 0; s < layout.states.size(); ++s) {
    const ParameterLayout::Slot& slot = layout.states[s];
    Bound& bound = bound_[static_cast<size_t>(slot.node)];
    bound.states.push_back(parameters.state(static_cast<int>(s)));
    bound.state_sums.emplace_back(layout.state_sums_offset() + slot.offset, slot.shape);
  }
}

void Network::forward(const MicroBatch& batch) {
  for (size_t i = 0; i < bound_.size(); ++i) {
    if (!plan_.node(static_cast<int>(i)).runs_forward) continue;
    const Bound& bound = bound_[i];
    LayerContext context;
    context.training = training_;
    context.info = batch.info;
    context.sample_index = batch.sample_index;
    context.inputs = bound.inputs;
    context.output = bound.output;
    context.parameters = bound.parameters;
    context.states = bound.states;
    const std::vector<Tensor> state_sums =
        training_ ? bound.slices(bound.state_sums, batch.reduced.data()) : std::vector<Tensor>{};
    context.state_sums = state_sums;
    context.saved = bound.saved;
    context.workspace = bound.forward_workspace;
    context.joint_sum = batch.joint_sum;
    graph_.nodes()[i].layer->forward(context);
    if (batch.forward_done != nullptr) (*batch.forward_done)(static_cast<int>(i), bound.output);
  }
}

void Network::backward(const MicroBatch& batch, const std::function<void(int)>& node_done) {
  for (size_t i = bound_.size(); i-- > 0;) {
    const Plan::NodePlan& plan = plan_.node(static_cast<int>(i));
    if (!plan.runs_backward) continue;
    const Bound& bound = bound_[i];
    if (plan.runs_forward) {
      LayerContext context;
      context.training = true;
      context.info = batch.info;
      context.sample_index = batch.sample_index;
      context.inputs = bound.inputs;
      context.output = bound.output;
      context.parameters = bound.parameters;
      context.states = bound.states;
      context.saved = bound.saved;
      context.workspace = bound.backward_workspace;
      context.joint_sum = batch.joint_sum;
      context.output_gradient = bound.output_gradient;
      context.input_gradients = bound.input_gradients;
      const std::vector<Tensor> parameter_gradients =
          bound.slices(bound.parameter_gradients, batch.reduced.data());
      context.parameter_gradients = parameter_gradients;
      graph_.nodes()[i].layer->backward(context);
    } else if (const Tensor& to = bound.input_gradients[0]; to && to.raw() != bound.output_gradient.raw()) {
      copy(exec_, to.raw(), bound.output_gradient.raw(),
           to.bytes());  // a reshape whose input has other readers
    }
    for (size_t k = 0; k < bound.accumulate_into.size(); ++k) {
      const Tensor& sum = bound.accumulate_into[k];
      if (sum) add(exec_, sum, bound.input_gradients[k], sum);
    }
    if (!bound.parameter_gradients.empty()) node_done(static_cast<int>(i));
  }
}

void Network::update_states(const MicroBatchInfo* info, std::span<float> reduced, const StepGuard* guard) {
  for (size_t i = 0; i < bound_.size(); ++i) {
    const Bound& bound = bound_[i];
    if (bound.states.empty()) continue;
    LayerContext context;
    context.training = true;
    context.info = info;
    context.states = bound.states;
    const std::vector<Tensor> state_sums = bound.slices(bound.state_sums, reduced.data());
    context.state_sums = state_sums;
    context.guard = guard;
    graph_.nodes()[i].layer->update_state(context);
  }
}

}  // namespace lockstep
