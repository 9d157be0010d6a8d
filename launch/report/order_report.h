#pragma once

#include <string>

#include "launch/report/report.h"

namespace lockstep {

struct OrderReportOptions {
  std::string file, group;  ///< the data sets x and, if it is there, y of a group
  int64_t global_batch = 128;
  int64_t window_bytes = 0;  ///< see Data::shuffle_window; 0: half of memory_budget
  int64_t memory_budget = 0;
};

/// What each value of data.shuffle would mean for a data set: what it mixes and reads, and how far from
/// random it is. Throws Error(data).
Json order_report(const OrderReportOptions& options);
/// As a table with an explanation.
void print_order_report(const Json& report);

}  // namespace lockstep
