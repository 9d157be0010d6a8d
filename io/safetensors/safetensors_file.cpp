#include "io/safetensors/safetensors_file.h"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <span>
#include <utility>

#include "src/core/counted.h"
#include "src/core/error.h"
#include "src/core/text/json.h"
#include "src/core/text/printable.h"
#include "src/tensor/half.h"

namespace lockstep {

namespace {

static_assert(std::endian::native == std::endian::little, "values are copied as they are in the file");

struct ElementType {
  std::string_view name;
  int64_t bytes;
};

constexpr ElementType kElementTypes[] = {{"F64", 8},     {"F32", 4}, {"F16", 2}, {"BF16", 2}, {"F8_E5M2", 1},
                                         {"F8_E4M3", 1}, {"I64", 8}, {"U64", 8}, {"I32", 4},  {"U32", 4},
                                         {"I16", 2},     {"U16", 2}, {"I8", 1},  {"U8", 1},   {"BOOL", 1}};

constexpr int64_t kLengthBytes = 8;

[[noreturn]] void refuse(const std::string& path, const std::string& why) {
  fail(ExitCode::data, "{}: not a valid file of safetensors: {}.", path, why);
}

/// What a file of another format is, with what to do; "" if it is not one of those that hold weights.
std::string other_format(std::string_view start) {
  if (start.starts_with("PK\x03\x04") || start.starts_with("\x80\x02"))
    return "it is a pickle of PyTorch's. Convert it in Python: "
           "safetensors.torch.save_file(torch.load(FILE), OUT)";
  if (start.starts_with("\x89HDF")) return "it is an HDF5 file";
  return "";
}

std::ifstream open(const std::string& path) {
  std::error_code status;
  if (!std::filesystem::exists(path, status)) fail(ExitCode::data, "{}: no such file.", path);
  if (!std::filesystem::is_regular_file(path, status)) fail(ExitCode::data, "{}: not a file.", path);
  std::ifstream file(path, std::ios::binary);
  if (!file) fail(ExitCode::data, "{}: cannot open it: {}.", path, std::strerror(errno));
  return file;
}

/// The header of a file of so many bytes.
std::string read_header(const std::string& path, std::ifstream& file, int64_t size) {
  if (size < kLengthBytes)
    refuse(path, fmt::format("it has {}, fewer than the length of a header", counted(size, "byte")));
  char start[kLengthBytes];
  file.read(start, kLengthBytes);
  uint64_t length = 0;
  std::memcpy(&length, start, sizeof length);
  if (const std::string what = other_format({start, sizeof start}); !what.empty()) refuse(path, what);
  if (length > static_cast<uint64_t>(kMaxSafetensorsHeader))
    refuse(path, fmt::format("its header would take {} bytes, but at most {} are read", length,
                             kMaxSafetensorsHeader));
  if (length > static_cast<uint64_t>(size - kLengthBytes))
    refuse(path, fmt::format("its header takes {} bytes, but only {} follow", length, size - kLengthBytes));
  std::string header(length, '\0');
  if (!file.read(header.data(), static_cast<std::streamsize>(length)))
    refuse(path, "its header cannot be read");
  return header;
}

nlohmann::json parse_header(const std::string& path, const std::string& header) {
  constexpr int kMaxDepth = 3;  // {"NAME": {"shape": [
  if (!header.starts_with('{')) refuse(path, "its header is not a JSON object");
  try {
    return parse_strict_json(header, kMaxDepth);
  } catch (const nlohmann::json::parse_error& error) {
    refuse(path, fmt::format("its header is not JSON, from byte {} on", error.byte));
  } catch (const nlohmann::json::out_of_range&) {
    refuse(path, "a number in its header is too large");
  } catch (const JsonRefusal& refusal) {
    refuse(path, fmt::format("its header is refused: {}", printable(refusal.what())));
  }
}

/// A list of integers from 0 on.
std::vector<int64_t> read_integers(const std::string& path, const std::string& what,
                                   const nlohmann::json& json) {
  const auto fits = [](const nlohmann::json& value) {
    return value.is_number_unsigned() && std::in_range<int64_t>(value.get<uint64_t>());
  };
  if (!json.is_array() || !std::ranges::all_of(json, fits))
    refuse(path, what + " is not a list of integers from 0 on");
  return json.get<std::vector<int64_t>>();
}

/// An entry of the header. values: where the values of all tensors begin.
StoredTensor read_entry(const std::string& path, const std::string& name, const nlohmann::json& json,
                        int64_t values) {
  const std::string tensor = "tensor " + printable(name);
  if (!json.is_object()) refuse(path, tensor + " is not described by an object");
  for (const char* const field : {"dtype", "shape", "data_offsets"})
    if (!json.contains(field)) refuse(path, fmt::format("{} lacks \"{}\"", tensor, field));
  if (json.size() != 3) refuse(path, tensor + " has more than \"dtype\", \"shape\" and \"data_offsets\"");

  const nlohmann::json& type = json["dtype"];
  const int64_t element = type.is_string() ? safetensors_bytes_of(type.get_ref<const std::string&>()) : 0;
  if (element == 0)
    refuse(path, fmt::format("{} is of the unknown type {}", tensor, printable(to_text(type))));
  StoredTensor entry{.name = name,
                     .type = type.get<std::string>(),
                     .extents = read_integers(path, "the shape of " + tensor, json["shape"])};
  const std::vector<int64_t> range =
      read_integers(path, "\"data_offsets\" of " + tensor, json["data_offsets"]);
  if (range.size() != 2 || range[0] > range[1])
    refuse(path, fmt::format("\"data_offsets\" of {} are not a begin and an end", tensor));
  int64_t bytes = element;
  for (const int64_t extent : entry.extents)
    if (__builtin_mul_overflow(bytes, extent, &bytes))
      refuse(path, tensor + " has more elements than memory holds");
  if (bytes != range[1] - range[0])
    refuse(path, fmt::format("{} takes {} bytes by its type and shape, but has {}", tensor, bytes,
                             range[1] - range[0]));
  entry.bytes = bytes;
  if (__builtin_add_overflow(values, range[0], &entry.offset))
    refuse(path, tensor + " begins beyond the file");
  return entry;
}

/// The values of the tensors must follow each other, from the header to the end of the file.
void check_cover(const std::string& path, const std::vector<StoredTensor>& tensors, int64_t values,
                 int64_t size) {
  int64_t end = values;
  for (const StoredTensor& tensor : tensors) {
    if (tensor.offset != end)
      refuse(path, fmt::format("the values of tensor {} {}", printable(tensor.name),
                               tensor.offset < end ? "overlap those of another one"
                                                   : "do not follow those of the one before"));
    if (tensor.bytes > size - end)
      refuse(path, fmt::format("it ends {} before the values of tensor {} do",
                               counted(tensor.bytes - (size - end), "byte"), printable(tensor.name)));
    end += tensor.bytes;
  }
  if (end != size)
    refuse(path, fmt::format("behind its last tensor, there is more ({})", counted(size - end, "byte")));
}

void check_metadata(const std::string& path, const nlohmann::json& json) {
  if (!json.is_object() || !std::ranges::all_of(json, [](const auto& value) { return value.is_string(); }))
    refuse(path, "\"__metadata__\" is not an object of strings");
}

/// Converts elements of another type.
template <typename Stored>
std::vector<float> converted(std::span<const char> bytes) {
  std::vector<Stored> stored(bytes.size() / sizeof(Stored));
  if (!stored.empty()) std::memcpy(stored.data(), bytes.data(), bytes.size());
  std::vector<float> values;
  values.reserve(stored.size());
  for (const Stored& value : stored) values.push_back(static_cast<float>(value));
  return values;
}

}  // namespace

int64_t safetensors_bytes_of(std::string_view type) {
  const auto found = std::ranges::find(kElementTypes, type, &ElementType::name);
  return found == std::end(kElementTypes) ? 0 : found->bytes;
}

bool StoredTensor::holds_floats() const {
  return type == "F32" || type == "F16" || type == "BF16" || type == "F64";
}

SafetensorsFile::SafetensorsFile(std::string path) : path_(std::move(path)) {
  std::ifstream file = open(path_);
  const auto size = static_cast<int64_t>(std::filesystem::file_size(path_));
  const std::string header = read_header(path_, file, size);
  const int64_t values = kLengthBytes + static_cast<int64_t>(header.size());
  const nlohmann::json json = parse_header(path_, header);
  for (const auto& [name, entry] : json.items())
    if (name == "__metadata__")
      check_metadata(path_, entry);
    else
      tensors_.push_back(read_entry(path_, name, entry, values));
  // One without elements begins where the next one does.
  std::ranges::sort(tensors_, {},
                    [](const StoredTensor& tensor) { return std::pair(tensor.offset, tensor.bytes); });
  check_cover(path_, tensors_, values, size);
}

std::vector<float> SafetensorsFile::floats(const StoredTensor& tensor) const {
  if (!tensor.holds_floats())
    fail(ExitCode::data, "{}: tensor {} is of type {}, but weights are F32, F16, BF16 or F64.", path_,
         printable(tensor.name), tensor.type);
  std::ifstream file = open(path_);
  std::vector<char> bytes(static_cast<size_t>(tensor.bytes));
  if (!file.seekg(tensor.offset) || !file.read(bytes.data(), tensor.bytes))
    fail(ExitCode::data, "{}: the values of tensor {} cannot be read: the file has changed.", path_,
         printable(tensor.name));
  if (tensor.type == "F64") return converted<double>(bytes);
  if (tensor.type == "F16") return converted<f16>(bytes);
  if (tensor.type == "BF16") return converted<bf16>(bytes);
  return converted<float>(bytes);
}

}  // namespace lockstep
