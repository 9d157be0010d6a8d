#pragma once

#include <emulated_account.h>

#include <cstdint>
#include <string>
#include <vector>

#include "launch/account/ceilings.h"
#include "src/core/step_part.h"

namespace lockstep {

/// A node of a captured step, or several of them.
struct AccountEntry {
  std::string name;
  int64_t nodes = 0;
  uint64_t bytes = 0;           ///< each sector once a node
  uint64_t accessed_bytes = 0;  ///< by every access of a warp
  uint64_t flops = 0;
  double us = 0;

  void add(const AccountEntry& other);
};

struct AccountedNode : AccountEntry {
  StepPart part = StepPart::other;
  std::string layer;
};

/// All that a captured step does, in the order of capture, with the time that it would take.
struct StepAccount {
  StepAccount(const std::vector<emulator::account::Node>& nodes, const Ceilings& ceilings);

  std::vector<AccountedNode> nodes;
  AccountEntry total;
  std::vector<AccountEntry> parts;    ///< in the order of StepPart
  std::vector<AccountEntry> kernels;  ///< the slowest first
  struct Layer {
    AccountEntry sum;
    double forward_us = 0, backward_us = 0;
  };
  std::vector<Layer> layers;  ///< in the order of the network
};

/// "column_sums_kernel<Moments, StoreStatistics>" of a name with namespaces and parameters.
std::string short_kernel_name(const std::string& name);

/// step_place(), for emulator::account::set_label_source().
emulator::account::Label account_label();

}  // namespace lockstep
