#include "src/graph/plan.h"

#include <algorithm>

#include "src/graph/intervals.h"

namespace lockstep {

namespace {

/// Makes a plan: finds out what each event touches and from when to when that lives.
class Planner {
 public:
  Planner(const Graph& graph, int64_t n, bool training)
      : graph_(graph),
        n_(n),
        outputs_(graph.outputs()),
        needs_gradient_(values_with_gradient(graph)),
        adds_to_gradient_(layers_that_add_to_gradient(graph)),
        events_(schedule(graph, training)) {}

  struct Tensors {
    std::vector<int> inputs;
    int output = -1, workspace = -1, output_sums = -1, input_sums = -1;
    std::vector<int> saved, state_sums;
    int output_gradient = -1;
    std::vector<int> input_gradients, parameter_gradients;
  };

  /// What each event touches, as numbers of intervals().
  std::vector<Tensors> run() {
    find_last_uses();
    place_values();
    place_saved();
    place_sums();
    place_gradients();
    place_scratch();
    return touched_;
  }
  const std::vector<Event>& events() const { return events_; }
  const std::vector<Interval>& intervals() const { return intervals_; }
  /// Of each value as forward leaves it, and of its gradient; -1: there is none.
  const std::vector<int>& values() const { return values_; }
  const std::vector<int>& gradients() const { return gradients_; }

 private:
  // A value has one version for each event that computes it. touched_ holds versions until they have tensors.
  struct Version {
    int first = 0, last = 0;
    int tensor = -1;
  };

  const Graph::Node& node(int i) const { return graph_.nodes()[static_cast<size_t>(i)]; }
  int64_t value_bytes(int value) const { return graph_.value(value).batched(n_).bytes(); }
  int64_t gradient_bytes(int value) const { return graph_.gradient(value).batched(n_).bytes(); }
  /// The value of a loss.
  int output_of(const Event& loss) const { return outputs_[static_cast<size_t>(loss.index)].value; }
  static bool computes_value(const Event& event) {
    return event.kind == Event::Kind::forward || event.kind == Event::Kind::recompute;
  }

  int create(int64_t bytes, int time) {
    intervals_.push_back({time, time, bytes});
    return static_cast<int>(intervals_.size()) - 1;
  }
  void use(int tensor, int time) {
    Interval& interval = intervals_[static_cast<size_t>(tensor)];
    interval.first = std::min(interval.first, time);
    interval.last = std::max(interval.last, time);
  }

  /// Which version of each value an event reads and writes, and when each is last needed, if it had memory of
  /// its own.
  void find_last_uses() {
    touched_.resize(events_.size());
    versions_.push_back({-1, -1});
    newest_.assign(static_cast<size_t>(graph_.output()) + 1, 0);
    const auto read = [&](int value, int time) {
      const int version = newest_[static_cast<size_t>(value)];
      versions_[static_cast<size_t>(version)].last = time;
      return version;
    };
    for (int time = 0; time < static_cast<int>(events_.size()); ++time) {
      const Event& event = events_[static_cast<size_t>(time)];
      Tensors& touched = touched_[static_cast<size_t>(time)];
      if (event.kind == Event::Kind::loss) {
        touched.output = read(output_of(event), time);
        continue;
      }
      const int output = event.node + 1;
      if (computes_value(event)) {
        for (const int input : node(event.node).inputs) touched.inputs.push_back(read(input, time));
        versions_.push_back({time, time});
        touched.output = newest_[static_cast<size_t>(output)] = static_cast<int>(versions_.size()) - 1;
      } else if (event.kind == Event::Kind::backward) {
        const LayerTraits traits = node(event.node).layer->traits();
        // Where backward does not look, the version does not have to live on.
        for (const int input : node(event.node).layer_inputs())
          touched.inputs.push_back(traits.backward_reads_input ? read(input, time) : -1);
        if (node(event.node).backward_reads_output()) touched.output = read(output, time);
      }
    }
    // The main output of a network that is not trained is read by the caller.
    if (events_.empty() || events_.back().kind == Event::Kind::forward)
      read(graph_.output(), static_cast<int>(events_.size()));
  }

  void place_values() {
    Version& data = versions_[0];
    data.tensor = create(value_bytes(0), -1);
    use(data.tensor, data.last);
    values_.assign(static_cast<size_t>(graph_.output()) + 1, -1);
    values_[0] = data.tensor;
    for (int time = 0; time < static_cast<int>(events_.size()); ++time) {
      const Event& event = events_[static_cast<size_t>(time)];
      if (!computes_value(event)) continue;
      const Tensors& touched = touched_[static_cast<size_t>(time)];
      const LayerTraits traits = node(event.node).layer->traits();
      Version& output = versions_[static_cast<size_t>(touched.output)];
      const int input = versions_[static_cast<size_t>(touched.inputs[0])].tensor;
      // Writing over the input is safe when the tensor's last user of all is this very event.
      const bool in_place = traits.forward_in_place && intervals_[static_cast<size_t>(input)].last == time;
      output.tensor = traits.reshape || in_place ? input : create(value_bytes(event.node + 1), output.first);
      use(output.tensor, output.last);
      if (event.kind == Event::Kind::forward) values_[static_cast<size_t>(event.node) + 1] = output.tensor;
    }
    for (Tensors& touched : touched_) {
      for (int& input : touched.inputs) input = tensor_of(input);
      touched.output = tensor_of(touched.output);
    }
  }
  int tensor_of(int version) const {
    return version < 0 ? -1 : versions_[static_cast<size_t>(version)].tensor;
  }

