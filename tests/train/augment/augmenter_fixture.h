#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "src/train/augment/augmenter.h"
#include "tests/support/backend.h"

namespace lockstep {

/// Samples of one shape whose stored values are all different, in one step of any division.
class AugmenterTest : public test::BackendTest {
 protected:
  struct Case {
    Shape sample = {4, 4, 1};
    TargetKind kind = TargetKind::classes;
    Shape y = {};
    int64_t outputs = 3;
    std::vector<AugmentSpec> augment = {};
    int64_t rows = 4, count = 1, first = 0;  ///< micro-batches of a rank, and its first slot
    int64_t epoch = 0;
    uint64_t seed = 1;
    std::optional<int64_t> ignore_label = std::nullopt;
    Augmenter::Purpose purpose = Augmenter::Purpose::training;
    int set = 0;  ///< the last of those of the augmenter; the others have the draws of other epochs
  };
  struct Result {
    std::vector<std::vector<float>> x, y;  ///< by sample
    std::string description;
  };

  Task make_task(const Case& it) const {
    TrainOptions options;
    options.run.seed = it.seed;
    options.data.augment = it.augment;
    options.train.ignore_label = it.ignore_label;
    return Task(exec(), options, {it.sample, DType::f32, it.kind, it.y, it.outputs});
  }

  /// Stored value e of a sample, and its target e.
  static float x_of(int64_t sample, int64_t e) { return static_cast<float>(1000 * (sample + 1) + e + 1); }
  static float y_of(int64_t sample, int64_t e, int64_t outputs) {
    return static_cast<float>((sample + e) % outputs);
  }

  Result run(const Case& it, int64_t valid = 1000) const {
    const Task task = make_task(it);
    const int64_t all = it.rows * it.count, x_elements = it.sample.elements(), y_elements = it.y.elements();
    std::vector<float> x, y;
    std::vector<int64_t> index;
    for (int64_t slot = it.first; slot < it.first + all; ++slot) {
      const bool is_real = slot < valid;
      index.push_back(is_real ? slot : -1);
      for (int64_t e = 0; e < x_elements; ++e) x.push_back(is_real ? x_of(slot, e) : 0);
      for (int64_t e = 0; e < y_elements; ++e) y.push_back(is_real ? y_of(slot, e, it.outputs) : 0);
    }
    Batch batch;
    batch.sample_index = Tensor(index.data(), DType::i64, {all});
    const Shape seen = task.input().shape;
    Augmenter augmenter(task, seen, it.rows, it.count, 1, it.purpose, it.set + 1);
    CopyStream copies(exec());
    for (int set = 0; it.purpose == Augmenter::Purpose::training && set <= it.set; ++set) {
      batch.epoch = it.epoch + it.set - set;
      augmenter.load(copies, batch, set);
      copies.join();
      synchronize(exec());
    }
    const bool classes = it.kind == TargetKind::classes;
    const std::vector<int32_t> labels(y.begin(), y.end());
    Result result{{}, {}, augmenter.describe()};
    for (int64_t m = 0; m < it.count; ++m) {
      const test::Guarded<float> input(exec(), seen.batched(it.rows));
      const Augmenter::Part part{&augmenter, 0, m, it.set};
      const auto cut = [&](const auto& of, int64_t elements) {
        return std::vector(of.begin() + m * it.rows * elements, of.begin() + (m + 1) * it.rows * elements);
      };
      test::to_backend(exec(), augmenter.first(part, input), cut(x, x_elements));
      const test::Guarded<int32_t> label(exec(), it.y.batched(it.rows), cut(labels, y_elements));
      const test::Guarded<float> value(exec(), it.y.batched(it.rows), cut(y, y_elements));
      const ConstTensor target =
          augmenter.apply(part, input, classes ? ConstTensor(label) : ConstTensor(value));
      append(result.x, input.values(), it.rows);
      append(result.y, floats_of(target), it.rows);
    }
    return result;
  }

  std::string error_of(const Case& it) const {
    try {
      run(it);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::usage);
      return error.what();
    }
    return "accepted";
  }

 private:
  std::vector<float> floats_of(const ConstTensor& tensor) const {
    if (tensor.dtype() == DType::f32) return test::from_backend(exec(), tensor);
    const auto values =
        test::from_backend(exec(), std::span(tensor.data<int32_t>(), static_cast<size_t>(tensor.elements())));
    return {values.begin(), values.end()};
  }
  static void append(std::vector<std::vector<float>>& to, const std::vector<float>& values, int64_t rows) {
    const auto width = static_cast<std::ptrdiff_t>(values.size()) / rows;
    for (int64_t row = 0; row < rows; ++row)
      to.emplace_back(values.begin() + row * width, values.begin() + (row + 1) * width);
  }
};

/// Where the values of one result come from: -1 is the fill.
inline std::vector<int64_t> origins(const std::vector<float>& x, int64_t sample) {
  std::vector<int64_t> from;
  for (const float value : x)
    from.push_back(value == 0 ? -1 : static_cast<int64_t>(value) - 1000 * (sample + 1) - 1);
  return from;
}

/// How often each result occurs.
inline std::map<std::vector<int64_t>, int> tally(const std::vector<std::vector<float>>& x) {
  std::map<std::vector<int64_t>, int> counts;
  for (size_t sample = 0; sample < x.size(); ++sample)
    ++counts[origins(x[sample], static_cast<int64_t>(sample))];
  return counts;
}

}  // namespace lockstep
