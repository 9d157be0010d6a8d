#include "io/dataset/targets/class_names.h"

#include "io/dataset/targets/label_counts.h"
#include "tests/io/text_files.h"

namespace lockstep {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

/// The type of an enumeration of int16 with these members.
hdf5::Id enumeration(const std::vector<std::pair<std::string, int16_t>>& members) {
  hdf5::Id type(H5Tenum_create(H5T_STD_I16BE));
  for (const auto& [name, value] : members) {
    int16_t stored = value;
    H5Tconvert(H5T_NATIVE_INT16, H5T_STD_I16BE, 1, &stored, nullptr, H5P_DEFAULT);
    H5Tenum_insert(type.get(), name.c_str(), &stored);
  }
  return type;
}

class ClassNamesOfFile : public testing::Test {
 protected:
  NameCounts count(const std::vector<std::string>& texts) {
    const std::string path = folder_ / (std::to_string(++count_) + ".h5");
    put_text(path, "/y", {static_cast<int64_t>(texts.size())}, texts);
    NameCounts counts;
    const hdf5::File file = hdf5::File::open(path);
    counts.add(find_named_values(file, "/y").value());
    counts.require_classes(path + ":/y");
    return counts;
  }
  std::string error(const std::vector<std::string>& texts) {
    return error_of([&] { count(texts); });
  }

  TemporaryFolder folder_;
  int count_ = 0;
};

TEST_F(ClassNamesOfFile, AreSortedAndCounted) {
  const NameCounts counts = count({"dog", "cat", "dog", "ant", "dog\xff"});
  EXPECT_THAT(counts.names(), ElementsAre("ant", "cat", "dog", "dog\\xff"));
  EXPECT_THAT(counts.counts(), ElementsAre(1, 1, 2, 1));
  const NameTable table(counts.names());
  EXPECT_EQ(table.find("cat"), 1);
  EXPECT_EQ(table.find("dog\xff"), 3);
  EXPECT_EQ(table.find("cow"), std::nullopt);
  EXPECT_EQ(names_in_words(counts.names()), "ant, cat, dog, dog\\xff");
}

TEST_F(ClassNamesOfFile, AreNotAnyText) {
  EXPECT_THAT(error({"a", "b", ""}), HasSubstr(":/y: sample 2 has an empty text"));
  EXPECT_THAT(error({"a", std::string(1025, 'b')}), HasSubstr("sample 1 has a text of 1025 bytes"));
  std::vector<std::string> ids;
  for (int i = 0; i < 60; ++i) ids.push_back("sample " + std::to_string(i % 40));
  EXPECT_THAT(error(ids), AllOf(HasSubstr("holds 40 different texts in 60 places"),
                                HasSubstr("sample 0, sample 1, sample 10"), HasSubstr("and 20 more"),
                                HasSubstr("set data.classes = 40.")));
}

TEST_F(ClassNamesOfFile, OfAnEnumerationAreItsMembers) {
  const hdf5::Id type = enumeration({{"low", 1}, {"high", 300}, {"off", -2}});
  std::vector<int16_t> values = {1, 300, 300, -2, 1};
  H5Tconvert(H5T_NATIVE_INT16, H5T_STD_I16BE, values.size(), values.data(), nullptr, H5P_DEFAULT);
  const std::string path = folder_ / "enum.h5";
  put_elements(path, "/y", {5}, type.get(), values.data());
  values[3] = 0;
  put_elements(path, "/no_member", {5}, type.get(), values.data());
  const hdf5::File file = hdf5::File::open(path);
  const NamedValues named = find_named_values(file, "/y").value();
  EXPECT_THAT(named.numbered(), IsEmpty());
  NameCounts counts;
  counts.add(named);
  EXPECT_THAT(counts.names(), ElementsAre("high", "low", "off"));
  EXPECT_THAT(counts.counts(), ElementsAre(2, 2, 1));
  EXPECT_THAT(error_of([&] { NameCounts().add(find_named_values(file, "/no_member").value()); }),
              HasSubstr(":/no_member: sample 3 has the value 0, which has no name there."));
}

TEST_F(ClassNamesOfFile, NumberedFromZeroStayNumbers) {
  const hdf5::Id type = enumeration({{"no", 0}, {"maybe", 2}, {"yes", 1}});
  const std::vector<int16_t> zeros(3);
  const std::string path = folder_ / "numbered.h5";
  put_elements(path, "/y", {3}, type.get(), zeros.data());
  put(path, "/numbers", {3}, std::vector<int32_t>{0, 1, 2});
  const hdf5::File file = hdf5::File::open(path);
  EXPECT_THAT(find_named_values(file, "/y").value().numbered(), ElementsAre("no", "yes", "maybe"));
  EXPECT_FALSE(find_named_values(file, "/numbers"));
  EXPECT_FALSE(find_named_values(file, "/absent"));
}

TEST_F(ClassNamesOfFile, AreCategoriesThatCodesCount) {
  const std::string path = folder_ / "categories.h5";
  put(path, "/obs/kind/codes", {4}, std::vector<int32_t>{2, 0, 0, -1});
  put_text(path, "/obs/kind/categories", {3}, {"T", "B", "NK"});
  const hdf5::File file = hdf5::File::open(path);
  const NamedValues named = find_named_values(file, "/obs/kind").value();
  EXPECT_THAT(named.numbered(), ElementsAre("T", "B", "NK"));
  EXPECT_THAT(named.data_sets(), ElementsAre("/obs/kind/codes", "/obs/kind/categories"));
  std::vector<std::string> names;
  const auto keep = [&](int64_t, std::string_view name) { names.emplace_back(name); };
  read_class_names(named, 0, 3, keep);
  EXPECT_THAT(names, ElementsAre("NK", "T", "T"));
  EXPECT_THAT(error_of([&] { read_class_names(named, 2, 2, keep); }),
              HasSubstr(":/obs/kind/codes: sample 3 has the value -1, which has no name there."));
}

}  // namespace
}  // namespace lockstep
