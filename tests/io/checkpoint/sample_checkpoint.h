#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "io/checkpoint/checkpoint.h"

namespace lockstep {

/// A checkpoint with every type, an empty tensor, a scalar and awkward values.
struct SampleCheckpoint {
  std::vector<float> weight = {1.5f, -0.0f, std::numeric_limits<float>::quiet_NaN(), 1e-42f, 3, 4};
  std::vector<double> moment = {1.0 / 3.0};
  std::vector<int64_t> counter = {1LL << 60};
  std::vector<uint16_t> half = {0x3C00, 0x0001, 0x7E01};
  std::vector<uint8_t> mask = std::vector<uint8_t>(1000, 7);
  Checkpoint checkpoint;

  SampleCheckpoint() {
    checkpoint.tensors = {
        {"model/conv1/weight", {weight.data(), DType::f32, {3, 1, 2}}},
        {"model/conv1/bias", {nullptr, DType::f32, {0}}},
        {"optimizer/adam/m/conv1/weight", {moment.data(), DType::f64, Shape{}}},
        {"optimizer/count", {counter.data(), DType::i64, {1}}},
        {"state/half", {half.data(), DType::f16, {3}}},
        {"state/brain", {half.data(), DType::bf16, {3}}},
        {"state/mask", {mask.data(), DType::u8, {10, 100}}},
    };
    checkpoint.integers = {{"epoch", 3}, {"step", -1}, {"seed", std::numeric_limits<int64_t>::min()}};
    checkpoint.reals = {
        {"best", std::numeric_limits<double>::infinity()}, {"third", 1.0 / 3.0}, {"none", std::nan("")}};
    checkpoint.strings = {{"config", std::string(100000, 'c') + "é\n"}, {"empty", ""}};
  }
};

/// Bit by bit, so that NaN equals itself and -0 differs from 0.
inline bool same(double a, double b) { return std::memcmp(&a, &b, sizeof a) == 0; }

inline bool same(const Checkpoint& a, const Checkpoint& b) {
  if (a.integers != b.integers || a.strings != b.strings || a.tensors.size() != b.tensors.size() ||
      a.reals.size() != b.reals.size())
    return false;
  for (const auto& [name, value] : a.reals)
    if (!b.reals.contains(name) || !same(value, b.reals.at(name))) return false;
  for (size_t i = 0; i < a.tensors.size(); ++i) {
    const auto &x = a.tensors[i].tensor, &y = b.tensors[i].tensor;
    if (a.tensors[i].name != b.tensors[i].name || x.dtype() != y.dtype() || !(x.shape() == y.shape()) ||
        x.bytes() != y.bytes() || (x.bytes() > 0 && std::memcmp(x.raw(), y.raw(), x.bytes()) != 0))
      return false;
  }
  return true;
}

}  // namespace lockstep
