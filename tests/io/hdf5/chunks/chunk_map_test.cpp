#include "io/hdf5/chunks/chunk_map.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <limits>
#include <thread>

#include "io/hdf5/filters/filters.h"
#include "tests/io/hdf5/source_files.h"

namespace lockstep {
namespace {

using testing::HasSubstr;

/// Calls visit(cell) for every chunk of a data set.
template <typename Visit>
void for_each_cell(const hdf5::Dataset& dataset, Visit visit) {
  std::vector<hsize_t> cell(dataset.chunk().size(), 0), cells;
  for (size_t axis = 0; axis < cell.size(); ++axis)
    cells.push_back(static_cast<hsize_t>((dataset.extents()[axis] - 1) / dataset.chunk()[axis] + 1));
  for (;;) {
    visit(cell);
    size_t axis = cell.size();
    while (axis > 0 && ++cell[axis - 1] == cells[axis - 1]) cell[--axis] = 0;
    if (axis == 0) return;
  }
}

/// Compares the place of every chunk with what H5Dget_chunk_info_by_coord() says. Returns how many were
/// written.
int expect_places(const hdf5::Dataset& dataset, hsize_t user_block = 0) {
  SCOPED_TRACE(dataset.where());
  EXPECT_NE(dataset.chunk_map(), nullptr);
  if (dataset.chunk_map() == nullptr) return 0;
  int written = 0;
  for_each_cell(dataset, [&](const std::vector<hsize_t>& cell) {
    std::vector<hsize_t> offset(cell);
    for (size_t axis = 0; axis < cell.size(); ++axis)
      offset[axis] *= static_cast<hsize_t>(dataset.chunk()[axis]);
    unsigned skipped = 0;
    haddr_t address = HADDR_UNDEF;
    hsize_t bytes = 0;
    {
      const hdf5::Lock lock;
      EXPECT_GE(H5Dget_chunk_info_by_coord(dataset.id(), offset.data(), &skipped, &address, &bytes), 0);
    }
    for (int time = 0; time < 2; ++time) {  // looked up, then remembered
      const hdf5::ChunkPlace place = dataset.chunk_map()->find(cell);
      EXPECT_EQ(place.bytes, address == HADDR_UNDEF ? 0 : bytes);
      if (place.bytes == 0) continue;
      EXPECT_EQ(place.address, address + user_block);
      EXPECT_EQ(place.skipped, skipped);
      ++written;
    }
  });
  return written / 2;
}

/// Every value as libhdf5 itself reads it.
std::vector<double> read_by_library(const hdf5::Dataset& dataset) {
  std::vector<double> values(static_cast<size_t>(dataset.elements()));
  const hdf5::Lock lock;
  EXPECT_GE(H5Dread(dataset.id(), H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()), 0);
  return values;
}

std::vector<double> read(const hdf5::Dataset& dataset) {
  std::vector<double> values(static_cast<size_t>(dataset.elements()));
  dataset.read(DType::f64, values.data());
  return values;
}

TEST(ChunkMap, FindsTheChunksOfEveryKindOfIndexInFilesOfOtherPrograms) {
  const std::string folder = LOCKSTEP_SHARED_DATA "/hdf5-conformance/jhdf/";
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << folder << " is absent";
  int datasets = 0;
  for (const auto& [name, user_block] : {std::pair<const char*, hsize_t>{"chunked_v4_datasets.hdf5", 0},
                                         {"implicit_index_datasets.hdf5", 0},
                                         {"fixed_array_paged_datasets.hdf5", 0},
                                         {"test_chunked_datasets_earliest.hdf5", 0},
                                         {"test_compressed_chunked_datasets_latest.hdf5", 0},
                                         {"fletcher32_datasets_earliest.hdf5", 0}}) {
    const hdf5::File file = hdf5::File::open(folder + name);
    for (const std::string& path : file.dataset_names()) {
      const hdf5::Dataset dataset = file.dataset(path);
      if (dataset.chunk().empty() || dataset.type().kind == hdf5::ElementType::Kind::other) continue;
      ++datasets;
      EXPECT_FALSE(dataset.is_read_by_libhdf5());
      // libhdf5's answer takes time in proportion to the number of chunks.
      if (dataset.chunks() < 1000) {
        EXPECT_EQ(expect_places(dataset, user_block), dataset.chunks());
      }
      EXPECT_EQ(read(dataset), read_by_library(dataset)) << dataset.where();
    }
  }
  EXPECT_GE(datasets, 60);
}

/// Creates a data set /x of floats in chunks of 4 x 3, filled but for its last chunk.
void put_chunks(const std::string& path, hid_t access, hsize_t user_block, const std::vector<hsize_t>& limits,
                bool deflate, H5D_alloc_time_t time) {
  const hdf5::Lock lock;
  const hdf5::Id creation(H5Pcreate(H5P_FILE_CREATE));
  H5Pset_userblock(creation.get(), user_block);
  const hdf5::Id file(H5Fcreate(path.c_str(), H5F_ACC_TRUNC, creation.get(), access));
  const std::vector<hsize_t> extents = {18, 7}, chunk = {4, 3}, written = {16, 7};
  const hdf5::Id space(H5Screate_simple(2, extents.data(), limits.data()));
  const hdf5::Id properties(H5Pcreate(H5P_DATASET_CREATE));
  H5Pset_chunk(properties.get(), 2, chunk.data());
  H5Pset_alloc_time(properties.get(), time);
  if (deflate) H5Pset_deflate(properties.get(), 5);
  const hdf5::Id dataset(
      H5Dcreate2(file.get(), "x", H5T_IEEE_F32LE, space.get(), H5P_DEFAULT, properties.get(), H5P_DEFAULT));
  const hdf5::Id memory(H5Screate_simple(2, written.data(), nullptr));
  const std::vector<hsize_t> start = {0, 0};
  H5Sselect_hyperslab(space.get(), H5S_SELECT_SET, start.data(), nullptr, written.data(), nullptr);
  ASSERT_GE(H5Dwrite(dataset.get(), H5T_NATIVE_FLOAT, memory.get(), space.get(), H5P_DEFAULT,
                     counting<float>(16 * 7).data()),
            0);
}

TEST(ChunkMap, FindsChunksWhereverTheirIndexIs) {
  const TemporaryFolder folder;
  const std::string path = folder / "x.h5";
  constexpr hsize_t kNoLimit = H5S_UNLIMITED;
  int files = 0;
  for (const bool latest : {false, true}) {
    const hdf5::Id access(H5Pcreate(H5P_FILE_ACCESS));
    if (latest) H5Pset_libver_bounds(access.get(), H5F_LIBVER_LATEST, H5F_LIBVER_LATEST);
    for (const std::vector<hsize_t>& limits :
         {std::vector<hsize_t>{18, 7}, {kNoLimit, 7}, {kNoLimit, kNoLimit}}) {
      for (const hsize_t user_block : {hsize_t{0}, hsize_t{2048}}) {
        for (const auto time : {H5D_ALLOC_TIME_EARLY, H5D_ALLOC_TIME_INCR}) {
          for (const bool deflate : {false, true}) {
            put_chunks(path, access.get(), user_block, limits, deflate, time);
            const hdf5::File file = hdf5::File::open(path);
            const hdf5::Dataset dataset = file.dataset("x");
            EXPECT_EQ(expect_places(dataset, user_block), dataset.chunks());
            EXPECT_EQ(dataset.chunks(), time == H5D_ALLOC_TIME_EARLY ? 15 : 12);
            EXPECT_EQ(read(dataset), read_by_library(dataset));
            ++files;
          }
        }
      }
    }
  }
  EXPECT_EQ(files, 48);
}

TEST(ChunkMap, ChunksOfFilesOfOtherDriversAreLeftToLibhdf5) {
  const TemporaryFolder folder;
  const std::string path = folder / "x.h5";
  put(path, "/x", {40}, counting<float>(40), {{10}, 3});
  put(path, "/y", {40}, counting<float>(40));
  {
    const hdf5::File file = hdf5::File::open_for_writing(path);
    EXPECT_EQ(file.dataset("/x").chunk_map(), nullptr);
    EXPECT_EQ(read(file.dataset("/x")), counting<double>(40));
    EXPECT_TRUE(file.dataset("/y").is_read_by_libhdf5());
    EXPECT_EQ(file.dataset("/y").why_by_libhdf5(), "another driver");
    EXPECT_EQ(read(file.dataset("/y")), counting<double>(40));
  }
  hdf5::File memory = hdf5::File::create_in_memory("m.h5");
  memory.write("/x", {counting<float>(40).data(), DType::f32, {40}}, {{10}, 3});
  EXPECT_EQ(memory.dataset("/x").chunk_map(), nullptr);
  EXPECT_EQ(read(memory.dataset("/x")), counting<double>(40));
}

TEST(ChunkMap, ARawFileThatCannotBeOpenedIsLeftToLibhdf5) {
  const TemporaryFolder folder;
  std::ofstream(folder / "x.raw") << "abcd";
  put_external(folder / "e.h5", "/x", 4, {"x.raw"}, 4);
  EXPECT_NE(hdf5::File::open(folder / "e.h5").dataset("/x").chunk_map(), nullptr);
  std::filesystem::remove(folder / "x.raw");
  EXPECT_EQ(hdf5::File::open(folder / "e.h5").dataset("/x").chunk_map(), nullptr);
  EXPECT_EQ(hdf5::File::open(folder / "e.h5").dataset("/x").why_by_libhdf5(), "raw files");
  // Nobody writes to this pipe.
  ASSERT_EQ(mkfifo((folder / "x.raw").c_str(), 0600), 0);
  EXPECT_EQ(hdf5::File::open(folder / "e.h5").dataset("/x").chunk_map(), nullptr);
}

TEST(ChunkMap, ThreadsFindTheSamePlaces) {
  const TemporaryFolder folder;
  put(folder / "x.h5", "/x", {4000}, counting<float>(4000), {{2}, 1});
  const hdf5::File file = hdf5::File::open(folder / "x.h5");
  const hdf5::Dataset dataset = file.dataset("/x");
  std::array<std::vector<uint64_t>, 4> found;
  std::vector<std::thread> threads;
  for (auto& places : found)
    threads.emplace_back([&] {
      for (hsize_t cell = 0; cell < 2000; ++cell) places.push_back(dataset.chunk_map()->find({cell}).address);
    });
  for (std::thread& thread : threads) thread.join();
  for (const auto& places : found) EXPECT_EQ(places, found[0]);
  EXPECT_EQ(std::ranges::count(found[0], 0u), 0);
}

TEST(ChunkMap, ChunksBehindTheEndOfATruncatedFileAreAnErrorThatNamesThem) {
  const TemporaryFolder folder;
  const std::string path = folder / "x.h5";
  for (const int deflate : {0, 3}) {
    std::filesystem::remove(path);
    put(path, "/x", {40, 1000}, counting<float>(40000), {{10, 1000}, deflate});
    const hdf5::File file = hdf5::File::open(path);
    const hdf5::Dataset dataset = file.dataset("/x");
    std::filesystem::resize_file(path, std::filesystem::file_size(path) / 2);
    EXPECT_THAT(error_of([&] { read(dataset); }),
                testing::AllOf(HasSubstr("x.h5:/x: rows "), HasSubstr(" cannot be read: the chunk at ("),
                               HasSubstr(", 0) is damaged: the file ends before its values do")));
  }
}

// Memory of this process in which there is nothing: reading it gives EIO, as a failing disk does.
TEST(ChunkMap, ADiskOrServerThatFailsIsNotCalledADamagedFile) {
  const TemporaryFolder folder;
  put(folder / "a.h5", "/x", {10}, counting<double>(10));
  const hdf5::File file = hdf5::File::open(folder / "a.h5");
  const hdf5::Dataset dataset = file.dataset("/x");
  const int memory = ::open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
  ASSERT_GE(memory, 0);
  const hdf5::ChunkMap map(dataset, memory, hdf5::ChunkPlace{4096, 80, 0});
  std::array<std::byte, 80> out;
  EXPECT_THAT(
      error_of([&] { map.read(map.find({}), 8, std::span<std::byte>(out)); }),
      HasSubstr("a.h5:/x cannot be read from byte 4104 of the file on: Input/output error. The disk or the "
                "server that holds the file fails"));
  ::close(memory);
}

}  // namespace
}  // namespace lockstep
