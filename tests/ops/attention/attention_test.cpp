#include "src/ops/attention/attention.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "src/core/rng.h"
#include "tests/support/backend.h"
#include "tests/support/harness/op_case.h"
#include "tests/support/harness/op_compare.h"
#include "tests/support/harness/op_expected.h"
#include "tests/support/harness/op_run.h"
#include "tests/support/harness/values.h"

namespace lockstep::test {
namespace {

constexpr uint64_t kStep = 9, kSeed = 0x1234567, kLayer = 89;

struct Options {
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
struct Head {
  const Options& o;
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
    const Random4 words = philox(kSeed ^ kLayer, sample_index, (kStep << 32) + static_cast<uint64_t>(group));
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

Values oracle_of(const Options& o, const Values& in, bool with_gradient = false) {
  const auto samples = static_cast<int64_t>(in["qkv"].size()) / (o.positions * 3 * o.channels());
  Doubles y(in["qkv"].size() / 3), log_sums, dqkv(in["qkv"].size());
  for (int64_t n = 0; n < samples; ++n)
    for (int64_t h = 0; h < o.heads; ++h) {
      const double index = o.dropout > 0 ? in["samples"][static_cast<size_t>(n)] : 0;
      const Head head{o, in["qkv"], in["mask"], n, h, static_cast<uint64_t>(index)};
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
Doubles mask_of(int64_t samples, int64_t positions) {
  Doubles mask;
  for (int64_t n = 0; n < samples; ++n)
    for (int64_t t = 0; t < positions; ++t) mask.push_back(n != 1 && (5 * t + 3 * n) % 4 != 0);
  return mask;
}

OpCase forward_case(const Options& o, int64_t samples, const Fill& qkv, const Tolerance& tolerance) {
  OpCase op;
  op.input("qkv", o.qkv(samples), qkv);
  if (o.masked) op.input("mask", {samples, o.positions}, exactly(mask_of(samples, o.positions)));
  Doubles indices = {0, 5, 0x1p40};
  indices.resize(static_cast<size_t>(samples), 77);
  if (o.dropout > 0) op.input("samples", {samples}, exactly(indices), DType::i64);
  op.output("y", {samples, o.positions, o.channels()}, tolerance);
  op.output("log_sums", {samples, o.heads, o.positions}, tolerance);
  op.activations = {"qkv", "mask", "y"};
  op.info.step = kStep;
  op.prepare = [=](Exec exec, DType type) {
    const auto inputs = [](const OpCall& c) {
      return AttentionInputs{c["qkv"], c["mask"], c["samples"], c.info};
    };
    return OpRoutines{[=](const OpCall& c) {
                        attention_forward(c.exec, o.spec(), inputs(c), c["y"], c["log_sums"], c.workspace);
                      },
                      [=](const OpCall& c) {
                        attention_backward(c.exec, o.spec(), inputs(c), c["y"], c["log_sums"], c["dy"],
                                           c["dqkv"], c.workspace);
                      },
                      attention_workspace_bytes(exec, o.spec(), o.qkv(samples), type)};
  };
  op.oracle = [=](const Values& in) { return oracle_of(o, in); };
  op.flops = 4.0 * static_cast<double>(samples * o.positions * o.positions * o.channels());
  return op;
}

OpCase attention_case(const Options& o, int64_t samples) {
  OpCase op = forward_case(o, samples, {}, kSum);
  op.output_gradient("y").gradient("qkv", kGradient, std::max<int64_t>(samples, 1));
  return op;
}

/// A case whose gradient is checked against the formula for it rather than by differences, which would take
/// too long for many positions.
OpCase large_case(const Options& o, int64_t samples) {
  OpCase op = forward_case(o, samples, {}, kSum);
  op.output_gradient("y").output("dqkv", o.qkv(samples), kGradient);
  op.prepare = [prepare = op.prepare](Exec exec, DType type) {
    const OpRoutines routines = prepare(exec, type);
    const auto both = [routines](const OpCall& call) {
      routines.forward(call);
      routines.backward(call);
    };
    return OpRoutines{both, nullptr, routines.workspace_bytes};
  };
  op.oracle = [=](const Values& in) { return oracle_of(o, in, true); };
  return op;
}

std::string name_of(const Options& o) {
  return fmt::format("{} positions, {} heads of {}{}{}{}", o.positions, o.heads, o.width,
                     o.causal ? ", causal" : "", o.masked ? ", masked" : "",
                     o.dropout > 0 ? ", dropout" : "");
}

const RegisterOp kAttention("attention", [](Op& op) {
  const auto add = [&](const Options& o) {
    op.add(name_of(o), 2, [o](int64_t samples) { return attention_case(o, samples); });
  };
  for (const bool causal : {false, true})
    for (const bool masked : {false, true}) {
      add({2, 3, 5, causal, masked});
      add({2, 2, 6, causal, masked, 0.3f});
    }
  add({1, 1, 67});  // several tiles and blocks
  add({1, 1, 67, true, true});
  // Each size of tile.
  add({1, 32, 3});
  add({1, 40, 4, true});
  add({1, 100, 3, true, true});
  add({1, 130, 2});
  add({3, 1, 1});
  op.add("large scores", forward_case({.heads = 2, .width = 16, .positions = 9}, 2, between(-30, 30),
                                      {5e-3, 1e-5, "scores of up to 3600 are rounded before exp"}));
  op.time("GPT", 2, [](int64_t samples) { return attention_case({4, 64, 128, true}, samples); });
});

class AttentionTest : public BackendTest {};
INSTANTIATE_FOR_BACKENDS(AttentionTest);

/// The outputs of one head of width 1, for queries, keys and values of three positions.
std::vector<float> run_attention(Exec exec, const AttentionSpec& spec, const std::vector<float>& qkv) {
  const auto positions = static_cast<int64_t>(qkv.size()) / 3;
  const Shape shape{1, positions, 3};
  const Guarded<float> in(exec, shape, qkv), y(exec, {1, positions, 1}), log_sums(exec, {1, 1, positions});
  const auto bytes = static_cast<int64_t>(attention_workspace_bytes(exec, spec, shape, DType::f32));
  const Guarded<uint8_t> workspace(exec, {bytes});
  attention_forward(exec, spec, {in, {}}, y, log_sums, workspace);
  return y.values();
}

TEST_P(AttentionTest, EqualScoresGiveTheMeanOfTheValues) {
  const std::vector<float> qkv = {0, 1, 3, 0, 2, 6, 0, 3, 0};  // all queries are 0
  EXPECT_THAT(run_attention(exec(), {}, qkv), testing::Each(testing::FloatEq(3)));
  EXPECT_THAT(run_attention(exec(), {.causal = true}, qkv),
              testing::ElementsAre(3, testing::FloatEq(4.5f), testing::FloatEq(3)));
}

/// Outputs and gradients of two samples.
std::vector<std::vector<float>> run_both(Exec exec, const Options& o) {
  const int64_t samples = 2, size = samples * o.positions * o.channels();
  const Shape narrow{samples, o.positions, o.channels()}, wide = o.qkv(samples);
  const Doubles mask_values = mask_of(samples, o.positions);
  const Guarded<float> qkv(exec, wide, random_values(3 * size, 1)),
      mask(exec, {samples, o.positions}, std::vector<float>(mask_values.begin(), mask_values.end())),
      dy(exec, narrow, random_values(size, 2)), y(exec, narrow), dqkv(exec, wide),
      log_sums(exec, {samples, o.heads, o.positions});
  const Guarded<uint8_t> workspace(
      exec, {static_cast<int64_t>(attention_workspace_bytes(exec, o.spec(), wide, DType::f32))});
  const AttentionInputs inputs{qkv, o.masked ? ConstTensor(mask) : ConstTensor{}};
  attention_forward(exec, o.spec(), inputs, y, log_sums, workspace);
  attention_backward(exec, o.spec(), inputs, y, log_sums, dy, dqkv, workspace);
  return {y.values(), dqkv.values()};
}

TEST_P(AttentionTest, WideHeadsOfSeveralTilesAreAsOnTheCpu) {
  for (const Options& o : {Options{2, 33, 35, true},
                           {1, 64, 66, false, true},
                           {1, 100, 18, true, true},
                           {1, 130, 17, true},
                           {1, 256, 9, false, true}}) {
    const auto actual = run_both(exec(), o), expected = run_both({}, o);
    for (size_t i = 0; i < actual.size(); ++i)
      expect_close(actual[i], to_double(expected[i]), kNormalized, i == 0 ? "y" : "dqkv");
  }
}

/// The tiles of two-byte types are of 16 to 128 positions, and of 32, 64 or 128 columns.
TEST_P(AttentionTest, TilesInTwoBytesAreRightAndGiveTheSameBitsEveryTime) {
  const Options options[] = {{2, 8, 1},
                             {1, 6, 66, true},  // rows that are no vectors of 16 bytes
                             {3, 16, 15, true, false, 0.3f},
                             {1, 40, 16, false, true},
                             {1, 16, 130, true, true},
                             {1, 64, 63, true, false, 0.3f},
                             {2, 64, 64, true},
                             {1, 64, 65},
                             {1, 64, 130, true},
                             {1, 8, 130, false, true, 0.3f},
                             {1, 100, 34, true},
                             {1, 128, 66, true, true, 0.3f},
                             {1, 128, 64}};
  for (const DType type : {DType::bf16, DType::f16})
    for (const Options& o : options) {
      if (type == DType::f16 && !exec().on_cuda()) continue;
      Instance it{large_case(o, 2).in(type), name_of(o) + " in " + to_string(type), {}};
      it.inputs = inputs_of(it.op);
      SCOPED_TRACE(it.where);
      Values in;
      for (const auto& [name, bytes] : it.inputs) in[name] = decode(it.op.operand(name).dtype, bytes);
      OpRun run(exec(), it.op, it.inputs);
      run.forward();
      const Bytes first = run.results();
      compare_all(it, first, expected_of(it.op, in, it.where), it.op, true);
      run.reset(0x3C);
      run.forward();
      expect_same_bits(it, run.results(), first, "the second time");
    }
}

TEST_P(AttentionTest, PassesNanOn) {
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  const std::vector<float> y = run_attention(exec(), {.causal = true}, {1, 1, 3, 1, kNan, 6, 1, 1, 0});
  EXPECT_EQ(y[0], 3) << "reads only itself";
  EXPECT_TRUE(std::isnan(y[1]));
  EXPECT_TRUE(std::isnan(y[2]));
}

TEST_P(AttentionTest, RefusesADropoutOfOne) {
  EXPECT_THROW(run_attention(exec(), {.dropout = {.rate = 1}}, {1, 1, 1}), Error);
}

}  // namespace
}  // namespace lockstep::test
