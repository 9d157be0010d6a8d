#include "io/dataset/layouts/csr_rows.h"

#include <algorithm>
#include <numeric>

#include "tests/io/text_files.h"

namespace lockstep {
namespace {

using testing::ElementsAreArray;
using testing::HasSubstr;

/// A sparse matrix of 4 x 5 and what it is when dense.
struct Matrix {
  std::vector<float> data = {1, 2, 3, 4, 5, 6};
  std::vector<int32_t> indices = {4, 0, 2, 1, 3, 0};
  std::vector<int64_t> indptr = {0, 2, 2, 5, 6};
  std::vector<int64_t> shape = {4, 5};
  std::string encoding = "csr_matrix";
};
const std::vector<float> kDense = {2, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 4, 3, 5, 0, 6, 0, 0, 0, 0};

template <typename T>
int64_t count_of(const std::vector<T>& values) {
  return static_cast<int64_t>(values.size());
}

void put_matrix(const std::string& path, const Matrix& matrix, const hdf5::Storage& storage = {}) {
  put(path, "/X/data", {count_of(matrix.data)}, matrix.data, storage);
  put(path, "/X/indices", {count_of(matrix.indices)}, matrix.indices, storage);
  put(path, "/X/indptr", {count_of(matrix.indptr)}, matrix.indptr);
  const hdf5::Lock lock;
  hdf5::File file = hdf5::File::open_for_writing(path);
  file.set_attribute("/X", "encoding-type", matrix.encoding);
  if (matrix.shape.empty()) return;
  const auto extent = static_cast<hsize_t>(matrix.shape.size());
  const hdf5::Id space(H5Screate_simple(1, &extent, nullptr));
  const hdf5::Id attribute(H5Acreate_by_name(file.id(), "/X", "shape", H5T_STD_I64LE, space.get(),
                                             H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
  H5Awrite(attribute.get(), H5T_NATIVE_INT64, matrix.shape.data());
}

std::unique_ptr<Dataset> open_matrix(const std::string& path, DatasetOptions options = {}) {
  options.probe = false;
  return open_dataset({{path}, "/X", ""}, options);
}

TEST(CsrRows, BecomeDense) {
  const TemporaryFolder folder;
  const std::vector<hdf5::Storage> storages = {{}, {.chunk = {2}}, {.chunk = {4}, .deflate = 1}};
  for (size_t i = 0; i < storages.size(); ++i) {
    const std::string path = folder / (std::to_string(i) + ".h5");
    put_matrix(path, {}, storages[i]);
    for (const int64_t budget : {1 << 20, 1}) {
      const auto data = open_matrix(path, {.memory_budget = budget});
      EXPECT_EQ(data->in_memory(), budget > 1);
      EXPECT_EQ(data->x_shape(), Shape{5});
      EXPECT_EQ(data->x_dtype(), DType::f32);
      EXPECT_THAT(all_x<float>(*data), ElementsAreArray(kDense));
    }
  }
}

TEST(CsrRows, AreReadInAnyOrder) {
  const TemporaryFolder folder;
  put_matrix(folder / "a.h5", {}, {.chunk = {2}, .deflate = 1});
  const auto data = open_matrix(folder / "a.h5", {.memory_budget = 1});
  std::vector<float> x(15);
  data->read(std::vector<int64_t>{3, 0, 2}, reinterpret_cast<std::byte*>(x.data()), nullptr);
  EXPECT_THAT(x, testing::ElementsAre(6, 0, 0, 0, 0, 2, 0, 0, 0, 1, 0, 4, 3, 5, 0));
}

TEST(CsrRows, AddUpValuesOfTheSameColumn) {
  const TemporaryFolder folder;
  Matrix matrix;
  matrix.indices[3] = 3;
  put_matrix(folder / "a.h5", matrix);
  EXPECT_EQ(all_x<float>(*open_matrix(folder / "a.h5"))[13], 9);
}

TEST(CsrRows, AreChecked) {
  const TemporaryFolder folder;
  int count = 0;
  const auto error = [&](const std::function<void(Matrix&)>& change) {
    Matrix matrix;
    change(matrix);
    const std::string path = folder / (std::to_string(++count) + ".h5");
    put_matrix(path, matrix);
    return error_of([&] { open_matrix(path); });
  };
  EXPECT_THAT(error([](Matrix& m) { m.indices[3] = 5; }),
              HasSubstr(":/X: sample 2 has a value in column 5, and the matrix has 5 columns."));
  EXPECT_THAT(error([](Matrix& m) { m.indices[3] = -1; }), HasSubstr("sample 2 has a value in column -1"));
  EXPECT_THAT(error([](Matrix& m) { m.indptr[1] = 3; }),
              HasSubstr(":/X/indptr: row 1 of the sparse matrix would have values 3 to 2 of 6."));
  EXPECT_THAT(error([](Matrix& m) { m.indptr[4] = 7; }), HasSubstr("row 3 of the sparse matrix would have"));
  EXPECT_THAT(error([](Matrix& m) { m.indptr[0] = -1; }),
              HasSubstr("row -1 of the sparse matrix would have"));
  EXPECT_THAT(error([](Matrix& m) { m.indptr.pop_back(); }),
              HasSubstr("/X/indptr has the shape (4); of a sparse matrix of 4 rows it is (5)."));
  EXPECT_THAT(error([](Matrix& m) { m.indices.pop_back(); }),
              HasSubstr("/X/data has the shape (6), and /X/indices has (5)"));
  EXPECT_THAT(error([](Matrix& m) { m.shape = {int64_t{1} << 40, 5}; }), HasSubstr("it is (1099511627777)."));
  EXPECT_THAT(error([](Matrix& m) {
                m.shape = {4, int64_t{1} << 60};
              }),
              HasSubstr("it needs at least one row, and 1 to"));
  EXPECT_THAT(error([](Matrix& m) { m.shape = {}; }), HasSubstr("no attribute \"shape\" with its numbers"));
  EXPECT_THAT(error([](Matrix& m) { m.encoding = "csc_matrix"; }), HasSubstr("adata.X = adata.X.tocsr()"));
}

TEST(CsrRows, OfAnnDataGoWithItsCategories) {
  const std::string path = LOCKSTEP_SHARED_DATA "/hdf5-trials/anndata_csr_like.h5ad";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << path << " is absent";
  const auto data = open_dataset({{path}, "/X", "/obs/cell_type"}, {.probe = false});
  EXPECT_EQ(data->size(), 64);
  EXPECT_EQ(data->x_shape(), Shape{100});
  EXPECT_THAT(data->class_names(), testing::ElementsAre("a", "b", "c", "d"));
  const std::vector<float> x = all_x<float>(*data);
  // What scipy makes of it.
  EXPECT_EQ(std::ranges::count_if(x, [](float value) { return value != 0; }), 617);
  EXPECT_NEAR(std::accumulate(x.begin(), x.end(), 0.0), 311.99280394386733, 1e-3);
  EXPECT_FLOAT_EQ(x[7], 0.36536017f);
}

}  // namespace
}  // namespace lockstep
