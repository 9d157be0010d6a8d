#include "io/hdf5/chunks/kept_places.h"

#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "io/hdf5/chunks/chunk_map.h"
#include "src/core/hash.h"
#include "tests/io/data_files.h"

namespace lockstep::hdf5 {
namespace {

std::vector<char> bytes_of_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

void write_file(const std::string& path, const std::vector<char>& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc)
      .write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

class KeptPlaces : public testing::Test {
 protected:
  /// Whether the file is taken for this owner; if not, the table must stay empty.
  bool is_read(const PlacesOwner& of) {
    read = std::vector<ChunkEntry>(of.entries);
    const bool taken = read_places(path, of, read);
    for (const ChunkEntry& entry : read) EXPECT_TRUE(taken || entry.address == 0);
    return taken;
  }

  const TemporaryFolder folder;
  const std::string path = folder / "x.places";
  const PlacesOwner owner{
      .inode = 7, .bytes = 10000, .modified_ns = 5, .changed_ns = 6, .data_set = 8, .entries = 4};
  std::vector<ChunkEntry> table{{2048, 100, 0}, {}, {ChunkEntry::kUnwritten, 0, 0}, {9000, 1000, 3}};
  std::vector<ChunkEntry> read;
};

TEST_F(KeptPlaces, AreReadForTheSameUnchangedFile) {
  EXPECT_FALSE(is_read(owner));
  write_places(path, owner, table);
  ASSERT_TRUE(is_read(owner));
  for (size_t i = 0; i < table.size(); ++i) {
    EXPECT_EQ(read[i].address, table[i].address);
    EXPECT_EQ(read[i].bytes, table[i].bytes);
    EXPECT_EQ(read[i].skipped, table[i].skipped);
  }
  PlacesOwner others[6] = {owner, owner, owner, owner, owner, owner};
  ++others[0].inode;
  ++others[1].bytes;
  ++others[2].modified_ns;
  ++others[3].changed_ns;
  ++others[4].data_set;
  ++others[5].entries;
  for (const PlacesOwner& other : others) EXPECT_FALSE(is_read(other));
  EXPECT_TRUE(is_read(owner));
}

TEST_F(KeptPlaces, AreNotReadFromADamagedFile) {
  write_places(path, owner, table);
  const std::vector<char> good = bytes_of_file(path);
  for (size_t at = 0; at < good.size(); at += 5) {  // some of each field
    std::vector<char> bad = good;
    bad[at] ^= 4;
    write_file(path, bad);
    EXPECT_FALSE(is_read(owner)) << "byte " << at;
  }
  for (const size_t bytes : {size_t{0}, size_t{8}, good.size() - 1, good.size() + 1}) {
    std::vector<char> bad = good;
    bad.resize(bytes);
    write_file(path, bad);
    EXPECT_FALSE(is_read(owner)) << bytes << " bytes";
  }
  std::filesystem::remove(path);
  std::filesystem::create_directory(path);
  EXPECT_FALSE(is_read(owner));
  std::filesystem::remove(path);
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
  EXPECT_FALSE(is_read(owner));
}

// With the right checksum: from a program that is wrong, or hostile.
TEST_F(KeptPlaces, AreNotReadIfTheyLieOutsideTheFile) {
  const ChunkEntry impossible[] = {{9000, 1001, 0},   {10001, 1, 0}, {UINT64_MAX, UINT32_MAX, 0},
                                   {2048, 0, 0},      {0, 1, 0},     {ChunkEntry::kUnwritten, 1, 0},
                                   {UINT64_MAX, 1, 0}};
  for (const ChunkEntry& entry : impossible) {
    table[1] = {};
    table[2] = entry;
    write_places(path, owner, table);
    // What is not known is written as zeros.
    EXPECT_EQ(is_read(owner), entry.address == 0) << entry.address << " " << entry.bytes;
  }
}

/// A file of so many chunks that their places are kept, of which a few were written.
class LargeChunkMap : public testing::Test {
 protected:
  static constexpr int64_t kChunks = int64_t{1} << 16;

  LargeChunkMap() {
    const Lock lock;
    File file = File::create(path);
    const hsize_t extent = kChunks, chunk = 1;
    const Id space(H5Screate_simple(1, &extent, nullptr)), properties(H5Pcreate(H5P_DATASET_CREATE));
    H5Pset_chunk(properties.get(), 1, &chunk);
    const Id dataset(H5Dcreate2(file.id(), "/x", H5T_NATIVE_UINT8, space.get(), H5P_DEFAULT, properties.get(),
                                H5P_DEFAULT));
    for (const hsize_t at : {hsize_t{3}, hsize_t{1000}, hsize_t{kChunks} - 1}) {
      const uint8_t value = 1;
      EXPECT_GE(H5Dwrite_chunk(dataset.get(), H5P_DEFAULT, 0, &at, 1, &value), 0);
    }
    file.close();
    std::filesystem::create_directory(folder / "run");
  }

