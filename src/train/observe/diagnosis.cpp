#include "src/train/observe/diagnosis.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <span>

#include "src/core/activity.h"
#include "src/core/log.h"
#include "src/core/text/json.h"

namespace lockstep {

namespace {

/// Inputs above this limit are suspicious: their squares approach the range of float.
constexpr double kHuge = 1e18;

template <typename T>
double furthest_from_zero(const std::byte* values, int64_t count) {
  double furthest = 0;
  for (int64_t i = 0; i < count; ++i) {
    T value{};
    std::memcpy(&value, values + static_cast<size_t>(i) * sizeof value, sizeof value);
    const auto number = static_cast<double>(value);
    if (!std::isfinite(number)) return number;
    if (std::fabs(number) > std::fabs(furthest)) furthest = number;
  }
  return furthest;
}

/// A sample and its value furthest from 0.
struct Extreme {
  int64_t sample = -1;
  double value = 0;

  void take(const Extreme& other) {
    if (other.sample < 0 || (sample >= 0 && !std::isfinite(value))) return;
    const bool is_further = !std::isfinite(other.value) || std::fabs(other.value) > std::fabs(value);
    if (sample < 0 || is_further) *this = other;
  }
};

/// The extreme of a rank's samples; uint8 and float16 cannot hold values that overflow.
Extreme extreme_of(const Batch& batch, int64_t rows) {
  Extreme extreme;
  const int64_t size = batch.x.elements() / std::max<int64_t>(1, batch.sample_index.elements());
  for (int64_t row = 0; row < rows; ++row) {
    const auto* const values = static_cast<const std::byte*>(batch.x.raw()) +
                               static_cast<size_t>(row * size) * size_of(batch.x.dtype());
    const double value = batch.x.dtype() == DType::f32   ? furthest_from_zero<float>(values, size)
                         : batch.x.dtype() == DType::f64 ? furthest_from_zero<double>(values, size)
                                                         : 0;
    extreme.take({batch.sample_index.data<int64_t>()[row], value});
  }
  return extreme;
}

/// The findings of one rank in its part.
struct Found {
  Extreme extreme;
  std::optional<Place> place;
};

Found look_at_own_part(const DiagnosisParts& parts, int64_t step, int64_t epoch, int64_t step_in_epoch) {
  Found found;
  try {
    const int64_t first_slot = parts.world.rank() * parts.batching.rank_batch();
    Loader loader(parts.exec, parts.train, parts.sampler,
                  {.first_slot = first_slot,
                   .rows = parts.batching.rank_batch(),
                   .first_epoch = epoch,
                   .first_step = step_in_epoch,
                   .last_epoch = epoch + 1,
                   .threads = 0});
    const Batch* batch = loader.next();
    if (batch == nullptr) return found;
    found.extreme = extreme_of(
        *batch, std::clamp<int64_t>(batch->global_valid - first_slot, 0, parts.batching.rank_batch()));
    found.place = first_not_finite(parts.exec, parts.task, parts.graph, parts.parameters, parts.batching,
                                   first_slot, *batch, step);
  } catch (const std::exception& error) {  // such as a lack of memory for another network
    log_warning("the step that diverged could not be recomputed: {}", error.what());
  }
  return found;
}

/// JSON has no non-finite numbers.
nlohmann::ordered_json number(double value) {
  return std::isfinite(value) ? nlohmann::ordered_json(value)
                              : nlohmann::ordered_json(fmt::format("{}", value));
}

}  // namespace

std::string Diagnosis::hints() const {
  std::string text;
  if (!(std::fabs(largest_value) < kHuge))
    text += fmt::format("Sample {} of data.train holds {:.3g}. ", largest_sample, largest_value);
  if (!place) return text + "Recomputed one micro-batch at a time, all numbers of the step were finite.";
  text += place->pass == "input"  ? "The network's input was not finite"
          : place->pass == "loss" ? "All layers were finite, but the loss or its gradient was not"
          : place->pass == "forward"
              ? fmt::format("Layer {} was the first with a non-finite output", place->layer)
              : fmt::format("The gradient of {} was the first non-finite one", place->tensor);
  return text + (bad_sample >= 0 ? fmt::format(", for sample {}.", bad_sample) : ".");
}

std::string Diagnosis::to_json() const {
  nlohmann::ordered_json json{{"step", step},
                              {"epoch", epoch},
                              {"loss", number(loss)},
                              {"gradient_norm", number(gradient_norm)},
                              {"lr", lr}};
  if (place) {
    json["layer"] = place->layer;
    json["tensor"] = place->tensor;
    json["pass"] = place->pass;
    if (bad_sample >= 0) json["sample"] = bad_sample;
  }
  json["largest_input"] = {{"sample", largest_sample}, {"value", number(largest_value)}};
  json["samples"] = samples;
  return to_text(json, 1) + "\n";
}

Diagnosis diagnose(const DiagnosisParts& parts, const StepMetrics& metrics, double lr) {
  const Sampler& sampler = parts.sampler;
  const int64_t epoch = (metrics.step - 1) / sampler.steps_per_epoch();
  const int64_t step_in_epoch = (metrics.step - 1) % sampler.steps_per_epoch();
  const Found found = look_at_own_part(parts, metrics.step, epoch, step_in_epoch);

  World& world = parts.world;
  activity().enter(Phase::report);
  const auto gather = [&](int64_t value) { return world.gather(static_cast<uint64_t>(value)); };
  const std::vector<uint64_t> orders = gather(found.place ? found.place->order : -1);
  const std::vector<uint64_t> bad_samples = gather(found.place ? found.place->sample : -1);
  const std::vector<uint64_t> extremes = gather(found.extreme.sample);
  const std::vector<uint64_t> values = world.gather(std::bit_cast<uint64_t>(found.extreme.value));

  Diagnosis diagnosis{.step = metrics.step,
                      .epoch = epoch + 1,
                      .loss = metrics.loss,
                      .gradient_norm = metrics.gradient_norm,
                      .lr = lr};
  Extreme extreme;
  std::optional<Place> place;
  for (size_t rank = 0; rank < orders.size(); ++rank) {
    extreme.take({static_cast<int64_t>(extremes[rank]), std::bit_cast<double>(values[rank])});
    const auto order = static_cast<int64_t>(orders[rank]);
    if (order >= 0 && (!place || order < place->order))
      place = Place{order, static_cast<int64_t>(bad_samples[rank])};
  }
  diagnosis.largest_sample = extreme.sample;
  diagnosis.largest_value = extreme.value;
  if (place) {
    diagnosis.place = names_of(place->order, parts.graph, parts.parameters.layout());
    diagnosis.bad_sample = place->sample;
  }
  for (int64_t slot = 0; slot < sampler.valid(step_in_epoch); ++slot)
    diagnosis.samples.push_back(sampler.sample(epoch, step_in_epoch, slot));
  return diagnosis;
}

}  // namespace lockstep
