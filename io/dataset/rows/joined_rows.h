#pragma once

#include <memory>
#include <vector>

#include "io/dataset/rows/row_source.h"

namespace lockstep {

/// The concatenated rows of several sources.
class JoinedRows final : public RowSource {
 public:
  /// Appends rows [skipped, skipped + rows) of a source.
  void append(std::unique_ptr<RowSource> source, int64_t rows, int64_t skipped = 0);

  void read(std::span<RowRequest> wanted) const override;
  /// The maximum over the sources.
  double decoded_bytes_per_row() const override;
  std::string route() const override;

 private:
  struct Part {
    std::unique_ptr<RowSource> source;
    int64_t first, end, skipped;
  };
  std::vector<Part> parts_;
};

}  // namespace lockstep
