#include "io/dataset/windows/next_tokens.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <vector>

#include "io/dataset/source_layout.h"
#include "io/dataset/stored_facts.h"
#include "io/dataset/targets/targets.h"
#include "io/dataset/windows/token_windows.h"
#include "src/core/error.h"
#include "src/core/log.h"

namespace lockstep {

namespace {

void require_sequences(const Column& column) {
  const Shape& row = column.row_shape();
  if (row.rank() == 1 && row[0] >= 2) return;
  const std::string remedy =
      row.rank() == 0
          ? fmt::format(
                "Set data.context, the number of tokens that the network sees at once, or cut it into "
                "sequences of T tokens, in NumPy: x[:len(x) // T * T].reshape(-1, T), for example with T = "
                "{}.",
                std::min<int64_t>(1024, std::max<int64_t>(2, column.rows() / 2)))
          : "Store the ids of each sequence in a row of their own.";
  fail(
      ExitCode::data,
      "{}:{} has the shape {}; data.task = \"tokens\" needs (N, T): N sequences of T token ids, T at least 2. "
      "{}",
      column.file(0), column.name(), to_string(row.batched(column.rows())), remedy);
}

/// Options with which Targets reads the rows: as classes at T positions. Each id but the last of a row is
/// also an input of the network, so no label may be ignored before its range is checked, except in padding.
DatasetOptions options_of_ids(DatasetOptions options, bool are_padded) {
  options.task = TargetTask::tokens;
  options.y_length = options.x_length;
  if (!are_padded) options.ignored_label.reset();
  return options;
}

std::unique_ptr<Column> open_ids(const DataSource& source, const DatasetOptions& options) {
  RowLayout layout = layout_of(source, {}, options).x;
  layout.padding = static_cast<double>(options.ignored_label.value_or(0));
  layout.are_targets = true;
  return std::make_unique<Column>(source.files, source.x, layout, source.rows);
}

class NextTokens final : public Dataset {
 public:
  NextTokens(const DataSource& source, const DatasetOptions& options, bool are_padded)
      : ids_(open_ids(source, options), options_of_ids(options, are_padded)),
        padding_(are_padded ? options.ignored_label : std::nullopt),
        shape_{ids_.shape()[0] - 1},
        budget_(options.memory_budget) {
    if (ids_.bytes() <= budget_)
      ids_.load(options.machine);
    else
      ids_.stream(budget_, options.machine, options.readers);
  }

  int64_t size() const override { return ids_.column().rows(); }
  const Shape& x_shape() const override { return shape_; }
  DType x_dtype() const override { return DType::i32; }
  TargetKind target_kind() const override { return TargetKind::classes; }
  const Shape& y_shape() const override { return shape_; }
  int64_t classes() const override { return ids_.classes(); }
  std::vector<int64_t> lengths(std::span<const int64_t> indices) const override {
    std::vector<int64_t> lengths = ids_.column().lengths(indices);
    // The last token of a sequence is a target only.
    for (int64_t& length : lengths) length = std::max<int64_t>(0, length - 1);
    return lengths;
  }

  void read(std::span<const int64_t> indices, std::byte* x, std::byte* y) const override {
    const auto length = static_cast<size_t>(ids_.shape()[0]);
    std::vector<int32_t> rows(indices.size() * length);
    ids_.read(indices, reinterpret_cast<std::byte*>(rows.data()));
    const size_t bytes = (length - 1) * sizeof(int32_t);
    for (size_t i = 0; i < indices.size(); ++i) {
      if (y != nullptr) std::memcpy(y + i * bytes, &rows[i * length + 1], bytes);
      // No target follows padding, so that any id will do as its input.
      if (padding_)
        std::replace(&rows[i * length], &rows[i * length] + length, static_cast<int32_t>(*padding_), 0);
      std::memcpy(x + i * bytes, &rows[i * length], bytes);
    }
  }

  uint64_t fingerprint() const override {
    return fingerprint_of(*this, fmt::format("next tokens of {} {}", ids_.column().name(),
                                             to_string(ids_.shape().batched(size()))));
  }
  bool in_memory() const override { return ids_.in_memory(); }
  std::unique_ptr<Expectation> expect(const ReadingOrder& order) const override {
    return ids_.column().expect(order);
  }
  CacheUse cache_use() const override { return cache_use_of({&ids_.column()}); }
  std::string route() const override { return ids_.column().route(); }
  std::string describe() const override {
    return fmt::format("{}, {}", describe_stored(),
                       place_in_words(ids_.column(), static_cast<double>(ids_.bytes()), budget_));
  }
  std::string describe_stored() const override { return stored_in_words(ids_.column()); }
  StoredBlocks stored_blocks() const override { return ids_.column().blocks(); }

 private:
  Targets ids_;
  std::optional<int64_t> padding_;  ///< of sequences of variable length
  Shape shape_;                     ///< of x and of y
  int64_t budget_;
};

}  // namespace

std::unique_ptr<Dataset> open_next_tokens(const DataSource& source, const DatasetOptions& options) {
  if (source.window > 0)
    fail(ExitCode::usage, "data.context, not window, cuts a sequence of tokens into windows.");
  const std::unique_ptr<Column> ids = open_ids(source, options);
  const Column& column = *ids;
  if (options.context > 0 && column.row_shape().rank() == 0) return open_token_windows(source, options);
  require_sequences(column);
  if (options.context > 0)
    fail(ExitCode::data,
         "data.context = {} cuts one long sequence (N) into windows, but {}:{} holds sequences of {} tokens. "
         "Remove the key.",
         options.context, column.file(0), column.name(), column.row_shape()[0]);
  if (column.is_padded() && options.ignored_label.value_or(0) >= 0)
    fail(
        ExitCode::data,
        "{}:{} holds sequences of different lengths. Set train.ignore_label = -1, or another negative number, "
        "which the targets in their padding get.",
        column.file(0), column.name());
  for (const std::string& note : column.notes()) log_info("{}", note);
  return std::make_unique<NextTokens>(source, options, column.is_padded());
}

}  // namespace lockstep
