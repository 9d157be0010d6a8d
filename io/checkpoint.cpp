#include "io/checkpoint.h"

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <span>
#include <sstream>

#include "io/atomic_hdf5.h"
#include "io/checkpoint_here.h"
#include "io/hdf5.h"
#include "io/probe.h"
#include "src/core/error.h"
#include "src/core/hash.h"

// The layout of a checkpoint file:
//   /                  attributes: format, version, tensors (names in order, one a line), metadata_xxh3
//   /metadata/KIND     one attribute for each value; KIND is integers, reals or strings
//   /NAME              a contiguous data set for each tensor, with its attribute xxh3
// Hashes are stored as signed integers, HDF5 attributes being read as int64.
namespace lockstep {

namespace {

constexpr const char* kFormat = "lockstep checkpoint";
constexpr int64_t kVersion = 1;
constexpr const char* kIntegers = "/metadata/integers";
constexpr const char* kReals = "/metadata/reals";
constexpr const char* kStrings = "/metadata/strings";

std::span<const std::byte> bytes_of(const ConstTensor& tensor) {
  return {static_cast<const std::byte*>(tensor.raw()), tensor.bytes()};
}

/// Feeds values to a hash, strings with their length so that no two lists give the same bytes.
class FieldHash {
 public:
  void add(const std::string& text) {
    add(static_cast<int64_t>(text.size()));
    hash_.update(std::as_bytes(std::span(text)));
  }
  template <typename Number>
  requires std::is_arithmetic_v<Number>
  void add(Number value) { hash_.update(std::as_bytes(std::span(&value, 1))); }
  template <typename Value>
  void add(const std::map<std::string, Value>& values) {
    add(static_cast<int64_t>(values.size()));
    for (const auto& [name, value] : values) {
      add(name);
      add(value);
    }
  }
  int64_t digest() const { return static_cast<int64_t>(hash_.digest()); }

