#include <algorithm>
#include <cmath>

#include "src/core/hash.h"
#include "src/core/rng.h"
#include "src/graph/graph.h"

namespace lockstep {

namespace {

void sinusoids(const Shape& shape, float* values) {
  const int64_t count = shape.elements(), channels = shape.rank() == 0 ? 1 : shape[-1];
  for (int64_t i = 0; i < count; ++i) {
    const int64_t position = i / channels, channel = i % channels;
    const double exponent = static_cast<double>(channel / 2 * 2) / static_cast<double>(channels);
    const double angle = static_cast<double>(position) / std::pow(10000.0, exponent);
    values[i] = static_cast<float>(channel % 2 == 0 ? std::sin(angle) : std::cos(angle));
  }
}

}  // namespace

void initialize_parameter(const ParameterSpec& spec, const std::string& full_name, uint64_t seed,
                          float* values) {
  const int64_t count = spec.shape.elements();
  RandomStream random(seed, hash_name(full_name));
  const auto uniform_within = [&](double bound) {
    for (int64_t i = 0; i < count; ++i)
      values[i] = static_cast<float>((2.0 * static_cast<double>(random.next_uniform()) - 1.0) * bound);
  };
  const auto normal = [&](double deviation) {
    for (int64_t i = 0; i < count; ++i)
      values[i] = static_cast<float>(static_cast<double>(random.next_normal()) * deviation);
  };
  const double fan_in = static_cast<double>(spec.fan_in);
  const double fans = fan_in + static_cast<double>(spec.fan_out);
  switch (spec.init) {
    case Init::zeros:
      std::fill_n(values, count, 0.0f);
      break;
    case Init::ones:
      std::fill_n(values, count, 1.0f);
      break;
    case Init::glorot_uniform:
      uniform_within(std::sqrt(6.0 / fans));
      break;
    case Init::glorot_normal:
      normal(std::sqrt(2.0 / fans));
      break;
    case Init::he_uniform:
      uniform_within(std::sqrt(6.0 / fan_in));
      break;
    case Init::he_normal:
      normal(std::sqrt(2.0 / fan_in));
      break;
    case Init::he_normal_out:
      normal(std::sqrt(2.0 / static_cast<double>(spec.fan_out)));
      break;
    case Init::kaiming_torch:
      uniform_within(1.0 / std::sqrt(fan_in));
      break;
    case Init::normal:
      normal(spec.deviation);
      break;
    case Init::lecun_normal:
      normal(1.0 / std::sqrt(fan_in));
      break;
    case Init::sinusoidal:
      sinusoids(spec.shape, values);
      break;
  }
}

void initialize_state(const StateSpec& spec, float* values) {
  if (spec.initial_rows.empty()) {
    std::fill_n(values, spec.shape.elements(), spec.initial);
    return;
  }
  const int64_t row = spec.shape.elements() / spec.shape[0];
  for (const float initial : spec.initial_rows) values = std::fill_n(values, row, initial);
}

}  // namespace lockstep
