#include "tests/support/oracles.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <numbers>
#include <utility>

namespace lockstep::test::oracle {

namespace {

size_t index(int64_t i) { return static_cast<size_t>(i); }

bool inside(int64_t i, int64_t extent) { return 0 <= i && i < extent; }

}  // namespace

Doubles matmul(const MatmulSpec& spec, const Doubles& a, const Doubles& b, const Doubles& bias) {
  Doubles c;
  for (int64_t i = 0; i < spec.m; ++i)
    for (int64_t j = 0; j < spec.n; ++j) {
      double sum = spec.bias ? bias[index(j)] : 0;
      for (int64_t l = 0; l < spec.k; ++l) {
        const double left = a[index(spec.transpose_a ? l * spec.m + i : i * spec.k + l)];
        const double right = b[index(spec.transpose_b ? j * spec.k + l : l * spec.n + j)];
        sum += left * right;
      }
      c.push_back(sum);
    }
  return c;
}

Doubles activation(const ActivationSpec& spec, const Doubles& x) {
  Doubles y;
  for (const double value : x) switch (spec.function) {
      case Activation::relu:
        y.push_back(std::max(value, 0.0));
        break;
      case Activation::sigmoid:
        y.push_back(1 / (1 + std::exp(-value)));
        break;
      case Activation::tanh:
        y.push_back(std::tanh(value));
        break;
      case Activation::gelu:
        y.push_back(value * 0.5 * (1 + std::erf(value / std::sqrt(2.0))));
        break;
      case Activation::leaky_relu:
        y.push_back(value > 0 ? value : spec.alpha * value);
        break;
      case Activation::relu6:
        y.push_back(std::min(std::max(value, 0.0), 6.0));
        break;
      case Activation::elu:
        y.push_back(value > 0 ? value : spec.alpha * std::expm1(value));
        break;
      case Activation::gelu_tanh:
        y.push_back(
            value * 0.5 *
            (1 + std::tanh(std::sqrt(2 / std::numbers::pi) * (value + 0.044715 * std::pow(value, 3)))));
        break;
      case Activation::silu:
        y.push_back(value / (1 + std::exp(-value)));
        break;
      case Activation::hard_swish:
        y.push_back(value * std::min(std::max(value + 3, 0.0), 6.0) / 6);
        break;
      case Activation::softplus:
        y.push_back(value > 0 ? value + std::log1p(std::exp(-value)) : std::log1p(std::exp(value)));
        break;
    }
  return y;
}

namespace {

using Coordinates = std::array<int64_t, ConvAxes::kMax>;

/// Calls visit(coordinates) for every position of a box.
template <typename Visit>
void for_each_position(const Coordinates& extents, Visit visit) {
  for (int64_t i = 0; i < extents[0]; ++i)
    for (int64_t j = 0; j < extents[1]; ++j)
      for (int64_t k = 0; k < extents[2]; ++k) visit(Coordinates{i, j, k});
}

/// A number of each axis; axes that a convolution lacks have an extent of 1.
template <typename Number>
Coordinates each_axis(const ConvSpec& spec, Number number) {
  Coordinates numbers;
  numbers.fill(number(ConvAxis{}));
  for (int axis = 0; axis < spec.axes.count(); ++axis) numbers[index(axis)] = number(spec.axes[axis]);
  return numbers;
}

int64_t number_of(int64_t sample, const Coordinates& at, const Coordinates& extents) {
  return ((sample * extents[0] + at[0]) * extents[1] + at[1]) * extents[2] + at[2];
}

}  // namespace

Doubles conv(const ConvSpec& spec, const Doubles& x, const Doubles& w, const Doubles& b) {
  const int64_t group_channels = spec.channels / spec.groups, group_filters = spec.filters / spec.groups;
  const Coordinates extents = each_axis(spec, [](const ConvAxis& axis) { return axis.extent; });
  const Coordinates outputs = each_axis(spec, [](const ConvAxis& axis) { return axis.outputs(); });
  const Coordinates windows = each_axis(spec, [](const ConvAxis& axis) { return axis.window; });
  Doubles y(index(spec.output().elements()));
  for (size_t i = 0; i < y.size(); ++i) y[i] = spec.bias ? b[i % index(spec.features())] : 0;
  for (int64_t n = 0; n < spec.samples; ++n)
    for_each_position(outputs, [&](const Coordinates& output) {
      for_each_position(windows, [&](const Coordinates& element) {
        Coordinates from{};
        for (int axis = 0; axis < spec.axes.count(); ++axis) {
          const ConvAxis& it = spec.axes[axis];
          const size_t a = index(axis);
          from[a] = output[a] * it.stride - it.pad_before + element[a] * it.dilation;
          if (!inside(from[a], it.extent)) return;
        }
        for (int64_t k = 0; k < spec.filters; ++k)
          for (int64_t c = 0; c < group_channels; ++c) {
            const int64_t channel = k / group_filters * group_channels + c;
            const size_t datum = index(number_of(n, from, extents) * spec.channels + channel);
            const size_t result = index(number_of(n, output, outputs) * spec.filters + k);
            const double weight = w[index(number_of(k, element, windows) * group_channels + c)];
            if (spec.transposed)
              y[datum] += x[result] * weight;
            else
              y[result] += x[datum] * weight;
          }
      });
    });
  if (spec.relu)
    for (double& value : y) value = std::max(value, 0.0);
  return y;
}

namespace {

/// The coordinates of a window along one axis, [first, end).
struct Interval {
  int64_t first, end;
};

Interval interval_of(const PoolAxis& axis, int64_t output) {
  if (!axis.adaptive)
    return {output * axis.stride - axis.before, output * axis.stride - axis.before + axis.window};
  const double step = static_cast<double>(axis.inputs), outputs = static_cast<double>(axis.outputs);
  return {static_cast<int64_t>(std::floor(static_cast<double>(output) * step / outputs)),
          static_cast<int64_t>(std::ceil(static_cast<double>(output + 1) * step / outputs))};
}

/// An element of a window, with its position in the window.
struct Element {
  int64_t position;
  double value;
};

/// The elements of a window, and how many elements and padding it has.
struct Window {
  std::vector<Element> elements;
  int64_t padded_size = 0;
};

/// Overwrites window, whose memory is used again.
void find_window(const PoolSpec& spec, const Doubles& sample, int64_t channel, const Interval& depths,
                 const Interval& rows, const Interval& columns, Window& window) {
  const auto& [depth, height, width] = spec.axes;
  const auto with_padding = [](int64_t i, const PoolAxis& axis) {
    return -axis.before <= i && i < axis.inputs + axis.after;
  };
  window.elements.clear();
  window.padded_size = 0;
  for (int64_t d = depths.first; d < depths.end; ++d)
    for (int64_t h = rows.first; h < rows.end; ++h)
      for (int64_t w = columns.first; w < columns.end; ++w) {
        if (with_padding(d, depth) && with_padding(h, height) && with_padding(w, width)) ++window.padded_size;
        if (!inside(d, depth.inputs) || !inside(h, height.inputs) || !inside(w, width.inputs)) continue;
        const int64_t row = (d - depths.first) * height.window + h - rows.first;
        window.elements.push_back(
            {row * width.window + w - columns.first,
             sample[index(((d * height.inputs + h) * width.inputs + w) * spec.c + channel)]});
      }
}

/// Calls visit(window) in the order of the output.
template <typename Visit>
void for_each_window(const PoolSpec& spec, const Doubles& x, Visit visit) {
  const auto& [depth, height, width] = spec.axes;
  const auto size = static_cast<std::ptrdiff_t>(spec.input_shape().sample().elements());
  Window window;
  for (std::ptrdiff_t n = 0; n < spec.n; ++n) {
    const Doubles sample(x.begin() + n * size, x.begin() + (n + 1) * size);
    for (int64_t d = 0; d < depth.outputs; ++d)
      for (int64_t h = 0; h < height.outputs; ++h)
        for (int64_t w = 0; w < width.outputs; ++w)
          for (int64_t c = 0; c < spec.c; ++c) {
            find_window(spec, sample, c, interval_of(depth, d), interval_of(height, h), interval_of(width, w),
                        window);
            visit(std::as_const(window));
          }
  }
}

}  // namespace

MaxPool max_pool(const PoolSpec& spec, const Doubles& x) {
  MaxPool result;
  for_each_window(spec, x, [&](const Window& window) {
    Element best = window.elements[0];
    for (const Element& element : window.elements)
      if (!std::isnan(best.value) && (std::isnan(element.value) || element.value > best.value))
        best = element;
    result.y.push_back(best.value);
    result.argmax.push_back(static_cast<uint8_t>(best.position));
  });
  return result;
}

Doubles average_pool(const PoolSpec& spec, const Doubles& x) {
  Doubles y;
  for_each_window(spec, x, [&](const Window& window) {
    double sum = 0;
    for (const Element& element : window.elements) sum += element.value;
    y.push_back(sum / static_cast<double>(spec.count_padding ? window.padded_size
                                                             : static_cast<int64_t>(window.elements.size())));
  });
  return y;
}

BatchNorm batch_norm(int64_t rows, int64_t channels, double epsilon, const Doubles& x, const Doubles& scale,
                     const Doubles& shift) {
  BatchNorm result;
  result.y.resize(index(rows * channels));
  for (int64_t c = 0; c < channels; ++c) {
    double mean = 0, squares = 0;
    for (int64_t row = 0; row < rows; ++row) mean += x[index(row * channels + c)] / static_cast<double>(rows);
    for (int64_t row = 0; row < rows; ++row) squares += std::pow(x[index(row * channels + c)] - mean, 2);
    const double variance = squares / static_cast<double>(rows);
    for (int64_t row = 0; row < rows; ++row)
      result.y[index(row * channels + c)] =
          (x[index(row * channels + c)] - mean) / std::sqrt(variance + epsilon) * scale[index(c)] +
          shift[index(c)];
    result.mean.push_back(mean);
    result.biased_variance.push_back(variance);
    result.unbiased_variance.push_back(squares / static_cast<double>(std::max<int64_t>(rows - 1, 1)));
  }
  return result;
}

Doubles softmax(int64_t rows, int64_t classes, const Doubles& logits) {
  Doubles probabilities;
  for (int64_t row = 0; row < rows; ++row) {
    const double* z = logits.data() + row * classes;
    const double maximum = *std::max_element(z, z + classes);
    double sum = 0;
    for (int64_t c = 0; c < classes; ++c) sum += std::exp(z[c] - maximum);
    for (int64_t c = 0; c < classes; ++c) probabilities.push_back(std::exp(z[c] - maximum) / sum);
  }
  return probabilities;
}

Doubles cross_entropy(int64_t rows, int64_t classes, double smoothing, const Doubles& logits,
                      const Doubles& targets) {
  const Doubles probabilities = softmax(rows, classes, logits);
  Doubles losses;
  for (int64_t row = 0; row < rows; ++row) {
    double loss = 0;
    for (int64_t c = 0; c < classes; ++c) {
      const size_t i = index(row * classes + c);
      const double target = (1 - smoothing) * targets[i] + smoothing / static_cast<double>(classes);
      loss -= target * std::log(probabilities[i]);
    }
    losses.push_back(loss);
  }
  return losses;
}

}  // namespace lockstep::test::oracle
