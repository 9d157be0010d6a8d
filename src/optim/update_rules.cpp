#include "src/optim/update_rules.h"

#include <algorithm>

#include "src/core/error.h"
#include "src/core/text/suggest.h"
#include "src/device/with_cuda.h"

namespace lockstep {

namespace {

using Spec = OptimizerSpec;
using Update = OptimizerUpdate;

template <typename T>
constexpr HyperparameterField<T> field(T Spec::*spec, T Update::*update) {
  return {spec, update};
}

constexpr Hyperparameter kMomentum{"momentum", field(&Spec::momentum, &Update::momentum),
                                   "momentum factor; 0: no momentum", kFraction};
constexpr Hyperparameter kNesterov{"nesterov", field(&Spec::nesterov, &Update::nesterov),
                                   "use Nesterov momentum"};
constexpr Hyperparameter kBeta1{"beta1", field(&Spec::beta1, &Update::beta1),
                                "decay rate of the running mean of gradients", kFraction};
constexpr Hyperparameter kBeta2{"beta2", field(&Spec::beta2, &Update::beta2),
                                "decay rate of the running mean of squared gradients", kFraction};
constexpr Hyperparameter kAlpha{"alpha", field(&Spec::alpha, &Update::alpha),
                                "decay rate of the running mean of squared gradients", kFraction};
constexpr Hyperparameter kEpsilon{"epsilon", field(&Spec::epsilon, &Update::epsilon),
                                  "added to the denominator for numerical stability", kPositive};
constexpr Hyperparameter kTrust{
    "trust", field(&Spec::trust, &Update::trust),
    "trust coefficient: norm of an update relative to the norm of its parameter, before "
    "the learning rate",
    kPositive};

constexpr const Hyperparameter* kHyperparameters[] = {&kMomentum, &kNesterov, &kBeta1, &kBeta2,
                                                      &kAlpha,    &kEpsilon,  &kTrust};

/// The functions of a rule on both backends.
#define LOCKSTEP_BACKENDS(rule) .cpu = cpu::rule, .cuda = kCuda ? cuda::rule : nullptr

constexpr UpdateRule kRules[] = {
    {.name = "sgd",
     .states = {{"momentum", &Spec::momentum}},
     .hyperparameters = {&kMomentum, &kNesterov},
     LOCKSTEP_BACKENDS(sgd)},
    {.name = "adam",
     .states = {{"m"}, {"v"}},
     .hyperparameters = {&kBeta1, &kBeta2, &kEpsilon},
     LOCKSTEP_BACKENDS(adam)},
    {.name = "adamw",
     .states = {{"m"}, {"v"}},
     .hyperparameters = {&kBeta1, &kBeta2, &kEpsilon},
     LOCKSTEP_BACKENDS(adam),
     .decouples_decay = true},
    {.name = "adagrad", .states = {{"sum"}}, .hyperparameters = {&kEpsilon}, LOCKSTEP_BACKENDS(adagrad)},
    {.name = "rmsprop",
     .states = {{"square_average"}, {"momentum", &Spec::momentum}},
     .hyperparameters = {&kMomentum, &kAlpha, &kEpsilon},
     LOCKSTEP_BACKENDS(rmsprop)},
    {.name = "lars",
     .states = {{"momentum", &Spec::momentum}},
     .hyperparameters = {&kMomentum, &kTrust},
     LOCKSTEP_BACKENDS(lars),
     .trust_ratio = TrustRatio::lars},
    {.name = "lamb",
     .states = {{"m"}, {"v"}},
     .hyperparameters = {&kBeta1, &kBeta2, &kEpsilon},
     LOCKSTEP_BACKENDS(lamb),
     .decouples_decay = true,
     .trust_ratio = TrustRatio::lamb},
};

#undef LOCKSTEP_BACKENDS

}  // namespace

std::span<const Hyperparameter* const> hyperparameters() { return kHyperparameters; }

bool UpdateRule::has(const Hyperparameter& hyperparameter) const {
  return std::ranges::find(hyperparameters, &hyperparameter) != std::end(hyperparameters);
}

std::span<const UpdateRule> update_rules() { return kRules; }

const UpdateRule& update_rule_named(const std::string& name) {
  for (const UpdateRule& rule : kRules)
    if (rule.name == name) return rule;
  fail(ExitCode::usage, "unknown optimizer.name '{}'{}", name, suggestion(name, optimizer_names()));
}

const std::vector<std::string>& optimizer_names() {
  static const std::vector<std::string> names = rules_where([](const UpdateRule&) { return true; });
  return names;
}

}  // namespace lockstep
