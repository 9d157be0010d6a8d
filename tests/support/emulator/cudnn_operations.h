#pragma once

// Graphs of small operations for the emulated cuDNN, computed one operation after the other.
#include <cudnn.h>

#include <map>
#include <vector>

#include "tests/support/emulator/library.h"

namespace emulator::cudnn {

/// A tensor of a graph. Strides are in elements.
struct GraphTensor {
  enum class Place {
    memory,  ///< of the GPU
    number,  ///< on the host
    between  ///< operations
  };

  int64_t id;
  Place place;
  cudnnDataType_t type;
  std::vector<int64_t> extents, strides;
  int64_t alignment;  ///< of the memory, in bytes

  size_t elements() const;
  /// From the first to the last element, in elements.
  int64_t largest_offset() const;
};

struct Operation {
  enum class Kind { multiply, pointwise, reduce, reshape };

  Kind kind;
  cudnnPointwiseMode_t mode = CUDNN_POINTWISE_IDENTITY;
  cudnnReduceTensorOp_t reduction = CUDNN_REDUCE_TENSOR_ADD;
  int64_t axis = 0;             ///< of GEN_INDEX
  bool in_fixed_order = false;  ///< of a reduction: on request
  bool computes_in_float = true;
  std::vector<GraphTensor> inputs;  ///< of a pointwise one x, b, and the condition
  GraphTensor output;
};

/// In an order in which each reads only what those before it have computed.
struct Program {
  std::vector<Operation> operations;

  /// Whether extents fit, and each tensor between operations is computed before it is read.
  bool is_valid() const;
  /// Whether there are engines for it: only with the operations and types that run_program() knows, and rows
  /// of two-byte factors in memory that are multiples of 16 bytes.
  bool is_supported() const;
  /// Those in memory, and whether an operation writes them.
  std::vector<std::pair<GraphTensor, bool>> in_memory() const;
  std::vector<GraphTensor> numbers() const;
};

/// By the ids of tensors.
using Pointers = std::map<int64_t, void*>;
using HostNumbers = std::map<int64_t, float>;

/// Whether memory that is written overlaps other memory, element by element.
bool overlaps(const Program& program, const Pointers& memory);

/// Sums in double; other results are of float, and each is rounded to the type of its tensor. A steady
/// program gives the same bits each time.
void run_program(const Program& program, const Pointers& memory, const HostNumbers& numbers, bool steady);

}  // namespace emulator::cudnn
