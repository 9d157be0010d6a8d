#include "src/graph/network.h"

#include "src/core/error.h"
#include "src/core/step_part.h"
#include "src/ops/pointwise/add.h"

namespace lockstep {

namespace {

Graph prepared(Exec exec, const Graph& graph, int64_t micro_batch, bool training) {
  Graph copy_of_graph = graph.clone();
  const std::vector<bool> needs_gradient = values_with_gradient(copy_of_graph);
  const std::vector<bool> computed = computed_values(copy_of_graph, training);
  const std::vector<bool> adds_to_gradient = layers_that_add_to_gradient(copy_of_graph);
  for (size_t i = 0; i < computed.size() - 1; ++i) {
    if (!computed[i + 1]) continue;
    Graph::Node& node = copy_of_graph.nodes()[i];
    bool needs_input_gradient = false;
    for (const int input : node.layer_inputs())
      needs_input_gradient = needs_input_gradient || needs_gradient[static_cast<size_t>(input)];
    node.layer->prepare({.exec = exec,
                         .samples = micro_batch,
                         .needs_input_gradient = needs_input_gradient,
                         .adds = node.adds,
                         .activation = node.activation,
                         .adds_to_gradient = adds_to_gradient[i],
                         .sums = training && node.sums,
                         .type = activation_type(graph.precision()),
                         .output = node.output.dtype,
                         .tf32 = graph.precision() == Precision::tf32});
  }
  return copy_of_graph;
}

}  // namespace

Plan plan_network(Exec exec, const Graph& graph, int64_t micro_batch, bool training) {
  return Plan(prepared(exec, graph, micro_batch, training), micro_batch, training);
}

/// A slice of the reduced buffer; an offset of -1: what is frozen has none.
struct Network::Slice {
  int64_t offset = 0;
  Shape shape;

  Tensor in(std::span<float> reduced) const {
    return offset < 0 ? Tensor{} : Tensor(reduced.data() + offset, DType::f32, shape);
  }
};

/// What a layer has, whatever happens to it.
struct Network::Bound {
  std::vector<ConstTensor> parameters;
  std::vector<Tensor> states;
  std::vector<Slice> parameter_gradients, state_sums;
  bool frozen = false;

