#pragma once

// Cases of attention, with what they should compute.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <string>

#include "src/core/rng.h"
#include "src/ops/attention/attention.h"
#include "tests/support/harness/op_case.h"
#include "tests/support/harness/op_compare.h"
#include "tests/support/harness/op_expected.h"
#include "tests/support/harness/op_run.h"
#include "tests/support/harness/values.h"

namespace lockstep::test {

struct AttentionCase {
  static constexpr uint64_t kStep = 9, kSeed = 0x1234567, kLayer = 89;

  int64_t heads = 1, width = 1, positions = 1;
  bool causal = false, masked = false;
  float dropout = 0;

  int64_t channels() const { return heads * width; }
  Shape qkv(int64_t samples) const { return {samples, positions, 3 * channels()}; }
  AttentionSpec spec() const {
    return {.heads = heads, .causal = causal, .dropout = {.rate = dropout, .seed = kSeed, .layer = kLayer}};
  }
};

/// One head of one sample, from the definition.
struct AttentionHead {
  const AttentionCase& o;
  const Doubles &qkv, &mask;
  int64_t sample, number;
  uint64_t sample_index;

  /// Of the query, key or value (part 0, 1 or 2) at a position, in qkv.
  int64_t offset(int64_t part, int64_t position) const {
    return ((sample * o.positions + position) * 3 + part) * o.channels() + number * o.width;
  }
  const double* vector(int64_t part, int64_t position) const { return qkv.data() + offset(part, position); }
  bool reads(int64_t query, int64_t key) const {
    return (!o.causal || key <= query) &&
           (!o.masked || mask[static_cast<size_t>(sample * o.positions + key)] != 0);
  }
  double score(int64_t query, int64_t key) const {
    const double *const q = vector(0, query), *const k = vector(1, key);
    double sum = 0;
    for (int64_t d = 0; d < o.width; ++d) sum += q[d] * k[d];
    return sum / std::sqrt(static_cast<double>(o.width));
  }
  /// The documented function of seed, layer, step, sample, head and both positions.
  double kept(int64_t query, int64_t key) const {
    if (o.dropout == 0) return 1;
    const int64_t group = (number * o.positions + query) * ((o.positions + 3) / 4) + key / 4;
    const Random4 words =
        philox(o.kSeed ^ o.kLayer, sample_index, (o.kStep << 32) + static_cast<uint64_t>(group));
    return uniform(words.word[key % 4]) < o.dropout ? 0 : 1 / (1 - double{o.dropout});
  }

  struct Row {
    Doubles probabilities;  ///< before dropout
    double log_sum;
  };
  Row row(int64_t query) const {
    Doubles scores;
    double largest = -HUGE_VAL, sum = 0;
    for (int64_t key = 0; key < o.positions; ++key) {
      scores.push_back(reads(query, key) ? score(query, key) : -HUGE_VAL);
      largest = std::max(largest, scores.back());
    }
    if (largest == -HUGE_VAL) return {Doubles(scores.size()), HUGE_VAL};  // nothing to read
    for (const double each : scores) sum += std::exp(each - largest);
    for (double& each : scores) each = std::exp(each - largest) / sum;
    return {scores, largest + std::log(sum)};
  }

  /// Adds a query's output to y (width); returns the logarithm of the sum of exponentials.
  double add_output(int64_t query, double* y) const {
    const Row of_query = row(query);
    for (int64_t key = 0; key < o.positions; ++key) {
      const double probability = of_query.probabilities[static_cast<size_t>(key)];
      const double weight = probability == 0 ? 0 : probability * kept(query, key);
      for (int64_t d = 0; d < o.width; ++d) y[d] += weight * vector(2, key)[d];
    }
    return of_query.log_sum;
  }