  /// A map of the data set, in a file that is open as long.
  struct Opened {
    explicit Opened(const std::string& path) : file(File::open(path)), dataset(file.dataset("/x")) {}
    ChunkMap& map() { return *dataset.shared_chunk_map(); }
    File file;
    Dataset dataset;
  };
  /// The only file of places; "": none.
  std::string kept_file() {
    if (!std::filesystem::exists(places.path)) return "";
    std::vector<std::string> files;
    for (const auto& entry : std::filesystem::directory_iterator(places.path)) files.push_back(entry.path());
    EXPECT_EQ(files.size(), 1u);
    return files.at(0);
  }
  /// Looks up all chunks and keeps their places.
  void keep_all() {
    Opened opened(path);
    opened.map().keep(places, nullptr, true);
    for (hsize_t at = 0; at < kChunks; ++at) opened.map().find({at});
  }
  /// Lets the kept places say that chunk 3 lies where chunk 1000 does.
  void forge() {
    std::vector<char> bytes = bytes_of_file(kept_file());
    const size_t header = bytes.size() - kChunks * sizeof(ChunkEntry) - sizeof(uint64_t);
    std::copy_n(bytes.begin() + static_cast<int64_t>(header + 1000 * sizeof(ChunkEntry)), sizeof(ChunkEntry),
                bytes.begin() + static_cast<int64_t>(header + 3 * sizeof(ChunkEntry)));
    const uint64_t hash = hash_bytes(std::as_bytes(std::span(bytes).first(bytes.size() - sizeof(uint64_t))));
    std::memcpy(bytes.data() + bytes.size() - sizeof(hash), &hash, sizeof(hash));
    write_file(kept_file(), bytes);
  }
  uint64_t place_of(hsize_t at, const PlacesFolder& from) {
    Opened opened(path);
    opened.map().keep(from, nullptr, true);
    return opened.map().find({at}).address;
  }

  const TemporaryFolder folder;
  const std::string path = folder / "a.h5";
  const PlacesFolder places{folder / "run/places", true}, only_read{folder / "run/places", false};
};

TEST_F(LargeChunkMap, TakesThePlacesOfTheRunBefore) {
  keep_all();
  const uint64_t third = place_of(3, {}), other = place_of(1000, {});
  EXPECT_NE(third, other);
  EXPECT_EQ(place_of(3, only_read), third);
  EXPECT_EQ(place_of(4, only_read), ChunkEntry::kUnwritten);
  forge();
  EXPECT_EQ(place_of(3, only_read), other) << "they are not looked up again";
  const auto written = std::filesystem::last_write_time(kept_file());
  EXPECT_EQ(place_of(3, places), other);
  EXPECT_EQ(std::filesystem::last_write_time(kept_file()), written) << "there was nothing new to keep";
  // A write to the data file ends that.
  std::filesystem::last_write_time(path, std::filesystem::last_write_time(path) + std::chrono::seconds(1));
  EXPECT_EQ(place_of(3, only_read), third);
}

TEST_F(LargeChunkMap, KeepsNothingIfFewChunksWereLookedUp) {
  EXPECT_NE(place_of(3, places), 0u);
  EXPECT_EQ(kept_file(), "");
}

TEST_F(LargeChunkMap, SharesPlacesThroughMemory) {
  Opened first(path), second(path);
  const std::shared_ptr<std::byte[]> memory(new std::byte[kChunks * sizeof(ChunkEntry)]());
  first.map().keep({}, memory, true);
  second.map().keep({}, memory, false);
  const uint64_t other = first.map().find({1000}).address;
  auto* const table = reinterpret_cast<ChunkEntry*>(memory.get());
  EXPECT_EQ(table[1000].address, other);
  // With those beside it, in the same node of the index.
  for (int64_t at = 992; at < 1008; ++at)
    EXPECT_EQ(table[at].address, at == 1000 ? other : ChunkEntry::kUnwritten) << at;
  EXPECT_EQ(table[991].address, 0u);
  EXPECT_EQ(table[1008].address, 0u);
  table[3] = table[1000];
  EXPECT_EQ(second.map().find({3}).address, other);
}

// As after a start that failed before there was a run.
TEST_F(LargeChunkMap, LeavesNothingWhereThereIsNoRunFolder) {
  std::filesystem::remove(folder / "run");
  keep_all();
  EXPECT_FALSE(std::filesystem::exists(folder / "run"));
}

}  // namespace
}  // namespace lockstep::hdf5
