#include "io/hdf5/chunks/chunk_reader.h"

#include <zlib.h>

#include <algorithm>
#include <filesystem>
#include <numeric>
#include <optional>
#include <random>

#include "io/hdf5/filters/filters.h"
#include "io/probe/inspect.h"
#include "tests/io/data_files.h"

namespace lockstep {
namespace {

using testing::AllOf;
using testing::HasSubstr;

/// A data set in chunks, of random shape, type, filters (or none), fill value and order of bytes, some of
/// whose chunks were never written.
class RandomFile {
 public:
  RandomFile(const std::string& path, uint32_t seed) : random_(seed) {
    const hdf5::Lock lock;
    hdf5::File::create(path);
    const hdf5::File file = hdf5::File::open_for_writing(path);
    const size_t axes = 1 + below(4);
    std::vector<hsize_t> limits;
    for (size_t axis = 0; axis < axes; ++axis) {
      extents_.push_back(1 + below(axes > 2 ? 9 : 40));
      chunk_.push_back(1 + below(axes > 2 ? 5 : 17));
      limits.push_back(H5S_UNLIMITED);
    }
    const std::vector<hid_t> types = {H5T_STD_I8LE,   H5T_STD_U8LE,   H5T_STD_I16BE,  H5T_STD_U16LE,
                                      H5T_STD_I32LE,  H5T_STD_U32BE,  H5T_STD_I64LE,  H5T_STD_U64BE,
                                      H5T_IEEE_F32LE, H5T_IEEE_F32BE, H5T_IEEE_F64LE, H5T_IEEE_F64BE};
    const hdf5::Id type(H5Tcopy(types[below(types.size())]));
    const bool is_integer = H5Tget_class(type.get()) == H5T_INTEGER;
    const hdf5::Id space(H5Screate_simple(static_cast<int>(axes), extents_.data(), limits.data()));
    const hdf5::Id properties(H5Pcreate(H5P_DATASET_CREATE));
    H5Pset_chunk(properties.get(), static_cast<int>(axes), chunk_.data());
    set_filters(properties.get(), type.get(), is_integer);
    const double fill = below(2) == 0 ? 0 : 7;
    if (fill != 0) H5Pset_fill_value(properties.get(), H5T_NATIVE_DOUBLE, &fill);
    if (below(3) == 0) H5Pset_alloc_time(properties.get(), H5D_ALLOC_TIME_EARLY);
    if (below(3) == 0) H5Pset_chunk_opts(properties.get(), H5D_CHUNK_DONT_FILTER_PARTIAL_CHUNKS);
    const hdf5::Id dataset(
        H5Dcreate2(file.id(), "x", type.get(), space.get(), H5P_DEFAULT, properties.get(), H5P_DEFAULT));
    for (int box = 0; box < 3; ++box) write_box(dataset.get(), space.get());
  }

  /// A random box inside the data set.
  std::pair<std::vector<hsize_t>, std::vector<hsize_t>> box() {
    std::vector<hsize_t> start, size;
    for (const hsize_t extent : extents_) {
      start.push_back(below(extent));
      size.push_back(1 + below(extent - start.back()));
    }
    return {start, size};
  }

 private:
  hsize_t below(hsize_t limit) { return random_() % limit; }

  void set_filters(hid_t properties, hid_t type, bool is_integer) {
    const size_t bits = 8 * H5Tget_size(type);
    switch (below(12)) {
      case 0:
        H5Pset_deflate(properties, 4);
        break;
      case 1:
        H5Pset_shuffle(properties);
        H5Pset_deflate(properties, 1);
        break;
      case 2:
        H5Pset_fletcher32(properties);
        break;
      case 3:
        H5Pset_fletcher32(properties);
        H5Pset_deflate(properties, 9);
        break;
      case 4:
        H5Pset_deflate(properties, 3);
        H5Pset_fletcher32(properties);
        break;
      case 5:
        if (is_integer) {
          H5Tset_precision(type, bits - 1 - below(bits / 2));
          H5Tset_offset(type, below(2));
        }
        H5Pset_nbit(properties);
        break;
      case 6:
      case 7:
        H5Pset_scaleoffset(properties, is_integer ? H5Z_SO_INT : H5Z_SO_FLOAT_DSCALE, is_integer ? 0 : 2);
        if (below(2) == 0) H5Pset_deflate(properties, 2);
        break;
      case 8:
        H5Pset_shuffle(properties);
        break;
      case 9:
        if (can_be_szipped())
          H5Pset_szip(properties, H5_SZIP_NN_OPTION_MASK, 2 * (1 + static_cast<unsigned>(below(4))));
        break;
      default:
        break;
    }
  }

