#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/backend.h"
#include "tests/support/harness/op_case.h"

namespace lockstep::test {

using Bytes = std::map<std::string, std::vector<uint8_t>>;

/// What the tensors of a case that have values before it runs hold: the same for the same seed.
Bytes inputs_of(const OpCase& op, uint64_t seed = 0);

/// How a check runs a case, besides as it is.
struct RunOptions {
  std::pair<std::string, std::string> alias = {};  ///< an output, and the input whose memory it is
  std::string absent = {};                         ///< an output
  uint8_t garbage = 0xFF;   ///< what outputs and workspace hold before: 0xFF is NaN in every float
  bool is_shifted = false;  ///< each tensor starts one element after an aligned address
};

/// A case in the memory of a backend: every tensor between guard bytes.
class OpRun {
 public:
  /// `inputs` must outlive this object.
  OpRun(Exec exec, const OpCase& op, const Bytes& inputs, const RunOptions& options = {});
  OpRun(Exec exec, const OpCase& op, Bytes&& inputs, const RunOptions& options = {}) = delete;

  /// Starts afresh with other garbage in outputs and workspace.
  void reset(uint8_t garbage);
  void forward() { routines_.forward(call_); }
  void backward() {
    if (has_backward()) routines_.backward(call_);
  }
  OpRun& both() {
    forward();
    backward();
    return *this;
  }
  /// Where the case has gradients, and forward does not write them.
  bool has_backward() const;
  OpCall& call() { return call_; }

  /// What the operation has written. Fails the test when a guard byte or an input has changed.
  Bytes results() const;

 private:
  struct Memory {
    Memory(Exec exec, const Operand& operand, const RunOptions& options);
    Tensor tensor() const;
    Operand operand;
    size_t lead;  ///< bytes before it
    Guarded<uint8_t> bytes;
  };
  bool holds_input(const Operand& operand) const;

  Exec exec_;
  OpCase op_;
  const Bytes& inputs_;
  RunOptions options_;
  OpRoutines routines_;
  OnBackend<MicroBatchInfo> info_;
  std::map<std::string, Memory> memory_;
  Guarded<uint8_t> workspace_;
  OpCall call_;
};

}  // namespace lockstep::test
