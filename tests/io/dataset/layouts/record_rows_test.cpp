#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstddef>

#include "io/dataset/layouts/open_rows.h"
#include "tests/io/dataset/layouts/same_samples.h"

namespace lockstep {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

struct Point {
  double x;
  float y;
};

/// A row of a table, with padding between its columns.
struct Event {
  int64_t index;
  uint8_t flag;
  float energy;
  double block[3];
  int16_t hits[2];
  Point point;
  char name[5];
};

hdf5::Id event_type() {
  const auto array = [](hid_t type, hsize_t count) { return hdf5::Id(H5Tarray_create2(type, 1, &count)); };
  hdf5::Id point(H5Tcreate(H5T_COMPOUND, sizeof(Point))), text(H5Tcopy(H5T_C_S1));
  H5Tinsert(point.get(), "x", offsetof(Point, x), H5T_NATIVE_DOUBLE);
  H5Tinsert(point.get(), "y", offsetof(Point, y), H5T_NATIVE_FLOAT);
  H5Tset_size(text.get(), 5);
  hdf5::Id type(H5Tcreate(H5T_COMPOUND, sizeof(Event)));
  H5Tinsert(type.get(), "index", offsetof(Event, index), H5T_NATIVE_INT64);
  H5Tinsert(type.get(), "flag", offsetof(Event, flag), H5T_NATIVE_UINT8);
  H5Tinsert(type.get(), "energy", offsetof(Event, energy), H5T_NATIVE_FLOAT);
  H5Tinsert(type.get(), "block", offsetof(Event, block), array(H5T_NATIVE_DOUBLE, 3).get());
  H5Tinsert(type.get(), "hits", offsetof(Event, hits), array(H5T_NATIVE_INT16, 2).get());
  H5Tinsert(type.get(), "point", offsetof(Event, point), point.get());
  H5Tinsert(type.get(), "name, first", offsetof(Event, name), text.get());
  return type;
}

std::vector<Event> events(int64_t count) {
  std::vector<Event> all(static_cast<size_t>(count));
  for (size_t i = 0; i < all.size(); ++i) {
    const auto n = static_cast<double>(i);
    all[i] = {.index = static_cast<int64_t>(i) - 5,
              .flag = static_cast<uint8_t>(i % 3),
              .energy = static_cast<float>(n / 3),
              .block = {n / 7, -n, n * n},
              .hits = {static_cast<int16_t>(i), static_cast<int16_t>(-n)},
              .point = {n / 9, static_cast<float>(n / 11)},
              .name = "abcd"};
  }
  return all;
}

/// Writes elements of any type, as they lie in memory.
void put_records(const std::string& path, const std::string& name, hid_t memory, hid_t stored,
                 const std::vector<hsize_t>& extents, const void* values,
                 const std::vector<hsize_t>& chunk = {}, bool deflate = false) {
  const hdf5::Lock lock;
  if (!std::filesystem::exists(path)) hdf5::File::create(path);
  const hdf5::File file = hdf5::File::open_for_writing(path);
  const hdf5::Id space(H5Screate_simple(static_cast<int>(extents.size()), extents.data(), nullptr)),
      properties(H5Pcreate(H5P_DATASET_CREATE));
  if (!chunk.empty()) H5Pset_chunk(properties.get(), static_cast<int>(chunk.size()), chunk.data());
  if (deflate) H5Pset_deflate(properties.get(), 1);
  const hdf5::Id id(
      H5Dcreate2(file.id(), name.c_str(), stored, space.get(), H5P_DEFAULT, properties.get(), H5P_DEFAULT));
  ASSERT_TRUE(id);
  ASSERT_GE(H5Dwrite(id.get(), memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, values), 0);
}

class RecordRowsOfFile : public testing::Test {
 protected:
  static constexpr int64_t kRows = 700;

