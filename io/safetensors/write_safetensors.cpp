#include "io/safetensors/write_safetensors.h"

#include <algorithm>
#include <cstdint>
#include <functional>
#include <tuple>
#include <vector>

#include "io/file/atomic_file.h"
#include "io/safetensors/safetensors_file.h"
#include "src/core/error.h"
#include "src/core/text/json.h"

namespace lockstep {

namespace {

const char* type_name(DType dtype) {
  switch (dtype) {
    case DType::u8:
      return "U8";
    case DType::i32:
      return "I32";
    case DType::i64:
      return "I64";
    case DType::f16:
      return "F16";
    case DType::bf16:
      return "BF16";
    case DType::f32:
      return "F32";
    case DType::f64:
      return "F64";
  }
  return "";
}

}  // namespace

void write_safetensors(const std::string& path, std::span<const NamedTensor> tensors) {
  std::vector<const NamedTensor*> sorted;
  for (const NamedTensor& named : tensors) sorted.push_back(&named);
  std::ranges::sort(sorted, [](const NamedTensor* a, const NamedTensor* b) {
    const size_t bytes_of_a = size_of(a->tensor.dtype()), bytes_of_b = size_of(b->tensor.dtype());
    return std::tie(bytes_of_b, a->name) < std::tie(bytes_of_a, b->name);
  });

  nlohmann::ordered_json header{{"__metadata__", {{"format", "pt"}}}};
  size_t end = 0;
  for (const NamedTensor* const named : sorted) {
    INVARIANT(!header.contains(named->name), "two tensors are called {}", named->name);
    const size_t begin = end;
    end += named->tensor.bytes();
    header[named->name] = {{"dtype", type_name(named->tensor.dtype())},
                           {"shape", extents_of(named->tensor.shape())},
                           {"data_offsets", {begin, end}}};
  }
  std::string text = to_text(header);
  constexpr size_t kAlignment = 8;
  text.resize((text.size() + kAlignment - 1) / kAlignment * kAlignment, ' ');
  if (text.size() > static_cast<size_t>(kMaxSafetensorsHeader))
    fail(ExitCode::data, "{}: {} tensors are more than a file of safetensors can name.", path,
         tensors.size());

  AtomicFile file(path);
  const uint64_t length = text.size();
  file.write(std::as_bytes(std::span(&length, 1)));
  file.write(std::as_bytes(std::span(text)));
  for (const NamedTensor* const named : sorted)
    file.write({static_cast<const std::byte*>(named->tensor.raw()), named->tensor.bytes()});
  file.commit();
}

}  // namespace lockstep
