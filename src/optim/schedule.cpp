#include "src/optim/schedule.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <numbers>
#include <vector>

#include "src/core/counted.h"
#include "src/core/error.h"
#include "src/core/text/suggest.h"

namespace lockstep {

namespace {

void check(const ScheduleSpec& s, double base_lr, int64_t total_steps) {
  static const std::vector<std::string> known = {"constant",   "step",   "exponential",
                                                 "polynomial", "cosine", "one_cycle"};
  if (std::find(known.begin(), known.end(), s.name) == known.end())
    fail(ExitCode::usage, "unknown schedule.name '{}'{}", s.name, suggestion(s.name, known));
  if (s.steps < 0) fail(ExitCode::usage, "schedule.steps = {} must not be negative.", s.steps);
  if (s.warmup_steps < 0)
    fail(ExitCode::usage, "schedule.warmup_steps = {} must not be negative.", s.warmup_steps);
  if (s.warmup_steps > 0 && s.warmup_steps >= total_steps)
    fail(ExitCode::usage,
         "schedule.warmup_steps = {} must be smaller than the {} of the {}: the schedule would never "
         "start.",
         s.warmup_steps, counted(total_steps, "step"), s.steps > 0 ? "schedule" : "run");
  const auto require = [](const char* key, double value, bool good, const char* range) {
    if (!std::isfinite(value) || !good)
      fail(ExitCode::usage, "schedule.{} = {} must be {}.", key, value, range);
  };
  if (s.name == "step" || s.name == "exponential") {
    require("gamma", s.gamma, s.gamma > 0, "greater than 0");
    if (s.every_steps < 1)
      fail(ExitCode::usage, "schedule.every_steps = {} must be at least 1 for '{}'.", s.every_steps, s.name);
  }
  if (s.name == "polynomial") require("power", s.power, s.power > 0, "greater than 0");
  if (s.name == "polynomial" || s.name == "cosine")
    require("final_lr", s.final_lr, s.final_lr >= 0, "a number that is not negative");
  if (s.name == "one_cycle")
    require("max_lr", s.max_lr, s.max_lr == 0 || s.max_lr >= base_lr,
            "at least optimizer.lr, where the cycle starts");
}

/// From a (fraction 0) to b (fraction 1) along half a cosine wave.
double anneal(double a, double b, double fraction) {
  return b + (a - b) * 0.5 * (1.0 + std::cos(std::numbers::pi * fraction));
}

/// Smith and Topin 2018, "Super-convergence", in two phases as PyTorch's OneCycleLR: up to the peak in the
/// first 30 % of the steps, then down to a ten-thousandth of the initial value.
double one_cycle(double start, double top, double t, double total) {
  constexpr double kRise = 0.3;
  const double rise_end = kRise * total - 1, fall_end = total - 1;
  if (t <= rise_end) return anneal(start, top, rise_end > 0 ? t / rise_end : 1.0);
  return anneal(top, start / 1e4, std::min(1.0, (t - rise_end) / (fall_end - rise_end)));
}

}  // namespace

Schedule::Schedule(const ScheduleSpec& spec, double base_lr, int64_t total_steps)
    : spec_(spec), base_lr_(base_lr), total_steps_(spec.steps > 0 ? spec.steps : total_steps) {
  check(spec, base_lr, total_steps_);
}

double Schedule::lr(int64_t step) const {
  const ScheduleSpec& s = spec_;
  if (step < s.warmup_steps)
    return base_lr_ * static_cast<double>(step + 1) / static_cast<double>(s.warmup_steps);
  const double t = static_cast<double>(step - s.warmup_steps);
  const double total = static_cast<double>(std::max<int64_t>(total_steps_ - s.warmup_steps, 1));
  const double fraction = std::min(1.0, t / total);
  const double every = static_cast<double>(s.every_steps);
  if (s.name == "step") return base_lr_ * std::pow(s.gamma, std::floor(t / every));
  if (s.name == "exponential") return base_lr_ * std::pow(s.gamma, t / every);
  if (s.name == "polynomial") return s.final_lr + (base_lr_ - s.final_lr) * std::pow(1.0 - fraction, s.power);
  if (s.name == "cosine") return anneal(base_lr_, s.final_lr, fraction);
  if (s.name == "one_cycle") return one_cycle(base_lr_, s.max_lr > 0 ? s.max_lr : 10 * base_lr_, t, total);
  return base_lr_;
}

}  // namespace lockstep
