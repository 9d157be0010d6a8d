#pragma once

#include <optional>
#include <string>
#include <vector>

#include "io/dataset/rows/stored_rows.h"
#include "io/hdf5/convert.h"

namespace lockstep {

/// How the numbers of a data set stand for others, by the attributes of the CF conventions (netCDF).
struct Packing {
  double scale = 1, offset = 0;      ///< scale_factor, add_offset: value = stored * scale + offset
  bool is_unsigned = false;          ///< _Unsigned: signed integers stand for unsigned ones
  std::vector<double> missing = {};  ///< _FillValue, missing_value: stored numbers that stand for no value

  bool changes_values() const { return scale != 1 || offset != 0 || is_unsigned; }
};

/// None if a data set has none of these attributes. Throws Error(data) for one that is not a number.
std::optional<Packing> packing_of(const hdf5::Dataset& dataset);

/// A data set of packed numbers (N, ...), unpacked: float64 if they are stored so, else float32.
class UnpackedRows final : public StoredRows {
 public:
  /// missing: what a missing value is read as; none: NaN.
  UnpackedRows(hdf5::File file, const std::string& name, Packing packing, std::optional<double> missing);

  std::vector<std::string> data_sets() const override { return {dataset_.name()}; }
  void read_runs(std::span<const hdf5::RowRun> runs, DType dtype, std::byte* out) const override;

 private:
  hdf5::Dataset dataset_;
  Packing packing_;
  double missing_;
};

}  // namespace lockstep
