// What `data split` makes of layouts other than plain numbers: each part trains like a part of the whole.
#include <algorithm>
#include <set>

#include "io/repack/split_file.h"
#include "tests/io/text_files.h"

namespace lockstep {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class DivideRows : public testing::Test {
 protected:
  static constexpr int64_t kRows = 40;

  DivideRows() {
    std::vector<std::string> texts;
    for (int64_t row = 0; row < kRows; ++row) texts.push_back(name_of(row));
    put_text(in, "/fixed", {kRows}, texts, 8);
    put_text(in, "/variable", {kRows}, texts);
  }

  static std::string name_of(int64_t row) { return row % 2 == 0 ? "even" : "odd"; }

  /// Splits, and expects that the parts together hold the samples of the whole, each once, with its target.
  /// samples: whose first value tells them apart.
  SplitResult split_and_compare(const std::string& x, const std::string& y,
                                const DatasetOptions& reading = {}) {
    options.reading = reading;
    const SplitResult result = split_file({{in}, x, y}, out, options);
    EXPECT_EQ(result.parts[0].samples + result.parts[1].samples, kRows);
    const auto whole = open_dataset({{in}, x, y}, reading);
    std::multiset<std::vector<float>> expected = samples_of(*whole), found;
    for (const SplitResult::Part& part : result.parts) {
      DatasetOptions as_whole = reading;
      as_whole.kind = whole->target_kind();
      as_whole.class_names = whole->class_names();
      as_whole.classes = whole->classes();
      Understood understood = whole->understood();
      understood.sample_axis = 0;
      as_whole.understood = understood;
      pad_like(as_whole, whole->x_shape(), whole->y_shape());
      const auto data =
          open_dataset({{out}, "/" + part.name + "/x", y.empty() ? "" : "/" + part.name + "/y"}, as_whole);
      EXPECT_EQ(data->size(), part.samples);
      EXPECT_EQ(data->x_dtype(), whole->x_dtype());
      found.merge(samples_of(*data));
    }
    EXPECT_EQ(found, expected);
    return result;
  }

  static std::multiset<std::vector<float>> samples_of(const Dataset& data) {
    std::multiset<std::vector<float>> samples;
    const auto width = static_cast<size_t>(data.x_shape().elements());
    std::vector<float> values;
    if (data.x_dtype() == DType::u8) {
      const auto bytes = all_x<uint8_t>(data);
      values.assign(bytes.begin(), bytes.end());
    } else {
      values = all_x<float>(data);
    }
    for (int64_t i = 0; i < data.size(); ++i) {
      std::vector<float> sample(values.begin() + static_cast<int64_t>(width) * i,
                                values.begin() + static_cast<int64_t>(width) * (i + 1));
      sample.push_back(static_cast<float>(data.label(i)));
      samples.insert(sample);
    }
    return samples;
  }

