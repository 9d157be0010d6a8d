#include "src/optim/optimizer.h"

#include <algorithm>
#include <cmath>

#include "src/core/error.h"
#include "src/core/suggest.h"
#include "src/optim/kept_state.h"
#include "src/optim/optimizer_kernels.h"

namespace lockstep {

namespace {

using Rule = OptimizerUpdate::Rule;

struct Algorithm {
  const char* name;
  Rule rule;
  bool decoupled;
  const char* state0;  ///< its name in a checkpoint; null: it keeps none
  const char* state1;
};

// keeps_state() says which of the states a run has.
constexpr Algorithm kAlgorithms[] = {
    {"sgd", Rule::sgd, false, "momentum", nullptr},
    {"adam", Rule::adam, false, "m", "v"},
    {"adamw", Rule::adam, true, "m", "v"},
    {"adagrad", Rule::adagrad, false, "sum", nullptr},
    {"rmsprop", Rule::rmsprop, false, "square_average", "momentum"},
    {"lars", Rule::lars, false, "momentum", nullptr},
    {"lamb", Rule::lamb, true, "m", "v"},
};

const Algorithm& algorithm_named(const std::string& name) {
  for (const Algorithm& algorithm : kAlgorithms)
    if (algorithm.name == name) return algorithm;
  fail(ExitCode::usage, "unknown optimizer.name '{}'{}", name, suggestion(name, optimizer_names()));
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
  not_negative("trust", s.trust);
  not_negative("weight_decay", s.weight_decay);
  not_negative("clip_norm", s.clip_norm);
  if (s.nesterov && algorithm.rule == Rule::sgd && s.momentum == 0)
    fail(ExitCode::usage, "optimizer.nesterov = true needs an optimizer.momentum above 0.");
}

/// The functions of one backend.
struct Kernels {
  decltype(&cpu::optimizer_update) update;
  decltype(&cpu::add_squares_of_gradients) add_squares_of_gradients;
  decltype(&cpu::clip) clip;
  decltype(&cpu::add_squares_by_parameter) add_squares_by_parameter;
  decltype(&cpu::trust_ratios) trust_ratios;
};

Kernels kernels_of(Exec exec) {
  if constexpr (kCuda) {
    if (exec.on_cuda())
      return {cuda::optimizer_update, cuda::add_squares_of_gradients, cuda::clip,
              cuda::add_squares_by_parameter, cuda::trust_ratios};
  }
  return {cpu::optimizer_update, cpu::add_squares_of_gradients, cpu::clip, cpu::add_squares_by_parameter,
          cpu::trust_ratios};
}

template <typename T>
Buffer upload(Exec exec, const std::vector<T>& values) {
  Buffer buffer(exec, Memory::device, values.size() * sizeof(T));
  copy(exec, buffer.data(), values.data(), buffer.size());
  synchronize(exec);  // the copy reads `values`
  return buffer;
}

/// Exact sums, of which every rank fills its own part and sees all.
class SharedSums {
 public:
  SharedSums() = default;
  SharedSums(Exec exec, int64_t count, const OptimizerShare& share)
      : ranks_(share.ranks), slot_(share.slot), stride_((count + kGrain - 1) / kGrain * kGrain) {
    buffer_ = Buffer(exec, Memory::device, static_cast<size_t>(ranks_ * stride_) * sizeof(ExactSum));
  }

  /// This rank's sums, all zero.
  ExactSum* clear(Exec exec) const {
    ExactSum* const mine = buffer_.as<ExactSum>().data() + slot_ * stride_;
    fill_zero(exec, mine, static_cast<size_t>(stride_) * sizeof(ExactSum));
    return mine;
  }
  SumsOfRanks gather(const OptimizerShare& share) const {
    if (share.gather && buffer_.size() > 0) share.gather(buffer_.as<float>());
    return {buffer_.as<ExactSum>().data(), ranks_, stride_};
  }
  size_t bytes() const { return buffer_.size(); }

