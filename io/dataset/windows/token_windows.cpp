#include "io/dataset/windows/token_windows.h"

#include <algorithm>
#include <variant>
#include <vector>

#include "io/dataset/source_layout.h"
#include "io/dataset/stored_facts.h"
#include "io/dataset/targets/label_counts.h"
#include "io/dataset/windows/windows.h"
#include "src/core/counted.h"
#include "src/core/error.h"
#include "src/core/text/readable_bytes.h"

namespace lockstep {

namespace {

using Ids = std::variant<std::vector<uint8_t>, std::vector<uint16_t>, std::vector<int32_t>>;

/// Memory for `count` ids, in as many bytes as in the file.
Ids make_ids(const hdf5::ElementType& stored, int64_t count) {
  const auto size = static_cast<size_t>(count);
  if (stored.bytes == 1) return std::vector<uint8_t>(size);
  if (stored.bytes == 2) return std::vector<uint16_t>(size);
  return std::vector<int32_t>(size);
}

class TokenWindows final : public Dataset {
 public:
  TokenWindows(const DataSource& source, const DatasetOptions& options)
      : column_(source.files, source.x, layout_of(source, {}).x, source.rows),
        shape_{options.context},
        stride_(options.stride > 0 ? options.stride : options.context),
        declared_(options.classes),
        budget_(options.memory_budget) {
    require_integers();
    const int64_t ids = column_.rows();
    if (ids <= options.context)
      fail(ExitCode::data, "{}:{} has {}, but a window of data.context = {} needs {}, one more than that.",
           column_.file(0), column_.name(), counted(ids, "token"), options.context, options.context + 1);
    size_ = windows_in(ids, options.context + 1, stride_);
    in_memory_ = bytes() <= budget_;
    if (in_memory_)
      load();
    else
      stream(/*counts=*/declared_ == 0 || !options.kind, options);
    classes_ = declared_ > 0 ? declared_ : largest_ + 1;
  }

  int64_t size() const override { return size_; }
  const Shape& x_shape() const override { return shape_; }
  DType x_dtype() const override { return DType::i32; }
  TargetKind target_kind() const override { return TargetKind::classes; }
  const Shape& y_shape() const override { return shape_; }
  int64_t classes() const override { return classes_; }
  bool in_memory() const override { return in_memory_; }
  std::unique_ptr<Expectation> expect(const ReadingOrder& windows) const override {
    ReadingOrder ids = windows;
    ids.run = shape_[0] + 1;
    ids.sample = [windows, stride = stride_](int64_t step, int64_t slot) {
      const int64_t window = windows.sample(step, slot);
      return window < 0 ? -1 : window * stride;
    };
    return column_.expect(std::move(ids));
  }
  CacheUse cache_use() const override { return cache_use_of({&column_}); }
  std::string route() const override { return in_memory_ ? "memory" : column_.route(); }

  void read(std::span<const int64_t> indices, std::byte* x, std::byte* y) const override {
    const auto length = static_cast<size_t>(shape_[0]);
    std::vector<int32_t> window(length + 1);
    for (size_t i = 0; i < indices.size(); ++i) {
      INVARIANT(indices[i] >= 0 && indices[i] < size_, "window {} of {}", indices[i], size_);
      read_window(indices[i] * stride_, window);
      std::copy_n(window.begin(), length, reinterpret_cast<int32_t*>(x) + i * length);
      if (y != nullptr) std::copy_n(window.begin() + 1, length, reinterpret_cast<int32_t*>(y) + i * length);
    }
  }

  uint64_t fingerprint() const override {
    return fingerprint_of(*this, fmt::format("windows of {} ids every {} of {} ({})", shape_[0], stride_,
                                             column_.name(), column_.rows()));
  }

  std::string describe() const override {
    const std::string more =
        column_.files() > 1 ? fmt::format(" and {},", counted(column_.files() - 1, "more file")) : "";
    const std::string place = in_memory_
                                  ? fmt::format("in memory ({} on each rank)", readable_bytes(bytes()))
                                  : fmt::format("streamed (larger than the memory budget of {} on each rank)",
                                                readable_bytes(budget_));
    return fmt::format("{}:{}{} ({}) {}, {}, {} of {} tokens, one every {}", column_.file(0), column_.name(),
                       more, column_.rows(), column_.stored_type().name, place, counted(size_, "window"),
                       shape_[0], stride_);
  }