  /// A table in each storage, and beside it /plain, the numbers that fields of it hold.
  template <typename T, typename Fields>
  void compare(const std::string& fields, const Shape& row, const Fields& append) {
    SCOPED_TRACE(fields);
    const std::vector<Event> all = events(kRows);
    std::vector<T> plain;
    for (const Event& event : all) append(event, plain);
    const hdf5::Id type = event_type(), packed(H5Tcopy(type.get()));
    H5Tpack(packed.get());
    for (const int storage : {0, 1, 2}) {
      const std::string path = folder_ / (std::to_string(++count_) + ".h5");
      put(path, "/plain", row.batched(kRows), plain);
      const std::vector<hsize_t> chunk = storage == 0 ? std::vector<hsize_t>{} : std::vector<hsize_t>{64};
      put_records(path, "/t.able", type.get(), storage == 1 ? packed.get() : type.get(), {kRows}, all.data(),
                  chunk, storage == 2);
      expect_same_samples({.files = {path}, .x = "/t.able." + fields, .y = ""},
                          {.files = {path}, .x = "/plain", .y = ""});
    }
  }

  TemporaryFolder folder_;
  int count_ = 0;
};

TEST_F(RecordRowsOfFile, OneFieldOfEachKind) {
  compare<uint8_t>("flag", {}, [](const Event& event, auto& to) { to.push_back(event.flag); });
  compare<float>("energy", {}, [](const Event& event, auto& to) { to.push_back(event.energy); });
  compare<double>("point.x", {}, [](const Event& event, auto& to) { to.push_back(event.point.x); });
  compare<double>("block", {3},
                  [](const Event& event, auto& to) { to.insert(to.end(), event.block, event.block + 3); });
  compare<int32_t>("hits", {2},
                   [](const Event& event, auto& to) { to.insert(to.end(), event.hits, event.hits + 2); });
}

TEST_F(RecordRowsOfFile, SeveralFieldsSideBySide) {
  compare<double>("energy, block,point", {6}, [](const Event& event, auto& to) {
    to.push_back(static_cast<double>(event.energy));
    to.insert(to.end(), event.block, event.block + 3);
    to.push_back(event.point.x);
    to.push_back(static_cast<double>(event.point.y));
  });
  compare<float>("flag,energy", {2}, [](const Event& event, auto& to) {
    to.push_back(event.flag);
    to.push_back(event.energy);
  });
}

TEST_F(RecordRowsOfFile, TheTypeHoldsAllFields) {
  const std::string path = folder_ / "a.h5";
  const std::vector<Event> all = events(3);
  const hdf5::Id type = event_type();
  put_records(path, "/t", type.get(), type.get(), {3}, all.data());
  const auto type_of = [&](const std::string& fields) {
    return open_rows(path, "/t." + fields)->facts().type.name;
  };
  EXPECT_EQ(type_of("flag,flag"), "uint8");
  EXPECT_EQ(type_of("flag,hits"), "int16");
  EXPECT_EQ(type_of("hits,index"), "int64");
  EXPECT_EQ(type_of("hits,energy"), "float32");
  EXPECT_EQ(type_of("index,energy"), "float64");
}

TEST_F(RecordRowsOfFile, ATableAsTargets) {
  const std::string path = folder_ / "a.h5";
  const std::vector<Event> all = events(kRows);
  const hdf5::Id type = event_type();
  put_records(path, "/t", type.get(), type.get(), {kRows}, all.data());
  const DataSource source{.files = {path}, .x = "/t.energy,point", .y = "/t.flag"};
  for (const bool probe : {false, true}) {
    const auto data = open_dataset(source, {.probe = probe});
    EXPECT_EQ(data->target_kind(), TargetKind::classes);
    EXPECT_EQ(data->classes(), 3);
    const std::vector<int32_t> labels = all_y<int32_t>(*data);
    for (size_t i = 0; i < labels.size(); ++i) EXPECT_EQ(labels[i], static_cast<int32_t>(i % 3));
  }
  EXPECT_THAT(error_of([&] { open_dataset({.files = {path}, .x = "/t.z", .y = "/t.flag"}, {}); }),
              HasSubstr("/t has no field 'z'"));
}

TEST_F(RecordRowsOfFile, ADamagedChunkIsNamed) {
  const std::string path = folder_ / "a.h5";
  const std::vector<Event> all = events(kRows);
  const hdf5::Id type = event_type();
  put_records(path, "/t", type.get(), type.get(), {kRows}, all.data(), {64}, true);
  {
    const hdf5::Lock lock;
    const hdf5::File file = hdf5::File::open_for_writing(path);
    const hdf5::Dataset table = file.dataset("/t");
    const hsize_t corner = 64;
    const auto garbage = counting<uint8_t>(100);
    ASSERT_GE(H5Dwrite_chunk(table.id(), H5P_DEFAULT, 0, &corner, garbage.size(), garbage.data()), 0);
  }
  for (const int64_t budget : {int64_t{1} << 30, int64_t{1}})
    EXPECT_THAT(error_of([&] {
                  const auto data = open_dataset({.files = {path}, .x = "/t.block", .y = ""},
                                                 {.memory_budget = budget, .probe = false});
                  all_x<double>(*data);
                }),
                AllOf(HasSubstr("a.h5:/t: rows 64 to 127 cannot be read"),
                      HasSubstr("the chunk at (64) is damaged")));
}

TEST_F(RecordRowsOfFile, ABareTableAndUnknownFieldsAreExplained) {
  const std::string path = folder_ / "a.h5";
  const std::vector<Event> all = events(3);
  const hdf5::Id type = event_type();
  put_records(path, "/t", type.get(), type.get(), {3}, all.data());
  put(path, "/plain", {3}, counting<float>(3));
  EXPECT_THAT(
      error_of([&] { open_rows(path, "/t"); }),
      AllOf(HasSubstr("a.h5:/t is a table with the fields index (int64), flag (uint8), energy (float32), "
                      "block (float64[3]), hits (int16[2]), point.x (float64), point.y (float32), name, "
                      "first (string)"),
            HasSubstr("x = \"/t.index\""), HasSubstr("x = \"/t.index,flag\"")));
  EXPECT_THAT(
      error_of([&] { open_rows(path, "/t.enrgy"); }),
      AllOf(HasSubstr("a.h5:/t has no field 'enrgy' (did you mean 'energy'?)"), HasSubstr("flag (uint8)")));
  EXPECT_THAT(error_of([&] { open_rows(path, "/t.flag,"); }), HasSubstr("has no field ''"));
  EXPECT_THAT(error_of([&] { open_rows(path, "/t.name, first"); }),
              HasSubstr("the field 'name, first' of " + path + ":/t holds values of type string"));
  EXPECT_THAT(error_of([&] { open_rows(path, "/plain.x"); }), HasSubstr("has no data set /plain.x"));
}

TEST_F(RecordRowsOfFile, ComplexNumbersAreTwoChannels) {
  const std::vector<float> values = counting<float>(2 * 40 * 6);
  for (const auto& [real, imaginary] : {std::pair{"r", "i"}, std::pair{"real", "imag"}}) {
    const std::string path = folder_ / (std::to_string(++count_) + ".h5");
    const hdf5::Id type(H5Tcreate(H5T_COMPOUND, 8)), swapped(H5Tcopy(H5T_IEEE_F32BE)),
        big_endian(H5Tcreate(H5T_COMPOUND, 8));
    for (const hid_t compound : {type.get(), big_endian.get()}) {
      H5Tinsert(compound, real, 0, compound == type.get() ? H5T_NATIVE_FLOAT : swapped.get());
      H5Tinsert(compound, imaginary, 4, compound == type.get() ? H5T_NATIVE_FLOAT : swapped.get());
    }
    put_records(path, "/c", type.get(), big_endian.get(), {40, 6}, values.data(), {16, 6}, true);
    put(path, "/plain", {40, 6, 2}, values);
    expect_same_samples({.files = {path}, .x = "/c", .y = ""}, {.files = {path}, .x = "/plain", .y = ""});
    EXPECT_THAT(open_rows(path, "/c")->facts().notes,
                ElementsAre(HasSubstr("complex64, read as two channels on a new last axis")));
    // Samples last, as MATLAB writes them.
    const auto last = open_rows(path, "/c", {.sample_axis = -1});
    std::vector<float> sample(80);
    last->read_rows(2, 1, DType::f32, reinterpret_cast<std::byte*>(sample.data()));
    for (size_t i = 0; i < 40; ++i) EXPECT_EQ(sample[2 * i + 1], values[(i * 6 + 2) * 2 + 1]);
  }
}

TEST_F(RecordRowsOfFile, BooleansAndBitFieldsAreIntegers) {
  const hdf5::Id boolean(H5Tenum_create(H5T_NATIVE_INT8));
  for (int8_t value : {0, 1}) H5Tenum_insert(boolean.get(), value == 0 ? "FALSE" : "TRUE", &value);
  const auto bytes = counting<uint8_t>(700, 2);
  std::vector<uint16_t> words = counting<uint16_t>(700);
  for (uint16_t& word : words) word = static_cast<uint16_t>(word * 93);
  for (const int storage : {0, 1, 2, 3}) {
    SCOPED_TRACE(storage);
    const std::string path = folder_ / (std::to_string(++count_) + ".h5");
    const std::vector<hsize_t> chunk = storage == 0 ? std::vector<hsize_t>{} : std::vector<hsize_t>{10, 7};
    put_records(path, "/bools", boolean.get(), boolean.get(), {100, 7}, bytes.data(), chunk, storage == 2);
    put_records(path, "/bits", H5T_NATIVE_B16, H5T_STD_B16BE, {100, 7}, words.data(), chunk, storage == 2);
    put(path, "/words", {100, 7}, std::vector<int32_t>(words.begin(), words.end()));
    put(path, "/bytes", {100, 7}, std::vector<int32_t>(bytes.begin(), bytes.end()));
    expect_same_samples({.files = {path}, .x = "/bools", .y = ""}, {.files = {path}, .x = "/bytes", .y = ""});
    expect_same_samples({.files = {path}, .x = "/bits", .y = ""}, {.files = {path}, .x = "/words", .y = ""});
  }
}

TEST_F(RecordRowsOfFile, BitFieldsThatLibhdf5ReadsAndUnwrittenOnes) {
  const std::string path = folder_ / "a.h5";
  const uint8_t fill = 7;
  {
    const hdf5::Lock lock;
    const hdf5::File file = hdf5::File::create(path);
    const hsize_t extents[] = {9, 2}, chunk[] = {4, 2};
    const hdf5::Id space(H5Screate_simple(2, extents, nullptr)), compact(H5Pcreate(H5P_DATASET_CREATE)),
        chunked(H5Pcreate(H5P_DATASET_CREATE));
    H5Pset_layout(compact.get(), H5D_COMPACT);
    H5Pset_chunk(chunked.get(), 2, chunk);
    H5Pset_fill_value(chunked.get(), H5T_NATIVE_B8, &fill);
    const hdf5::Id id(H5Dcreate2(file.id(), "/compact", H5T_STD_B8LE, space.get(), H5P_DEFAULT, compact.get(),
                                 H5P_DEFAULT)),
        unwritten(H5Dcreate2(file.id(), "/unwritten", H5T_STD_B8LE, space.get(), H5P_DEFAULT, chunked.get(),
                             H5P_DEFAULT));
    const auto values = counting<uint8_t>(18);
    ASSERT_GE(H5Dwrite(id.get(), H5T_NATIVE_B8, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()), 0);
  }
  const hdf5::File file = hdf5::File::open(path);
  EXPECT_TRUE(file.dataset("/compact").is_read_by_libhdf5());
  std::vector<float> values(18);
  file.dataset("/compact").read(DType::f32, values.data());
  EXPECT_EQ(values, counting<float>(18));
  file.dataset("/unwritten").read(DType::f32, values.data());
  EXPECT_EQ(values, std::vector<float>(18, 7));
}

}  // namespace
}  // namespace lockstep
