#include <fmt/ranges.h>

#include <cmath>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "launch/config/options/build_option.h"
#include "launch/config/options/sections.h"
#include "launch/config/values/tuning_values.h"
#include "src/optim/update_rules.h"

namespace lockstep::options {

namespace {

/// A number or switch of update rules, whose help names the rules that use it.
Option option_of_rules(const Hyperparameter& described) {
  const std::vector<std::string> rules =
      rules_where([&](const UpdateRule& rule) { return rule.has(described); });
  const std::string key = std::string("optimizer.") + described.key;
  Option option = std::visit(
      [&]<typename T>(const HyperparameterField<T>& of) {
        const auto field = [of](auto& config) -> auto& { return config.optimizer.*of.spec; };
        if constexpr (std::is_same_v<T, bool>) {
          return flag(key.c_str(), field, "");
        } else {
          const Range& range = described.range;
          const bool has_max = std::isfinite(range.max);
          return number(key.c_str(), field, range.min, range.min_open ? Edge::open : Edge::closed,
                        has_max ? range.max : kNoLimit, range.max_open ? Edge::open : Edge::closed, "");
        }
      },
      described.field);
  const std::string help = described.help;
  option.help = fmt::format("{}{}{}", fmt::join(rules, ", "), help.empty() ? "" : ": ", help);
  return with("optimizer.name", rules, std::move(option));
}

}  // namespace

void add_optimizer(std::vector<Option>& table) {
  const std::vector<std::string> decoupled =
      rules_where([](const UpdateRule& rule) { return rule.decouples_decay; });
  table.push_back(
      choice("optimizer.name", FIELD(optimizer.name), optimizer_names(), "optimization algorithm"));
  table.push_back(
      positive("optimizer.lr", FIELD(optimizer.lr), "base learning rate, which [schedule] varies"));
  for (const Hyperparameter* described : hyperparameters()) table.push_back(option_of_rules(*described));
  table.push_back(not_negative("optimizer.weight_decay", FIELD(optimizer.weight_decay), ""));
  table.back().help = fmt::format("L2 penalty added to the gradient; decoupled weight decay in {}",
                                  fmt::join(decoupled, " and "));
  table.push_back(flag("optimizer.decay_all", FIELD(optimizer.decay_all),
                       "apply weight decay to biases and to the parameters of batch norm too"));
  table.push_back(
      {.key = "optimizer.freeze",
       .type = "[PATTERN, ...]",
       .help = "parameters, layers or blocks to exclude from training (* matches any characters); batch norm "
               "that is frozen as a whole normalizes with its running statistics",
       .set = [](Config& config,
                 const GivenValue& given) { config.optimizer.tuning.freeze = read_patterns(given); },
       .get = [](const Config& config) { return patterns_text(config.optimizer.tuning.freeze); }});
  table.push_back(
      {.key = "optimizer.lr_scale",
       .type = "{ PATTERN = NUMBER, ... }",
       .help = "factors by which to multiply the learning rate of parameters, layers or blocks (* matches "
               "any characters); of several matching patterns, the one with the most characters besides * "
               "applies",
       .set = [](Config& config,
                 const GivenValue& given) { set_scales(config.optimizer.tuning.lr_scale, given); },
       .get = [](const Config& config) { return toml_text(config.optimizer.tuning.lr_scale); }});
  table.push_back(free_on_resume(flag("optimizer.sharded", FIELD(optimizer.sharded),
                                      "shard the optimizer state over the ranks (ZeRO stage 1)")));
}

}  // namespace lockstep::options
