#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace lockstep {

/// A tensor in a file of safetensors.
struct StoredTensor {
  std::string name;
  std::string type;  ///< as the format names it: "F32", "BF16", "I64", ...
  std::vector<int64_t> extents;
  int64_t offset = 0, bytes = 0;  ///< of the values, in the file

  /// Whether SafetensorsFile::floats() can read it.
  bool holds_floats() const;
};

/// A file of weights in the format safetensors, as PyTorch's libraries write them
/// (https://github.com/huggingface/safetensors): the length of a header (8 bytes, little-endian), the header
/// in JSON, {"NAME": {"dtype": "F32", "shape": [...], "data_offsets": [begin, end]}, ...}, and the values.
class SafetensorsFile {
 public:
  /// Opens a file and checks all of its header. Throws Error(data) with the path and the reason unless the
  /// tensors cover the rest of the file exactly, each with as many bytes as its type and shape take.
  explicit SafetensorsFile(std::string path);

  const std::string& path() const { return path_; }
  /// In the order of their values.
  const std::vector<StoredTensor>& tensors() const { return tensors_; }
  /// The values of a tensor of F64, F32, F16 or BF16, as float32. Throws Error(data) if it is of another
  /// type, or if the file has been cut since it was opened.
  std::vector<float> floats(const StoredTensor& tensor) const;

 private:
  std::string path_;
  std::vector<StoredTensor> tensors_;
};

/// The bytes of an element of a type of the format; 0 if it is unknown.
int64_t safetensors_bytes_of(std::string_view type);

/// Longest header that is read and written, in bytes, as in the format's own library.
inline constexpr int64_t kMaxSafetensorsHeader = 100'000'000;

}  // namespace lockstep