  /// Adds to dqkv what follows from the gradient of a query's output.
  void add_gradients(int64_t query, const double* dy, Doubles& dqkv) const {
    const Doubles probabilities = row(query).probabilities;
    Doubles gradients(probabilities.size());  // of the probabilities
    double mean = 0;
    for (size_t key = 0; key < gradients.size(); ++key) {
      if (probabilities[key] == 0) continue;
      const double* const v = vector(2, static_cast<int64_t>(key));
      gradients[key] = std::inner_product(v, v + o.width, dy, 0.0) * kept(query, static_cast<int64_t>(key));
      mean += probabilities[key] * gradients[key];
    }
    double* const dq = dqkv.data() + offset(0, query);
    for (int64_t key = 0; key < o.positions; ++key) {
      const double probability = probabilities[static_cast<size_t>(key)];
      if (probability == 0) continue;
      const double score = probability * (gradients[static_cast<size_t>(key)] - mean) /
                           std::sqrt(static_cast<double>(o.width));
      const double weight = probability * kept(query, key);
      double *const dk = dqkv.data() + offset(1, key), *const dv = dqkv.data() + offset(2, key);
      for (int64_t d = 0; d < o.width; ++d) {
        dq[d] += score * vector(1, key)[d];
        dk[d] += score * vector(0, query)[d];
        dv[d] += weight * dy[d];
      }
    }
  }
};

inline Values attention_oracle(const AttentionCase& o, const Values& in, bool with_gradient = false) {
  const auto samples = static_cast<int64_t>(in["qkv"].size()) / (o.positions * 3 * o.channels());
  Doubles y(in["qkv"].size() / 3), log_sums, dqkv(in["qkv"].size());
  for (int64_t n = 0; n < samples; ++n)
    for (int64_t h = 0; h < o.heads; ++h) {
      const double index = o.dropout > 0 ? in["samples"][static_cast<size_t>(n)] : 0;
      const AttentionHead head{o, in["qkv"], in["mask"], n, h, static_cast<uint64_t>(index)};
      for (int64_t query = 0; query < o.positions; ++query) {
        const int64_t at = (n * o.positions + query) * o.channels() + h * o.width;
        log_sums.push_back(head.add_output(query, y.data() + at));
        if (with_gradient) head.add_gradients(query, in["dy"].data() + at, dqkv);
      }
    }
  Values results{{"y", y}, {"log_sums", log_sums}};
  if (with_gradient) results["dqkv"] = dqkv;
  return results;
}

/// Of different positions from sample to sample; the second sample has nothing to read at all.
inline Doubles attention_mask(int64_t samples, int64_t positions) {
  Doubles mask;
  for (int64_t n = 0; n < samples; ++n)
    for (int64_t t = 0; t < positions; ++t) mask.push_back(n != 1 && (5 * t + 3 * n) % 4 != 0);
  return mask;
}

inline OpCase attention_forward_case(const AttentionCase& o, int64_t samples, const Fill& qkv,
                                     const Tolerance& tolerance) {
  OpCase op;
  op.input("qkv", o.qkv(samples), qkv);
  if (o.masked) op.input("mask", {samples, o.positions}, exactly(attention_mask(samples, o.positions)));
  Doubles indices = {0, 5, 0x1p40};
  indices.resize(static_cast<size_t>(samples), 77);
  if (o.dropout > 0) op.input("samples", {samples}, exactly(indices), DType::i64);
  op.output("y", {samples, o.positions, o.channels()}, tolerance);
  op.output("log_sums", {samples, o.heads, o.positions}, tolerance);
  op.activations = {"qkv", "mask", "y"};
  op.info.step = AttentionCase::kStep;
  op.prepare = [=](Exec exec, DType type) {
    AttentionSpec spec = o.spec();
    spec.engines = choose_attention_engines(exec, spec, o.qkv(samples), type, o.masked);
    const auto inputs = [](const OpCall& c) {
      return AttentionInputs{c["qkv"], c["mask"], c["samples"], c.info};
    };
    return OpRoutines{[=](const OpCall& c) {
                        attention_forward(c.exec, spec, inputs(c), c["y"], c["log_sums"], c.workspace);
                      },
                      [=](const OpCall& c) {
                        attention_backward(c.exec, spec, inputs(c), c["y"], c["log_sums"], c["dy"], c["dqkv"],
                                           c.workspace);
                      },
                      attention_workspace_bytes(exec, spec, o.qkv(samples), type)};
  };
  op.oracle = [=](const Values& in) { return attention_oracle(o, in); };
  op.flops = 4.0 * static_cast<double>(samples * o.positions * o.positions * o.channels());
  return op;
}

inline OpCase attention_case(const AttentionCase& o, int64_t samples) {
  OpCase op = attention_forward_case(o, samples, {}, kSum);
  op.output_gradient("y").gradient("qkv", kGradient, {.first = samples});
  return op;
}

/// A case whose gradient is checked against the formula for it rather than by differences, which would take
/// too long for many positions.
inline OpCase large_attention_case(const AttentionCase& o, int64_t samples) {
  OpCase op = attention_forward_case(o, samples, {}, kSum);
  op.output_gradient("y").output("dqkv", o.qkv(samples), kGradient);
  op.prepare = [prepare = op.prepare](Exec exec, DType type) {
    const OpRoutines routines = prepare(exec, type);
    const auto both = [routines](const OpCall& call) {
      routines.forward(call);
      routines.backward(call);
    };
    return OpRoutines{both, nullptr, routines.workspace_bytes};
  };
  op.oracle = [=](const Values& in) { return attention_oracle(o, in, true); };
  return op;
}

inline std::string name_of(const AttentionCase& o) {
  return fmt::format("{} positions, {} heads of {}{}{}{}", o.positions, o.heads, o.width,
                     o.causal ? ", causal" : "", o.masked ? ", masked" : "",
                     o.dropout > 0 ? ", dropout" : "");
}

/// Compares the outputs and the gradient of two samples with those of the definition, and requires the same
/// bits when they are computed once more.
inline void expect_right_twice(Exec exec, const AttentionCase& o, DType type) {
  Instance it{large_attention_case(o, 2).in(type), name_of(o) + " in " + to_string(type), {}};
  it.inputs = inputs_of(it.op);
  SCOPED_TRACE(it.where);
  Values in;
  for (const auto& [name, bytes] : it.inputs) in[name] = decode(it.op.operand(name).dtype, bytes);
  OpRun run(exec, it.op, it.inputs);
  run.forward();
  const Bytes first = run.results();
  compare_all(it, first, expected_of(it.op, in, it.where), it.op, true);
  run.reset(0x3C);
  run.forward();
  expect_same_bits(it, run.results(), first, "the second time");
}

}  // namespace lockstep::test