  void place_saved() {
    std::vector<std::vector<int>> newest(graph_.nodes().size());
    for (int time = 0; time < static_cast<int>(events_.size()); ++time) {
      const Event& event = events_[static_cast<size_t>(time)];
      if (event.kind == Event::Kind::loss) continue;
      std::vector<int>& saved = newest[static_cast<size_t>(event.node)];
      if (computes_value(event)) {
        saved.clear();
        for (const Value& value : node(event.node).layer->saved())
          saved.push_back(create(value.bytes(), time));
      } else if (event.kind == Event::Kind::backward) {
        for (const int tensor : saved) use(tensor, time);
      } else {
        continue;
      }
      touched_[static_cast<size_t>(time)].saved = saved;
    }
  }

  /// From the layer that sums up its output to those that read it, which may be recomputed without it.
  void place_sums() {
    std::vector<int> newest(static_cast<size_t>(graph_.output()) + 1, -1);  // by value
    for (int time = 0; time < static_cast<int>(events_.size()); ++time) {
      const Event& event = events_[static_cast<size_t>(time)];
      if (!computes_value(event)) continue;
      Tensors& touched = touched_[static_cast<size_t>(time)];
      const Layer& layer = *node(event.node).layer;
      const int sums = newest[static_cast<size_t>(node(event.node).inputs[0])];
      if (sums >= 0 && layer.traits().takes_sums) {
        use(sums, time);
        touched.input_sums = sums;
      }
      if (layer.gives_sums())
        touched.output_sums = newest[static_cast<size_t>(event.node) + 1] =
            create(graph_.value(event.node + 1).channel_sums().bytes(), time);
    }
  }

  /// In the order in which backward meets them.
  void place_gradients() {
    gradients_.assign(static_cast<size_t>(graph_.output()) + 1, -1);
    for (int time = 0; time < static_cast<int>(events_.size()); ++time) {
      const Event& event = events_[static_cast<size_t>(time)];
      Tensors& touched = touched_[static_cast<size_t>(time)];
      if (event.kind == Event::Kind::loss) {
        // A loss may write the gradient over the output, unless that is needed again.
        const int output = output_of(event);
        const bool in_place = output > 0 && intervals_[static_cast<size_t>(touched.output)].last == time &&
                              graph_.gradient(output) == graph_.value(output);
        gradients_[static_cast<size_t>(output)] =
            in_place ? touched.output : create(gradient_bytes(output), time);
      }
      if (event.kind == Event::Kind::backward) {
        place_gradients_of(event.node, time);
        place_frozen_gradients_of(event.node, time);
      }
      if (event.kind == Event::Kind::add_gradient) {
        touched.inputs = {backward_of(time).input_gradients[static_cast<size_t>(event.index)]};
        touched.output_gradient =
            gradients_[static_cast<size_t>(node(event.node).inputs[static_cast<size_t>(event.index)])];
        use(touched.inputs[0], time);
        use(touched.output_gradient, time);
      }
      if (event.kind == Event::Kind::add_parameter) {
        Tensors& backward = backward_of(time);
        const std::vector<ParameterSpec> parameters = node(event.node).layer->parameters();
        backward.parameter_gradients.resize(parameters.size(), -1);
        const Shape& shape = parameters[static_cast<size_t>(event.index)].shape;
        const int scratch = create(Value{DType::f32, shape}.bytes(), backward_time(time));
        backward.parameter_gradients[static_cast<size_t>(event.index)] = scratch;
        touched.inputs = {scratch};
        use(scratch, time);
      }
    }
  }

  void place_gradients_of(int layer, int time) {
    Tensors& touched = touched_[static_cast<size_t>(time)];
    const LayerTraits traits = node(layer).layer->traits();
    touched.output_gradient = gradients_[static_cast<size_t>(layer) + 1];
    use(touched.output_gradient, time);
    const std::vector<int>& inputs = node(layer).inputs;
    // The gradient of what was added is that of the sum, and takes its memory from the layer's input.
    const bool added_shares = node(layer).adds && needs_gradient_[static_cast<size_t>(inputs.back())] &&
                              gradients_[static_cast<size_t>(inputs.back())] < 0 &&
                              std::ranges::count(inputs, inputs.back()) == 1;
    for (size_t k = 0; k < inputs.size(); ++k) {
      const auto value = static_cast<size_t>(inputs[k]);
      if (!needs_gradient_[value]) {
        touched.input_gradients.push_back(-1);
        continue;
      }
      int& gradient = gradients_[value];
      const bool shares =
          added_shares ? k + 1 == inputs.size() : k == 0 && (traits.backward_in_place || traits.reshape);
      // Where an earlier event has left a gradient, the layer adds to it, or writes to scratch memory, which
      // is then added.
      const bool adds = k == 0 && adds_to_gradient_[static_cast<size_t>(layer)];
      const int written = adds                     ? gradient
                          : gradient < 0 && shares ? touched.output_gradient
                                                   : create(gradient_bytes(static_cast<int>(value)), time);
      if (gradient < 0) gradient = written;
      use(gradient, time);
      touched.input_gradients.push_back(written);
    }
  }

