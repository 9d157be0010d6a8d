#pragma once

#include <limits>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "src/optim/optimizer_kernels.h"

namespace lockstep {

/// Numbers from `least` to below `end`.
struct NumberRange {
  double least = 0;
  bool least_allowed = true;
  double end = std::numeric_limits<double>::infinity();

  /// Never what is not finite.
  bool contains(double value) const;
  /// "at least 0 and less than 1"
  std::string in_words() const;
};
inline constexpr NumberRange kFraction{.end = 1}, kPositive{.least_allowed = false}, kNotNegative{};

/// Where a hyperparameter comes from, and where kernels read it.
template <typename T>
struct HyperparameterField {
  T OptimizerSpec::*spec;  ///< its value there is the default
  T OptimizerUpdate::*update;
};

/// A number or switch of update rules, under one key of [optimizer] for all rules that have it.
struct Hyperparameter {
  const char* key;
  std::variant<HyperparameterField<double>, HyperparameterField<bool>> field;
  const char* help;
  NumberRange range = {};  ///< of a number
};

/// All of them, in the order of the config keys.
std::span<const Hyperparameter* const> hyperparameters();

/// A buffer like the weights that a rule keeps from step to step.
struct RuleState {
  const char* name = nullptr;                         ///< in checkpoints; null: none
  double OptimizerSpec::*only_if_positive = nullptr;  ///< kept only where that is above 0; null: always

  bool is_kept(const OptimizerSpec& spec) const {
    return name != nullptr && (only_if_positive == nullptr || spec.*only_if_positive > 0);
  }
};

/// Enqueues one step over some blocks; changes nothing when the guard says that the step does not apply.
using UpdateFunction = void (*)(Exec, const OptimizerUpdate&);

/// One rule that turns gradients into new weights.
struct UpdateRule {
  static constexpr size_t kMaxStates = 2, kMaxHyperparameters = 6;

  const char* name;                                                 ///< optimizer.name
  RuleState states[kMaxStates] = {};                                ///< none or more, then null
  const Hyperparameter* hyperparameters[kMaxHyperparameters] = {};  ///< besides weight decay; then null
  UpdateFunction cpu, cuda;                                         ///< cuda: null in a build without CUDA
  bool decouples_decay = false;  ///< weight decay shrinks the weights, and is not in the gradient
  TrustRatio trust_ratio = TrustRatio::none;

  bool has(const Hyperparameter& hyperparameter) const;
};

/// All rules. Config keys, their help and ranges, checkpoints, sharding and the tests of all rules follow.
std::span<const UpdateRule> update_rules();

/// Throws Error(usage) that offers the nearest name.
const UpdateRule& update_rule_named(const std::string& name);

/// The names of the rules that `test` is true for, in their order.
template <typename Test>
std::vector<std::string> rules_where(const Test& test) {
  std::vector<std::string> names;
  for (const UpdateRule& rule : update_rules())
    if (test(rule)) names.emplace_back(rule.name);
  return names;
}

}  // namespace lockstep
