#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "src/core/range.h"
#include "src/train/augment/augmentation.h"

namespace lockstep {

/// An option of a kind of augmentation.
struct AugmentOption {
  std::string name, description;
  double standard = 0;
  Range range = {};
  bool is_integer = false;
};

/// A kind of augmentation, for the config and the documentation.
struct AugmentKind {
  std::string name, description;
  std::vector<AugmentOption> options;
  /// Options that are not in `values` have their standard value.
  std::function<std::unique_ptr<Augmentation>(const std::map<std::string, double>& values)> make;
};

/// A kind of augmentation and its options, the only description of them. Options is a struct of doubles and
/// int64_t whose initial values are the defaults; AugmentationClass is constructed from it.
template <typename Options>
struct AugmentField {
  template <typename Value, typename Owner>  // Owner: Options or a base
  AugmentField(const char* name_, Value Owner::*member, const char* description_, Range range_ = {})
      : name(name_),
        description(description_),
        range(range_),
        is_integer(std::is_same_v<Value, int64_t>),
        get([member](const Options& options) { return static_cast<double>(options.*member); }),
        set([member](Options& options, double value) { options.*member = static_cast<Value>(value); }) {}

  const char* name;
  const char* description;
  Range range;
  bool is_integer;
  std::function<double(const Options&)> get;
  std::function<void(Options&, double)> set;
};

template <typename AugmentationClass, typename Options>
AugmentKind describe(const char* name, const char* description, std::vector<AugmentField<Options>> fields) {
  AugmentKind kind{name, description, {}, nullptr};
  const Options defaults{};
  for (const AugmentField<Options>& field : fields)
    kind.options.push_back(
        {field.name, field.description, field.get(defaults), field.range, field.is_integer});
  kind.make = [fields = std::move(fields)](const std::map<std::string, double>& values) {
    Options options{};
    for (const AugmentField<Options>& field : fields)
      if (const auto given = values.find(field.name); given != values.end())
        field.set(options, given->second);
    return std::make_unique<AugmentationClass>(options);
  };
  return kind;
}

/// The range of probabilities and other shares.
inline constexpr Range kShare{.min = 0, .max = 1};

}  // namespace lockstep
