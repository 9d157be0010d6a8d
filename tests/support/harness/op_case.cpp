#include "tests/support/harness/op_case.h"

#include <algorithm>

#include "src/core/error.h"
#include "src/device/buffer.h"

namespace lockstep::test {

namespace {

std::map<std::string, void (*)(Op&)>& registry() {
  static std::map<std::string, void (*)(Op&)> registry;
  return registry;
}

}  // namespace

const Doubles& Values::operator[](const std::string& name) const {
  static const Doubles none;
  const auto found = find(name);
  return found == end() ? none : found->second;
}

Tensor OpCall::operator[](const std::string& name) const {
  const auto found = tensors.find(name);
  return found == tensors.end() ? Tensor{} : found->second;
}

OpCase& OpCase::input(const std::string& name, const Shape& shape, const Fill& fill, DType dtype) {
  operands.push_back({name, Operand::Role::input, shape, dtype, fill});
  return *this;
}

OpCase& OpCase::output(const std::string& name, const Shape& shape, const Tolerance& tolerance, DType dtype) {
  operands.push_back({name, Operand::Role::output, shape, dtype, {}, tolerance});
  return *this;
}

OpCase& OpCase::state(const std::string& name, const Shape& shape, const Fill& fill,
                      const Tolerance& tolerance, DType dtype) {
  operands.push_back({name, Operand::Role::state, shape, dtype, fill, tolerance});
  return *this;
}

OpCase& OpCase::output_gradient(const std::string& name, const Fill& fill) {
  return input("d" + name, operand(name).shape, fill, operand(name).dtype);
}

size_t Parts::part_of(size_t i, size_t elements) const {
  const auto each = elements / static_cast<size_t>(first), lasts = static_cast<size_t>(last);
  return i / each * lasts + i % lasts;
}

size_t Parts::place(size_t part, size_t element, size_t elements) const {
  const auto each = elements / static_cast<size_t>(first), lasts = static_cast<size_t>(last);
  return part / lasts * each + element * lasts + part % lasts;
}

OpCase& OpCase::gradient(const std::string& name, const Tolerance& tolerance, Parts parts,
                         Parts output_parts) {
  const Operand& of = operand(name);
  for (Parts* const division : {&parts, &output_parts}) {
    division->first = std::max<int64_t>(division->first, 1);
    division->last = std::max<int64_t>(division->last, 1);
  }
  INVARIANT(parts.count() == output_parts.count(), "{}: {} parts, but {} of the outputs", name, parts.count(),
            output_parts.count());
  operands.push_back(
      {"d" + name, Operand::Role::gradient, of.shape, of.dtype, {}, tolerance, name, parts, output_parts});
  return *this;
}

OpCase& OpCase::adds_to_gradient(const std::string& name) {
  // The derivative of sum(dearlier * NAME) by NAME is dearlier.
  input("dearlier", operand(name).shape);
  pointers.emplace_back("dearlier");  // only this function knows it
  if (std::ranges::count(activations, name) > 0) activations.emplace_back("dearlier");
  smooth = [plain = smooth ? smooth : oracle, name](const Values& in) {
    Values values = plain(in);
    values["earlier"] = in[name];
    return values;
  };
  prepare = [plain = prepare, name](Exec exec, DType of_activations) {
    OpRoutines routines = plain(exec, of_activations);
    routines.backward = [backward = routines.backward, name](const OpCall& c) {
      // A check of wrong shapes passes tensors of other sizes.
      const Tensor dx = c["d" + name], earlier = c["dearlier"];
      if (dx && dx.bytes() == earlier.bytes()) copy(c.exec, dx.raw(), earlier.raw(), dx.bytes());
      backward(c);
    };
    return routines;
  };
  return *this;
}

OpCase& OpCase::runs(std::function<void(const OpCall&)> forward,
                     std::function<void(const OpCall&)> backward) {
  prepare = [=](Exec, DType) { return OpRoutines{forward, backward}; };
  return *this;
}

const Operand& OpCase::operand(const std::string& name) const {
  const auto found =
      std::find_if(operands.begin(), operands.end(), [&](const Operand& o) { return o.name == name; });
  INVARIANT(found != operands.end(), "a case has no tensor '{}'", name);
  return *found;
}

OpCase OpCase::in(DType activation_type) const {
  OpCase op = *this;
  op.type = activation_type;
  op.kinks = 1;  // values that are rounded to few bits are often equal
  const auto is_in = [](const std::vector<std::string>& names, const std::string& name) {
    return std::ranges::count(names, name) > 0;
  };
  for (Operand& operand : op.operands) {
    if (is_in(rounded, operand.name)) operand.tolerance = rounded_to(activation_type, operand.tolerance);
    const bool is_gradient = operand.name.starts_with("d") && is_in(activations, operand.name.substr(1));
    if (!is_gradient && !is_in(activations, operand.name) && !is_in(parameters, operand.name)) continue;
    operand.dtype = activation_type;
    operand.tolerance = rounded_to(activation_type, operand.tolerance);
  }
  return op;
}

void Op::add(const std::string& name, std::vector<int64_t> rows, Make make) {
  cases_.push_back({name, std::move(rows), std::move(make)});
}

void Op::add(const std::string& name, const OpCase& op) {
  cases_.push_back({name, {1}, [op](int64_t) { return op; }, true});
}

void Op::time(const std::string& name, int64_t rows, Make make) {
  timed_.push_back({name, {rows}, std::move(make)});
}

RegisterOp::RegisterOp(const char* name, void (*add_cases)(Op&)) {
  INVARIANT(registry().emplace(name, add_cases).second, "two operations named {}", name);
}

std::vector<std::string> op_names() {
  std::vector<std::string> names;
  for (const auto& [name, add_cases] : registry()) names.push_back(name);
  return names;
}

Op op_named(const std::string& name) {
  Op op(name);
  registry().at(name)(op);
  return op;
}

}  // namespace lockstep::test
