#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "io/dataset/dataset.h"
#include "io/hdf5/hdf5.h"
#include "tests/io/temporary_folder.h"

namespace lockstep {

/// The text of the Error that `action` throws, which must have `code`.
inline std::string error_of(const std::function<void()>& action, ExitCode code = ExitCode::data) {
  try {
    action();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), code) << e.what();
    return e.what();
  }
  return "no error";
}

/// Appends a data set to a file, which is created if need be.
template <typename T>
void put(const std::string& path, const std::string& name, const Shape& shape, const std::vector<T>& values,
         const hdf5::Storage& storage = {}) {
  INVARIANT(static_cast<int64_t>(values.size()) == shape.elements());
  const hdf5::Lock lock;
  if (FILE* existing = std::fopen(path.c_str(), "rb")) {
    std::fclose(existing);
  } else {
    hdf5::File::create(path);
  }
  hdf5::File file = hdf5::File::open_for_writing(path);
  file.write(name, {values.data(), dtype_of<T>(), shape}, storage);
}

/// The data sets /x and /y of a file.
inline std::unique_ptr<Dataset> open_xy(const std::string& file, const DatasetOptions& options = {}) {
  return open_dataset({{file}, "/x", "/y"}, options);
}

/// 0, 1, 2, ... modulo `modulus`.
template <typename T>
std::vector<T> counting(int64_t count, int64_t modulus = int64_t{1} << 40) {
  std::vector<T> values;
  for (int64_t i = 0; i < count; ++i) values.push_back(static_cast<T>(i % modulus));
  return values;
}

/// All of x, or of the targets, of a data set as T.
template <typename T>
std::vector<T> all_x(const Dataset& data) {
  std::vector<int64_t> indices = counting<int64_t>(data.size());
  std::vector<T> x(static_cast<size_t>(data.size() * data.x_shape().elements()));
  data.read(indices, reinterpret_cast<std::byte*>(x.data()), nullptr);
  return x;
}
template <typename T>
std::vector<T> all_y(const Dataset& data) {
  std::vector<int64_t> indices = counting<int64_t>(data.size());
  std::vector<std::byte> x(static_cast<size_t>(data.size() * data.x_shape().elements()) *
                           size_of(data.x_dtype()));
  std::vector<T> y(static_cast<size_t>(data.size() * data.y_shape().elements()));
  data.read(indices, x.data(), reinterpret_cast<std::byte*>(y.data()));
  return y;
}

}  // namespace lockstep
