#include "tests/support/harness/op_check.h"

#include <fmt/format.h>
#include <omp.h>

#include <algorithm>
#include <barrier>
#include <set>
#include <thread>

#include "tests/support/harness/op_compare.h"
#include "tests/support/harness/op_expected.h"
#include "tests/support/harness/op_run.h"
#include "tests/support/harness/values.h"

namespace lockstep::test {

namespace {

Instance instance(Exec exec, const Op& op, const Op::Entry& entry, int64_t rows,
                  DType activations = DType::f32) {
  Instance made{entry.make(rows).in(activations), {}, {}};
  if (!entry.is_fixed) made.op.info.valid = static_cast<int32_t>(rows);
  made.where = fmt::format("{}, case '{}'{}{} on {}", op.name(), entry.name,
                           entry.is_fixed ? "" : fmt::format(" with {} rows", rows),
                           activations == DType::f32 ? "" : " in " + to_string(activations),
                           to_string(exec.backend()));
  made.inputs = inputs_of(made.op);
  return made;
}

Values decoded(const OpCase& op, const Bytes& bytes) {
  Values values;
  for (const auto& [name, data] : bytes) values[name] = decode(op.operand(name).dtype, data);
  return values;
}

std::set<int64_t> all_rows(const Op::Entry& entry) {
  std::set<int64_t> rows(entry.rows.begin(), entry.rows.end());
  if (!entry.is_fixed) rows.insert({0, 1, 3});
  return rows;
}

/// The first of the rows, as a case of so many rows has them.
Bytes first_rows(const OpCase& part, const Bytes& inputs) {
  Bytes first;
  for (const auto& [name, bytes] : inputs) {
    const Operand& operand = part.operand(name);
    const auto size = static_cast<std::ptrdiff_t>(operand.shape.elements()) *
                      static_cast<std::ptrdiff_t>(size_of(operand.dtype));
    first[name] = {bytes.begin(), bytes.begin() + size};
  }
  return first;
}

/// NaN behind the first rows. Integers stay: they are indices that the data set's reader has checked.
Bytes with_garbage(const OpCase& op, const Bytes& first, Bytes inputs) {
  for (auto& [name, bytes] : inputs) {
    const DType dtype = op.operand(name).dtype;
    if (dtype == DType::i32 || dtype == DType::i64 || dtype == DType::u8) continue;
    std::fill(bytes.begin() + static_cast<std::ptrdiff_t>(first.at(name).size()), bytes.end(), 0xFF);
  }
  return inputs;
}

/// A case where only the first rows are real.
void check_padded(Exec exec, Instance it, const OpCase& part, int32_t valid) {
  it.op.info.valid = valid;
  it.where += fmt::format(", of which {} are real", valid);
  const Bytes real = first_rows(part, it.inputs);
  Expected expected = expected_of(part, decoded(part, real), it.where);
  for (auto& [name, values] : expected.values) {
    const auto elements = static_cast<size_t>(it.op.operand(name).shape.elements());
    values.resize(elements);
    if (expected.kinks.contains(name)) expected.kinks[name].resize(elements);
  }
  const Bytes clean = OpRun(exec, it.op, it.inputs).both().results();
  const Bytes dirty_inputs = with_garbage(it.op, real, it.inputs);
  const Bytes dirty = OpRun(exec, it.op, dirty_inputs).both().results();
  compare_all(it, dirty, expected, part, valid > 0);
  expect_same_bits(it, dirty, clean, "with NaN in the padding");
}

void compare_with_oracle(Exec exec, const Instance& it, int64_t rows) {
  SCOPED_TRACE(it.where);
  const Bytes results = OpRun(exec, it.op, it.inputs).both().results();
  compare_all(it, results, expected_of(it.op, decoded(it.op, it.inputs), it.where), it.op, rows > 0);
  if (!exec.on_cuda() || it.op.type == DType::f16) return;
  for (const auto& [name, bytes] : OpRun({}, it.op, it.inputs).both().results()) {
    const DType dtype = it.op.operand(name).dtype;
    compare(it.where, it.op.operand(name), decode(dtype, results.at(name)), decode(dtype, bytes), 2, {},
            "the CPU's");
  }
}

template <typename Check>
void for_each_case(Exec exec, const Op& op, Check check) {
  for (const Op::Entry& entry : op.cases())
    for (const int64_t rows : entry.rows) check(instance(exec, op, entry, rows));
}

/// Four threads, each with an object and inputs of its own, compute what each computes alone.
void check_lanes(const Instance& it) {
  constexpr size_t kLanes = 4;
  std::vector<Bytes> inputs, alone, together(kLanes);
  for (size_t lane = 0; lane < kLanes; ++lane) {
    inputs.push_back(inputs_of(it.op, lane));
    alone.push_back(OpRun({}, it.op, inputs[lane]).both().results());
  }
  std::barrier start(kLanes);
  std::vector<std::jthread> lanes;
  for (size_t lane = 0; lane < kLanes; ++lane)
    lanes.emplace_back([&, lane] {
      OpRun run({}, it.op, inputs[lane]);
      start.arrive_and_wait();
      for (int round = 0; round < 3; ++round) {
        run.reset(0xFF);
        run.both();
      }
      together[lane] = run.results();
    });
  lanes.clear();  // waits for them
  for (size_t lane = 0; lane < kLanes; ++lane)
    expect_same_bits(it, together[lane], alone[lane], "beside three others");
}

}  // namespace

void check_oracle(Exec exec, const Op& op) {
  for (const Op::Entry& entry : op.cases())
    for (const int64_t rows : all_rows(entry))
      compare_with_oracle(exec, instance(exec, op, entry, rows), rows);
}

void check_precisions(Exec exec, const Op& op) {
  for (const Op::Entry& entry : op.cases()) {
    const int64_t rows = entry.rows.front();
    if (entry.make(rows).activations.empty()) continue;
    compare_with_oracle(exec, instance(exec, op, entry, rows, DType::bf16), rows);
    // The same code as for bf16, whatever the shape.
    if (exec.on_cuda() && &entry == &op.cases().front())
      compare_with_oracle(exec, instance(exec, op, entry, rows, DType::f16), rows);
  }
}

void check_padding(Exec exec, const Op& op) {
  for (const Op::Entry& entry : op.cases())
    for (const int64_t rows : entry.rows)
      for (const int64_t valid : std::set<int64_t>{0, 1, rows / 2, rows - 1}) {
        if (entry.is_fixed || valid < 0 || valid >= rows) continue;
        const Instance it = instance(exec, op, entry, rows);
        if (!it.op.is_padded) continue;
        SCOPED_TRACE(it.where);
        check_padded(exec, it, entry.make(valid), static_cast<int32_t>(valid));
      }
}

void check_aliases(Exec exec, const Op& op) {
  for_each_case(exec, op, [&](const Instance& it) {
    SCOPED_TRACE(it.where);
    const Bytes apart = OpRun(exec, it.op, it.inputs).both().results();
    for (const auto& alias : it.op.may_alias)
      expect_same_bits(it, OpRun(exec, it.op, it.inputs, {.alias = alias}).both().results(), apart,
                       fmt::format("{} where {} was", alias.first, alias.second));
    for (const std::string& absent : it.op.may_be_absent)
      expect_same_bits(it, OpRun(exec, it.op, it.inputs, {.absent = absent}).both().results(), apart,
                       "without " + absent);
  });
}

void check_repeats(Exec exec, const Op& op) {
  for_each_case(exec, op, [&](const Instance& it) {
    SCOPED_TRACE(it.where);
    OpRun run(exec, it.op, it.inputs);
    const Bytes first = run.both().results();
    run.reset(0x3C);
    expect_same_bits(it, run.both().results(), first, "the second time and over other garbage");
    expect_same_bits(it, OpRun(exec, it.op, it.inputs, {.garbage = 0}).both().results(), first,
                     "by another object and over zeros");
    if (it.op.any_address)
      expect_same_bits(it, OpRun(exec, it.op, it.inputs, {.is_shifted = true}).both().results(), first,
                       "at unaligned addresses");
  });
}

void check_shapes(Exec exec, const Op& op) {
  const auto refused = [](OpRun& run) {
    try {
      run.both();
      synchronize(run.call().exec);
    } catch (const Error& error) {
      return error.code() == ExitCode::bug;
    }
    return false;
  };
  for (const Op::Entry& entry : op.cases()) {
    if (entry.is_fixed) continue;
    const Instance it = instance(exec, op, entry, std::max<int64_t>(1, entry.rows.front()));
    SCOPED_TRACE(it.where);
    for (const Operand& operand : it.op.operands) {
      if (std::ranges::count(it.op.pointers, operand.name) > 0) continue;
      OpRun run(exec, it.op, it.inputs);
      Tensor& tensor = run.call().tensors.at(operand.name);
      Shape other = operand.shape;
      ++other[-1];
      tensor = {tensor.raw(), tensor.dtype(), other};
      EXPECT_TRUE(refused(run)) << it.where << ": accepts " << operand.name << " of shape "
                                << to_string(other) << " for " << to_string(operand.shape);
    }
    OpRun run(exec, it.op, it.inputs);
    const Tensor workspace = run.call().workspace;
    if (workspace.bytes() == 0) continue;
    run.call().workspace = {workspace.raw(), DType::u8, {workspace.shape().elements() - 1}};
    EXPECT_TRUE(refused(run)) << it.where << ": accepts a workspace that is too small";
  }
}

void check_threads(const Op& op) {
  const int before = omp_get_max_threads();
  const auto with_threads = [&](const Instance& it, int threads) {
    omp_set_num_threads(threads);
    const Bytes results = OpRun({}, it.op, it.inputs).both().results();
    EXPECT_EQ(omp_get_max_threads(), threads) << it.where << ": changed its caller's number of threads";
    omp_set_num_threads(before);
    return results;
  };
  const auto check = [&](const Instance& it) {
    SCOPED_TRACE(it.where);
    const Bytes one = with_threads(it, 1), four = with_threads(it, 4);
    expect_same_bits(it, four, one, "with four threads");
    check_lanes(it);
  };
  for (const Op::Entry& entry : op.timed()) check(instance({}, op, entry, entry.rows.front()));
  for_each_case({}, op, check);
}

}  // namespace lockstep::test
