#include "src/optim/update_rules.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "src/device/with_cuda.h"

namespace lockstep {
namespace {

TEST(UpdateRules, EachHasANameStatesAndAFunctionOfItsOwnBackend) {
  std::set<std::string> names;
  for (const UpdateRule& rule : update_rules()) {
    SCOPED_TRACE(rule.name);
    EXPECT_TRUE(names.insert(rule.name).second) << "twice";
    EXPECT_NE(rule.cpu, nullptr);
    EXPECT_EQ(rule.cuda != nullptr, kCuda);
    EXPECT_EQ(&update_rule_named(rule.name), &rule);
    std::set<std::string> states;
    for (const RuleState& state : rule.states)
      EXPECT_TRUE(state.name == nullptr || states.insert(state.name).second) << "a state twice";
    for (const Hyperparameter* hyperparameter : rule.hyperparameters)
      if (hyperparameter != nullptr) {
        EXPECT_THAT(hyperparameters(), testing::Contains(hyperparameter)) << hyperparameter->key;
      }
  }
}

TEST(UpdateRules, EachHyperparameterIsOfARuleAndItsDefaultIsAllowed) {
  std::set<std::string> keys;
  for (const Hyperparameter* hyperparameter : hyperparameters()) {
    SCOPED_TRACE(hyperparameter->key);
    EXPECT_TRUE(keys.insert(hyperparameter->key).second) << "twice";
    EXPECT_THAT(rules_where([&](const UpdateRule& rule) { return rule.has(*hyperparameter); }),
                testing::Not(testing::IsEmpty()));
    if (const auto* number = std::get_if<HyperparameterField<double>>(&hyperparameter->field)) {
      EXPECT_TRUE(hyperparameter->range.contains(OptimizerSpec{}.*number->spec));
    }
  }
}

}  // namespace
}  // namespace lockstep
