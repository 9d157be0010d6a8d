#pragma once

// What is behind the descriptors of the emulated backend API of cuDNN.
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "tests/support/emulator/cudnn_convolution.h"
#include "tests/support/emulator/cudnn_operations.h"

namespace emulator::cudnn {

/// The values of an attribute, which take eight bytes each or less.
struct Attribute {
  size_t value_bytes;
  std::vector<uint64_t> values;

  template <typename T>
  T as(size_t i = 0) const {
    T value;
    std::memcpy(&value, &values[i], sizeof value);
    return value;
  }
  template <typename T>
  std::vector<T> all() const {
    std::vector<T> result;
    for (size_t i = 0; i < values.size(); ++i) result.push_back(as<T>(i));
    return result;
  }
};

/// What a graph computes: one convolution, a program of small operations, or a convolution and then a program
/// that reads its result.
struct Task {
  cudnnHandle_t handle;
  std::shared_ptr<const Program> program = nullptr;  ///< null: the convolution
  bool convolves_first = false;                      ///< before the program
  Direction direction;
  Problem problem;
  /// Whether the tensors are channels-last without gaps.
  bool is_dense;
  float alpha, beta;
  /// Of x, w and y.
  int64_t ids[3], alignments[3];
};

struct Engine {
  std::vector<cudnnBackendNumericalNote_t> notes;
  std::vector<cudnnBackendBehaviorNote_t> behavior = {};
  cudnnBackendHeurMode_t mode;  ///< of the heuristics that offer it
  bool builds = true;           ///< whether a plan can be made of it
  bool compiles = true;         ///< whether the compiler that this takes succeeds
  bool runs = true;             ///< whether the plan can be executed
  size_t workspace_bytes = 0;
  int milliseconds = 0;  ///< that it takes on the emulated GPU's clock, besides what it really takes

  bool has(cudnnBackendNumericalNote_t note) const;
};

struct Descriptor {
  cudnnBackendDescriptorType_t type;
  bool is_finalized = false;
  std::map<cudnnBackendAttributeName_t, Attribute> attributes;
  std::optional<Task> task;            ///< of a convolution, and of graphs and what is made from them
  std::optional<Operation> operation;  ///< a small one
  const Engine* engine = nullptr;      ///< of engines, their configurations and plans

  const Attribute& operator[](cudnnBackendAttributeName_t name) const { return attributes.at(name); }
};

extern Handles<cudnnBackendDescriptor_t, Descriptor> descriptors;

/// The descriptor that an attribute refers to; null if it is not of the type.
Descriptor* referred(const Descriptor& from, cudnnBackendAttributeName_t name,
                     cudnnBackendDescriptorType_t type);

/// Finalizes a small operation, or a description that it refers to; NOT_SUPPORTED if it is neither.
cudnnStatus_t finalize_small_operation(Descriptor& d);

/// The engines that a mode of the heuristics offers for a task, the fastest first.
std::vector<const Engine*> engines_for(const Task& task, cudnnBackendHeurMode_t mode);

/// For tests: whether there are any engines from now on.
void offer_engines(bool offered);

/// For tests: how long an engine takes, by its place in the tables of cudnn_engines.cpp, of convolutions, of
/// programs, and of convolutions with programs.
void set_milliseconds(size_t engine, int milliseconds);
void set_milliseconds_of_programs(size_t engine, int milliseconds);
void set_milliseconds_of_epilogues(size_t engine, int milliseconds);

}  // namespace emulator::cudnn
