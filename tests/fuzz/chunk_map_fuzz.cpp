#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "io/hdf5/chunks/chunk_map.h"
#include "io/hdf5/chunks/chunk_reader.h"
#include "io/hdf5/chunks/kept_places.h"
#include "io/hdf5/filters/filters.h"
#include "io/probe/probe.h"
#include "tests/fuzz/fuzz.h"

namespace lockstep {
namespace {

constexpr int64_t kRows = 40, kColumns = 12;
const std::vector<std::string> kNames{"/contiguous", "/plain", "/split", "/deflate", "/bytes"};

/// A file with a data set for each way in which values are located, small enough that a change of any byte is
/// likely to matter.
std::vector<char> good_image() {
  const std::string path = fuzz::as_file(nullptr, 0);
  {
    const hdf5::Lock lock;
    std::vector<float> values;
    std::vector<uint8_t> bytes;
    for (int64_t i = 0; i < kRows * kColumns; ++i) {
      values.push_back(static_cast<float>(i % 17));
      bytes.push_back(static_cast<uint8_t>(i % 13));
    }
    hdf5::File file = hdf5::File::create(path);
    const ConstTensor floats(values.data(), DType::f32, {kRows, kColumns});
    file.write("/contiguous", floats);
    file.write("/plain", floats, {.chunk = {8, kColumns}});
    file.write("/split", floats, {.chunk = {7, 5}});
    file.write("/deflate", floats, {.chunk = {8, kColumns}, .deflate = 1});
    file.write("/bytes", ConstTensor(bytes.data(), DType::u8, {kRows, kColumns}),
               {.chunk = {3, 5}, .deflate = 1});
    file.close();
  }
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

/// The image with pieces of it replaced: 2 bytes of position, one of length, and so many new bytes, repeated.
std::vector<uint8_t> changed(const uint8_t* data, size_t size) {
  static const std::vector<char> good = good_image();
  std::vector<uint8_t> image(good.begin(), good.end());
  for (size_t at = 0; at + 4 <= size;) {
    const size_t to = (data[at] + size_t{256} * data[at + 1]) % image.size();
    const size_t count = std::min({size_t{1} + data[at + 2] % 16, size - at - 3, image.size() - to});
    std::copy_n(data + at + 3, count, image.begin() + static_cast<int64_t>(to));
    at += 3 + count;
  }
  return image;
}

/// Looks each chunk up, and reads its stored bytes.
void read_places(const hdf5::Dataset& dataset) {
  const hdf5::ChunkMap* map = dataset.chunk_map();
  if (map == nullptr || dataset.chunk().empty() || dataset.extents().size() != 2) return;
  constexpr hsize_t kMaxCells = 64;
  constexpr uint64_t kMaxBytes = 1 << 16;
  std::vector<hsize_t> cells;
  for (size_t axis = 0; axis < 2; ++axis)
    cells.push_back(std::min<hsize_t>(
        kMaxCells,
        static_cast<hsize_t>((dataset.extents()[axis] + dataset.chunk()[axis] - 1) / dataset.chunk()[axis])));
  for (hsize_t row = 0; row < cells[0]; ++row)
    for (hsize_t column = 0; column < cells[1]; ++column) try {
        const hdf5::ChunkPlace place = map->find({row, column});
        // Memory of exactly this size: AddressSanitizer sees any access beyond it.
        std::vector<std::byte> stored(std::min(place.bytes, kMaxBytes));
        if (place.bytes > 0) map->read(place, place.bytes - stored.size(), stored);
      } catch (const filters::BadChunk&) {
      }
}

void read_values(const hdf5::Dataset& dataset) {
  constexpr int64_t kMaxElements = 1 << 20;
  if (dataset.is_read_by_libhdf5() || dataset.extents().empty() || dataset.elements() > kMaxElements) return;
  const auto rows = static_cast<hsize_t>(dataset.extents()[0]);
  const auto row_elements = static_cast<size_t>(dataset.elements()) / std::max<size_t>(1, rows);
  std::vector<std::byte> row(row_elements * sizeof(double));
  hdf5::ChunkReader reader(dataset);
  for (hsize_t i = 0; i < rows; ++i) {
    std::vector<hsize_t> start(dataset.extents().size(), 0);
    std::vector<hsize_t> size(dataset.extents().begin(), dataset.extents().end());
    start[0] = rows - 1 - i;
    size[0] = 1;
    reader.read(start, size, DType::f64, row.data());
  }
}

/// Reads the input as the places that a run has kept: none that is taken lies outside the data file.
void read_kept_places(const uint8_t* data, size_t size) {
  const std::string path = fuzz::as_file(data, size);
  const hdf5::PlacesOwner owner{.inode = 1, .bytes = 1 << 20, .entries = size / sizeof(hdf5::ChunkEntry)};
  std::vector<hdf5::ChunkEntry> table(owner.entries), taken(owner.entries);
  hdf5::read_places(path, owner, taken);
  if (table.empty()) return;
  // With the right header and checksum.
  std::memcpy(table.data(), data, owner.entries * sizeof(hdf5::ChunkEntry));
  hdf5::write_places(path, owner, table);
  if (!hdf5::read_places(path, owner, taken)) return;
  for (const hdf5::ChunkEntry& entry : taken)
    if (entry.address + entry.bytes > static_cast<uint64_t>(owner.bytes)) std::abort();
}

}  // namespace
}  // namespace lockstep

/// A file of several layouts with some bytes changed; the first byte chooses the data set that is read. A
/// chunk is found and decoded within its bounds, or refused, by the code that does not run in a child
/// process. Or the places that a run has kept.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace lockstep;
  if (size == 0) return 0;
  if (data[0] == UINT8_MAX) {
    read_kept_places(data + 1, size - 1);
    return 0;
  }
  const std::vector<uint8_t> image = changed(data + 1, size - 1);
  const std::string path = fuzz::as_file(image.data(), image.size());
  const std::string& name = kNames[data[0] % kNames.size()];
  fuzz::expect_answer({ExitCode::data, ExitCode::memory}, [&] {
    // libhdf5 may crash on what was changed, in a child process.
    probe_files({path}, {name});
    const hdf5::File file = hdf5::File::open(path);
    const hdf5::Dataset dataset = file.dataset(name);
    read_places(dataset);
    read_values(dataset);
  });
  return 0;
}
