#include "tests/support/emulator/cudnn_operations.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>
#include <set>

#include "tests/support/emulator/element.h"

namespace emulator::cudnn {

namespace {

using Extents = std::vector<int64_t>;
using Values = std::vector<float>;  ///< of a tensor, the last axis fastest

int64_t product(Extents::const_iterator from, Extents::const_iterator to) {
  return std::accumulate(from, to, int64_t{1}, std::multiplies<>());
}

/// The strides of Values, 0 along an axis on which they are repeated.
Extents strides_of_values(const GraphTensor& tensor) {
  Extents strides(tensor.extents.size());
  int64_t step = 1;
  for (size_t axis = strides.size(); axis-- > 0;) {
    strides[axis] = tensor.extents[axis] == 1 ? 0 : step;
    step *= tensor.extents[axis];
  }
  return strides;
}

/// Calls visit(coordinates) for each position, the last axis fastest.
template <typename Visit>
void for_each_position(const Extents& extents, Visit visit) {
  Extents at(extents.size(), 0);
  for (int64_t left = product(extents.begin(), extents.end()); left > 0; --left) {
    visit(at);
    for (size_t axis = at.size(); axis-- > 0;) {
      if (++at[axis] < extents[axis]) break;
      at[axis] = 0;
    }
  }
}

/// Calls visit(coordinates) for the start of each row, along the last axis.
template <typename Visit>
void for_each_row(Extents extents, Visit visit) {
  extents.back() = 1;
  for_each_position(extents, visit);
}

size_t offset(const Extents& at, const Extents& strides) {
  return static_cast<size_t>(std::inner_product(at.begin(), at.end(), strides.begin(), int64_t{0}));
}

bool is_two_bytes(cudnnDataType_t type) { return type == CUDNN_DATA_HALF || type == CUDNN_DATA_BFLOAT16; }

cudaDataType_t element_type(cudnnDataType_t type) {
  return type == CUDNN_DATA_BFLOAT16 ? CUDA_R_16BF : type == CUDNN_DATA_HALF ? CUDA_R_16F : CUDA_R_32F;
}

size_t bytes_of_element(const GraphTensor& tensor) { return size_of(element_type(tensor.type)); }

/// Whole numbers and conditions are exact as floats.
float rounded(cudnnDataType_t type, float value) {
  if (!is_two_bytes(type)) return value;
  uint16_t bits;
  store(element_type(type), &bits, 0, value);
  return load(element_type(type), &bits, 0);
}

/// Each extent is that of the other, or 1.
bool repeats_to(const GraphTensor& tensor, const GraphTensor& other) {
  return std::equal(tensor.extents.begin(), tensor.extents.end(), other.extents.begin(), other.extents.end(),
                    [](int64_t own, int64_t its) { return own == its || own == 1; });
}

size_t operands_of(cudnnPointwiseMode_t mode) {
  switch (mode) {
    case CUDNN_POINTWISE_EXP:
    case CUDNN_POINTWISE_LOG:
    case CUDNN_POINTWISE_IDENTITY:
    case CUDNN_POINTWISE_GEN_INDEX:
      return 1;
    case CUDNN_POINTWISE_ADD:
    case CUDNN_POINTWISE_MUL:
    case CUDNN_POINTWISE_DIV:
    case CUDNN_POINTWISE_SUB:
    case CUDNN_POINTWISE_CMP_GE:
      return 2;
    case CUDNN_POINTWISE_BINARY_SELECT:
      return 3;
  }
  return 0;  // unknown here
}

bool fits(const Operation& o) {
  const GraphTensor &x = o.inputs[0], &y = o.output;
  if (x.extents.size() != y.extents.size()) return false;
  switch (o.kind) {
    case Operation::Kind::pointwise:
      return std::all_of(o.inputs.begin(), o.inputs.end(),
                         [&](const GraphTensor& input) { return repeats_to(input, y); });
    case Operation::Kind::reduce:
      return repeats_to(y, x);
    case Operation::Kind::reshape:
      return x.elements() == y.elements() && x.largest_offset() == y.largest_offset();
    case Operation::Kind::multiply:
      break;
  }
  const GraphTensor& b = o.inputs[1];
  const size_t rank = y.extents.size();
  if (rank < 2 || b.extents.size() != rank) return false;
  const auto same_batch = [&](const GraphTensor& factor) {
    return std::equal(y.extents.begin(), y.extents.end() - 2, factor.extents.begin());
  };
  return same_batch(x) && same_batch(b) && x.extents[rank - 2] == y.extents[rank - 2] &&
         x.extents[rank - 1] == b.extents[rank - 2] && b.extents[rank - 1] == y.extents[rank - 1];
}

/// Whether rows are multiples of 16 bytes.
bool has_whole_rows(const GraphTensor& factor) {
  if (factor.place != GraphTensor::Place::memory) return true;
  const auto vector = 16 / static_cast<int64_t>(bytes_of_element(factor));
  bool has_rows = false;
  for (size_t axis = 0; axis < factor.extents.size(); ++axis) {
    const bool is_row = factor.strides[axis] == 1;
    has_rows = has_rows || is_row;
    if ((is_row ? factor.extents[axis] : factor.strides[axis]) % vector != 0) return false;
  }
  return has_rows;
}

bool is_known(const Operation& o) {
  const auto is_type = [](const GraphTensor& tensor) {
    return tensor.place == GraphTensor::Place::between
               ? tensor.type != CUDNN_DATA_DOUBLE
               : tensor.type == CUDNN_DATA_FLOAT || is_two_bytes(tensor.type);
  };
  if (!o.computes_in_float || !is_type(o.output) || !std::all_of(o.inputs.begin(), o.inputs.end(), is_type))
    return false;
  switch (o.kind) {
    case Operation::Kind::pointwise:
      return operands_of(o.mode) == o.inputs.size();
    case Operation::Kind::reduce:
      return o.reduction == CUDNN_REDUCE_TENSOR_ADD || o.reduction == CUDNN_REDUCE_TENSOR_MAX;
    case Operation::Kind::reshape:
      return true;
    case Operation::Kind::multiply:
      break;
  }
  return has_whole_rows(o.inputs[0]) && has_whole_rows(o.inputs[1]) && has_whole_rows(o.output);
}

/// The memory of a tensor in pieces without gaps.
std::vector<Range> pieces(const GraphTensor& tensor, const void* start) {
  std::vector<size_t> outer(tensor.extents.size());
  std::iota(outer.begin(), outer.end(), size_t{0});
  std::sort(outer.begin(), outer.end(),
            [&](size_t a, size_t b) { return tensor.strides[a] < tensor.strides[b]; });
  int64_t length = 1;
  while (!outer.empty() && (tensor.extents[outer[0]] == 1 || tensor.strides[outer[0]] == length)) {
    length *= tensor.extents[outer[0]];
    outer.erase(outer.begin());
  }
  Extents extents, strides;
  for (const size_t axis : outer) {
    extents.push_back(tensor.extents[axis]);
    strides.push_back(tensor.strides[axis]);
  }
  std::vector<Range> found;
  const size_t bytes = bytes_of_element(tensor);
  for_each_position(extents, [&](const Extents& at) {
    found.push_back({static_cast<const std::byte*>(start) + offset(at, strides) * bytes,
                     static_cast<size_t>(length) * bytes});
  });
  return found;
}

float apply(cudnnPointwiseMode_t mode, float x, float b, float condition) {
  switch (mode) {
    case CUDNN_POINTWISE_ADD:
      return x + b;
    case CUDNN_POINTWISE_MUL:
      return x * b;
    case CUDNN_POINTWISE_DIV:
      return x / b;
    case CUDNN_POINTWISE_SUB:
      return x - b;
    case CUDNN_POINTWISE_EXP:
      return std::exp(x);
    case CUDNN_POINTWISE_LOG:
      return std::log(x);
    case CUDNN_POINTWISE_CMP_GE:
      return x >= b ? 1.0f : 0.0f;
    case CUDNN_POINTWISE_BINARY_SELECT:
      return condition != 0 ? x : b;
    case CUDNN_POINTWISE_IDENTITY:
    case CUDNN_POINTWISE_GEN_INDEX:
      break;
  }
  return x;
}

Values map(const Operation& o, const std::vector<const Values*>& inputs) {
  Values result;
  result.reserve(o.output.elements());
  const int64_t length = o.output.extents.back();
  std::vector<Extents> strides;
  for (const GraphTensor& input : o.inputs) strides.push_back(strides_of_values(input));
  for_each_row(o.output.extents, [&](Extents at) {
    if (o.mode == CUDNN_POINTWISE_GEN_INDEX) {
      int64_t& coordinate = at.back();
      for (coordinate = 0; coordinate < length; ++coordinate)
        result.push_back(static_cast<float>(at[static_cast<size_t>(o.axis)]));
      return;
    }
    const float* rows[3] = {};
    int64_t steps[3] = {};
    for (size_t i = 0; i < inputs.size(); ++i) {
      rows[i] = inputs[i]->data() + offset(at, strides[i]);
      steps[i] = strides[i].back();
    }
    const auto operand = [&](size_t i, int64_t column) {
      return rows[i] == nullptr ? 0.0f : rows[i][column * steps[i]];
    };
    for (int64_t column = 0; column < length; ++column)
      result.push_back(apply(o.mode, operand(0, column), operand(1, column), operand(2, column)));
  });
  return result;
}

Values reduce(const Operation& o, const Values& x) {
  const bool adds = o.reduction == CUDNN_REDUCE_TENSOR_ADD;
  std::vector<double> sums(o.output.elements(), adds ? 0 : -std::numeric_limits<double>::infinity());
  const Extents strides = strides_of_values(o.output), &extents = o.inputs[0].extents;
  const float* next = x.data();
  for_each_row(extents, [&](const Extents& at) {
    double* const row = &sums[offset(at, strides)];
    for (int64_t column = 0; column < extents.back(); ++column) {
      double& sum = row[column * strides.back()];
      const double value = *next++;
      sum = adds ? sum + value : std::isnan(value) ? value : std::max(sum, value);
    }
  });
  return Values(sums.begin(), sums.end());
}

Values multiply(const Operation& o, const Values& a, const Values& b) {
  const Extents& extents = o.output.extents;
  const size_t rank = extents.size();
  const int64_t rows = extents[rank - 2], columns = extents[rank - 1], depth = o.inputs[0].extents[rank - 1];
  Values c;
  for (int64_t batch = 0; batch < product(extents.begin(), extents.end() - 2); ++batch)
    for (int64_t row = 0; row < rows; ++row) {
      std::vector<double> sums(static_cast<size_t>(columns));
      for (int64_t k = 0; k < depth; ++k) {
        const double factor = a[static_cast<size_t>((batch * rows + row) * depth + k)];
        const float* const others = b.data() + (batch * depth + k) * columns;
        for (size_t column = 0; column < sums.size(); ++column) sums[column] += factor * others[column];
      }
      c.insert(c.end(), sums.begin(), sums.end());
    }
  return c;
}

/// Calls visit(offset) for each element, the last axis fastest.
template <typename Visit>
void for_each_element(const GraphTensor& tensor, Visit visit) {
  for_each_row(tensor.extents, [&](const Extents& at) {
    const size_t row = offset(at, tensor.strides);
    const auto step = static_cast<size_t>(tensor.strides.back());
    for (size_t column = 0; column < static_cast<size_t>(tensor.extents.back()); ++column)
      visit(row + column * step);
  });
}

/// The elements that are at the same place in memory.
Values reshape(const Operation& o, const Values& x) {
  const GraphTensor& from = o.inputs[0];
  Values memory(static_cast<size_t>(from.largest_offset()) + 1, std::numeric_limits<float>::quiet_NaN());
  const float* next = x.data();
  for_each_element(from, [&](size_t at) { memory[at] = *next++; });
  Values y;
  for_each_element(o.output, [&](size_t at) { y.push_back(memory[at]); });
  return y;
}

/// As if each tensor in memory were read or written once.
void count(const Program& program, const Pointers& memory) {
  uint64_t flops = 0, read = 0, written = 0;
  account::Arithmetic arithmetic = account::Arithmetic::fp32;
  for (const Operation& o : program.operations) {
    if (o.kind != Operation::Kind::multiply) continue;
    flops += 2 * o.output.elements() * static_cast<uint64_t>(o.inputs[0].extents.back());
    arithmetic = arithmetic_of(element_type(o.inputs[0].type), false);
  }
  for (const auto& [tensor, is_written] : program.in_memory()) {
    (is_written ? written : read) += tensor.elements() * bytes_of_element(tensor);
    if (!is_written) continue;
    for (const Range& piece : pieces(tensor, memory.at(tensor.id)))
      account::clear(const_cast<void*>(piece.start), piece.bytes);
  }
  account::count_call("graph", arithmetic, flops, read, written);
}

}  // namespace

size_t GraphTensor::elements() const { return static_cast<size_t>(product(extents.begin(), extents.end())); }

int64_t GraphTensor::largest_offset() const {
  int64_t largest = 0;
  for (size_t axis = 0; axis < extents.size(); ++axis) largest += (extents[axis] - 1) * strides[axis];
  return largest;
}

bool Program::is_valid() const {
  std::set<int64_t> computed;
  for (const Operation& o : operations) {
    for (const GraphTensor& input : o.inputs)
      if (input.place == GraphTensor::Place::between && computed.count(input.id) == 0) return false;
    if (o.output.place == GraphTensor::Place::number || !computed.insert(o.output.id).second || !fits(o))
      return false;
  }
  return true;
}

bool Program::is_supported() const { return std::all_of(operations.begin(), operations.end(), is_known); }

std::vector<std::pair<GraphTensor, bool>> Program::in_memory() const {
  std::map<int64_t, std::pair<GraphTensor, bool>> found;
  const auto add = [&](const GraphTensor& tensor, bool is_written) {
    if (tensor.place != GraphTensor::Place::memory) return;
    found.try_emplace(tensor.id, tensor, false).first->second.second |= is_written;
  };
  for (const Operation& o : operations) {
    for (const GraphTensor& input : o.inputs) add(input, false);
    add(o.output, true);
  }
  std::vector<std::pair<GraphTensor, bool>> result;
  for (const auto& [id, tensor] : found) result.push_back(tensor);
  return result;
}

std::vector<GraphTensor> Program::numbers() const {
  std::vector<GraphTensor> found;
  for (const Operation& o : operations)
    for (const GraphTensor& input : o.inputs)
      if (input.place == GraphTensor::Place::number) found.push_back(input);
  return found;
}

bool overlaps(const Program& program, const Pointers& memory) {
  struct Piece {
    const std::byte *start, *end;
    bool is_written;
  };
  std::vector<Piece> all;
  for (const auto& [tensor, is_written] : program.in_memory())
    for (const Range& range : pieces(tensor, memory.at(tensor.id))) {
      const auto* const start = static_cast<const std::byte*>(range.start);
      all.push_back({start, start + range.bytes, is_written});
    }
  std::sort(all.begin(), all.end(), [](const Piece& a, const Piece& b) { return a.start < b.start; });
  const std::byte *end = nullptr, *end_of_written = nullptr;
  for (const Piece& piece : all) {
    if (piece.start < (piece.is_written ? end : end_of_written)) return true;
    end = std::max(end, piece.end);
    if (piece.is_written) end_of_written = std::max(end_of_written, piece.end);
  }
  return false;
}

void run_program(const Program& program, const Pointers& memory, const HostNumbers& numbers, bool steady) {
  if (account::kEnabled) return count(program, memory);
  std::map<int64_t, Values> values;
  const auto values_of = [&](const GraphTensor& tensor) -> const Values* {
    const auto [found, is_new] = values.try_emplace(tensor.id);
    Values& v = found->second;
    if (!is_new) return &v;
    if (tensor.place == GraphTensor::Place::number)
      v = {numbers.at(tensor.id)};
    else
      for_each_element(tensor, [&, data = memory.at(tensor.id)](size_t at) {
        v.push_back(load(element_type(tensor.type), data, at));
      });
    return &v;
  };
  for (const Operation& o : program.operations) {
    std::vector<const Values*> inputs;
    for (const GraphTensor& input : o.inputs) inputs.push_back(values_of(input));
    Values result = o.kind == Operation::Kind::multiply    ? multiply(o, *inputs[0], *inputs[1])
                    : o.kind == Operation::Kind::pointwise ? map(o, inputs)
                    : o.kind == Operation::Kind::reduce    ? reduce(o, *inputs[0])
                                                           : reshape(o, *inputs[0]);
    for (float& value : result) value = rounded(o.output.type, value);
    if (o.output.place == GraphTensor::Place::memory) {
      const float* next = result.data();
      for_each_element(o.output, [&, data = memory.at(o.output.id)](size_t at) {
        const float value = *next++;
        store(element_type(o.output.type), data, at, steady ? value : static_cast<float>(unsteady(value)));
      });
    }
    values[o.output.id] = std::move(result);
  }
}

}  // namespace emulator::cudnn
