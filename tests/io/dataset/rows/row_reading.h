#pragma once

#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include "io/dataset/layouts/open_rows.h"
#include "io/dataset/rows/block_cache.h"
#include "io/dataset/rows/row_source.h"
#include "io/dataset/rows/stored_rows.h"
#include "tests/io/data_files.h"

namespace lockstep {

/// These rows of a source of `width` values each, one after another.
template <typename T>
std::vector<T> rows_of(const RowSource& source, const std::vector<int64_t>& rows, int64_t width) {
  std::vector<T> values(rows.size() * static_cast<size_t>(width));
  std::vector<RowRequest> wanted;
  for (size_t i = 0; i < rows.size(); ++i)
    wanted.push_back({rows[i], reinterpret_cast<std::byte*>(values.data() + i * static_cast<size_t>(width))});
  source.read(wanted);
  return values;
}

/// All rows below `count` in an order in which neighbours are far apart, then some of them again.
inline std::vector<int64_t> shuffled_rows(int64_t count) {
  std::vector<int64_t> rows;
  int64_t step = count / 2 + 1;
  while (std::gcd(step, count) != 1) ++step;
  for (int64_t i = 0; i < count; ++i) rows.push_back(i * step % count);
  for (const int64_t again : {count - 1, int64_t{0}, count / 2, count / 2}) rows.push_back(again);
  return rows;
}

}  // namespace lockstep