  /// Whether this build decodes szip and libhdf5 encodes it, which it does for blocks of at most a chunk.
  bool can_be_szipped() const {
    unsigned config = 0;
    hsize_t elements = 1;
    for (const hsize_t extent : chunk_) elements *= extent;
    return filters::has_szip() && H5Zfilter_avail(H5Z_FILTER_SZIP) > 0 &&
           H5Zget_filter_info(H5Z_FILTER_SZIP, &config) >= 0 &&
           (config & H5Z_FILTER_CONFIG_ENCODE_ENABLED) != 0 && elements >= 8;
  }

  void write_box(hid_t dataset, hid_t space) {
    const auto [start, size] = box();
    hsize_t elements = 1;
    for (const hsize_t extent : size) elements *= extent;
    std::vector<double> values;
    for (hsize_t i = 0; i < elements; ++i) values.push_back(static_cast<double>(below(1000)) - 300);
    const hdf5::Id memory(H5Screate_simple(static_cast<int>(size.size()), size.data(), nullptr));
    H5Sselect_hyperslab(space, H5S_SELECT_SET, start.data(), nullptr, size.data(), nullptr);
    ASSERT_GE(H5Dwrite(dataset, H5T_NATIVE_DOUBLE, memory.get(), space, H5P_DEFAULT, values.data()), 0);
  }

