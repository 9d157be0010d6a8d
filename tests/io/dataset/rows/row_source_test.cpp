#include "io/dataset/rows/row_source.h"

#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>

#include "io/dataset/column.h"
#include "io/dataset/rows/memory_rows.h"
#include "tests/io/dataset/rows/row_reading.h"
#include "tests/io/files.h"

namespace lockstep {
namespace {

using testing::AllOf;
using testing::AnyOf;
using testing::HasSubstr;

// More than one system call reads at once.
constexpr int64_t kSourceRows = 700, kSourceWidth = 3;

std::vector<float> stored_values() { return counting<float>(kSourceRows * kSourceWidth); }

/// Makes "a.h5" with a data set /x of floats (700, 3), stored as `type` with these properties.
void put_with(const std::string& path, hid_t type, const hdf5::Id& properties, const hdf5::Id& of_file,
              bool is_written = true) {
  const hdf5::Lock lock;
  const hdf5::Id file(H5Fcreate(path.c_str(), H5F_ACC_TRUNC, of_file.get(), H5P_DEFAULT));
  const hsize_t extents[] = {kSourceRows, kSourceWidth};
  const hdf5::Id space(H5Screate_simple(2, extents, nullptr));
  const hdf5::Id dataset(
      H5Dcreate2(file.get(), "x", type, space.get(), H5P_DEFAULT, properties.get(), H5P_DEFAULT));
  ASSERT_TRUE(dataset);
  if (!is_written) return;
  ASSERT_GE(H5Dwrite(dataset.get(), H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, stored_values().data()),
            0);
}

hdf5::Id list(hid_t kind) {
  const hdf5::Lock lock;
  return hdf5::Id(H5Pcreate(kind));
}

/// Checks that "a.h5" is streamed by `route`, and that this gives out the same rows as reading it into
/// memory.
void expect_rows(const std::string& path, const std::string& route, int64_t cache_bytes = 0,
                 const std::vector<float>& expected = stored_values()) {
  SCOPED_TRACE(route);
  const std::unique_ptr<StoredRows> opened = open_rows(path, "/x");
  const StoredRows& stored = *opened;
  const RowFormat format{DType::f32, kSourceWidth * sizeof(float), nullptr};
  const auto cache = std::make_shared<BlockCache>(cache_bytes);
  const auto streamed = stream_rows(stored, format, cache, 0);
  cache->allocate();
  EXPECT_EQ(streamed->route(), route);
  MemoryRows memory(kSourceRows, format.row_bytes);
  memory.append(stored, {0, stored.rows()}, format);
  EXPECT_EQ(memory.route(), "memory");
  EXPECT_EQ(rows_of<float>(memory, counting<int64_t>(kSourceRows), kSourceWidth), expected);
  EXPECT_EQ(rows_of<float>(*streamed, counting<int64_t>(kSourceRows), kSourceWidth), expected);
  const std::vector<int64_t> any_order = shuffled_rows(kSourceRows);
  EXPECT_EQ(rows_of<float>(*streamed, any_order, kSourceWidth),
            rows_of<float>(memory, any_order, kSourceWidth));
  EXPECT_TRUE(rows_of<float>(*streamed, {}, kSourceWidth).empty());
}

class RowSourceOf : public testing::Test {
 protected:
  const TemporaryFolder folder;
  const std::string path = folder / "a.h5";
};

TEST_F(RowSourceOf, ContiguousValuesAreReadInPlace) {
  put(path, "/x", {kSourceRows, kSourceWidth}, stored_values());
  expect_rows(path, "contiguous");
}

TEST_F(RowSourceOf, SharedMemoryIsFilledByAllRanksOfAMachineEachItsPart) {
  constexpr int64_t kRows = 40;
  constexpr size_t kRowBytes = size_t{1} << 20;  // a few make a piece
  put(path, "/x", {kRows, static_cast<int64_t>(kRowBytes)},
      counting<uint8_t>(kRows * static_cast<int64_t>(kRowBytes), 251));
  const std::unique_ptr<StoredRows> opened = open_rows(path, "/x");
  const StoredRows& stored = *opened;
  const std::shared_ptr<std::byte[]> shared(new std::byte[kRows * kRowBytes]());
  int waits = 0;
  std::vector<int64_t> read(3);
  for (int rank = 0; rank < 3; ++rank) {
    const MachineMemory machine{rank, 3, [&](size_t) { return shared; }, [&] { ++waits; }};
    const RowFormat format{DType::u8, kRowBytes, [&](const std::byte*, int64_t, int64_t count) {
                             read[static_cast<size_t>(rank)] += count;
                           }};
    MemoryRows memory(kRows, kRowBytes, &machine);
    EXPECT_EQ(memory.shared_by(), 3);
    memory.append(stored, {0, stored.rows()}, format);
    memory.finish();
  }
  EXPECT_EQ(waits, 3);
  EXPECT_EQ(read[0] + read[1] + read[2], kRows);
  EXPECT_LE(std::ranges::max(read) - std::ranges::min(read), 10);
  for (size_t i = 0; i < kRows * kRowBytes; ++i) ASSERT_EQ(shared[i], static_cast<std::byte>(i % 251)) << i;
}

TEST_F(RowSourceOf, ContiguousValuesBehindAUserBlockAreReadInPlace) {
  const hdf5::Id of_file = list(H5P_FILE_CREATE);
  H5Pset_userblock(of_file.get(), 1024);
  put_with(path, H5T_IEEE_F32LE, list(H5P_DATASET_CREATE), of_file);
  expect_rows(path, "contiguous");
}

TEST_F(RowSourceOf, ContiguousValuesBehindAnExternalLinkAreReadInTheOtherFile) {
  put(folder / "other.h5", "/values", {kSourceRows, kSourceWidth}, stored_values());
  {
    const hdf5::Lock lock;
    const hdf5::File file = hdf5::File::create(path);
    ASSERT_GE(H5Lcreate_external("other.h5", "/values", file.id(), "x", H5P_DEFAULT, H5P_DEFAULT), 0);
  }
  expect_rows(path, "contiguous");
}

TEST_F(RowSourceOf, ValuesThatMustBeConvertedAreReadEachTime) {
  for (const hid_t type : {H5T_IEEE_F32BE, H5T_IEEE_F64LE, H5T_STD_I32LE}) {
    put_with(path, type, list(H5P_DATASET_CREATE), list(H5P_FILE_CREATE));
    expect_rows(path, "uncached");
  }
}

TEST_F(RowSourceOf, ValuesOfOtherLayoutsAreReadByTheLibrary) {
  const hdf5::Id compact = list(H5P_DATASET_CREATE);
  H5Pset_layout(compact.get(), H5D_COMPACT);
  put_with(path, H5T_IEEE_F32LE, compact, list(H5P_FILE_CREATE));
  expect_rows(path, "libhdf5");
}

/// Properties of values in three segments of two raw files, which divide rows and values.
hdf5::Id in_raw_files(const TemporaryFolder& folder, size_t value_bytes) {
  const size_t all = kSourceRows * kSourceWidth * value_bytes, first = all / 3 + 1;
  hdf5::Id raw = list(H5P_DATASET_CREATE);
  const std::string one = folder / "one.raw", two = folder / "two.raw";
  H5Pset_external(raw.get(), one.c_str(), 7, first);
  H5Pset_external(raw.get(), two.c_str(), 0, 100);
  H5Pset_external(raw.get(), one.c_str(), static_cast<off_t>(first + 9), all - first - 100);
  return raw;
}

TEST_F(RowSourceOf, ValuesInRawFilesAreReadThere) {
  put_with(path, H5T_IEEE_F32LE, in_raw_files(folder, 4), list(H5P_FILE_CREATE));
  expect_rows(path, "contiguous");
  for (const hid_t type : {H5T_IEEE_F64BE, H5T_STD_I16LE}) {
    put_with(path, type, in_raw_files(folder, type == H5T_STD_I16LE ? 2 : 8), list(H5P_FILE_CREATE));
    expect_rows(path, "uncached");
  }
  const std::unique_ptr<StoredRows> stored = open_rows(path, "/x");
  std::filesystem::resize_file(folder / "two.raw", 50);
  EXPECT_THAT(error_of([&] {
                stored->read_unchanged([&] {
                  std::vector<float> values(kSourceRows * kSourceWidth);
                  stored->read_rows(0, kSourceRows, DType::f32, reinterpret_cast<std::byte*>(values.data()));
                });
              }),
              AllOf(HasSubstr("two.raw changed after it was opened"), HasSubstr("from 100 to 50 bytes")));
  EXPECT_THAT(error_of([&] { open_rows(path, "/x"); }), HasSubstr("two.raw, which ends too early"));
}

TEST_F(RowSourceOf, ValuesThatWereNeverWrittenAreTheFillValue) {
  const hdf5::Id properties = list(H5P_DATASET_CREATE);
  const float seven = 7;
  H5Pset_fill_value(properties.get(), H5T_NATIVE_FLOAT, &seven);
  put_with(path, H5T_IEEE_F32LE, properties, list(H5P_FILE_CREATE), false);
  expect_rows(path, "libhdf5", 0, std::vector<float>(kSourceRows * kSourceWidth, 7));
}

TEST_F(RowSourceOf, ChunksAreDecodedIntoBlocksThatFitTheCache) {
  put(path, "/x", {kSourceRows, kSourceWidth}, stored_values(), {{32, kSourceWidth}, 0});
  expect_rows(path, "uncached");
  std::filesystem::remove(path);
  put(path, "/x", {kSourceRows, kSourceWidth}, stored_values(), {{32, kSourceWidth}, 3});
  expect_rows(path, "chunked");
  // Each chunk holds one value of every row.
  std::filesystem::remove(path);
  put(path, "/x", {kSourceRows, kSourceWidth}, stored_values(), {{kSourceRows, 1}, 3});
  expect_rows(path, "uncached", 8000);
  expect_rows(path, "chunked", 8400);
}

TEST_F(RowSourceOf, AnAddressBehindTheEndOfTheFileIsAnErrorThatNamesTheRows) {
  // In the format of 1.8 a header is not checksummed.
  put_with(path, H5T_IEEE_F32LE, list(H5P_DATASET_CREATE), list(H5P_FILE_CREATE));
  std::string bytes = content_of(path);
  int64_t offset = 0;
  {
    const hdf5::File file = hdf5::File::open(path);
    offset = file.dataset("/x").offset();
  }
  const int64_t place[] = {
      offset, kSourceRows * kSourceWidth * int64_t{sizeof(float)}};  // as the layout message says it
  const auto at = bytes.find(std::string(reinterpret_cast<const char*>(place), sizeof(place)));
  ASSERT_NE(at, std::string::npos);
  const int64_t moved = static_cast<int64_t>(bytes.size()) - kSourceWidth * int64_t{sizeof(float)} - 2;
  std::memcpy(bytes.data() + at, &moved, sizeof(moved));
  write_raw(path, bytes);
  const std::string error = error_of([&] {
    Column column({path}, "/x");
    column.give_out(DType::f32, nullptr);
    column.stream(0);
    std::vector<float> values(2 * kSourceWidth);
    const std::vector<int64_t> rows = {1, 0};
    column.read(rows, reinterpret_cast<std::byte*>(values.data()));
  });
  // libhdf5 1.14 looks at the size itself when the data set is opened.
  EXPECT_THAT(error,
              AnyOf(AllOf(HasSubstr("a.h5:/x"), HasSubstr("rows 0 to 1 cannot be read: the file ends")),
                    AllOf(HasSubstr("a.h5: cannot open data set /x"), HasSubstr("invalid dataset size"))));
}

TEST_F(RowSourceOf, FilesOfDifferentLayoutsAreOneAfterAnother) {
  std::vector<float> bad = stored_values();
  bad[5 * kSourceWidth + 1] = std::numeric_limits<float>::quiet_NaN();
  put(path, "/x", {kSourceRows, kSourceWidth}, stored_values());
  put(folder / "b.h5", "/x", {kSourceRows, kSourceWidth}, stored_values(), {{100, kSourceWidth}, 3});
  put(folder / "c.h5", "/x", {kSourceRows, kSourceWidth}, bad);
  Column column({path, folder / "b.h5", folder / "c.h5"}, "/x");
  EXPECT_EQ(column.blocks().count(), kSourceRows + 7 + kSourceRows);
  column.give_out(DType::f32, require_finite);
  column.stream(5000);
  EXPECT_EQ(column.route(), "chunked, contiguous");
  const std::vector<int64_t> rows = {3 * kSourceRows - 1, kSourceRows, 0, kSourceRows - 1, 2 * kSourceRows, 0,
                                     kSourceRows + 99};
  std::vector<float> values(rows.size() * kSourceWidth);
  column.read(rows, reinterpret_cast<std::byte*>(values.data()));
  for (size_t i = 0; i < rows.size(); ++i)
    for (size_t j = 0; j < kSourceWidth; ++j)
      EXPECT_EQ(values[i * kSourceWidth + j],
                static_cast<float>(rows[i] % kSourceRows * kSourceWidth) + static_cast<float>(j));
  EXPECT_THAT(error_of([&] {
                const std::vector<int64_t> one = {2 * kSourceRows + 5};
                column.read(one, reinterpret_cast<std::byte*>(values.data()));
              }),
              HasSubstr("c.h5:/x: sample 5 holds NaN or infinity (value 1 of the sample)"));
}

}  // namespace
}  // namespace lockstep
