#include "io/import/import_text.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <vector>

#include "io/checkpoint/atomic_hdf5.h"
#include "io/import/read_text.h"
#include "src/core/error.h"

namespace lockstep {

namespace {

/// The code point that begins at text[at], and moves `at` behind it (RFC 3629); -1 if there is none.
int32_t next_code_point(const std::string& text, size_t& at) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(i < text.size() ? text[i] : 0); };
  const uint8_t lead = byte(at);
  if (lead < 0x80) {
    ++at;
    return lead;
  }
  const int more = lead >= 0xF0 && lead < 0xF5   ? 3
                   : lead >= 0xE0 && lead < 0xF0 ? 2
                   : lead >= 0xC2 && lead < 0xE0 ? 1
                                                 : 0;
  if (more == 0) return -1;
  int32_t point = lead & (0x3F >> more);
  for (int i = 1; i <= more; ++i) {
    const uint8_t next = byte(at + static_cast<size_t>(i));
    if ((next & 0xC0) != 0x80) return -1;
    point = point << 6 | (next & 0x3F);
  }
  const int32_t smallest = more == 1 ? 0x80 : more == 2 ? 0x800 : 0x10000;
  if (point < smallest || point > 0x10FFFF || (point >= 0xD800 && point <= 0xDFFF)) return -1;
  at += static_cast<size_t>(more) + 1;
  return point;
}

/// Calls progress(bytes) for each MiB of a text.
class Meter {
 public:
  Meter(int64_t before, int64_t all, const std::function<void(int64_t done, int64_t all)>& progress)
      : before_(before), all_(all), progress_(progress) {}
  void at(size_t byte) {
    constexpr size_t kPause = size_t{1} << 20;
    if (!progress_ || byte < next_) return;
    next_ = byte + kPause;
    progress_(before_ + static_cast<int64_t>(byte), all_);
  }

 private:
  int64_t before_, all_;
  const std::function<void(int64_t done, int64_t all)>& progress_;
  size_t next_ = 0;
};

std::vector<int32_t> code_points(const std::string& path, const std::string& text, Meter meter) {
  std::vector<int32_t> points;
  for (size_t at = 0; at < text.size();) {
    const int32_t point = next_code_point(text, at);
    if (point < 0)
      fail(ExitCode::data,
           "{}: the byte at offset {} does not belong to a character of UTF-8. Convert the file, or import "
           "bytes (without --characters).",
           path, at);
    points.push_back(point);
    meter.at(at);
  }
  return points;
}

template <typename Id>
void write_ids(hdf5::File& file, const std::vector<int32_t>& ids, size_t train) {
  std::vector<Id> stored(ids.begin(), ids.end());
  const auto part = [&](const char* name, size_t first, size_t count) {
    if (count > 0)
      file.write(name, ConstTensor(stored.data() + first, dtype_of<Id>(), {static_cast<int64_t>(count)}));
  };
  part("/train/x", 0, train);
  part("/test/x", train, ids.size() - train);
}

}  // namespace

ImportedText import_text(const std::string& source, const std::string& out, const ImportTextOptions& options,
                         const std::function<void(int64_t done, int64_t all)>& progress) {
  const std::string text = read_text(source);
  std::vector<int32_t> ids, vocabulary;
  if (options.characters) {
    const auto bytes = static_cast<int64_t>(text.size());
    ids = code_points(source, text, Meter(0, 2 * bytes, progress));
    const std::set<int32_t> different(ids.begin(), ids.end());
    vocabulary.assign(different.begin(), different.end());
    // By place: one character takes at least a byte.
    Meter meter(bytes, bytes + static_cast<int64_t>(ids.size()), progress);
    for (size_t i = 0; i < ids.size(); ++i) {
      ids[i] = static_cast<int32_t>(std::ranges::lower_bound(vocabulary, ids[i]) - vocabulary.begin());
      meter.at(i);
    }
  } else {
    Meter meter(0, static_cast<int64_t>(text.size()), progress);
    for (size_t i = 0; i < text.size(); ++i) {
      ids.push_back(static_cast<uint8_t>(text[i]));
      meter.at(i);
    }
  }
  const auto test = static_cast<size_t>(std::llround(options.test * static_cast<double>(ids.size())));
  if (test >= ids.size() || (options.test > 0 && test == 0))
    fail(ExitCode::usage, "--test {}: of {} tokens that is {}, but both parts need some.", options.test,
         ids.size(), test);
  const size_t train = ids.size() - test;

  AtomicHdf5 output(out);
  if (vocabulary.size() <= 256)
    write_ids<uint8_t>(output.file(), ids, train);
  else
    write_ids<int32_t>(output.file(), ids, train);
  if (options.characters)
    output.file().write(
        "/vocabulary", ConstTensor(vocabulary.data(), DType::i32, {static_cast<int64_t>(vocabulary.size())}));
  output.commit();
  return {static_cast<int64_t>(train), static_cast<int64_t>(test),
          options.characters ? static_cast<int64_t>(vocabulary.size()) : 256};
}

}  // namespace lockstep
