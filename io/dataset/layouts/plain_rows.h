#pragma once

#include <string>
#include <vector>

#include "io/dataset/rows/stored_rows.h"

namespace lockstep {

/// A data set of numbers (N, ...), whose first axis counts the rows.
class PlainRows final : public StoredRows {
 public:
  PlainRows(hdf5::File file, const std::string& name, hdf5::Dataset dataset);

  const hdf5::Dataset* plain() const override { return &dataset_; }
  std::vector<std::string> data_sets() const override { return {dataset_.name()}; }
  void read_runs(std::span<const hdf5::RowRun> runs, DType dtype, std::byte* out) const override {
    dataset_.read_runs(runs, dtype, out);
  }

 private:
  hdf5::Dataset dataset_;
};

/// The facts of rows that are the indices along `axis` of a data set, each with all elements of the other
/// axes, in their order.
RowFacts facts_of_rows(const hdf5::Dataset& dataset, int axis = 0);

/// Throws Error(data) unless the file has a data set of this name: lists those it has, and how a config names
/// them.
void require_dataset(const hdf5::File& file, const std::string& name);

/// Throws Error(data) unless the data set is an array of at least one row, with values, no more axes than
/// supported and filters that are available. The message says what it is instead.
void require_rows(const hdf5::Dataset& dataset);

/// The same, and that its elements are integers or floats.
void require_rows_of_numbers(const hdf5::Dataset& dataset);

}  // namespace lockstep