  static std::vector<Tensor> in(std::span<float> reduced, const std::vector<Slice>& slices) {
    std::vector<Tensor> result;
    for (const Slice& slice : slices) result.push_back(slice.in(reduced));
    return result;
  }
};

/// The tensors of one event, found once.
struct Network::Action {
  Event event;
  bool runs = true, completes_node = false;
  std::vector<ConstTensor> inputs;
  ConstTensor added;
  Tensor output, workspace, output_sums, input_sums, output_gradient, added_gradient;
  std::vector<Tensor> saved, state_sums, input_gradients, parameter_gradients;
};

Network::~Network() = default;
Network::Network(Network&&) noexcept = default;

Tensor Network::tensor_at(const Plan::Placement& placement, const Value& value) const {
  if (placement.offset < 0) return {};
  return {arena_ + placement.offset, value.dtype, value.shape};
}

Network::Network(Exec exec, const Graph& graph, const Parameters& parameters, int64_t micro_batch,
                 bool training, const Network* shares)
    : exec_(exec),
      micro_batch_(micro_batch),
      training_(training),
      graph_(prepared(exec, graph, micro_batch, training)),
      plan_(graph_, micro_batch, training),
      own_arena_(exec, Memory::device,
                 shares != nullptr && shares->plan_.arena_bytes() >= plan_.arena_bytes()
                     ? 0
                     : static_cast<size_t>(plan_.arena_bytes())),
      arena_(own_arena_.size() > 0 || shares == nullptr ? own_arena_.data() : shares->arena_) {
  const auto batched = [&](int value) { return graph_.value(value).batched(micro_batch); };
  const auto gradient = [&](int value) { return graph_.gradient(value).batched(micro_batch); };
  input_ = tensor_at(plan_.value(0), batched(0));
  for (const Graph::Output& output : graph_.outputs())
    outputs_.push_back({tensor_at(plan_.value(output.value), batched(output.value)),
                        tensor_at(plan_.gradient(output.value), gradient(output.value)),
                        static_cast<float>(output.weight)});
  for (const Plan::Step& step : plan_.steps()) {
    if (step.event.kind == Event::Kind::loss)
      backward_begins_ = actions_.size();
    else
      actions_.push_back(bind(step));
  }
  if (plan_.steps().empty() || plan_.steps().back().event.kind == Event::Kind::forward)
    backward_begins_ = actions_.size();
  bind_parameters(parameters);
}

Network::Action Network::bind(const Plan::Step& step) const {
  const Graph::Node& node = graph_.nodes()[static_cast<size_t>(step.event.node)];
  const auto batched = [&](int value) { return graph_.value(value).batched(micro_batch_); };
  const auto gradient = [&](int value) { return graph_.gradient(value).batched(micro_batch_); };
  Action action;
  action.event = step.event;
  action.runs = step.runs;
  action.completes_node = step.completes_node;
  const auto index = static_cast<size_t>(step.event.index);
  if (step.event.kind == Event::Kind::add_gradient) {
    const Value value = gradient(node.inputs[index]);
    action.inputs.emplace_back(tensor_at(step.inputs[0], value));
    action.output_gradient = tensor_at(step.output_gradient, value);
    return action;
  }
  const std::vector<ParameterSpec> parameters = node.layer->parameters();
  if (step.event.kind == Event::Kind::add_parameter) {
    action.inputs.emplace_back(tensor_at(step.inputs[0], {DType::f32, parameters[index].shape}));
    return action;
  }
  for (size_t k = 0; k < step.inputs.size(); ++k)
    action.inputs.emplace_back(tensor_at(step.inputs[k], batched(node.inputs[k])));
  action.output = tensor_at(step.output, batched(step.event.node + 1));
  const auto sums = [&](const Plan::Placement& placement, int value) {
    return placement.offset < 0 ? Tensor{} : tensor_at(placement, graph_.value(value).channel_sums());
  };
  action.output_sums = sums(step.output_sums, step.event.node + 1);
  action.input_sums = sums(step.input_sums, node.inputs[0]);
  action.output_gradient = tensor_at(step.output_gradient, gradient(step.event.node + 1));
  action.workspace = tensor_at(step.workspace, {DType::u8, {step.workspace.bytes}});
  const std::vector<Value> saved = node.layer->saved();
  for (size_t s = 0; s < step.saved.size(); ++s) action.saved.push_back(tensor_at(step.saved[s], saved[s]));
  const std::vector<StateSpec> states = node.layer->states();
  for (size_t s = 0; s < step.state_sums.size(); ++s)
    action.state_sums.push_back(tensor_at(step.state_sums[s], {DType::f32, states[s].shape}));
  for (size_t k = 0; k < step.input_gradients.size(); ++k)
    action.input_gradients.push_back(tensor_at(step.input_gradients[k], gradient(node.inputs[k])));
  for (size_t p = 0; p < step.parameter_gradients.size(); ++p)
    action.parameter_gradients.push_back(
        tensor_at(step.parameter_gradients[p], {DType::f32, parameters[p].shape}));
  if (node.adds && action.inputs.size() == node.inputs.size()) {
    action.added = action.inputs.back();
    action.inputs.pop_back();
  }
  if (node.adds && !action.input_gradients.empty()) {
    action.added_gradient = action.input_gradients.back();
    action.input_gradients.pop_back();
  }
  return action;
}

void Network::bind_parameters(const Parameters& parameters) {
  const ParameterLayout& layout = parameters.layout();
  if (layout.weighted_outputs > 0) output_metrics_offset_ = layout.output_metrics_offset();
  const auto slice = [](int64_t start, const ParameterLayout::Slot& slot) {
    return Slice{slot.frozen ? -1 : start + slot.offset, slot.shape};
  };
  bound_.resize(graph_.nodes().size());
  for (size_t node = 0; node < bound_.size(); ++node) {
    bound_[node].frozen = graph_.frozen(static_cast<int>(node));
    const std::vector<ParameterSpec> specs = graph_.nodes()[node].layer->parameters();
    for (size_t p = 0; p < specs.size(); ++p) {
      const int number = layout.parameters_of_node[node][p];
      const ParameterLayout::Slot& slot = layout.parameters[static_cast<size_t>(number)];
      const DType type = graph_.read_type(static_cast<int>(node), specs[p]);
      INVARIANT(type == layout.working_type || slot.read_as_f32, "{} is unexpectedly read as {}", slot.name,
                to_string(type));
      bound_[node].parameters.emplace_back(parameters.parameter(number, type));
      bound_[node].parameter_gradients.push_back(slice(layout.gradients_offset(), slot));
    }
  }
  for (size_t s = 0; s < layout.states.size(); ++s) {
    const ParameterLayout::Slot& slot = layout.states[s];
    Bound& bound = bound_[static_cast<size_t>(slot.node)];
    bound.states.push_back(parameters.state(static_cast<int>(s)));
    bound.state_sums.push_back(slice(layout.state_sums_offset(), slot));
  }
}

Tensor Network::output_metrics(size_t k, std::span<float> reduced) const {
  if (output_metrics_offset_ < 0) return {};
  return {reduced.data() + output_metrics_offset_ + static_cast<int64_t>(k) * kLossMetrics,
          DType::f32,
          {kLossMetrics}};
}

LayerContext Network::context_of(const Action& action, const MicroBatch& batch) const {
  const Bound& bound = bound_[static_cast<size_t>(action.event.node)];
  LayerContext context;
  context.training = training_ && !bound.frozen;
  context.info = batch.info;
  context.sample_index = batch.sample_index;
  context.inputs = action.inputs;
  context.added = action.added;
  context.output_sums = action.output_sums;
  context.input_sums = action.input_sums;
  context.output = action.output;
  context.parameters = bound.parameters;
  context.states = bound.states;
  context.saved = action.saved;
  context.workspace = action.workspace;
  context.joint_sum = bound.frozen ? nullptr : batch.joint_sum;
  return context;
}

void Network::run_forward(const Action& action, const MicroBatch& batch) {
  if (!action.runs) return;
  const Graph::Node& node = graph_.nodes()[static_cast<size_t>(action.event.node)];
  const bool is_forward = action.event.kind == Event::Kind::forward;
  const StepPlaceScope place(is_forward ? StepPart::forward : StepPart::backward, node.name);
  LayerContext context = context_of(action, batch);
  std::vector<Tensor> state_sums = action.state_sums;
  if (training_ && is_forward)
    state_sums = Bound::in(batch.reduced, bound_[static_cast<size_t>(action.event.node)].state_sums);
  context.state_sums = state_sums;
  node.layer->forward(context);
}

void Network::run_backward(const Action& action, const MicroBatch& batch) {
  const Graph::Node& node = graph_.nodes()[static_cast<size_t>(action.event.node)];
  if (!action.runs) {
    // A reshape whose input has other readers.
    if (const Tensor& to = action.input_gradients[0]; to && to.raw() != action.output_gradient.raw())
      copy(exec_, to.raw(), action.output_gradient.raw(), to.bytes());
    return;
  }
  LayerContext context = context_of(action, batch);
  context.output_gradient = action.output_gradient;
  context.input_gradients = action.input_gradients;
  context.added_gradient = action.added_gradient;
  std::vector<Tensor> gradients =
      Bound::in(batch.reduced, bound_[static_cast<size_t>(action.event.node)].parameter_gradients);
  for (size_t p = 0; p < action.parameter_gradients.size(); ++p)
    if (action.parameter_gradients[p]) gradients[p] = action.parameter_gradients[p];
  context.parameter_gradients = gradients;
  node.layer->backward(context);
}

void Network::forward(const MicroBatch& batch) {
  for (size_t i = 0; i < backward_begins_; ++i) {
    const Action& action = actions_[i];
    run_forward(action, batch);
    if (action.runs && batch.forward_done != nullptr) (*batch.forward_done)(action.event.node, action.output);
  }
}

void Network::backward(const MicroBatch& batch, const std::function<void(int)>& node_done) {
  for (size_t i = backward_begins_; i < actions_.size(); ++i) {
    const Action& action = actions_[i];
    const Bound& bound = bound_[static_cast<size_t>(action.event.node)];
    const StepPlaceScope place(StepPart::backward,
                               graph_.nodes()[static_cast<size_t>(action.event.node)].name);
    switch (action.event.kind) {
      case Event::Kind::recompute:
        run_forward(action, batch);
        continue;
      case Event::Kind::add_gradient:
        add(exec_, action.output_gradient, action.inputs[0], action.output_gradient);
        break;
      case Event::Kind::add_parameter: {
        const Tensor sum =
            bound.parameter_gradients[static_cast<size_t>(action.event.index)].in(batch.reduced);
        add(exec_, sum, action.inputs[0], sum);
        break;
      }
      default:
        run_backward(action, batch);
    }
    if (action.completes_node && !bound.parameter_gradients.empty()) node_done(action.event.node);
  }
}

void Network::update_states(const MicroBatchInfo* info, std::span<float> reduced, const StepGuard* guard) {
  for (size_t i = 0; i < bound_.size(); ++i) {
    const Bound& bound = bound_[i];
    if (bound.states.empty() || bound.frozen) continue;
    LayerContext context;
    context.training = true;
    context.info = info;
    context.states = bound.states;
    const std::vector<Tensor> state_sums = Bound::in(reduced, bound.state_sums);
    context.state_sums = state_sums;
    context.guard = guard;
    graph_.nodes()[i].layer->update_state(context);
  }
}

}  // namespace lockstep
