#pragma once

#include <string>
#include <vector>

#include "io/dataset/rows/stored_rows.h"
#include "io/images/image.h"

namespace lockstep {

/// Images that are stored as JPEG or PNG files, one a row, decoded as they are read: (H, W), or (H, W, C),
/// uint8. A row is a sequence of uint8 of variable length, or opaque bytes. All images have the same size.
class ImageRows final : public StoredRows {
 public:
  ImageRows(hdf5::File file, const std::string& name);

  /// Whether a data set holds bytes, one value for each row, of which the first is an image.
  static bool holds_images(const hdf5::Dataset& dataset);

  std::vector<std::string> data_sets() const override { return {dataset_.name()}; }
  /// Throws Error(data) naming the sample of an image that is damaged or of another size.
  void read_runs(std::span<const hdf5::RowRun> runs, DType dtype, std::byte* out) const override;

 private:
  hdf5::Dataset dataset_;
  images::Size size_;
};

}  // namespace lockstep
