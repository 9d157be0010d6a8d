#include "io/import/npy_header.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/io/files.h"
#include "tests/io/import/npy_bytes.h"

namespace lockstep {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

NpyHeader parsed(const std::string& bytes) {
  return parse_npy_header(std::as_bytes(std::span(bytes)), "a.npy");
}

std::string npy_error(const std::string& literal) {
  return data_error_of([&] { parsed(npy_bytes(literal)); });
}

TEST(NpyHeader, IsReadInAllVersions) {
  for (const int version : {1, 2, 3}) {
    const NpyHeader header =
        parsed(npy_bytes("{'descr': '>f4', 'fortran_order': True, 'shape': (3, 4), }  \n", version));
    EXPECT_EQ(header.kind, 'f');
    EXPECT_EQ(header.element_bytes, 4);
    EXPECT_TRUE(header.big_endian);
    EXPECT_TRUE(header.fortran_order);
    EXPECT_THAT(header.shape, ElementsAre(3, 4));
    EXPECT_EQ(header.data_begin, version == 1 ? 71 : 73);
    EXPECT_EQ(header.data_bytes(), 48);
    EXPECT_EQ(header.text(), "float32 (3, 4)");
  }
}

TEST(NpyHeader, MayBeWrittenOtherwise) {
  const NpyHeader header = parsed(npy_bytes("{\"shape\":(7L,),'fortran_order':False,'descr':'|u1'}"));
  EXPECT_THAT(header.shape, ElementsAre(7));
  EXPECT_EQ(header.text(), "uint8 (7)");
  EXPECT_THAT(parsed(npy_bytes("{'shape': (), 'fortran_order': False, 'descr': '<c16'}")).shape,
              ElementsAre());
  EXPECT_EQ(parsed(npy_bytes("{'shape': (2,), 'fortran_order': False, 'descr': '<c16'}")).text(),
            "complex128 (2)");
}

TEST(NpyHeader, ThatIsDamagedIsRefused) {
  for (const char* literal :
       {"", "{", "{}", "{'descr': '<f4', 'fortran_order': False}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': 3}",
        "{'descr': '<f4', 'fortran_order': no, 'shape': (3,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-3,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (3,)} x",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (3,), 'more': 1}",
        "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (3,)}",
        "{'descr': '<f4' 'fortran_order': False, 'shape': (3,)}",
        "{'descr': '<f4, 'fortran_order': False, 'shape': (3,)}",
        "{'descr': '<f5', 'fortran_order': False, 'shape': (3,)}",
        "{'descr': 'f4', 'fortran_order': False, 'shape': (3,)}",
        "{'descr': '', 'fortran_order': False, 'shape': (3,)}",
        "{'descr': '<', 'fortran_order': False, 'shape': (3,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 0, 4294967296)}",
        "__import__('os').system('true')"})
    EXPECT_THAT(npy_error(literal), HasSubstr("a.npy: its header is damaged")) << literal;
}

TEST(NpyHeader, OfObjectsSaysWhatToDo) {
  const auto of = [](const std::string& descr) {
    return npy_error("{'descr': " + descr + ", 'fortran_order': False, 'shape': (3,)}");
  };
  EXPECT_THAT(of("'|O'"), AllOf(HasSubstr("Python objects"), HasSubstr("astype('float32')")));
  EXPECT_THAT(of("'<U5'"), HasSubstr("return_inverse=True"));
  EXPECT_THAT(of("[('a', '<i4')]"), HasSubstr("Save each field by itself"));
  EXPECT_THAT(of("'<f16'"), HasSubstr("a.astype('float64')"));
}

TEST(NpyHeader, ThatIsCutIsRefused) {
  const std::string whole = npy_bytes("{'descr': '<f4', 'fortran_order': False, 'shape': (3,)}");
  for (size_t size = 0; size < whole.size(); ++size)
    EXPECT_NE(data_error_of([&] { parsed(whole.substr(0, size)); }), "no error") << size;
  std::string later = whole;
  later[6] = 4;
  EXPECT_THAT(data_error_of([&] { parsed(later); }), HasSubstr("version 4 of the .npy format"));
}

}  // namespace
}  // namespace lockstep
