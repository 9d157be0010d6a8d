#include "io/dataset/dataset.h"
#include "tests/io/text_files.h"

namespace lockstep {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

/// Opens targets with samples of two numbers.
class NamedClasses : public testing::Test {
 protected:
  std::string file(const std::vector<std::string>& texts, const Shape& row = {}, size_t fixed = 0,
                   const hdf5::Storage& storage = {}) {
    const std::string path = folder_ / (std::to_string(++count_) + ".h5");
    const int64_t rows = static_cast<int64_t>(texts.size()) / row.elements();
    put(path, "/x", {rows, 2}, counting<float>(2 * rows));
    put_text(path, "/y", row.batched(rows), texts, fixed, storage);
    return path;
  }
  static std::unique_ptr<Dataset> open(const std::vector<std::string>& files, DatasetOptions options = {}) {
    options.probe = false;
    return open_dataset({files, "/x", "/y"}, options);
  }

  TemporaryFolder folder_;
  int count_ = 0;
};

TEST_F(NamedClasses, AreNumberedInTheOrderOfTheirNames) {
  const std::vector<std::string> texts = {"dog", "cat", "cow", "cat", "dog"};
  for (const size_t fixed : {0, 5}) {
    for (const int64_t budget : {1 << 20, 1}) {
      const auto data =
          open({file(texts, {}, fixed, {.chunk = {2}, .deflate = 1})}, {.memory_budget = budget});
      EXPECT_EQ(data->in_memory(), budget > 1);
      EXPECT_EQ(data->target_kind(), TargetKind::classes);
      EXPECT_THAT(data->class_names(), ElementsAre("cat", "cow", "dog"));
      EXPECT_EQ(data->classes(), 3);
      EXPECT_EQ(data->y_shape(), Shape{});
      EXPECT_THAT(all_y<int32_t>(*data), ElementsAre(2, 0, 1, 0, 2));
      EXPECT_THAT(data->class_targets(), ElementsAre(2, 1, 2));
      EXPECT_EQ(data->label(2), 1);
    }
  }
}

TEST_F(NamedClasses, OfSeveralFilesAreThoseOfAll) {
  const auto data = open({file({"b", "c"}), file({"a", "c", "b"}, {}, 3)});
  EXPECT_THAT(data->class_names(), ElementsAre("a", "b", "c"));
  EXPECT_THAT(all_y<int32_t>(*data), ElementsAre(1, 2, 0, 2, 1));
}

TEST_F(NamedClasses, MayLieAtPositions) {
  for (const int64_t budget : {1 << 20, 1}) {
    const auto data =
        open({file({"sea", "land", "sea", "sea", "ice", "land"}, {3})}, {.memory_budget = budget});
    EXPECT_EQ(data->y_shape(), Shape{3});
    EXPECT_THAT(all_y<int32_t>(*data), ElementsAre(2, 1, 2, 2, 0, 1));
  }
}

TEST_F(NamedClasses, OfTheTrainingDataHoldForOtherData) {
  const auto train = open({file({"dog", "cat", "cow", "cat"})});
  const DatasetOptions like_it{
      .classes = 3, .kind = TargetKind::classes, .class_names = train->class_names()};
  const auto test = open({file({"dog", "dog"})}, like_it);
  EXPECT_EQ(test->classes(), 3);
  EXPECT_THAT(all_y<int32_t>(*test), ElementsAre(2, 2));
  EXPECT_THAT(
      error_of([&] {
        open({file({"dog", "bee\x1b"})}, like_it);
      }),
      AllOf(HasSubstr(".h5:/y: sample 1 has the class 'bee\\x1b', which is unknown. The classes are: cat, "
                      "cow, dog."),
            HasSubstr("leave out")));
  EXPECT_THAT(error_of([&] { open({file({"dog"})}, {.classes = 2, .kind = TargetKind::classes}); }),
              HasSubstr("holds names of classes, but the training data had numbers of classes."));
  EXPECT_THAT(error_of([&] { open({file({"dog"})}, {.task = TargetTask::values}); }),
              HasSubstr("holds names, which can be classes only, and other targets are expected."));
}

TEST_F(NamedClasses, MayBeDeclared) {
  EXPECT_EQ(open({file({"a", "b"})}, {.classes = 2})->classes(), 2);
  EXPECT_THAT(error_of([&] {
                open({file({"a", "b"})}, {.classes = 5});
              }),
              HasSubstr("data.classes = 5, but"));
  std::vector<std::string> many;
  for (int i = 0; i < 30; ++i) many.push_back(std::to_string(i));
  EXPECT_THAT(error_of([&] { open({file(many)}); }), HasSubstr("set data.classes = 30."));
  EXPECT_EQ(open({file(many)}, {.classes = 30})->classes(), 30);
}

TEST_F(NamedClasses, ArePartOfWhatIdentifiesTheData) {
  EXPECT_EQ(open({file({"a", "b"})})->fingerprint(), open({file({"a", "b"})})->fingerprint());
  EXPECT_NE(open({file({"a", "b"})})->fingerprint(), open({file({"a", "c"})})->fingerprint());
}

TEST_F(NamedClasses, OfAnEnumerationAreItsMembersByNumber) {
  const hdf5::Id type(H5Tenum_create(H5T_NATIVE_INT8));
  const std::vector<std::pair<const char*, int8_t>> members = {{"no", 0}, {"yes", 1}, {"maybe", 2}};
  for (const auto& [name, value] : members) H5Tenum_insert(type.get(), name, &value);
  const std::string path = folder_ / "enum.h5";
  const std::vector<int8_t> values = {1, 0, 1};
  put(path, "/x", {3, 2}, counting<float>(6));
  put_elements(path, "/y", {3}, type.get(), values.data());
  const auto data = open({path});
  EXPECT_THAT(data->class_names(), ElementsAre("no", "yes", "maybe"));
  EXPECT_EQ(data->classes(), 3);
  EXPECT_THAT(all_y<int32_t>(*data), ElementsAre(1, 0, 1));
  const auto as_values = open({path}, {.task = TargetTask::values});
  EXPECT_THAT(as_values->class_names(), IsEmpty());
  EXPECT_THAT(all_y<float>(*as_values), ElementsAre(1, 0, 1));
  // Another enumeration's numbers are not those of the training data: the names decide.
  const DatasetOptions by_name{.classes = 2, .kind = TargetKind::classes, .class_names = {"yes", "no"}};
  EXPECT_THAT(all_y<int32_t>(*open({path}, by_name)), ElementsAre(0, 1, 0));
}

TEST_F(NamedClasses, OfCategoriesAreThoseOfAnnData) {
  const std::string path = folder_ / "anndata.h5";
  put(path, "/x", {3, 2}, counting<float>(6));
  put(path, "/y/codes", {3}, std::vector<int32_t>{1, 0, 1});
  put_text(path, "/y/categories", {2}, {"T", "B"});
  const auto data = open({path});
  EXPECT_THAT(data->class_names(), ElementsAre("T", "B"));
  EXPECT_THAT(all_y<int32_t>(*data), ElementsAre(1, 0, 1));
}

TEST_F(NamedClasses, AreNoSamples) {
  const std::string path = file({"a", "b"});
  EXPECT_THAT(error_of([&] {
                open_dataset({{path}, "/y", ""}, {.probe = false});
              }),
              HasSubstr(":/y holds text (strings). Samples must be numbers;"));
}

/// A table with the classes of its rows in fields of several types.
void put_table(const std::string& path, const std::vector<std::string>& names) {
  struct Row {
    float energy;
    char fixed[6];
    char* variable;
    struct {
      int16_t kind;
    } nested;
  };
  std::vector<std::string> kept = names;
  std::vector<Row> rows;
  for (std::string& name : kept) {
    Row row{.energy = static_cast<float>(rows.size()), .fixed = {}, .variable = name.data(), .nested = {}};
    name.copy(row.fixed, sizeof(row.fixed));
    row.nested.kind = static_cast<int16_t>(name == "cat" ? 1 : 0);
    rows.push_back(row);
  }
  const hdf5::Lock lock;
  const hdf5::Id fixed(H5Tcopy(H5T_C_S1)), variable(H5Tcopy(H5T_C_S1)), kinds(H5Tenum_create(H5T_STD_I16BE)),
      nested(H5Tcreate(H5T_COMPOUND, sizeof(int16_t))), type(H5Tcreate(H5T_COMPOUND, sizeof(Row)));
  H5Tset_size(fixed.get(), sizeof(Row::fixed));
  H5Tset_strpad(fixed.get(), H5T_STR_NULLPAD);
  H5Tset_size(variable.get(), H5T_VARIABLE);
  const uint8_t values[][2] = {{0, 0}, {0, 1}};  // big-endian
  H5Tenum_insert(kinds.get(), "other", values[0]);
  H5Tenum_insert(kinds.get(), "cat", values[1]);
  const hdf5::Id native(H5Tget_native_type(kinds.get(), H5T_DIR_ASCEND));
  H5Tinsert(nested.get(), "kind", 0, native.get());
  H5Tinsert(type.get(), "energy", HOFFSET(Row, energy), H5T_NATIVE_FLOAT);
  H5Tinsert(type.get(), "fixed", HOFFSET(Row, fixed), fixed.get());
  H5Tinsert(type.get(), "variable", HOFFSET(Row, variable), variable.get());
  H5Tinsert(type.get(), "nested", HOFFSET(Row, nested), nested.get());
  put_elements(path, "/table", {static_cast<int64_t>(rows.size())}, type.get(), rows.data());
}

TEST(NamedRows, MayBeFieldsOfATable) {
  const TemporaryFolder folder;
  const std::string path = folder / "a.h5";
  put_table(path, {"dog", "cat", "cow", "cat", "dog", "cat"});
  for (const std::string field : {"fixed", "variable"}) {
    const auto data = open_dataset({{path}, "/table.energy", "/table." + field}, {});
    EXPECT_THAT(data->class_names(), ElementsAre("cat", "cow", "dog")) << field;
    EXPECT_THAT(all_y<int32_t>(*data), ElementsAre(2, 0, 1, 0, 2, 0)) << field;
  }
  const auto data = open_dataset({{path}, "/table.energy", "/table.nested.kind"}, {});
  EXPECT_THAT(data->class_names(), ElementsAre("other", "cat"));
  EXPECT_THAT(all_y<int32_t>(*data), ElementsAre(0, 1, 0, 1, 0, 1));
  // Samples are numbers still.
  EXPECT_THAT(error_of([&] {
                open_dataset({{path}, "/table.fixed", ""}, {});
              }),
              HasSubstr("the field 'fixed' of"));
}

TEST(NamedRows, AFieldThatNamesAnUnknownClassIsNamedWhole) {
  const TemporaryFolder folder;
  put_table(folder / "a.h5", {"dog", "cat", "dog", "cat"});
  put_table(folder / "b.h5", {"dog", "", "dog", "cat"});
  const auto of = [&](const std::string& file, const DatasetOptions& options) {
    return error_of([&] { open_dataset({{folder / file}, "/table.energy", "/table.variable"}, options); });
  };
  EXPECT_THAT(of("b.h5", {}), HasSubstr("b.h5:/table.variable: sample 1 has an empty text"));
  EXPECT_THAT(of("a.h5", {.classes = 1, .kind = TargetKind::classes, .class_names = {"dog"}}),
              HasSubstr("a.h5:/table.variable: sample 1 has the class 'cat', which is unknown"));
}

}  // namespace
}  // namespace lockstep
