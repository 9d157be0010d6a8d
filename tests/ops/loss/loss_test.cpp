#include "src/ops/loss/loss.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "tests/support/backend.h"
#include "tests/support/harness/op_case.h"
#include "tests/support/oracles.h"

namespace lockstep::test {
namespace {

constexpr int32_t kIgnored = 255;

/// Cross-entropy of samples with several targets each.
struct Options {
  int64_t positions = 1, classes = 1;
  float smoothing = 0;
  bool has_weights = false;
  bool ignores = false;  ///< every third label
  bool is_soft = false;  ///< targets are probabilities, not labels
  int64_t padding = 0;   ///< columns of logits behind the classes

  int64_t columns() const { return classes + padding; }
};

size_t first_largest(const double* values, size_t classes) {
  return static_cast<size_t>(std::max_element(values, values + classes) - values);
}

/// PyTorch's CrossEntropyLoss, from its documentation: numerator and denominator of the weighted mean over
/// rows that each weigh sample_weight / positions, and how many are right.
Values oracle_of(const Options& o, double sample_weight, const Values& in) {
  const auto classes = static_cast<size_t>(o.classes);
  const double row_weight = sample_weight / static_cast<double>(o.positions);
  double loss = 0, right = 0, weight = 0;
  const auto columns = static_cast<size_t>(o.columns());
  for (size_t row = 0; row < in["logits"].size() / columns; ++row) {
    const double* const z = in["logits"].data() + row * columns;
    const double maximum = *std::max_element(z, z + classes);
    double sum = 0;
    for (size_t c = 0; c < classes; ++c) sum += std::exp(z[c] - maximum);
    Doubles target(classes);
    if (o.is_soft) {
      std::copy_n(in["targets"].begin() + static_cast<std::ptrdiff_t>(row * classes), classes,
                  target.begin());
    } else {
      if (o.ignores && in["labels"][row] == kIgnored) continue;
      target[static_cast<size_t>(in["labels"][row])] = 1;
    }
    const auto class_weight = [&](size_t c) { return o.has_weights ? in["weights"][c] : 1.0; };
    for (size_t c = 0; c < classes; ++c)
      loss -= row_weight * class_weight(c) * (z[c] - maximum - std::log(sum)) *
              ((1 - o.smoothing) * target[c] + o.smoothing / static_cast<double>(classes));
    weight += row_weight * (o.is_soft ? 1 : class_weight(first_largest(target.data(), classes)));
    right += first_largest(z, classes) == first_largest(target.data(), classes);
  }
  return {{"metrics", {loss, right, weight}}};
}

OpCase cross_entropy_case(const Options& o, int64_t samples, const Fill& logits, const Fill& labels) {
  OpCase op;
  op.input("logits", {samples * o.positions, o.columns()}, logits);
  if (o.is_soft)
    op.input("targets", {samples * o.positions, o.classes}, labels);
  else
    op.input("labels", {samples * o.positions}, labels, DType::i32);
  if (o.has_weights) op.input("weights", {o.classes}, between(0.2, 3));
  op.output("metrics", {kLossMetrics}, kSum).gradient("logits");
  op.weights = {{"metrics", {1, 0, 0}}};
  op.may_alias = {{"dlogits", "logits"}};
  op.may_be_absent = {"dlogits"};
  op.activations = {"dlogits"};
  op.is_padded = true;
  op.pointers = {"weights"};
  op.info.valid = static_cast<int32_t>(samples);
  op.runs([=](const OpCall& c) {
    const CrossEntropySpec spec{.label_smoothing = o.smoothing,
                                .positions = o.positions,
                                .class_weights = c["weights"].data<float>(),
                                .ignored_label = o.ignores ? kIgnored : CrossEntropySpec::kNoLabel,
                                .classes = o.padding > 0 ? o.classes : 0};
    if (o.is_soft)
      softmax_cross_entropy_soft(c.exec, c.info, spec, c["logits"], c["targets"], c["dlogits"], c["metrics"]);
    else
      softmax_cross_entropy(c.exec, c.info, spec, c["logits"], c["labels"], c["dlogits"], c["metrics"]);
  });
  op.oracle = [o, weight = double{op.info.weight}](const Values& in) { return oracle_of(o, weight, in); };
  return op;
}

/// Labels in turn, or the probabilities of other logits.
Fill targets_of(const Options& o, int64_t rows) {
  Doubles labels;
  if (o.is_soft)
    return exactly(oracle::softmax(rows, o.classes, to_double(random_values(rows * o.classes, 9, -2, 2))));
  for (int64_t row = 0; row < rows; ++row)
    labels.push_back(o.ignores && row % 3 == 0 ? kIgnored : static_cast<double>(row * 7 % o.classes));
  return exactly(labels);
}

Op::Make loss_of_any_batch(const Options& o) {
  return [=](int64_t samples) {
    return cross_entropy_case(o, samples, between(-4, 4), targets_of(o, samples * o.positions));
  };
}

struct LossCase {
  int64_t samples;
  Options options;
};

const LossCase kLossCases[] = {{1, {1, 1}},
                               {5, {1, 10}},
                               {5, {1, 10, 0.1f}},
                               {8, {1, 3, 0.5f}},
                               {3, {1, 33, 0.02f}},
                               {2, {1, 300, 0.1f}},
                               {33, {1, 2}},
                               {5, {1, 4, 0, true}},
                               {5, {1, 4, 0.1f, true, true}},
                               {3, {7, 3, 0, false, true}},
                               {3, {7, 3, 0.2f, true, true}},
                               {2, {3, 130, 0.1f, true, true}},
                               {4, {6, 2}},
                               {4, {.classes = 10, .smoothing = 0.1f, .padding = 6}},
                               {3, {.positions = 5, .classes = 3, .ignores = true, .padding = 61}},
                               {2, {.classes = 130, .has_weights = true, .padding = 170}}};

std::string name_of(const Options& o) {
  return fmt::format("{} x {} classes, smoothing {}{}{}{}", o.positions, o.classes, o.smoothing,
                     o.has_weights ? ", weights" : "", o.ignores ? ", ignores" : "",
                     o.padding > 0 ? ", padding" : "");
}

const RegisterOp kLabels("softmax_cross_entropy", [](Op& op) {
  for (const auto& [samples, options] : kLossCases)
    op.add(name_of(options), samples, loss_of_any_batch(options));
  op.add("the first of equal logits is the prediction",
         cross_entropy_case({1, 3}, 2, exactly({1, 1, 0, 1, 1, 0}), exactly({0, 1})));
  op.add("huge logits", cross_entropy_case({1, 3}, 2, exactly({1e4, -1e4, 0, 88, 89, 90}), exactly({0, 2})));
  op.time("ten classes", 64, loss_of_any_batch({1, 10}));
});

const RegisterOp kSoft("softmax_cross_entropy_soft", [](Op& op) {
  for (auto [samples, options] : kLossCases) {
    if (options.ignores) continue;
    options.is_soft = true;
    op.add(name_of(options), samples, loss_of_any_batch(options));
  }
  op.add("weights and smoothing", 4, loss_of_any_batch({2, 3, 0.1f, true, false, true}));
});

const RegisterOp kSoftmax("softmax", [](Op& op) {
  for (const int64_t classes : {1, 3, 10, 33, 300})
    op.add(fmt::format("{} classes", classes), {5, 33}, [=](int64_t rows) {
      OpCase c;
      c.input("logits", {rows, classes}, between(-30, 30)).output("y", {rows, classes}, kFunction);
      c.runs([](const OpCall& call) { softmax(call.exec, call["logits"], call["y"]); });
      c.oracle = [=](const Values& in) {
        return Values{{"y", oracle::softmax(rows, classes, in["logits"])}};
      };
      c.may_alias = {{"y", "logits"}};
      return c;
    });
});

class LossTest : public BackendTest {};
INSTANTIATE_FOR_BACKENDS(LossTest);

TEST_P(LossTest, ANaNLogitMakesTheLossNaN) {
  const OnBackend<MicroBatchInfo> info(exec(), {.step = 0, .valid = 1, .weight = 1});
  const Guarded<float> logits(exec(), {1, 3}, {1, std::numeric_limits<float>::quiet_NaN(), 2}),
      metrics(exec(), {kLossMetrics});
  for (const int32_t label : {0, 1, 2}) {
    const Guarded<int32_t> labels(exec(), {1}, {label});
    softmax_cross_entropy(exec(), info.get(), {}, logits, labels, {}, metrics);
    EXPECT_TRUE(std::isnan(metrics.values()[0]));
  }
}

}  // namespace
}  // namespace lockstep::test
