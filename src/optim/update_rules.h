#pragma once

#include <span>
#include <string>
#include <variant>
#include <vector>

#include "src/core/range.h"
#include "src/optim/optimizer_kernels.h"

namespace lockstep {

/// The member that sets a hyperparameter, and the one from which kernels read it.
template <typename T>
struct HyperparameterField {
  T OptimizerSpec::*spec;  ///< its initial value is the default
  T OptimizerUpdate::*update;
};

/// A number or switch of update rules, with one key of [optimizer] shared by all rules that use it.
struct Hyperparameter {
  const char* key;
  std::variant<HyperparameterField<double>, HyperparameterField<bool>> field;
  const char* help;
  Range range = {};  ///< of a number
};

/// All hyperparameters, in the order of the config keys.
std::span<const Hyperparameter* const> hyperparameters();

/// A buffer of the size of the weights that a rule keeps from step to step.
struct RuleState {
  const char* name = nullptr;                         ///< in checkpoints; null: none
  double OptimizerSpec::*only_if_positive = nullptr;  ///< kept only if this is above 0; null: always

  bool is_kept(const OptimizerSpec& spec) const {
    return name != nullptr && (only_if_positive == nullptr || spec.*only_if_positive > 0);
  }
};

/// Enqueues one step over some blocks; changes nothing if the guard says that the step does not apply.
using UpdateFunction = void (*)(Exec, const OptimizerUpdate&);

/// One rule that turns gradients into new weights.
struct UpdateRule {
  static constexpr size_t kMaxStates = 2, kMaxHyperparameters = 6;

  const char* name;                   ///< optimizer.name
  RuleState states[kMaxStates] = {};  ///< unused entries have a null name
  const Hyperparameter* hyperparameters[kMaxHyperparameters] =
      {};                        ///< besides weight decay; unused entries are null
  UpdateFunction cpu, cuda;      ///< cuda: null in a build without CUDA
  bool decouples_decay = false;  ///< weight decay shrinks the weights instead of entering the gradient
  TrustRatio trust_ratio = TrustRatio::none;

  bool has(const Hyperparameter& hyperparameter) const;
};

/// All rules. Config keys with their help and ranges, checkpoints, sharding and tests are derived from this
/// table.
std::span<const UpdateRule> update_rules();

/// Throws Error(usage) that suggests the nearest name.
const UpdateRule& update_rule_named(const std::string& name);

/// The names of the rules for which `test` is true, in order.
template <typename Test>
std::vector<std::string> rules_where(const Test& test) {
  std::vector<std::string> names;
  for (const UpdateRule& rule : update_rules())
    if (test(rule)) names.emplace_back(rule.name);
  return names;
}

}  // namespace lockstep
