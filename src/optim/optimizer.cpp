#include "src/optim/optimizer.h"

#include <algorithm>
#include <cmath>

#include "src/core/error.h"
#include "src/device/with_cuda.h"
#include "src/optim/update_rules.h"

namespace lockstep {

namespace {

void check(const char* key, double value, const Range& range) {
  if (!std::isfinite(value) || !range.contains(value))
    fail(ExitCode::usage, "optimizer.{} = {} must be {}.", key, value, to_string(range));
}

void check(const OptimizerSpec& spec) {
  check("lr", spec.lr, kNotNegative);
  for (const Hyperparameter* hyperparameter : hyperparameters())
    if (const auto* number = std::get_if<HyperparameterField<double>>(&hyperparameter->field))
      check(hyperparameter->key, spec.*number->spec, hyperparameter->range);
  check("weight_decay", spec.weight_decay, kNotNegative);
  check("clip_norm", spec.clip_norm, kNotNegative);
}

/// Tells kernels the numbers that the rule has.
void copy_hyperparameters(const UpdateRule& rule, const OptimizerSpec& spec, OptimizerUpdate& update) {
  for (const Hyperparameter* hyperparameter : rule.hyperparameters)
    if (hyperparameter != nullptr)
      std::visit([&](const auto& field) { update.*field.update = spec.*field.spec; }, hyperparameter->field);
  if (update.nesterov && update.momentum == 0)
    fail(ExitCode::usage, "optimizer.nesterov = true needs an optimizer.momentum above 0.");
  update.weight_decay = spec.weight_decay;
  update.decoupled = rule.decouples_decay;
  update.trust_ratio = rule.trust_ratio;
}

/// The functions of one backend.
struct Kernels {
  UpdateFunction update;
  decltype(&cpu::add_squares_of_gradients) add_squares_of_gradients;
  decltype(&cpu::judge_step) judge_step;
  decltype(&cpu::add_squares_by_parameter) add_squares_by_parameter;
  decltype(&cpu::trust_ratios) trust_ratios;
};

Kernels kernels_of(Exec exec, const UpdateRule& rule) {
  if constexpr (kCuda) {
    if (exec.on_cuda())
      return {rule.cuda, cuda::add_squares_of_gradients, cuda::judge_step, cuda::add_squares_by_parameter,
              cuda::trust_ratios};
  }
  return {rule.cpu, cpu::add_squares_of_gradients, cpu::judge_step, cpu::add_squares_by_parameter,
          cpu::trust_ratios};
}

/// Exact sums, of which every rank fills its own part and sees all.
class SharedSums {
 public:
  SharedSums() = default;
  SharedSums(Exec exec, int64_t count, const OptimizerShare& share)
      : ranks_(share.ranks), slot_(share.slot), stride_((count + kGrain - 1) / kGrain * kGrain) {
    buffer_ = Buffer(exec, Memory::device, static_cast<size_t>(bytes_of(count, ranks_)));
  }

  SumsOfRanks sums() const { return {buffer_.as<ExactSum>().data(), ranks_, slot_, stride_}; }
  void gather(const OptimizerShare& share) const {
    if (share.gather && buffer_.size() > 0) share.gather(buffer_.as<float>());
  }
  size_t bytes() const { return buffer_.size(); }
  /// The same, before there is one.
  static int64_t bytes_of(int64_t count, int64_t ranks) {
    return ranks * ((count + kGrain - 1) / kGrain * kGrain) * static_cast<int64_t>(sizeof(ExactSum));
  }

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

bool scales_rates(std::span<const FlatBlock> blocks) {
  return std::ranges::any_of(blocks, [](const FlatBlock& block) { return block.lr_scale != 1; });
}

}  // namespace

struct Optimizer::Impl {
  Exec exec;
  Kernels kernels;
  OptimizerShare share;
  size_t flat_size = 0;
  OptimizerUpdate update;
  Buffer state0, state1, flat_block, decay, lr_scale, adapted, ratios, gradient_scale;
  SharedSums norm_sums, parameter_sums;
  std::vector<State> states;

  bool adapts() const { return update.trust_ratio != TrustRatio::none; }