 private:
  static constexpr int64_t kGrain = 8;  ///< sums that fill whole blocks of floats
  static_assert(kGrain * sizeof(ExactSum) % (kFlatBlock * sizeof(float)) == 0);
  Buffer buffer_;
  int ranks_ = 1, slot_ = 0;
  int64_t stride_ = 0;
};

/// Which blocks a share holds.
std::vector<int32_t> blocks_of(const OptimizerShare& share, int64_t blocks) {
  std::vector<int32_t> result;
  for (const OptimizerShare::Range& range : share.ranges) {
    const int64_t first = range.offset / kFlatBlock, end = first + range.size / kFlatBlock;
    INVARIANT(range.offset % kFlatBlock == 0 && range.size % kFlatBlock == 0 && range.size >= 0 &&
                  end <= blocks && first >= (result.empty() ? 0 : result.back() + 1),
              "{} floats at {} of {} blocks", range.size, range.offset, blocks);
    for (int64_t block = first; block < end; ++block) result.push_back(static_cast<int32_t>(block));
  }
  return result;
}

/// For each block the number of its parameter among those that weight decay applies to, or -1; and how many
/// there are. A parameter's blocks are neighbours.
struct Adapted {
  std::vector<int32_t> of_block;
  int64_t count = 0;

  Adapted(std::span<const FlatBlock> blocks, bool all) {
    for (size_t i = 0; i < blocks.size(); ++i) {
      const bool adapted = all || blocks[i].decays;
      if (adapted && (i == 0 || blocks[i].parameter != blocks[i - 1].parameter)) ++count;
      of_block.push_back(adapted ? static_cast<int32_t>(count - 1) : -1);
    }
  }
};

}  // namespace

struct Optimizer::Impl {
  Exec exec;
  Kernels kernels;
  OptimizerShare share;
  size_t flat_size = 0;
  bool clips = false;
  double clip_norm = 0;
  OptimizerUpdate update;
  Buffer state0, state1, flat_block, decay, adapted, ratios, clip_scale;
  SharedSums norm_sums, parameter_sums;
  std::vector<State> states;

  bool adapts() const { return update.rule == Rule::lars || update.rule == Rule::lamb; }

  /// A zeroed buffer like this share of the weights, listed under its name.
  float* add_state(Buffer& buffer, const char* name) {
    buffer = Buffer(exec, Memory::device, static_cast<size_t>(update.blocks * kFlatBlock) * sizeof(float));
    states.push_back({name, buffer.as<float>()});
    return buffer.as<float>().data();
  }

  /// Tells the kernels what each block of this share is.
  void describe_blocks(const OptimizerSpec& spec, std::span<const FlatBlock> blocks,
                       const std::vector<int32_t>& mine) {
    const bool is_part = mine.size() < blocks.size();
    if (is_part) {
      flat_block = upload(exec, mine);
      update.flat_block = flat_block.as<int32_t>().data();
    }
    if (spec.weight_decay > 0) {
      std::vector<uint8_t> decays;
      for (const int32_t block : mine)
        decays.push_back(spec.decay_all || blocks[static_cast<size_t>(block)].decays ? 1 : 0);
      decay = upload(exec, decays);
      update.decay = decay.as<uint8_t>().data();
    }
    if (!adapts()) return;
    const Adapted all(blocks, spec.decay_all);
    std::vector<int32_t> of_mine;
    for (const int32_t block : mine) of_mine.push_back(all.of_block[static_cast<size_t>(block)]);
    adapted = upload(exec, of_mine);
    ratios = Buffer(exec, Memory::device, static_cast<size_t>(all.count) * sizeof(float));
    parameter_sums = SharedSums(exec, 2 * all.count, share);
    update.adapted = adapted.as<int32_t>().data();
    update.ratio_count = all.count;
    update.ratios = ratios.as<float>().data();
  }
};

const std::vector<std::string>& optimizer_names() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> all;
    for (const Algorithm& algorithm : kAlgorithms) all.emplace_back(algorithm.name);
    return all;
  }();
  return names;
}

