#include "tests/support/harness/op_run.h"

#include <algorithm>

#include "tests/support/harness/values.h"

namespace lockstep::test {

Bytes inputs_of(const OpCase& op, uint64_t seed) {
  Bytes inputs;
  seed *= 1000;
  for (const Operand& operand : op.operands) {
    ++seed;
    if (operand.role != Operand::Role::input && operand.role != Operand::Role::state) continue;
    const Fill fill = operand.fill;  // a copy: its function may count
    const auto count = static_cast<size_t>(operand.shape.elements());
    if (!fill.bytes.empty()) {
      inputs[operand.name] = fill.bytes;
    } else {
      Doubles values = fill.values;
      if (values.empty()) {
        values.reserve(count);
        for (const float value : random_values(operand.shape.elements(), seed, 0, 1))
          values.push_back(fill.low + (fill.high - fill.low) * value);
      }
      if (fill.map)
        for (double& value : values) value = fill.map(value);
      inputs[operand.name] = encode(operand.dtype, values);
    }
    INVARIANT(inputs[operand.name].size() == count * size_of(operand.dtype), "{} of {}: {} bytes",
              operand.name, to_string(operand.shape), inputs[operand.name].size());
  }
  return inputs;
}

OpRun::Memory::Memory(Exec exec, const Operand& what, const RunOptions& options)
    : operand(what),
      lead(options.is_shifted ? size_of(what.dtype) : 0),
      bytes(exec,
            {static_cast<int64_t>(lead + static_cast<size_t>(what.shape.elements()) * size_of(what.dtype))}) {
}

Tensor OpRun::Memory::tensor() const { return {bytes.span().data() + lead, operand.dtype, operand.shape}; }

OpRun::OpRun(Exec exec, const OpCase& op, const Bytes& inputs, const RunOptions& options)
    : exec_(exec),
      op_(op),
      inputs_(inputs),
      options_(options),
      routines_(op.prepare(exec, op.type)),
      info_(exec, op.info),
      workspace_(workspace(exec, routines_.workspace_bytes)) {
  call_.exec = exec;
  call_.info = info_.get();
  call_.workspace = workspace_;
  for (const Operand& operand : op.operands) {
    if (operand.name == options.absent) continue;
    if (operand.name != options.alias.first) memory_.emplace(operand.name, Memory(exec, operand, options));
  }
  for (const auto& [name, memory] : memory_) call_.tensors[name] = memory.tensor();
  if (!options.alias.first.empty())
    call_.tensors[options.alias.first] =
        call_.tensors.at(options.alias.second).reshaped(op.operand(options.alias.first).shape);
  reset(options.garbage);
}

bool OpRun::has_backward() const {
  return routines_.backward &&
         std::any_of(op_.operands.begin(), op_.operands.end(),
                     [](const Operand& operand) { return operand.role == Operand::Role::gradient; });
}

bool OpRun::holds_input(const Operand& operand) const { return inputs_.contains(operand.name); }

void OpRun::reset(uint8_t garbage) {
  for (auto& [name, memory] : memory_) {
    if (memory.lead == 0 && holds_input(memory.operand)) {
      memory.bytes.set(inputs_.at(name));
      continue;
    }
    std::vector<uint8_t> all(memory.bytes.span().size(), garbage);
    if (holds_input(memory.operand))
      std::copy(inputs_.at(name).begin(), inputs_.at(name).end(),
                all.begin() + static_cast<std::ptrdiff_t>(memory.lead));
    memory.bytes.set(all);
  }
  workspace_.set(std::vector<uint8_t>(routines_.workspace_bytes, garbage));
}

Bytes OpRun::results() const {
  Bytes results;
  for (const auto& [name, memory] : memory_) {
    SCOPED_TRACE(name);
    std::vector<uint8_t> values = memory.bytes.values();
    values.erase(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(memory.lead));
    if (name == options_.alias.second)
      results[options_.alias.first] = std::move(values);
    else if (memory.operand.is_written())
      results[name] = std::move(values);
    else
      EXPECT_TRUE(values == inputs_.at(name) || std::ranges::count(op_.overwritten, name) > 0)
          << "the operation has changed its input " << name;
  }
  SCOPED_TRACE("workspace");
  workspace_.values();
  return results;
}

}  // namespace lockstep::test