 private:
  StreamingHash hash_;
};

/// One hash over everything but the elements of the tensors, whose own hashes it covers.
int64_t metadata_hash(const Checkpoint& checkpoint, std::span<const int64_t> tensor_hashes) {
  FieldHash hash;
  hash.add(checkpoint.integers);
  hash.add(checkpoint.reals);
  hash.add(checkpoint.strings);
  hash.add(static_cast<int64_t>(checkpoint.tensors.size()));
  for (size_t i = 0; i < checkpoint.tensors.size(); ++i) {
    const auto& [name, tensor] = checkpoint.tensors[i];
    hash.add(name);
    hash.add(to_string(tensor.dtype()));
    hash.add(static_cast<int64_t>(tensor.shape().rank()));
    for (const int64_t extent : tensor.shape().extents()) hash.add(extent);
    hash.add(tensor_hashes[i]);
  }
  return hash.digest();
}

template <typename Value>
void write_values(hdf5::File& file, const char* group, const std::map<std::string, Value>& values) {
  file.create_group(group);
  for (const auto& [name, value] : values) file.set_attribute(group, name, value);
}

[[noreturn]] void fail_damaged(const std::string& path, const std::string& what) {
  fail(ExitCode::data, "{}: this checkpoint is damaged: {}. Resume from an older one.", path, what);
}

/// The value of an attribute that every checkpoint has.
template <typename Value>
Value required(const std::string& path, const std::string& name, std::optional<Value> value) {
  if (!value) fail_damaged(path, "it lacks the attribute " + name);
  return *std::move(value);
}

/// Whether a file of `bytes` can hold that many elements.
bool fits(const std::vector<int64_t>& extents, uintmax_t bytes) {
  if (std::find(extents.begin(), extents.end(), 0) != extents.end()) return true;
  for (const int64_t extent : extents) bytes /= static_cast<uintmax_t>(extent);
  return bytes > 0;
}

/// Names, types and shapes of the tensors, their data sets and the hashes stored with them; no elements yet.
struct TensorList {
  std::vector<hdf5::Dataset> datasets;
  std::vector<int64_t> hashes;
};

TensorList list_tensors(const hdf5::File& file, Checkpoint& checkpoint) {
  TensorList list;
  std::istringstream names(required(file.path(), "tensors", file.string_attribute("/", "tensors")));
  for (std::string name; std::getline(names, name);) {
    const std::string object = "/" + name;
    if (!file.contains(object)) fail_damaged(file.path(), "it lacks the tensor " + name);
    hdf5::Dataset dataset = file.dataset(object);
    if (!dataset.type().exact || dataset.layout() != "contiguous" ||
        dataset.extents().size() > Shape::kMaxRank || !dataset.has_data())
      fail_damaged(file.path(), "tensor " + name + " is of another kind than was written");
    if (!fits(dataset.extents(), std::filesystem::file_size(file.path())))
      fail_damaged(file.path(), "tensor " + name + " is larger than the file");
    checkpoint.tensors.push_back({name, {nullptr, *dataset.type().exact, Shape(dataset.extents())}});
    list.hashes.push_back(required(file.path(), "xxh3 of " + name, file.integer_attribute(object, "xxh3")));
    list.datasets.push_back(std::move(dataset));
  }
  return list;
}

/// Fills in everything but the elements, verified: no memory is taken before, because a damaged shape may ask
/// for more than there is.
TensorList read_metadata(const hdf5::File& file, Checkpoint& checkpoint) {
  const std::string& path = file.path();
  if (file.string_attribute("/", "format") != kFormat)
    fail(ExitCode::data,
         "{} is an HDF5 file, but not a Lockstep checkpoint (its attribute \"format\" does not say so).",
         path);
  if (const int64_t version = required(path, "version", file.integer_attribute("/", "version"));
      version != kVersion)
    fail(ExitCode::data, "{}: a checkpoint of format {}; this Lockstep ({}) reads format {}.", path, version,
         LOCKSTEP_VERSION, kVersion);

  for (const char* group : {kIntegers, kReals, kStrings})
    if (!file.contains(group)) fail_damaged(path, fmt::format("it lacks the group {}", group));
  for (const std::string& name : file.attribute_names(kIntegers))
    checkpoint.integers[name] = required(path, name, file.integer_attribute(kIntegers, name));
  for (const std::string& name : file.attribute_names(kReals))
    checkpoint.reals[name] = required(path, name, file.real_attribute(kReals, name));
  for (const std::string& name : file.attribute_names(kStrings))
    checkpoint.strings[name] = required(path, name, file.string_attribute(kStrings, name));
  TensorList list = list_tensors(file, checkpoint);
  if (metadata_hash(checkpoint, list.hashes) !=
      required(path, "metadata_xxh3", file.integer_attribute("/", "metadata_xxh3")))
    fail_damaged(path, "its metadata does not have the hash that was written with it");
  return list;
}

}  // namespace

Checkpoint load_checkpoint_here(const std::string& path) {
  const hdf5::File file = hdf5::File::open(path);
  Checkpoint checkpoint;
  const TensorList list = read_metadata(file, checkpoint);
  for (size_t i = 0; i < checkpoint.tensors.size(); ++i) {
    auto& [name, tensor] = checkpoint.tensors[i];
    const size_t bytes = static_cast<size_t>(tensor.shape().elements()) * size_of(tensor.dtype());
    // At least one byte, because a tensor without elements is not "no tensor".
    auto& storage = checkpoint.storage.emplace_back(std::max<size_t>(bytes, 1));
    if (bytes > 0) list.datasets[i].read(tensor.dtype(), storage.data());
    tensor = {storage.data(), tensor.dtype(), tensor.shape()};
    if (static_cast<int64_t>(hash_bytes(bytes_of(tensor))) != list.hashes[i])
      fail_damaged(path, "tensor " + name + " does not have the hash that was written with it");
  }
  return checkpoint;
}

void check_checkpoint_here(const std::string& path) {
  Checkpoint checkpoint;
  read_metadata(hdf5::File::open(path), checkpoint);
}

void save_checkpoint(const std::string& path, const Checkpoint& checkpoint) {
  AtomicHdf5 output(path);
  hdf5::File& file = output.file();
  std::string names;
  std::vector<int64_t> hashes;
  for (const auto& [name, tensor] : checkpoint.tensors) {
    INVARIANT(!name.empty() && name.front() != '/' && !name.starts_with("metadata/") &&
                  name.find('\n') == std::string::npos,
              "\"{}\" is no name for a tensor of a checkpoint", name);
    const std::string object = "/" + name;
    file.write(object, tensor);
    hashes.push_back(static_cast<int64_t>(hash_bytes(bytes_of(tensor))));
    file.set_attribute(object, "xxh3", hashes.back());
    names += name + "\n";
  }
  write_values(file, kIntegers, checkpoint.integers);
  write_values(file, kReals, checkpoint.reals);
  write_values(file, kStrings, checkpoint.strings);
  file.set_attribute("/", "format", std::string(kFormat));
  file.set_attribute("/", "version", kVersion);
  file.set_attribute("/", "tensors", names);
  file.set_attribute("/", "metadata_xxh3", metadata_hash(checkpoint, hashes));
  output.commit();
}

Checkpoint load_checkpoint(const std::string& path) {
  constexpr double kSeconds = 60;
  run_in_probe("checkpoint", {path}, {}, kSeconds);
  return load_checkpoint_here(path);
}

}  // namespace lockstep
