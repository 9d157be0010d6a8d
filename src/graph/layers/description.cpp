#include "src/graph/layers/description.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

#include "src/core/error.h"

namespace lockstep {

namespace {

constexpr std::pair<Init, const char*> kInitializers[] = {
    {Init::zeros, "zeros"},
    {Init::ones, "ones"},
    {Init::glorot_uniform, "glorot_uniform"},
    {Init::glorot_normal, "glorot_normal"},
    {Init::he_uniform, "he_uniform"},
    {Init::he_normal, "he_normal"},
    {Init::he_normal_out, "he_normal_out"},
    {Init::kaiming_torch, "kaiming_torch"},
    {Init::normal, "normal"},
    {Init::lecun_normal, "lecun_normal"},
    {Init::sinusoidal, "sinusoidal"},
};

}  // namespace

std::string to_string(Init init) {
  return std::ranges::find(kInitializers, init, &std::pair<Init, const char*>::first)->second;
}

const std::vector<Init>& initializers() {
  static const std::vector<Init> all = [] {
    std::vector<Init> result;
    for (const auto& entry : kInitializers) result.push_back(entry.first);
    return result;
  }();
  return all;
}

Extents::Extents(std::initializer_list<int64_t> values) : axes_(static_cast<int>(values.size())) {
  INVARIANT(axes_ >= 1 && axes_ <= kMaxAxes, "{} extents; from 1 to {} are possible", axes_, kMaxAxes);
  std::ranges::copy(values, values_.begin());
  if (axes_ == 1) values_.fill(values_[0]);
}

namespace {

/// The extents of an option that has them.
const Extents* extents_of(const OptionValue& value) {
  if (const auto* padding = std::get_if<Padding>(&value))
    return padding->is_same() ? nullptr : &padding->extents();
  return std::get_if<Extents>(&value);
}

}  // namespace

std::string to_string(const OptionValue& value) {
  if (const auto* flag = std::get_if<bool>(&value)) return *flag ? "true" : "false";
  if (const auto* count = std::get_if<int64_t>(&value)) return fmt::format("{}", *count);
  if (const auto* number = std::get_if<double>(&value)) return fmt::format("{}", *number);
  if (const auto* init = std::get_if<Init>(&value)) return fmt::format("\"{}\"", to_string(*init));
  const Extents* const extents = extents_of(value);
  if (extents == nullptr) return "\"same\"";
  std::vector<int64_t> each;
  for (int axis = 0; axis < extents->axes(); ++axis) each.push_back((*extents)[axis]);
  if (std::ranges::all_of(each, [&](int64_t extent) { return extent == each[0]; }))
    return fmt::format("{}", each[0]);
  return fmt::format("[{}]", fmt::join(each, ", "));
}

void check_range(const char* option, const OptionValue& value, const Range& range) {
  const auto check = [&](auto number) {
    if (!range.contains(static_cast<double>(number)))
      fail(ExitCode::usage, "{} is {}, but it must be {}.", option, number, to_string(range));
  };
  if (const auto* count = std::get_if<int64_t>(&value)) check(*count);
  if (const auto* number = std::get_if<double>(&value)) check(*number);
  if (const Extents* extents = extents_of(value))
    for (int axis = 0; axis < extents->axes(); ++axis) check((*extents)[axis]);
}

}  // namespace lockstep
