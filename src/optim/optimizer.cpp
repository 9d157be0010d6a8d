#include "src/optim/optimizer.h"

#include <algorithm>
#include <cmath>

#include "src/core/error.h"
#include "src/core/suggest.h"
#include "src/optim/optimizer_kernels.h"

namespace lockstep {

namespace {

using Rule = OptimizerUpdate::Rule;

struct Algorithm {
  const char* name;
  Rule rule;
  bool decoupled;
  const char* state0;  ///< its name in a checkpoint
  const char* state1;
};

// A state called "momentum" is kept only where there is momentum.
constexpr Algorithm kAlgorithms[] = {
    {"sgd", Rule::sgd, false, "momentum", nullptr},
    {"adam", Rule::adam, false, "m", "v"},
    {"adamw", Rule::adam, true, "m", "v"},
    {"adagrad", Rule::adagrad, false, "sum", nullptr},
    {"rmsprop", Rule::rmsprop, false, "square_average", "momentum"},
};

const Algorithm& algorithm_named(const std::string& name) {
  std::vector<std::string> known;
  for (const Algorithm& algorithm : kAlgorithms) {
    if (algorithm.name == name) return algorithm;
    known.push_back(algorithm.name);
  }
  fail(ExitCode::usage, "unknown optimizer.name '{}'{}", name, suggestion(name, known));
}

/// NaN and infinity are in no range.
void check_range(const char* key, double value, bool good, const char* range) {
  if (!std::isfinite(value) || !good)
    fail(ExitCode::usage, "optimizer.{} = {} must be {}.", key, value, range);
}

void check(const OptimizerSpec& s, const Algorithm& algorithm) {
  const auto fraction = [](const char* key, double value) {
    check_range(key, value, value >= 0 && value < 1, "at least 0 and less than 1");
  };
  const auto not_negative = [](const char* key, double value) {
    check_range(key, value, value >= 0, "a number that is not negative");
  };
  not_negative("lr", s.lr);
  fraction("momentum", s.momentum);
  fraction("beta1", s.beta1);
  fraction("beta2", s.beta2);
  fraction("alpha", s.alpha);
  not_negative("epsilon", s.epsilon);
  not_negative("weight_decay", s.weight_decay);
  not_negative("clip_norm", s.clip_norm);
  if (s.momentum > 0 && algorithm.rule != Rule::sgd && algorithm.rule != Rule::rmsprop)
    fail(ExitCode::usage, "optimizer.momentum applies to sgd and rmsprop, not to {}: leave it out.", s.name);
  if (s.nesterov && (algorithm.rule != Rule::sgd || s.momentum == 0))
    fail(ExitCode::usage, "optimizer.nesterov needs name = \"sgd\" and a momentum greater than 0.");
}

}  // namespace

struct Optimizer::Impl {
  Exec exec;
  bool clips = false;
  double clip_norm = 0;
  OptimizerUpdate update;
  Buffer state0, state1, decay, norm_scratch, clip_scale;
  std::vector<State> states;

  /// A zeroed buffer like the weights, listed under its name, or none.
  float* add_state(Buffer& buffer, const char* name, bool wanted) {
    if (name == nullptr || !wanted) return nullptr;
    buffer = Buffer(exec, Memory::device, static_cast<size_t>(update.size) * sizeof(float));
    states.push_back({name, buffer.as<float>()});
    return buffer.as<float>().data();
  }
};

Optimizer::Optimizer(Exec exec, const OptimizerSpec& spec, int64_t size, std::span<const uint8_t> decay)
    : impl_(std::make_unique<Impl>()) {
  const Algorithm& algorithm = algorithm_named(spec.name);
  check(spec, algorithm);
  INVARIANT(size >= 0 && size % kFlatBlock == 0, "{} floats", size);
  INVARIANT(static_cast<int64_t>(decay.size()) == size / kFlatBlock, "{} blocks for {} floats", decay.size(),
            size);

  Impl& impl = *impl_;
  impl.exec = exec;
  impl.clips = spec.clip_norm > 0;
  impl.clip_norm = spec.clip_norm;
  OptimizerUpdate& update = impl.update;
  update.rule = algorithm.rule;
  update.momentum = spec.momentum;
  update.nesterov = spec.nesterov;
  update.beta1 = spec.beta1;
  update.beta2 = spec.beta2;
  update.alpha = spec.alpha;
  update.epsilon = spec.epsilon;
  update.weight_decay = spec.weight_decay;
  update.decoupled = algorithm.decoupled;
  update.size = size;

  const auto wanted = [&](const char* name) {
    return std::string_view("momentum") != name || spec.momentum > 0;
  };
  update.state0 = impl.add_state(impl.state0, algorithm.state0, wanted(algorithm.state0));
  if (algorithm.state1 != nullptr)
    update.state1 = impl.add_state(impl.state1, algorithm.state1, wanted(algorithm.state1));

  impl.norm_scratch = Buffer(exec, Memory::device, kNormScratch * sizeof(double));
  impl.clip_scale = Buffer(exec, Memory::device, sizeof(float));
  if (impl.clips) update.clip_scale = impl.clip_scale.as<float>().data();

  if (spec.weight_decay > 0 && size > 0) {
    std::vector<uint8_t> blocks(decay.begin(), decay.end());
    if (spec.decay_all) std::fill(blocks.begin(), blocks.end(), uint8_t{1});
    impl.decay = Buffer(exec, Memory::device, blocks.size());
    copy(exec, impl.decay.data(), blocks.data(), blocks.size());
    synchronize(exec);  // the copy reads `blocks`
    update.decay = impl.decay.as<uint8_t>().data();
  }
}

Optimizer::~Optimizer() = default;

void Optimizer::update(const OptimizerScalars* scalars, std::span<float> weights,
                       std::span<const float> gradients, float* gradient_norm) {
  Impl& impl = *impl_;
  const auto size = static_cast<size_t>(impl.update.size);
  INVARIANT(weights.size() == size && gradients.size() == size, "{} weights and {} gradients for {}",
            weights.size(), gradients.size(), size);
  impl.update.weights = weights.data();
  impl.update.gradients = gradients.data();
  impl.update.scalars = scalars;
  const bool needs_norm = impl.clips || gradient_norm != nullptr;
  double* const scratch = impl.norm_scratch.as<double>().data();
  float* const clip_scale = impl.clips ? impl.clip_scale.as<float>().data() : nullptr;
  if constexpr (kCuda) {
    if (impl.exec.on_cuda()) {
      if (needs_norm)
        cuda::gradient_norm(impl.exec, gradients.data(), impl.update.size, impl.clip_norm, scratch,
                            gradient_norm, clip_scale);
      return cuda::optimizer_update(impl.exec, impl.update);
    }
  }
  if (needs_norm)
    cpu::gradient_norm(impl.exec, gradients.data(), impl.update.size, impl.clip_norm, scratch, gradient_norm,
                       clip_scale);
  cpu::optimizer_update(impl.exec, impl.update);
}

const std::vector<Optimizer::State>& Optimizer::state() const { return impl_->states; }

size_t Optimizer::bytes() const {
  return impl_->state0.size() + impl_->state1.size() + impl_->decay.size() + impl_->norm_scratch.size() +
         impl_->clip_scale.size();
}

}  // namespace lockstep
