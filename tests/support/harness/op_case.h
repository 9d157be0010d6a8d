#pragma once

#include <functional>
#include <initializer_list>
#include <limits>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "src/device/exec.h"
#include "src/ops/micro_batch.h"
#include "src/tensor/tensor.h"
#include "tests/support/compare.h"
#include "tests/support/tolerance.h"

// How a test describes an operation: a case names its tensors, says how to run it and what it computes.
// Everything that is checked of a case, on every backend, follows from that: op_check.h.
namespace lockstep::test {

/// How a tensor that an operation reads is filled.
struct Fill {
  double low = -1, high = 1;                    ///< uniform in [low, high), rounded down for integers
  std::function<double(double)> map = nullptr;  ///< of each value
  Doubles values = {};                          ///< instead of random ones
  std::vector<uint8_t> bytes = {};              ///< instead of values
};
inline Fill between(double low, double high) { return {.low = low, .high = high}; }
inline Fill exactly(Doubles values) { return {.values = std::move(values)}; }

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

/// Tensors as doubles, by name. A name that is not there stands for an empty tensor.
struct Values : std::map<std::string, Doubles> {
  using std::map<std::string, Doubles>::map;
  const Doubles& operator[](const std::string& name) const;
  Doubles& operator[](const std::string& name) { return std::map<std::string, Doubles>::operator[](name); }
};

/// A definition in double: from the inputs to the outputs. An output that it leaves out has no defined
/// values, but is finite.
using Oracle = std::function<Values(const Values& inputs)>;

/// What the functions of a case get: tensors in the backend's memory by their names. A tensor that the case
/// does not have, or that a check leaves out, is empty.
struct OpCall {
  Exec exec;
  const MicroBatchInfo* info = nullptr;  ///< in the backend's memory
  Tensor workspace = {};
  std::map<std::string, Tensor> tensors = {};
  Tensor operator[](const std::string& name) const;
};

/// An operation that is ready to run.
struct OpRoutines {
  std::function<void(const OpCall&)> forward, backward = nullptr;
  size_t workspace_bytes = 0;
};

/// A tensor's division into parts: its first axis into `first` of them, each of those by its last axis into
/// `last`.
struct Parts {
  int64_t first = 1, last = 1;
  int64_t count() const { return first * last; }
  /// The part of an element of a tensor with `elements`, and where the elements of a part are.
  size_t part_of(size_t i, size_t elements) const;
  size_t place(size_t part, size_t element, size_t elements) const;
};

struct Operand {
  enum class Role {
    input,     ///< read, never changed
    output,    ///< overwritten, whatever it held
    state,     ///< read and changed
    gradient,  ///< an output: the derivative by the input `of`
  };
  std::string name;
  Role role;
  Shape shape;
  DType dtype = DType::f32;
  Fill fill = {};                ///< input, state
  Tolerance tolerance = kExact;  ///< output, state, gradient
  std::string of = {};
  /// gradient: as many parts of `of` as of the outputs, each of which depends on one of them only, so that
  /// differences are taken in all of them at once.
  Parts parts = {}, output_parts = {};
  bool is_written() const { return role != Role::input; }
};

/// One case: shapes, options, tolerances. Functions that add to it return it.
struct OpCase {
  OpCase& input(const std::string& name, const Shape& shape, const Fill& fill = {}, DType dtype = DType::f32);
  OpCase& output(const std::string& name, const Shape& shape, const Tolerance& tolerance,
                 DType dtype = DType::f32);
  OpCase& state(const std::string& name, const Shape& shape, const Fill& fill, const Tolerance& tolerance,
                DType dtype = DType::f32);
  /// backward reads dNAME, the gradient of this output.
  OpCase& output_gradient(const std::string& name, const Fill& fill = {});
  /// The operation writes dNAME, the gradient of this input.
  OpCase& gradient(const std::string& name, const Tolerance& tolerance, Parts parts, Parts output_parts);
  OpCase& gradient(const std::string& name, const Tolerance& tolerance = kGradient, Parts parts = {}) {
    return gradient(name, tolerance, parts, parts);
  }

  /// backward adds dNAME to what is there. After everything else of the case.
  OpCase& adds_to_gradient(const std::string& name);

  /// For operations that are functions: nothing to prepare.
  OpCase& runs(std::function<void(const OpCall&)> forward,
               std::function<void(const OpCall&)> backward = nullptr);

  const Operand& operand(const std::string& name) const;

  /// The case with activations, their gradients, and what is read of the parameters in another type.
  OpCase in(DType activations) const;

  std::vector<Operand> operands;
  std::function<OpRoutines(Exec, DType activations)> prepare;
  Oracle oracle;
  Oracle smooth;  ///< what backward is the derivative of, where that is not the oracle
  /// The weights in the sum that is differentiated, for outputs without an output_gradient.
  Values weights;
  /// (output, input) that may be one memory.
  std::vector<std::pair<std::string, std::string>> may_alias;
  std::vector<std::string> may_be_absent;  ///< outputs that a caller may leave out
  std::vector<std::string> overwritten;    ///< inputs that the operation may overwrite
  double kinks = 0;        ///< the largest part of an input's elements at which there is no derivative
  bool is_padded = false;  ///< rows from info.valid on count for nothing, and are zero where they are written
  bool any_address = false;  ///< tensors may lie at any multiple of their element's size
  /// Inputs and outputs of any real type, with their gradients; and inputs of the same type whose gradients
  /// are f32. All other tensors have the type that they are declared with.
  std::vector<std::string> activations, parameters;
  std::vector<std::string> rounded;   ///< f32 results that a library gives in the type of the activations
  DType type = DType::f32;            ///< of these
  std::vector<std::string> pointers;  ///< tensors whose last extent the operation does not know
  MicroBatchInfo info{.step = 3, .valid = 0, .weight = 0.25f};  ///< valid is set to the number of rows
  double flops = 0;                                             ///< of forward; for timing
};

/// An operation with its cases.
class Op {
 public:
  using Make = std::function<OpCase(int64_t rows)>;
  struct Entry {
    std::string name;
    std::vector<int64_t> rows;
    Make make;
    bool is_fixed = false;
  };

  explicit Op(std::string name) : name_(std::move(name)) {}

  /// A case for any number of rows, samples or elements: checked with these numbers, and with 0, 1 and 3.
  void add(const std::string& name, std::vector<int64_t> rows, Make make);
  void add(const std::string& name, int64_t rows, Make make) {
    add(name, std::vector{rows}, std::move(make));
  }
  /// A case of fixed shapes, as for particular values.
  void add(const std::string& name, const OpCase& op);
  /// A size from practice: bench/ops_bench times it, and its bits may not depend on the number of threads.
  void time(const std::string& name, int64_t rows, Make make);

  const std::string& name() const { return name_; }
  const std::vector<Entry>& cases() const { return cases_; }
  const std::vector<Entry>& timed() const { return timed_; }

 private:
  std::string name_;
  std::vector<Entry> cases_, timed_;
};

/// Makes an operation known, as a global variable of its test file.
struct RegisterOp {
  RegisterOp(const char* name, void (*add_cases)(Op&));
};

/// All registered operations, in alphabetical order.
std::vector<std::string> op_names();
Op op_named(const std::string& name);

}  // namespace lockstep::test