  std::mt19937 random_;
  std::vector<hsize_t> extents_, chunk_;
};

/// Whether the data set has the scale-offset filter, some of whose own chunks libhdf5 1.14.5 refuses to
/// decode.
bool has_scale_offset(const hdf5::Dataset& dataset) {
  const hdf5::Id properties(H5Dget_create_plist(dataset.id()));
  unsigned flags = 0, config = 0;
  size_t values = 0;
  return H5Pget_filter2(properties.get(), 0, &flags, &values, nullptr, 0, nullptr, &config) ==
         H5Z_FILTER_SCALEOFFSET;
}

/// What libhdf5 itself reads; none where it cannot.
std::optional<std::vector<std::byte>> read_by_libhdf5(const hdf5::Dataset& dataset,
                                                      const std::vector<hsize_t>& start,
                                                      const std::vector<hsize_t>& size, DType dtype,
                                                      size_t bytes) {
  std::vector<std::byte> values(bytes);
  const hdf5::Lock lock;
  const hdf5::Id stored(H5Dget_space(dataset.id()));
  const hdf5::Id memory(H5Screate_simple(static_cast<int>(size.size()), size.data(), nullptr));
  H5Sselect_hyperslab(stored.get(), H5S_SELECT_SET, start.data(), nullptr, size.data(), nullptr);
  if (H5Dread(dataset.id(), hdf5::memory_type(dtype), memory.get(), stored.get(), H5P_DEFAULT,
              values.data()) >= 0)
    return values;
  EXPECT_TRUE(has_scale_offset(dataset));
  return std::nullopt;
}

TEST(ChunkReader, ReadsWhatLibhdf5Reads) {
  const TemporaryFolder folder;
  int plain = 0, compared = 0;
  for (uint32_t seed = 0; seed < 400; ++seed) {
    const std::string path = folder / "random.h5";
    RandomFile random(path, seed);
    const hdf5::File file = hdf5::File::open(path);
    const hdf5::Dataset dataset = file.dataset("x", 0);
    ASSERT_EQ(dataset.why_by_libhdf5(), "");
    plain += dataset.filters().empty() ? 1 : 0;
    for (const DType dtype : {DType::u8, DType::i32, DType::i64, DType::f16, DType::f32, DType::f64}) {
      const auto [start, size] = random.box();
      size_t bytes = size_of(dtype);
      for (const hsize_t extent : size) bytes *= extent;
      std::vector<std::byte> values(bytes);
      dataset.read_box(start, size, dtype, values.data());
      const auto expected = read_by_libhdf5(dataset, start, size, dtype, bytes);
      if (!expected) continue;
      ++compared;
      ASSERT_EQ(values, *expected) << seed << to_string(dtype);
    }
  }
  EXPECT_GE(plain, 40);
  EXPECT_GE(compared, 2280) << "of 2,400";
}

TEST(ChunkReader, ReadsPartsOfContiguousValuesWhoseRowsAreLarge) {
  const TemporaryFolder folder;
  const std::string path = folder / "x.h5";
  const std::vector<hsize_t> extents = {3, 700, 900};
  std::vector<float> values(3 * 700 * 900);
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i % 60'000);
  std::mt19937 random(1);
  for (const hid_t type : {H5T_IEEE_F32LE, H5T_IEEE_F64BE, H5T_STD_U16BE, H5T_STD_I64LE}) {
    {
      const hdf5::Lock lock;
      hdf5::File::create(path);
      const hdf5::File file = hdf5::File::open_for_writing(path);
      const hdf5::Id space(H5Screate_simple(3, extents.data(), nullptr));
      const hdf5::Id dataset(
          H5Dcreate2(file.id(), "x", type, space.get(), H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
      ASSERT_GE(H5Dwrite(dataset.get(), H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()), 0);
    }
    const hdf5::File file = hdf5::File::open(path);
    const hdf5::Dataset dataset = file.dataset("x");
    ASSERT_EQ(dataset.why_by_libhdf5(), "");
    for (int trial = 0; trial < 20; ++trial) {
      std::vector<hsize_t> start, size;
      for (const hsize_t extent : extents) {
        start.push_back(random() % extent);
        size.push_back(trial == 0 ? extent - start.back() : 1 + random() % (extent - start.back()));
      }
      const size_t bytes = size[0] * size[1] * size[2] * sizeof(float);
      std::vector<std::byte> found(bytes);
      dataset.read_box(start, size, DType::f32, found.data());
      ASSERT_TRUE(found == read_by_libhdf5(dataset, start, size, DType::f32, bytes)) << trial;
    }
  }
}

std::vector<std::byte> deflated(size_t values) {
  const std::vector<float> zeros(values);
  uLongf size = compressBound(values * sizeof(float));
  std::vector<std::byte> stream(size);
  compress(reinterpret_cast<Bytef*>(stream.data()), &size, reinterpret_cast<const Bytef*>(zeros.data()),
           values * sizeof(float));
  stream.resize(size);
  return stream;
}

/// Replaces the stored bytes of the chunk at `offset` of /x.
void replace_chunk(const std::string& path, hsize_t offset, const std::vector<std::byte>& stored) {
  const hdf5::Lock lock;
  const hdf5::File file = hdf5::File::open_for_writing(path);
  const hdf5::Dataset dataset = file.dataset("/x");
  const std::vector<hsize_t> corner = {offset};
  ASSERT_GE(H5Dwrite_chunk(dataset.id(), H5P_DEFAULT, 0, corner.data(), stored.size(), stored.data()), 0);
}

TEST(ChunkReader, NamesAChunkInTheMiddleThatDecodesToAnotherSize) {
  const TemporaryFolder folder;
  const std::string path = folder / "a.h5";
  for (const size_t values : {size_t{10}, size_t{4000}}) {
    std::filesystem::remove(path);
    put(path, "/x", {3000}, counting<float>(3000), {{1000}, 4});
    replace_chunk(path, 1000, deflated(values));
    for (const int64_t budget : {int64_t{1} << 30, int64_t{6000}}) {
      DatasetOptions options;
      options.memory_budget = budget;
      EXPECT_THAT(
          error_of([&] {
            all_x<float>(*open_dataset({{path}, "/x", ""}, options));
          }),
          AllOf(HasSubstr("a.h5:/x: rows 1000 to 1999 cannot be read: the chunk at (1000) is damaged"),
                HasSubstr(values == 10 ? "40 bytes instead of 4000" : "more than 4000 bytes")));
    }
  }
}

/// A data set /v that is all of `name` of another file.
void put_virtual(const std::string& path, const std::string& source, const std::string& name,
                 const std::vector<hsize_t>& extents, hid_t type) {
  const hdf5::Lock lock;
  hdf5::File::create(path);
  const hdf5::File file = hdf5::File::open_for_writing(path);
  const hdf5::Id space(H5Screate_simple(static_cast<int>(extents.size()), extents.data(), nullptr));
  const hdf5::Id properties(H5Pcreate(H5P_DATASET_CREATE));
  H5Pset_virtual(properties.get(), space.get(), source.c_str(), name.c_str(), space.get());
  ASSERT_TRUE(
      hdf5::Id(H5Dcreate2(file.id(), "v", type, space.get(), H5P_DEFAULT, properties.get(), H5P_DEFAULT)));
}

TEST(ChunkReader, NamesADamagedChunkOfTheSourceOfAVirtualDataset) {
  const TemporaryFolder folder;
  put(folder / "a.h5", "/x", {3000}, counting<float>(3000), {{1000}, 4});
  put_virtual(folder / "v.h5", folder / "a.h5", "/x", {3000}, H5T_IEEE_F32LE);
  EXPECT_EQ(all_x<float>(*open_dataset({{folder / "v.h5"}, "/v", ""}, {})), counting<float>(3000));
  replace_chunk(folder / "a.h5", 1000, deflated(10));
  const auto names_both = AllOf(HasSubstr("v.h5:/v"), HasSubstr("a.h5:/x: rows 1000 to 1999 cannot be read"));
  EXPECT_THAT(error_of([&] { open_dataset({{folder / "v.h5"}, "/v", ""}, {}); }), names_both);
  EXPECT_THAT(check_file(folder / "v.h5").problems, testing::ElementsAre(names_both));
}

TEST(ChunkReader, TheShortMiddleChunkOfARealFileIsNamed) {
  const std::string path = LOCKSTEP_SHARED_DATA "/hdf5-trials/short_middle_chunk.h5";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << path << " is absent";
  EXPECT_THAT(
      error_of([&] {
        open_dataset({{path}, "/train/x", "/train/y"}, {});
      }),
      AllOf(HasSubstr("short_middle_chunk.h5:/train/x: rows"), HasSubstr("cannot be read: the chunk at")));
}

TEST(ChunkReader, ReadsWhatH5pyCompressedWithLzf) {
  const std::string path = LOCKSTEP_SHARED_DATA "/hdf5-trials/lzf.h5";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << path << " is absent";
  const auto data = open_dataset({{path}, "/train/x", "/train/y"}, {});
  EXPECT_EQ(data->size(), 64);
  const std::vector<uint8_t> values = all_x<uint8_t>(*data);
  EXPECT_EQ(std::accumulate(values.begin(), values.end(), 0), 1568198);  // as h5py reads them
  EXPECT_EQ(values[((5 * 8 + 3) * 8 + 2) * 3 + 1], 88);
  // libhdf5 itself reads the sources of a virtual data set.
  const TemporaryFolder folder;
  put_virtual(folder / "v.h5", std::filesystem::canonical(path), "/train/x", {64, 8, 8, 3}, H5T_STD_U8LE);
  EXPECT_EQ(all_x<uint8_t>(*open_dataset({{folder / "v.h5"}, "/v", ""}, {})), values);
}

/// The sum of a data set's values, which libhdf5 does not have to read.
double sum_of(const hdf5::Dataset& dataset) {
  EXPECT_EQ(dataset.why_by_libhdf5(), "") << dataset.where();
  std::vector<double> values(static_cast<size_t>(dataset.elements()));
  dataset.read(DType::f64, values.data());
  return std::accumulate(values.begin(), values.end(), 0.);
}

TEST(ChunkReader, ReadsWhatOtherProgramsCompressedWithFiltersOfPlugins) {
  const std::string folder = LOCKSTEP_SHARED_DATA "/hdf5-conformance";
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << folder << " is absent";
  // As Python's hdf5plugin 7.1.0 reads them.
  EXPECT_EQ(sum_of(hdf5::File::open(folder + "/plugin-filters/blosc.h5").dataset("/dset")), 499999500000.0);
  EXPECT_EQ(sum_of(hdf5::File::open(folder + "/plugin-filters/bitshuffle.h5").dataset("/entry/data/data")),
            1079334039595732.0);
  if (filters::has_szip()) {
    EXPECT_NEAR(sum_of(hdf5::File::open(folder + "/h5wasm/compressed.h5").dataset("/szip")),
                5012.848641394026, 1e-6);
  }
  int datasets = 0;
  for (const std::string name : {"/jhdf/lz4_datasets.hdf5", "/jhdf/bitshuffle_datasets.hdf5"}) {
    const hdf5::File file = hdf5::File::open(folder + name);
    for (const std::string& path : file.dataset_names()) {
      EXPECT_EQ(sum_of(file.dataset(path)), 190) << path;
      ++datasets;
    }
  }
  EXPECT_EQ(datasets, 60);
  // libhdf5 itself reads the sources of a virtual data set.
  const TemporaryFolder own;
  put_virtual(own / "v.h5", std::filesystem::canonical(folder + "/plugin-filters/blosc.h5"), "/dset",
              {100, 100, 100}, H5T_IEEE_F32LE);
  const hdf5::File file = hdf5::File::open(own / "v.h5");
  EXPECT_EQ(file.dataset("/v").why_by_libhdf5(), "virtual");
  std::vector<double> values(1'000'000);
  file.dataset("/v").read(DType::f64, values.data());
  EXPECT_EQ(std::accumulate(values.begin(), values.end(), 0.), 499999500000.0);
}

}  // namespace
}  // namespace lockstep
