#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <variant>
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
  const char* name;
  std::variant<double Options::*, int64_t Options::*> member;
  const char* description;
  Range range = {};
};

template <typename AugmentationClass, typename Options>
AugmentKind describe(const char* name, const char* description, std::vector<AugmentField<Options>> fields) {
  AugmentKind kind{name, description, {}, nullptr};
  for (const AugmentField<Options>& field : fields) {
    const double standard =
        std::visit([](auto member) { return static_cast<double>(Options{}.*member); }, field.member);
    kind.options.push_back({field.name, field.description, standard, field.range,
                            std::holds_alternative<int64_t Options::*>(field.member)});
  }
  kind.make = [fields = std::move(fields)](const std::map<std::string, double>& values) {
    Options options;
    for (const AugmentField<Options>& field : fields) {
      const auto given = values.find(field.name);
      if (given == values.end()) continue;
      std::visit(
          [&](auto member) {
            options.*member = static_cast<std::remove_reference_t<decltype(options.*member)>>(given->second);
          },
          field.member);
    }
    return std::make_unique<AugmentationClass>(options);
  };
  return kind;
}

/// The range of probabilities and other shares.
inline constexpr Range kShare{.min = 0, .max = 1};

}  // namespace lockstep