Optimizer::Optimizer(Exec exec, const OptimizerSpec& spec, std::span<const FlatBlock> blocks,
                     const std::optional<OptimizerShare>& share)
    : impl_(std::make_unique<Impl>()) {
  const Algorithm& algorithm = algorithm_named(spec.name);
  check(spec, algorithm);

  Impl& impl = *impl_;
  impl.exec = exec;
  impl.kernels = kernels_of(exec);
  impl.flat_size = blocks.size() * kFlatBlock;
  impl.share = share.value_or(OptimizerShare{.ranges = {{0, static_cast<int64_t>(impl.flat_size)}}});
  impl.clips = spec.clip_norm > 0;
  impl.clip_norm = spec.clip_norm;
  const std::vector<int32_t> mine = blocks_of(impl.share, static_cast<int64_t>(blocks.size()));
  OptimizerUpdate& update = impl.update;
  update.rule = algorithm.rule;
  update.momentum = spec.momentum;
  update.nesterov = spec.nesterov;
  update.beta1 = spec.beta1;
  update.beta2 = spec.beta2;
  update.alpha = spec.alpha;
  update.epsilon = spec.epsilon;
  update.trust = spec.trust;
  update.weight_decay = spec.weight_decay;
  update.decoupled = algorithm.decoupled;
  update.blocks = static_cast<int64_t>(mine.size());

  const auto state = [&](Buffer& buffer, const char* name) {
    return keeps_state(name, spec.momentum) ? impl.add_state(buffer, name) : nullptr;
  };
  update.state0 = state(impl.state0, algorithm.state0);
  update.state1 = state(impl.state1, algorithm.state1);

  impl.norm_sums = SharedSums(exec, 1, impl.share);
  impl.clip_scale = Buffer(exec, Memory::device, sizeof(float));
  if (impl.clips) update.clip_scale = impl.clip_scale.as<float>().data();
  impl.describe_blocks(spec, blocks, mine);
}

Optimizer::~Optimizer() = default;

void Optimizer::measure(std::span<const float> gradients, float* gradient_norm) {
  Impl& impl = *impl_;
  INVARIANT(gradients.size() == impl.flat_size, "{} gradients for {}", gradients.size(), impl.flat_size);
  impl.update.gradients = gradients.data();
  impl.kernels.add_squares_of_gradients(impl.exec, impl.update, impl.norm_sums.clear(impl.exec));
  impl.kernels.clip(impl.exec, impl.norm_sums.gather(impl.share), impl.clip_norm, gradient_norm,
                    impl.clips ? impl.clip_scale.as<float>().data() : nullptr);
}

void Optimizer::update(const OptimizerScalars* scalars, std::span<float> weights,
                       std::span<const float> gradients, const StepGuard* guard) {
  Impl& impl = *impl_;
  const Exec exec = impl.exec;
  INVARIANT(weights.size() == impl.flat_size && gradients.size() == impl.flat_size,
            "{} weights and {} gradients for {}", weights.size(), gradients.size(), impl.flat_size);
  OptimizerUpdate& update = impl.update;
  update.weights = weights.data();
  update.gradients = gradients.data();
  update.scalars = scalars;
  update.guard = guard;
  if (impl.adapts()) {
    impl.kernels.add_squares_by_parameter(exec, update, impl.parameter_sums.clear(exec));
    impl.kernels.trust_ratios(exec, update, impl.parameter_sums.gather(impl.share));
  }
  impl.kernels.update(exec, update);
}

const std::vector<Optimizer::State>& Optimizer::state() const { return impl_->states; }

size_t Optimizer::bytes() const {
  size_t bytes = impl_->norm_sums.bytes() + impl_->parameter_sums.bytes();
  for (const Buffer* buffer : {&impl_->state0, &impl_->state1, &impl_->flat_block, &impl_->decay,
                               &impl_->adapted, &impl_->ratios, &impl_->clip_scale})
    bytes += buffer->size();
  return bytes;
}

}  // namespace lockstep