  /// Frozen parameters have no place in the reduced buffer.
  void place_frozen_gradients_of(int layer, int time) {
    if (graph_.frozen(layer) && node(layer).layer->traits().skips_frozen) return;
    const std::vector<ParameterSpec> parameters = node(layer).layer->parameters();
    std::vector<int>& gradients = touched_[static_cast<size_t>(time)].parameter_gradients;
    gradients.assign(parameters.size(), -1);
    for (size_t p = 0; p < parameters.size(); ++p)
      if (graph_.tuning(layer, parameters[p].name).frozen)
        gradients[p] = create(Value{DType::f32, parameters[p].shape}.bytes(), time);
  }

  /// The event whose results an add_* event adds.
  int backward_time(int time) const {
    while (events_[static_cast<size_t>(time)].kind != Event::Kind::backward) --time;
    return time;
  }
  Tensors& backward_of(int time) { return touched_[static_cast<size_t>(backward_time(time))]; }

  /// Scratch memory lives for one event only.
  void place_scratch() {
    for (int time = 0; time < static_cast<int>(events_.size()); ++time) {
      const Event& event = events_[static_cast<size_t>(time)];
      Tensors& touched = touched_[static_cast<size_t>(time)];
      if (!computes_value(event) && event.kind != Event::Kind::backward) continue;
      const Layer& layer = *node(event.node).layer;
      if (const auto bytes = static_cast<int64_t>(layer.workspace_bytes()); bytes > 0)
        touched.workspace = create(bytes, time);
      if (event.kind == Event::Kind::recompute)
        for (const StateSpec& state : layer.states())
          touched.state_sums.push_back(create(Value{DType::f32, state.shape}.bytes(), time));
    }
  }

  const Graph& graph_;
  int64_t n_;
  std::vector<Graph::Output> outputs_;
  std::vector<bool> needs_gradient_;
  std::vector<bool> adds_to_gradient_;  // by layer
  std::vector<Event> events_;
  std::vector<Tensors> touched_;  // by event
  std::vector<Version> versions_;
  std::vector<int> newest_;  // version of each value
  std::vector<Interval> intervals_;
  std::vector<int> values_, gradients_;
};

}  // namespace

Plan::Plan(const Graph& graph, int64_t n, bool training) {
  Planner planner(graph, n, training);
  const std::vector<Planner::Tensors> touched = planner.run();
  const std::vector<int64_t> offsets = place_intervals(planner.intervals(), arena_bytes_);
  const auto placement = [&](int tensor) {
    return tensor < 0 ? Placement{}
                      : Placement{offsets[static_cast<size_t>(tensor)],
                                  planner.intervals()[static_cast<size_t>(tensor)].bytes};
  };
  const auto placements = [&](const std::vector<int>& tensors) {
    std::vector<Placement> result;
    for (const int tensor : tensors) result.push_back(placement(tensor));
    return result;
  };
  const std::vector<Event>& events = planner.events();
  for (size_t i = 0; i < events.size(); ++i) {
    const Planner::Tensors& t = touched[i];
    const Event& event = events[i];
    const bool is_reshape = event.kind != Event::Kind::loss &&
                            graph.nodes()[static_cast<size_t>(event.node)].layer->traits().reshape;
    const bool backward_ends = event.kind >= Event::Kind::backward &&
                               (i + 1 == events.size() || events[i + 1].kind <= Event::Kind::backward);
    steps_.push_back({.event = event,
                      .runs = !is_reshape || event.kind >= Event::Kind::add_gradient,
                      .inputs = placements(t.inputs),
                      .output = placement(t.output),
                      .workspace = placement(t.workspace),
                      .output_sums = placement(t.output_sums),
                      .input_sums = placement(t.input_sums),
                      .saved = placements(t.saved),
                      .state_sums = placements(t.state_sums),
                      .output_gradient = placement(t.output_gradient),
                      .input_gradients = placements(t.input_gradients),
                      .parameter_gradients = placements(t.parameter_gradients),
                      .completes_node = backward_ends});
  }
  values_ = placements(planner.values());
  gradients_ = placements(planner.gradients());
  for (const Interval& interval : planner.intervals()) unshared_bytes_ += aligned(interval.bytes);
}

}  // namespace lockstep
