#include "src/ops/input/augment/paste.h"

#include <gmock/gmock.h>

#include <cstring>

#include "src/ops/input/augment/one_hot.h"
#include "tests/support/harness/op_case.h"

namespace lockstep::test {
namespace {

Doubles oracle_of(const PasteSpec& spec, int64_t samples, const Values& in) {
  Doubles y = in["x"];
  const int64_t elements = spec.extents[0] * spec.extents[1] * spec.extents[2] * spec.channels;
  for (int64_t n = 0; n < samples; ++n) {
    const double* const patch = in["patches"].data() + n * kPatchWords;
    const double own = in["own"][static_cast<size_t>(n)];
    for (int64_t e = 0; e < elements; ++e) {
      const int64_t position = e / spec.channels;
      const int64_t at[] = {position / spec.extents[2] / spec.extents[1],
                            position / spec.extents[2] % spec.extents[1], position % spec.extents[2]};
      bool is_inside = true;
      for (int a = 0; a < 3; ++a) {
        const auto p = static_cast<double>(at[a]);
        is_inside = is_inside && p >= patch[1 + a] && p < patch[1 + a] + patch[4 + a];
      }
      if (!is_inside) continue;
      const auto partner = static_cast<int64_t>(patch[0]);
      const double other = partner < 0 ? 0 : in["x"][static_cast<size_t>(partner * elements + e)];
      double& value = y[static_cast<size_t>(n * elements + e)];
      value = own * value + (1 - own) * other;
    }
  }
  return y;
}

/// Patches of all kinds: with the next sample, with zeros, none, the whole sample.
std::vector<Patch> patches_of(const PasteSpec& spec, int64_t samples) {
  std::vector<Patch> patches;
  const auto [d, h, w] = spec.extents;
  for (int64_t n = 0; n < samples; ++n) {
    const int64_t partner = n + 1 < samples ? n + 1 : -1;
    const Patch kinds[] = {{partner, {0, 0, 0}, {d, h, w}},
                           {partner, {d / 2, h / 3, w / 2}, {d - d / 2, h - h / 3, w - w / 2}},
                           {-1, {0, h - 1, 0}, {1, 1, w}},
                           {partner, {0, 0, 0}, {0, 0, 0}}};
    patches.push_back(kinds[n % 4]);
  }
  return patches;
}

OpCase paste_case(const PasteSpec& spec, int64_t samples, const Doubles& shares, DType dtype,
                  const Tolerance& tolerance) {
  const std::vector<Patch> patches = patches_of(spec, samples);
  Fill words;
  words.bytes.resize(patches.size() * sizeof(Patch));
  if (!patches.empty()) std::memcpy(words.bytes.data(), patches.data(), words.bytes.size());
  Doubles own;
  for (int64_t n = 0; n < samples; ++n) own.push_back(shares[static_cast<size_t>(n) % shares.size()]);
  const Shape shape{samples, spec.extents[0], spec.extents[1], spec.extents[2], spec.channels};
  const Fill x = dtype == DType::i32 ? between(-9, 9) : Fill{};
  OpCase op;
  op.input("patches", {samples, kPatchWords}, words, DType::i64).input("own", {samples}, exactly(own));
  op.input("x", shape, x, dtype).output("y", shape, tolerance, dtype);
  op.runs([=](const OpCall& c) { paste(c.exec, spec, c["patches"], c["own"], c["x"], c["y"]); });
  op.oracle = [=](const Values& in) { return Values{{"y", oracle_of(spec, samples, in)}}; };
  return op;
}

const RegisterOp kPaste("paste", [](Op& op) {
  const PasteSpec specs[] = {{{1, 5, 6}, 3}, {{3, 4, 2}, 2}, {{1, 1, 7}, 1}, {{1, 1, 1}, 4}};
  for (const PasteSpec& spec : specs) {
    const std::string of = fmt::format("{}x{}x{} of {} channels", spec.extents[0], spec.extents[1],
                                       spec.extents[2], spec.channels);
    op.add("blends " + of, 6, [=](int64_t samples) {
      return paste_case(spec, samples, {0.25, 0.7, 0.5}, DType::f32, kRounding);
    });
    op.add("copies " + of, 6, [=](int64_t samples) {
      return paste_case(spec, samples, {0, 1, 0}, DType::f32, kExact);
    });
    op.add("copies classes " + of, 6, [=](int64_t samples) {
      return paste_case(spec, samples, {0, 1, 0}, DType::i32, kExact);
    });
  }
  op.time("images", 64, [](int64_t samples) {
    return paste_case({{1, 32, 32}, 3}, samples, {0.25, 0.7, 0.5}, DType::f32, kRounding);
  });
});

OpCase one_hot_case(int64_t rows, int64_t classes) {
  OpCase op;
  op.input("labels", {rows}, between(0, static_cast<double>(classes)), DType::i32);
  op.output("y", {rows, classes}, kExact);
  op.runs([](const OpCall& c) { one_hot(c.exec, c["labels"], c["y"]); });
  op.pointers = {"y"};
  op.oracle = [=](const Values& in) {
    Values out = {{"y", Doubles(static_cast<size_t>(rows * classes))}};
    for (int64_t row = 0; row < rows; ++row)
      out["y"][static_cast<size_t>(row * classes) +
               static_cast<size_t>(in["labels"][static_cast<size_t>(row)])] = 1;
    return out;
  };
  return op;
}

const RegisterOp kOneHot("one_hot", [](Op& op) {
  for (const int64_t classes : {1, 2, 10, 300})
    op.add(fmt::format("{} classes", classes), 5, [=](int64_t rows) { return one_hot_case(rows, classes); });
});

}  // namespace
}  // namespace lockstep::test
