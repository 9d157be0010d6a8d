#pragma once

#include <memory>
#include <vector>

#include "io/dataset/rows/row_source.h"

namespace lockstep {

/// The rows of several sources, one after another.
class JoinedRows final : public RowSource {
 public:
  /// Rows that the next source has.
  void append(std::unique_ptr<RowSource> source, int64_t rows);

  void read(std::span<RowRequest> wanted) const override;
  /// Of the one that decodes the most.
  double decoded_bytes_per_row() const override;
  std::string route() const override;

 private:
  struct Part {
    std::unique_ptr<RowSource> source;
    int64_t first, end;
  };
  std::vector<Part> parts_;
};

}  // namespace lockstep