  /// A zeroed buffer like this share of the weights, listed under its name.
  float* add_state(Buffer& buffer, const std::string& name) {
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
    if (scales_rates(blocks)) {
      std::vector<float> scales;
      for (const int32_t block : mine) scales.push_back(blocks[static_cast<size_t>(block)].lr_scale);
      lr_scale = upload(exec, scales);
      update.lr_scale = lr_scale.as<float>().data();
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

Optimizer::Optimizer(Exec exec, const OptimizerSpec& spec, std::span<const FlatBlock> blocks,
                     const std::optional<OptimizerShare>& share)
    : impl_(std::make_unique<Impl>()) {
  const UpdateRule& rule = update_rule_named(spec.name);
  check(spec);

  Impl& impl = *impl_;
  impl.exec = exec;
  impl.kernels = kernels_of(exec, rule);
  impl.flat_size = blocks.size() * kFlatBlock;
  impl.share = share.value_or(OptimizerShare{.ranges = {{0, static_cast<int64_t>(impl.flat_size)}}});
  const std::vector<int32_t> mine = blocks_of(impl.share, static_cast<int64_t>(blocks.size()));
  OptimizerUpdate& update = impl.update;
  copy_hyperparameters(rule, spec, update);
  update.blocks = static_cast<int64_t>(mine.size());

  const auto [first, second] = rule.states;
  if (first.is_kept(spec)) update.state0 = impl.add_state(impl.state0, first.name);
  if (second.is_kept(spec)) update.state1 = impl.add_state(impl.state1, second.name);

  impl.norm_sums = SharedSums(exec, 1, impl.share);
  impl.gradient_scale = upload(exec, std::vector<float>{1.0f});
  update.clip_norm = spec.clip_norm;
  update.gradient_scale = impl.gradient_scale.as<float>().data();
  impl.describe_blocks(spec, blocks, mine);
}

Optimizer::~Optimizer() = default;

OptimizerScalars Optimizer::scalars(double lr, int64_t number) const {
  const auto rounded_lr = static_cast<float>(lr);
  const auto t = static_cast<double>(number);
  // In double, because 1 - 0.999^t has few digits left in float.
  const double mean = 1.0 - std::pow(impl_->update.beta1, t), square = 1.0 - std::pow(impl_->update.beta2, t);
  return {.lr = rounded_lr,
          .unbiased_lr = static_cast<float>(static_cast<double>(rounded_lr) / mean),
          .unbias_mean = static_cast<float>(1.0 / mean),
          .unbias_root = static_cast<float>(1.0 / std::sqrt(square))};
}

void Optimizer::judge(std::span<const float> gradients, const StepJudgement& step) {
  Impl& impl = *impl_;
  INVARIANT(gradients.size() == impl.flat_size, "{} gradients for {}", gradients.size(), impl.flat_size);
  impl.update.gradients = gradients.data();
  impl.kernels.add_squares_of_gradients(impl.exec, impl.update, impl.norm_sums.sums(), step);
  if (impl.share.ranks == 1) return;
  impl.norm_sums.gather(impl.share);
  impl.kernels.judge_step(impl.exec, impl.update, impl.norm_sums.sums(), step);
}

void Optimizer::update(const OptimizerScalars* scalars, std::span<float> weights,
                       std::span<const float> gradients, const StepGuard* guard, const Tensor& working) {
  Impl& impl = *impl_;
  const Exec exec = impl.exec;
  INVARIANT(weights.size() == impl.flat_size && gradients.size() == impl.flat_size,
            "{} weights and {} gradients for {}", weights.size(), gradients.size(), impl.flat_size);
  OptimizerUpdate& update = impl.update;
  update.weights = weights.data();
  update.bf16_weights = working.dtype() == DType::bf16 ? working.data<bf16>() : nullptr;
  update.f16_weights = working.dtype() == DType::f16 ? working.data<f16>() : nullptr;
  update.gradients = gradients.data();
  update.scalars = scalars;
  update.guard = guard;
  if (impl.adapts()) {
    impl.kernels.add_squares_by_parameter(exec, update, impl.parameter_sums.sums());
    if (impl.share.ranks > 1) {
      impl.parameter_sums.gather(impl.share);
      impl.kernels.trust_ratios(exec, update, impl.parameter_sums.sums());
    }
  }
  impl.kernels.update(exec, update);
}

const std::vector<Optimizer::State>& Optimizer::state() const { return impl_->states; }

size_t Optimizer::bytes() const {
  size_t bytes = impl_->norm_sums.bytes() + impl_->parameter_sums.bytes();
  for (const Buffer* buffer : {&impl_->state0, &impl_->state1, &impl_->flat_block, &impl_->decay,
                               &impl_->lr_scale, &impl_->adapted, &impl_->ratios, &impl_->gradient_scale})
    bytes += buffer->size();
  return bytes;
}

int optimizer_states(const OptimizerSpec& spec) {
  return static_cast<int>(std::ranges::count_if(update_rule_named(spec.name).states,
                                                [&](const RuleState& state) { return state.is_kept(spec); }));
}

int64_t optimizer_bytes(const OptimizerSpec& spec, std::span<const FlatBlock> blocks, int ranks) {
  constexpr auto kFloat = static_cast<int64_t>(sizeof(float));
  const auto all = static_cast<int64_t>(blocks.size());
  const int64_t mine = (all + ranks - 1) / ranks;
  int64_t of_block = optimizer_states(spec) * kFlatBlock * kFloat;
  if (ranks > 1) of_block += static_cast<int64_t>(sizeof(int32_t));  // flat_block
  if (spec.weight_decay > 0) of_block += 1;                          // decay
  if (scales_rates(blocks)) of_block += kFloat;                      // lr_scale
  int64_t bytes = SharedSums::bytes_of(1, ranks) + kFloat;           // norm_sums and gradient_scale
  if (update_rule_named(spec.name).trust_ratio != TrustRatio::none) {
    const int64_t parameters = Adapted(blocks, spec.decay_all).count;
    of_block += static_cast<int64_t>(sizeof(int32_t));                           // adapted
    bytes += parameters * kFloat + SharedSums::bytes_of(2 * parameters, ranks);  // ratios, parameter_sums
  }
  return bytes + mine * of_block;
}

}  // namespace lockstep
