#include "io/checkpoint/checkpoint_layout.h"

#include <algorithm>
#include <array>
#include <span>
#include <type_traits>

#include "io/checkpoint/checkpoint_format.h"
#include "io/file/atomic_file.h"
#include "io/hdf5/hdf5.h"
#include "src/core/error.h"
#include "src/core/hash.h"

namespace lockstep {

namespace {

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

template <typename Value>
std::string names_of(const std::map<std::string, Value>& values) {
  std::string names;
  for (const auto& [name, value] : values) names += name + "\n";
  return names;
}

template <typename Value>
std::vector<Value> values_of(const std::map<std::string, Value>& values) {
  std::vector<Value> result;
  for (const auto& [name, value] : values) result.push_back(value);
  return result;
}

template <typename Value>
bool same_names(const std::map<std::string, Value>& a, const std::map<std::string, Value>& b) {
  return std::ranges::equal(
      a, b, {}, [](const auto& entry) { return entry.first; }, [](const auto& entry) { return entry.first; });
}

std::string names_of(const std::vector<Checkpoint::Named>& tensors) {
  std::string names;
  for (const auto& [name, tensor] : tensors) {
    INVARIANT(!name.empty() && name.front() != '/' && !name.starts_with("metadata/") &&
                  name.find('\n') == std::string::npos,
              "\"{}\" is no name for a tensor of a checkpoint", name);
    names += name + "\n";
  }
  return names;
}

}  // namespace

std::span<const std::byte> bytes_of(const ConstTensor& tensor) {
  return {static_cast<const std::byte*>(tensor.raw()), tensor.bytes()};
}

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

CheckpointLayout::CheckpointLayout(const Checkpoint& example)
    : example_{.tensors = example.tensors,
               .integers = example.integers,
               .reals = example.reals,
               .strings = example.strings,
               .storage = {}} {
  hdf5::File file = hdf5::File::create_in_memory("a checkpoint");
  const std::string tensor_names = names_of(example.tensors);
  const auto place = [&](const std::string& name, DType dtype, const Shape& shape, size_t source) {
    file.create_dataset(name, dtype, shape, {.allocate = true});
    const size_t bytes = static_cast<size_t>(shape.elements()) * size_of(dtype);
    if (bytes > 0) pieces_.push_back({file.dataset(name).offset(), bytes, source});
  };
  size_t source = 0;
  for (Checkpoint::Named& named : example_.tensors) {
    place("/" + named.name, named.tensor.dtype(), named.tensor.shape(), source++);
    named.tensor = {nullptr, named.tensor.dtype(), named.tensor.shape()};
  }
  const auto extent = [](size_t size) { return Shape{static_cast<int64_t>(size)}; };
  place(kCheckpointIntegers, DType::i64, extent(example.integers.size()), source++);
  place(kCheckpointReals, DType::f64, extent(example.reals.size()), source++);
  place(kCheckpointHashes, DType::i64, extent(1 + example.tensors.size()), source++);
  file.set_attribute(kCheckpointIntegers, "names", names_of(example.integers));
  file.set_attribute(kCheckpointReals, "names", names_of(example.reals));
  file.create_group(kCheckpointStrings);
  for (const auto& [name, value] : example.strings) file.set_attribute(kCheckpointStrings, name, value);
  file.set_attribute("/", "format", std::string(kCheckpointFormat));
  file.set_attribute("/", "version", kCheckpointVersion);
  file.set_attribute("/", "tensors", tensor_names);

  std::ranges::sort(pieces_, {}, &Piece::offset);
  const std::span<const std::byte> image = file.image();
  size_t at = 0;
  for (const Piece& piece : pieces_) {
    const auto offset = static_cast<size_t>(piece.offset);
    INVARIANT(piece.offset >= 0 && offset >= at && offset + piece.bytes <= image.size(),
              "libhdf5 puts a data set of {} bytes at {}", piece.bytes, piece.offset);
    structure_.insert(structure_.end(), image.begin() + static_cast<int64_t>(at),
                      image.begin() + piece.offset);
    at = offset + piece.bytes;
  }
  structure_.insert(structure_.end(), image.begin() + static_cast<int64_t>(at), image.end());
}

bool CheckpointLayout::fits(const Checkpoint& checkpoint) const {
  const auto alike = [](const Checkpoint::Named& a, const Checkpoint::Named& b) {
    return a.name == b.name && a.tensor.dtype() == b.tensor.dtype() && a.tensor.shape() == b.tensor.shape();
  };
  return std::ranges::equal(checkpoint.tensors, example_.tensors, alike) &&
         same_names(checkpoint.integers, example_.integers) && same_names(checkpoint.reals, example_.reals) &&
         checkpoint.strings == example_.strings;
}

void CheckpointLayout::write(const std::string& path, const Checkpoint& checkpoint) const {
  INVARIANT(fits(checkpoint), "a checkpoint of another kind than was laid out");
  // Before the work begins, so that an unwritable folder is detected at once.
  AtomicFile file(path);
  std::vector<int64_t> hashes{0};
  for (const auto& [name, tensor] : checkpoint.tensors)
    hashes.push_back(static_cast<int64_t>(hash_bytes(bytes_of(tensor))));
  hashes[0] = metadata_hash(checkpoint, std::span(hashes).subspan(1));
  const std::vector<int64_t> integers = values_of(checkpoint.integers);
  const std::vector<double> reals = values_of(checkpoint.reals);
  const std::array<std::span<const std::byte>, 3> values = {
      std::as_bytes(std::span(integers)), std::as_bytes(std::span(reals)), std::as_bytes(std::span(hashes))};

  std::span<const std::byte> structure = structure_;
  size_t at = 0;
  for (const Piece& piece : pieces_) {
    const size_t before = static_cast<size_t>(piece.offset) - at;
    file.write(structure.first(before));
    structure = structure.subspan(before);
    const size_t tensors = checkpoint.tensors.size();
    const std::span<const std::byte> bytes = piece.source < tensors
                                                 ? bytes_of(checkpoint.tensors[piece.source].tensor)
                                                 : values[piece.source - tensors];
    INVARIANT(bytes.size() == piece.bytes, "a data set of {} bytes has {}", piece.bytes, bytes.size());
    file.write(bytes);
    at = static_cast<size_t>(piece.offset) + piece.bytes;
  }
  file.write(structure);
  file.commit();
}

void save_checkpoint(const std::string& path, const Checkpoint& checkpoint) {
  CheckpointLayout(checkpoint).write(path, checkpoint);
}

}  // namespace lockstep
