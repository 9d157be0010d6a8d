#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "io/safetensors/safetensors_file.h"
#include "io/safetensors/write_safetensors.h"
#include "src/core/error.h"
#include "src/tensor/half.h"
#include "tests/io/files.h"
#include "tests/io/temporary_folder.h"

namespace lockstep {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

std::string little_endian(uint64_t number) {
  std::string bytes(8, '\0');
  std::memcpy(bytes.data(), &number, 8);
  return bytes;
}

/// A file with this header, whatever it says, and so many bytes of values.
std::string file_of(const std::string& header, size_t values) {
  return little_endian(header.size()) + header + std::string(values, '\1');
}

TEST(Safetensors, AreWrittenAsTheLibraryOfTheFormatDoes) {
  const TemporaryFolder folder;
  const std::vector<float> numbers = {1, 2, 3, 4, 5, 6};
  const double one = 1;
  const std::vector<f16> halves = {f16(1), f16(-2)};
  // By the size of elements, then by name.
  const std::vector<NamedTensor> tensors = {{"b.weight", {numbers.data(), DType::f32, {2, 3}}},
                                            {"h", {halves.data(), DType::f16, {2}}},
                                            {"a.bias", {numbers.data(), DType::f32, {1}}},
                                            {"scalar", {&one, DType::f64, {}}},
                                            {"none", {numbers.data(), DType::f32, {0, 3}}}};
  write_safetensors(folder / "w.safetensors", tensors);
  const std::string header = R"({"__metadata__":{"format":"pt"},)"
                             R"("scalar":{"dtype":"F64","shape":[],"data_offsets":[0,8]},)"
                             R"("a.bias":{"dtype":"F32","shape":[1],"data_offsets":[8,12]},)"
                             R"("b.weight":{"dtype":"F32","shape":[2,3],"data_offsets":[12,36]},)"
                             R"("none":{"dtype":"F32","shape":[0,3],"data_offsets":[36,36]},)"
                             R"("h":{"dtype":"F16","shape":[2],"data_offsets":[36,40]}})";
  const std::string content = content_of(folder / "w.safetensors");
  const size_t padded = (header.size() + 7) / 8 * 8;
  EXPECT_EQ(content.substr(0, 8), little_endian(padded));
  EXPECT_EQ(content.substr(8, padded), header + std::string(padded - header.size(), ' '));
  EXPECT_EQ(content.size(), 8 + padded + 40);

  const SafetensorsFile file(folder / "w.safetensors");
  ASSERT_EQ(file.tensors().size(), 5u);
  const StoredTensor& b = file.tensors()[2];
  EXPECT_EQ(b.name, "b.weight");
  EXPECT_THAT(b.extents, ElementsAre(2, 3));
  EXPECT_EQ(file.floats(b), numbers);
  EXPECT_TRUE(file.floats(file.tensors()[3]).empty());
}

TEST(Safetensors, OfOtherFloatsAreRoundedToFloat32) {
  const TemporaryFolder folder;
  const std::vector<double> doubles = {0.1, 1e-60, -3};
  const std::vector<f16> halves = {f16(0.25f), f16(65504)};
  const std::vector<bf16> brains = {bf16(3.140625f), bf16(-1e30f)};
  write_safetensors(folder / "w", std::vector<NamedTensor>{{"d", {doubles.data(), DType::f64, {3}}},
                                                           {"h", {halves.data(), DType::f16, {2}}},
                                                           {"b", {brains.data(), DType::bf16, {2}}}});
  const SafetensorsFile file(folder / "w");
  ASSERT_EQ(file.tensors().size(), 3u);
  EXPECT_THAT(file.floats(file.tensors()[0]), ElementsAre(0.1f, 0, -3));
  EXPECT_THAT(file.floats(file.tensors()[1]),
              ElementsAre(static_cast<float>(brains[0]), static_cast<float>(brains[1])));
  EXPECT_THAT(file.floats(file.tensors()[2]), ElementsAre(0.25f, 65504));
}

TEST(Safetensors, OfIntegersAreListedAndNotReadAsWeights) {
  const TemporaryFolder folder;
  const int64_t steps = 7;
  write_safetensors(folder / "w",
                    std::vector<NamedTensor>{{"bn1.num_batches_tracked", {&steps, DType::i64, {}}}});
  const SafetensorsFile file(folder / "w");
  ASSERT_EQ(file.tensors().size(), 1u);
  EXPECT_FALSE(file.tensors()[0].holds_floats());
  EXPECT_THAT(
      data_error_of([&] { file.floats(file.tensors()[0]); }),
      AllOf(HasSubstr("bn1.num_batches_tracked"), HasSubstr("I64"), HasSubstr("F32, F16, BF16 or F64")));
}

TEST(Safetensors, ThatAreDamagedAreRefusedInOneLine) {
  const TemporaryFolder folder;
  const std::string a = R"("a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]})";
  const std::vector<std::pair<std::string, const char*>> cases = {
      {"", "it has 0 bytes"},
      {"1234567", "it has 7 bytes"},
      {little_endian(100'000'001), "100000001 bytes, but at most 100000000 are read"},
      {little_endian(~uint64_t{0}), "at most 100000000 are read"},
      {little_endian(20) + "{}", "its header takes 20 bytes, but only 2 follow"},
      {file_of("", 0), "not a JSON object"},
      {file_of("[1]", 0), "not a JSON object"},
      {file_of("{\"a\":", 0), "not JSON, from byte"},
      {file_of("{\"a\xff\":1}", 0), "not JSON, from byte"},
      {file_of("{\"a\":1e999}", 0), "too large"},
      {file_of("{\"a\":" + std::string(10'000, '['), 0), "more than 3 levels"},
      {file_of("{" + a + "," + a + "}", 8), "the name a twice"},
      {file_of(R"({"a":{"dtype":"F32","dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 8),
       "the name dtype twice"},
      {file_of(R"({"\u001b[2J":1})", 0), "tensor \\x1b[2J is not described by an object"},
      {file_of(R"({"a":{"dtype":"F32","shape":[2]}})", 8), "tensor a lacks \"data_offsets\""},
      {file_of(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8],"more":1}})", 8), "has more than"},
      {file_of(R"({"a":{"dtype":"F31","shape":[2],"data_offsets":[0,8]}})", 8), "unknown type \"F31\""},
      {file_of(R"({"a":{"dtype":4,"shape":[2],"data_offsets":[0,8]}})", 8), "unknown type 4"},
      {file_of(R"({"a":{"dtype":"F32","shape":2,"data_offsets":[0,8]}})", 8), "the shape of tensor a"},
      {file_of(R"({"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}})", 8), "integers from 0 on"},
      {file_of(R"({"a":{"dtype":"F32","shape":[2.0],"data_offsets":[0,8]}})", 8), "integers from 0 on"},
      {file_of(R"({"a":{"dtype":"F32","shape":[18446744073709551615],"data_offsets":[0,8]}})", 8),
       "integers from 0 on"},
      {file_of(R"({"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,8]}})", 8),
       "more elements than memory holds"},
      {file_of(R"({"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}})", 8), "takes 12 bytes"},
      {file_of(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}})", 8), "not a begin and an end"},
      {file_of(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[8]}})", 8), "not a begin and an end"},
      {file_of(R"({"a":{"dtype":"U8","shape":[0],"data_offsets":[9223372036854775807,9223372036854775807]}})",
               8),
       "begins beyond the file"},
      {file_of("{" + a + "}", 7), "it ends 1 byte before the values of tensor a do"},
      {file_of("{" + a + "}", 9), "behind its last tensor, there is more (1 byte)"},
      {file_of("{}", 1), "more (1 byte)"},
      {file_of(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}})", 12), "do not follow"},
      {file_of("{" + a + R"(,"b":{"dtype":"U8","shape":[8],"data_offsets":[4,12]}})", 12),
       "the values of tensor b overlap"},
      {file_of("{" + a + R"(,"b":{"dtype":"U8","shape":[8],"data_offsets":[0,8]}})", 8), "overlap"},
      {file_of("{" + a + R"(,"b":{"dtype":"U8","shape":[0],"data_offsets":[4,4]}})", 8), "overlap"},
      {file_of(R"({"__metadata__":{"format":1}})", 0), "__metadata__"},
      {file_of(R"({"__metadata__":["pt"]})", 0), "__metadata__"},
      {"PK\x03\x04 and so on", "it is a pickle of PyTorch's"},
      {"\x89HDF\r\n\x1a\n", "it is an HDF5 file"},
  };
  for (const auto& [content, why] : cases) {
    write_raw(folder / "w", content);
    const std::string error = data_error_of([&] { SafetensorsFile(folder / "w"); });
    EXPECT_THAT(error,
                AllOf(HasSubstr(folder / "w"), HasSubstr(why), Not(HasSubstr("\n")), Not(HasSubstr("\x1b"))));
  }
  EXPECT_THAT(data_error_of([&] { SafetensorsFile(folder / "none"); }), HasSubstr("no such file"));
  EXPECT_THAT(data_error_of([&] { SafetensorsFile{folder.path()}; }), HasSubstr("not a file"));
}

TEST(Safetensors, ThatAreCutAfterTheyWereOpenedAreRefused) {
  const TemporaryFolder folder;
  const std::vector<float> numbers(1000);
  write_safetensors(folder / "w", std::vector<NamedTensor>{{"a", {numbers.data(), DType::f32, {1000}}}});
  const SafetensorsFile file(folder / "w");
  std::filesystem::resize_file(folder / "w", 2000);
  EXPECT_THAT(data_error_of([&] { file.floats(file.tensors()[0]); }), HasSubstr("the file has changed"));
}

TEST(Safetensors, WithoutTensorsOrWithSpacesBehindTheHeaderAreRead) {
  const TemporaryFolder folder;
  write_raw(folder / "w", file_of("{}     ", 0));
  EXPECT_TRUE(SafetensorsFile(folder / "w").tensors().empty());
  write_raw(folder / "w", file_of(R"({"a":{"dtype":"BOOL","shape":[1,1,2],"data_offsets":[0,2]}}   )", 2));
  EXPECT_EQ(SafetensorsFile(folder / "w").tensors().size(), 1u);
}

}  // namespace
}  // namespace lockstep
