#include "src/ops/input/augment/resample.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "tests/support/backend.h"
#include "tests/support/harness/op_case.h"

namespace lockstep::test {
namespace {

constexpr auto kOne = static_cast<double>(kPositionOne);

/// The value of a sample at a position, one axis after the other; `at` has those of the axes before.
double value_at(const ResampleSpec& spec, const std::array<double, 3>& position, std::array<int64_t, 3> at,
                size_t axis, const std::function<double(const std::array<int64_t, 3>&)>& x) {
  if (axis == 3) return x(at);
  const auto go_on = [&](double index) {
    at[axis] = std::clamp<int64_t>(static_cast<int64_t>(index), 0, spec.in[axis] - 1);
    return value_at(spec, position, at, axis + 1, x);
  };
  if (spec.nearest) return go_on(std::floor(position[axis] + 0.5));
  const double below = std::floor(position[axis]), fraction = position[axis] - below;
  return (1 - fraction) * go_on(below) + (fraction == 0 ? 0 : fraction * go_on(below + 1));
}

/// One output element after the other; words are Placements.
Doubles oracle_of(const ResampleSpec& spec, int64_t samples, const Values& in) {
  Doubles y;
  const auto& words = in["placements"];
  for (int64_t n = 0; n < samples; ++n) {
    const auto word = [&](int64_t i) { return words[static_cast<size_t>(n * kPlacementWords + i)]; };
    for (int64_t i = 0; i < spec.out[0] * spec.out[1] * spec.out[2] * spec.channels; ++i) {
      const int64_t c = i % spec.channels, at = i / spec.channels;
      const std::array<int64_t, 3> out = {at / spec.out[2] / spec.out[1], at / spec.out[2] % spec.out[1],
                                          at % spec.out[2]};
      std::array<double, 3> position{};
      bool is_inside = true;
      for (int64_t a = 0; a < 3; ++a) {
        const auto axis = static_cast<size_t>(word(a));
        position[axis] =
            (word(3 + a) + word(6 + a) * static_cast<double>(out[static_cast<size_t>(a)])) / kOne;
        is_inside =
            is_inside && position[axis] >= -0.5 && position[axis] < static_cast<double>(spec.in[axis]) - 0.5;
      }
      y.push_back(is_inside
                      ? value_at(spec, position, {}, 0,
                                 [&](const std::array<int64_t, 3>& from) {
                                   const int64_t index =
                                       (((n * spec.in[0] + from[0]) * spec.in[1] + from[1]) * spec.in[2] +
                                        from[2]) *
                                           spec.channels +
                                       c;
                                   return in["x"][static_cast<size_t>(index)];
                                 })
                      : in["fill"][static_cast<size_t>(c)]);
    }
  }
  return y;
}

Fill words_of(const std::vector<Placement>& placements) {
  Fill fill;
  fill.bytes.resize(placements.size() * sizeof(Placement));
  if (!placements.empty()) std::memcpy(fill.bytes.data(), placements.data(), fill.bytes.size());
  return fill;
}

OpCase resample_case(const ResampleSpec& spec, int64_t samples, const std::vector<Placement>& choices,
                     DType dtype, const Tolerance& tolerance) {
  std::vector<Placement> placements;
  for (int64_t n = 0; n < samples; ++n)
    placements.push_back(choices[static_cast<size_t>(n) % choices.size()]);
  const Fill x = dtype == DType::i32 ? between(-9, 9) : Fill{};
  OpCase op;
  op.input("placements", {samples, kPlacementWords}, words_of(placements), DType::i64);
  op.input("fill", {spec.channels}, x, dtype);
  op.input("x", {samples, spec.in[0], spec.in[1], spec.in[2], spec.channels}, x, dtype);
  op.output("y", {samples, spec.out[0], spec.out[1], spec.out[2], spec.channels}, tolerance, dtype);
  op.runs([=](const OpCall& c) { resample(c.exec, spec, c["placements"], c["fill"], c["x"], c["y"]); });
  op.oracle = [=](const Values& in) { return Values{{"y", oracle_of(spec, samples, in)}}; };
  return op;
}

int64_t at(double position) { return std::llround(position * kOne); }

/// Whole positions: as it is, mirrored, moved beyond two borders, axes exchanged.
std::vector<Placement> whole_moves(const ResampleSpec& spec) {
  Placement mirrored, moved, turned;
  for (size_t a = 0; a < 3; ++a) {
    mirrored.start[a] = at(static_cast<double>(spec.in[a] - 1));
    mirrored.step[a] = -kPositionOne;
    moved.start[a] = at(a == 1 ? -2 : a == 2 ? 1 : 0);
  }
  turned.axis[1] = 2;
  turned.axis[2] = 1;
  return {{}, mirrored, moved, turned};
}

/// Fractions of positions: a half, enlarged, reduced, beyond the border.
std::vector<Placement> fractions() {
  Placement half, enlarged, reduced, beyond;
  half.start[2] = at(0.5);
  enlarged.start[1] = at(0.3);
  enlarged.step[1] = at(0.4);
  enlarged.start[2] = at(-0.25);
  enlarged.step[2] = at(0.71);
  reduced.step[1] = at(1.3);
  reduced.start[0] = at(0.25);
  beyond.start[1] = at(-0.75);
  beyond.start[2] = at(0.75);
  return {enlarged, half, beyond, reduced};
}

const RegisterOp kResample("resample", [](Op& op) {
  const Tolerance linear{2e-6, 2e-6, "eight products and sums of floats"};
  const auto add = [&](const std::string& name, const ResampleSpec& spec,
                       const std::vector<Placement>& placements, DType dtype, const Tolerance& tolerance) {
    op.add(name, static_cast<int64_t>(placements.size()),
           [=](int64_t samples) { return resample_case(spec, samples, placements, dtype, tolerance); });
  };
  const std::pair<const char*, std::array<int64_t, 3>> shapes[] = {
      {"an image", {1, 5, 5}}, {"a volume", {3, 4, 4}}, {"a signal", {1, 1, 7}}, {"one element", {1, 1, 1}}};
  for (const auto& [name, in] : shapes) {
    for (const int64_t channels : {1, 3}) {
      const ResampleSpec spec{.in = in, .out = in, .channels = channels};
      ResampleSpec mask = spec;
      mask.nearest = true;
      const std::string of = fmt::format("{} of {} channels", name, channels);
      add("moves " + of, spec, whole_moves(spec), DType::f32, kExact);
      add("moves the mask of " + of, mask, whole_moves(spec), DType::i32, kExact);
      add("scales " + of, spec, fractions(), DType::f32, linear);
      add("scales the mask of " + of, mask, fractions(), DType::i32, kExact);
      add("scales the labels of " + of, mask, fractions(), DType::f32, kExact);
    }
  }
  add("another size", {.in = {1, 6, 7}, .out = {1, 3, 4}, .channels = 2}, fractions(), DType::f32, linear);
  op.time("crop of an image", 64, [=](int64_t samples) {
    const ResampleSpec spec{.in = {1, 32, 32}, .out = {1, 32, 32}, .channels = 3};
    return resample_case(spec, samples, whole_moves(spec), DType::f32, kExact);
  });
  op.time("scaled crop of an image", 16, [=](int64_t samples) {
    const ResampleSpec spec{.in = {1, 64, 64}, .out = {1, 64, 64}, .channels = 3};
    return resample_case(spec, samples, fractions(), DType::f32, linear);
  });
});

class ResampleTest : public BackendTest {};
INSTANTIATE_FOR_BACKENDS(ResampleTest);

TEST_P(ResampleTest, LeavesOutWhatHasNoWeight) {
  const float infinity = std::numeric_limits<float>::infinity();
  const Guarded<int64_t> placements(exec(), {1, kPlacementWords},
                                    {0, 1, 2, 0, 0, 0, kPositionOne, kPositionOne, kPositionOne});
  const Guarded<float> fill(exec(), {1}, {7}), x(exec(), {1, 1, 1, 3, 1}, {1, infinity, -2}),
      y(exec(), {1, 1, 1, 3, 1});
  resample(exec(), {.in = {1, 1, 3}, .out = {1, 1, 3}}, placements, fill, x, y);
  EXPECT_THAT(y.values(), testing::ElementsAre(1, infinity, -2));
}

TEST_P(ResampleTest, RefusesToInterpolateClasses) {
  const Guarded<int64_t> placements(exec(), {1, kPlacementWords});
  const Guarded<int32_t> fill(exec(), {1}, {0}), x(exec(), {1, 1, 1, 3, 1}), y(exec(), {1, 1, 1, 3, 1});
  EXPECT_THROW(resample(exec(), {.in = {1, 1, 3}, .out = {1, 1, 3}}, placements, fill, x, y), Error);
}

}  // namespace
}  // namespace lockstep::test