 private:
  int64_t bytes() const {
    return column_.rows() * static_cast<int64_t>(std::min<size_t>(4, column_.stored_type().bytes));
  }

  void require_integers() const {
    if (column_.stored_type().kind != hdf5::ElementType::Kind::integer)
      fail(ExitCode::data, "{}:{} holds {}; token ids are integers.", column_.file(0), column_.name(),
           column_.stored_type().name);
  }

  void require_id(int64_t row, int64_t id) const {
    const int64_t limit = declared_ > 0 ? declared_ : kMaxClasses;
    if (id >= 0 && id < limit) return;
    fail(ExitCode::data, "{} has the token id {}; ids must be 0 to {}{}.", column_.where(row), id, limit - 1,
         declared_ > 0 ? fmt::format(" ({} classes)", declared_) : "");
  }

  /// Visits all ids as they are stored, so that none wraps around into the range.
  template <typename Visit>
  void for_each_id(const Visit& visit) {
    column_.for_each_piece(DType::i64, [&](const std::byte* rows, int64_t first, int64_t count) {
      const auto* const ids = reinterpret_cast<const int64_t*>(rows);
      for (int64_t i = 0; i < count; ++i) {
        require_id(first + i, ids[i]);
        largest_ = std::max(largest_, ids[i]);
        visit(first + i, ids[i]);
      }
    });
  }

  void load() {
    ids_ = make_ids(column_.stored_type(), column_.rows());
    std::visit(
        [&](auto& ids) {
          using Id = typename std::remove_reference_t<decltype(ids)>::value_type;
          for_each_id([&](int64_t row, int64_t id) { ids[static_cast<size_t>(row)] = static_cast<Id>(id); });
        },
        ids_);
  }

  void stream(bool counts, const DatasetOptions& options) {
    if (counts) for_each_id([](int64_t, int64_t) {});
    const bool are_bytes = column_.natural_dtype() == DType::u8;
    column_.give_out(are_bytes ? DType::u8 : DType::i32,
                     [this, are_bytes](const Column&, const std::byte* rows, int64_t first, int64_t count) {
                       for (int64_t i = 0; i < count; ++i)
                         require_id(first + i, are_bytes ? static_cast<int64_t>(rows[i])
                                                         : reinterpret_cast<const int32_t*>(rows)[i]);
                     });
    column_.stream(budget_, options.machine, options.readers);
  }

  /// The ids from `first` on.
  void read_window(int64_t first, std::vector<int32_t>& window) const {
    if (in_memory_) {
      std::visit([&](const auto& ids) { std::copy_n(ids.begin() + first, window.size(), window.begin()); },
                 ids_);
      return;
    }
    std::vector<int64_t> rows(window.size());
    for (size_t i = 0; i < rows.size(); ++i) rows[i] = first + static_cast<int64_t>(i);
    if (column_.dtype() == DType::i32) return column_.read(rows, reinterpret_cast<std::byte*>(window.data()));
    std::vector<uint8_t> narrow(rows.size());
    column_.read(rows, reinterpret_cast<std::byte*>(narrow.data()));
    std::copy(narrow.begin(), narrow.end(), window.begin());
  }

  Column column_;
  Shape shape_;  ///< of x and of y
  int64_t stride_, declared_, budget_;
  int64_t size_ = 0, classes_ = 0, largest_ = 0;
  bool in_memory_ = false;
  Ids ids_;  ///< if they are in memory
};

}  // namespace

std::unique_ptr<Dataset> open_token_windows(const DataSource& source, const DatasetOptions& options) {
  INVARIANT(options.context > 0 && options.stride >= 0, "windows of {} ids every {}", options.context,
            options.stride);
  return std::make_unique<TokenWindows>(source, options);
}

}  // namespace lockstep