  SplitOptions options{.parts = {{"train", 0.75}, {"test", 0.25}}};
  const TemporaryFolder folder;
  const std::string in = folder / "in.h5", out = folder / "out.h5";
};

TEST_F(DivideRows, NamesOfClasses) {
  put(in, "/x", {kRows, 2}, counting<float>(2 * kRows));
  options.by_class = true;
  for (const std::string y : {"/fixed", "/variable"}) {
    const SplitResult result = split_and_compare("/x", y);
    EXPECT_THAT(result.class_names, ElementsAre("even", "odd"));
    EXPECT_EQ(result.parts[1].classes.at(1), 5);
    // The other one is beside x.
    EXPECT_THAT(result.datasets, ElementsAre("x", "y", y == "/fixed" ? "variable" : "fixed"));
  }
}

TEST_F(DivideRows, Categories) {
  put(in, "/x", {kRows, 2}, counting<float>(2 * kRows));
  put(in, "/kind/codes", {kRows}, counting<uint8_t>(kRows, 2));
  put_text(in, "/kind/categories", {2}, {"B", "A"});
  split_and_compare("/x", "/kind");
}

TEST_F(DivideRows, SparseMatricesStaySparse) {
  std::vector<float> data;
  std::vector<int32_t> indices;
  std::vector<int64_t> starts{0};
  for (int64_t row = 0; row < kRows; ++row) {
    for (int64_t i = 0; i < row % 4; ++i) {
      data.push_back(static_cast<float>(10 * row + i + 1));
      indices.push_back(static_cast<int32_t>(i));
    }
    starts.push_back(static_cast<int64_t>(data.size()));
  }
  const auto values = static_cast<int64_t>(data.size());
  put(in, "/X/data", {values}, data, {.chunk = {7}, .deflate = 3});
  put(in, "/X/indices", {values}, indices);
  put(in, "/X/indptr", {kRows + 1}, starts);
  {
    const hdf5::Lock lock;
    const hdf5::File file = hdf5::File::open_for_writing(in);
    const hsize_t two = 2;
    const int64_t shape[] = {kRows, 5};
    const hdf5::Id space(H5Screate_simple(1, &two, nullptr));
    const hdf5::Id id(H5Acreate_by_name(file.id(), "/X", "shape", H5T_STD_I32LE, space.get(), H5P_DEFAULT,
                                        H5P_DEFAULT, H5P_DEFAULT));
    H5Awrite(id.get(), H5T_NATIVE_INT64, shape);
  }
  split_and_compare("/X", "/fixed");
  options.memory_bytes = 64;
  split_and_compare("/X", "/fixed");
  const hdf5::File file = hdf5::File::open(out);
  EXPECT_EQ(file.dataset("/train/x/data").filters().size(), 2u);
  EXPECT_LT(file.dataset("/train/x/data").elements(), values);
}

TEST_F(DivideRows, PackedNumbersStayPacked) {
  put(in, "/x", {kRows, 2}, counting<int32_t>(2 * kRows));
  {
    hdf5::File file = hdf5::File::open_for_writing(in);
    file.set_attribute("/x", "scale_factor", 0.5);
    file.set_attribute("/x", "_FillValue", int64_t{3});
  }
  split_and_compare("/x", "", {.missing = -1});
  EXPECT_EQ(hdf5::File::open(out).dataset("/test/x").type().name, "int32");
}

TEST_F(DivideRows, SequencesOfVariableLength) {
  std::vector<float> values = counting<float>(kRows + 3);
  std::vector<hvl_t> rows;
  for (int64_t row = 0; row < kRows; ++row)
    rows.push_back({static_cast<size_t>(1 + row % 3), values.data() + row});
  const hdf5::Id type(H5Tvlen_create(H5T_NATIVE_FLOAT));
  put_elements(in, "/x", {kRows}, type.get(), rows.data());
  split_and_compare("/x", "/fixed");
}

TEST_F(DivideRows, ADataSetForEachSample) {
  for (int64_t row = 0; row < kRows; ++row) {
    put(in, fmt::format("/data/{}/obs", row), {2}, std::vector<float>{static_cast<float>(row), 1});
    put(in, fmt::format("/data/{}/label", row), {1}, std::vector<int64_t>{row % 2});
  }
  split_and_compare("/data/*/obs", "/data/*/label");
  EXPECT_EQ(hdf5::File::open(out).dataset("/test/x").extents(), (std::vector<int64_t>{10, 2}));
}

TEST_F(DivideRows, SamplesOnTheLastAxisAndLabelsFromOne) {
  put(in, "/x", {3, kRows}, counting<float>(3 * kRows));
  std::vector<double> labels;
  for (int64_t row = 0; row < kRows; ++row) labels.push_back(static_cast<double>(1 + row % 3));
  put(in, "/y", {1, kRows}, labels);
  options.by_class = true;
  EXPECT_EQ(split_and_compare("/x", "/y").first_label, 1);
}

TEST_F(DivideRows, FieldsOfATable) {
  struct Event {
    float energy[2];
    int32_t label;
  };
  std::vector<Event> events;
  for (int64_t row = 0; row < kRows; ++row)
    events.push_back({{static_cast<float>(row), 1}, static_cast<int32_t>(row % 2)});
  const hsize_t two = 2;
  const hdf5::Id pair(H5Tarray_create2(H5T_NATIVE_FLOAT, 1, &two)),
      type(H5Tcreate(H5T_COMPOUND, sizeof(Event)));
  H5Tinsert(type.get(), "energy", HOFFSET(Event, energy), pair.get());
  H5Tinsert(type.get(), "label", HOFFSET(Event, label), H5T_NATIVE_INT32);
  put_elements(in, "/table", {kRows}, type.get(), events.data());
  const SplitResult result = split_and_compare("/table.energy", "/table.label");
  EXPECT_THAT(result.datasets, ElementsAre("x", "y", "fixed", "variable"));
}

TEST_F(DivideRows, FieldsOfATableThatNameClassesKeepTheNames) {
  struct Event {
    float energy;
    char fixed[4];
    const char* variable;
    int8_t flag;
  };
  std::vector<Event> events;
  for (int64_t row = 0; row < kRows; ++row)
    events.push_back({static_cast<float>(row),
                      {row % 2 == 0 ? 'c' : 'd', 'o', 'g', 's'},
                      row % 3 == 0 ? "cow" : "horse",
                      static_cast<int8_t>(row % 2)});
  const hdf5::Id fixed(H5Tcopy(H5T_C_S1)), variable(H5Tcopy(H5T_C_S1)), flag(H5Tenum_create(H5T_NATIVE_INT8)),
      inner(H5Tcreate(H5T_COMPOUND, sizeof(char*) + sizeof(int8_t))),
      type(H5Tcreate(H5T_COMPOUND, sizeof(Event)));
  H5Tset_size(fixed.get(), 4);
  H5Tset_strpad(fixed.get(), H5T_STR_NULLPAD);
  H5Tset_size(variable.get(), H5T_VARIABLE);
  for (int8_t value = 0; value < 2; ++value) H5Tenum_insert(flag.get(), value == 0 ? "no" : "yes", &value);
  H5Tinsert(inner.get(), "name", 0, variable.get());
  H5Tinsert(inner.get(), "flag", sizeof(char*), flag.get());
  H5Tinsert(type.get(), "energy", HOFFSET(Event, energy), H5T_NATIVE_FLOAT);
  H5Tinsert(type.get(), "fixed", HOFFSET(Event, fixed), fixed.get());
  H5Tinsert(type.get(), "inner", HOFFSET(Event, variable), inner.get());
  put_elements(in, "/table", {kRows}, type.get(), events.data());
  for (const auto& [field, names] : std::map<std::string, std::vector<std::string>>{
           {"fixed", {"cogs", "dogs"}}, {"inner.name", {"cow", "horse"}}, {"inner.flag", {"no", "yes"}}}) {
    split_and_compare("/table.energy", "/table." + field);
    EXPECT_THAT(open_dataset({{out}, "/train/x", "/train/y"}, {})->class_names(),
                testing::ElementsAreArray(names))
        << field;
    std::filesystem::remove(out);
  }
}

TEST_F(DivideRows, RefusesWhatHasNoRowsOfItsOwn) {
  put(in, "/x", {kRows, 2}, counting<float>(2 * kRows));
  const auto refusal = [&](const DataSource& source) {
    return error_of([&] { split_file(source, out, options); }, ExitCode::usage);
  };
  EXPECT_THAT(refusal({.files = {in}, .x = "/x", .y = "", .window = 4}), HasSubstr("data.train.window"));
  EXPECT_THAT(refusal({.files = {in}, .x = "/x", .y = "", .rows = {.first = 3, .end = {}}}),
              HasSubstr("rows = \"3:\""));
}

}  // namespace
}  // namespace lockstep
