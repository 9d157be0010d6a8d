#include "io/repack/encoded_rows.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <span>
#include <utility>

#include "io/dataset/order/permutation.h"
#include "src/core/error.h"

namespace lockstep {

namespace {

/// Copies the rows that the shuffled data set has from `first` on.
void gather_rows(const RawRows& rows, uint64_t seed, int64_t first, int64_t count, std::byte* out) {
  constexpr int64_t kReadBytes = int64_t{16} << 20;
  const Permutation order(seed, static_cast<uint64_t>(rows.count()));
  const auto row_bytes = static_cast<int64_t>(rows.row_bytes());
  const int64_t at_once = std::max<int64_t>(1, kReadBytes / row_bytes);
  std::vector<std::byte> read(static_cast<size_t>(at_once * row_bytes));
  for (int64_t begin = 0; begin < rows.count(); begin += at_once) {
    const int64_t end = std::min(rows.count(), begin + at_once);
    rows.read(begin, end - begin, read.data());
    for (int64_t row = begin; row < end; ++row) {
      const auto to = static_cast<int64_t>(order.position_of(static_cast<uint64_t>(row))) - first;
      if (to >= 0 && to < count)
        std::memcpy(out + to * row_bytes, read.data() + (row - begin) * row_bytes, rows.row_bytes());
    }
  }
}

/// What a helper is to make, followed by the name of the data set.
struct Job {
  int64_t chunk_rows = 0, first = 0, count = 0;
  uint64_t seed = 0;
  int32_t level = 0, shuffle = 0;
};

/// What a helper answers with, followed by an error's text; unless there is one, each block follows as a
/// message.
struct Answer {
  uint64_t blocks = 0;
  int32_t error = 0;  ///< an ExitCode; 0: none
  int32_t unused = 0;
};

template <typename T>
std::vector<std::byte> message_of(const T& head, const std::string& text) {
  std::vector<std::byte> message(sizeof head + text.size());
  std::memcpy(message.data(), &head, sizeof head);
  std::memcpy(message.data() + sizeof head, text.data(), text.size());
  return message;
}

template <typename T>
std::pair<T, std::string> parsed(std::span<const std::byte> message) {
  T head;
  INVARIANT(message.size() >= sizeof head, "a message of {} bytes", message.size());
  std::memcpy(&head, message.data(), sizeof head);
  const auto text = message.subspan(sizeof head);
  return {head, std::string(reinterpret_cast<const char*>(text.data()), text.size())};
}

EncodedRows received_rows(const RepackRanks& ranks, int from) {
  const auto [answer, text] = parsed<Answer>(ranks.receive(from));
  if (answer.error != 0) throw Error(static_cast<ExitCode>(answer.error), text);
  EncodedRows encoded(answer.blocks);
  for (std::vector<std::byte>& block : encoded) block = ranks.receive(from);
  return encoded;
}

}  // namespace

EncodedRows make_rows(const RawRows& from, const RowRecipe& recipe, int64_t first, int64_t count,
                      ThreadPool& pool) {
  std::vector<std::byte> rows(static_cast<size_t>(count) * from.row_bytes());
  if (recipe.shuffle)
    gather_rows(from, recipe.seed, first, count, rows.data());
  else
    from.read(first, count, rows.data());
  return encode_rows(std::move(rows), from, recipe.storage, pool);
}

PiecesOfRows::PiecesOfRows(const RawRows& from, const RowRecipe& recipe, int64_t piece_rows,
                           const RepackRanks& ranks, ThreadPool& pool)
    : from_(from), recipe_(recipe), piece_rows_(piece_rows), ranks_(ranks), pool_(pool) {
  for (int64_t piece = 0; piece < ranks.size; ++piece) assign(piece);
}

int64_t PiecesOfRows::rows_of(int64_t piece) const {
  return std::clamp<int64_t>(from_.count() - piece * piece_rows_, 0, piece_rows_);
}

/// Sends a piece to the rank that is to make it.
void PiecesOfRows::assign(int64_t piece) const {
  const int rank = static_cast<int>(piece % ranks_.size);
  if (rank == 0 || rows_of(piece) == 0) return;
  const Job job{.chunk_rows = recipe_.storage.chunk_rows,
                .first = piece * piece_rows_,
                .count = rows_of(piece),
                .seed = recipe_.seed,
                .level = recipe_.storage.level,
                .shuffle = recipe_.shuffle ? 1 : 0};
  ranks_.send(message_of(job, from_.dataset().name()), rank);
}

PiecesOfRows::Piece PiecesOfRows::next() {
  const int64_t piece = next_++;
  Piece made{.rows = rows_of(piece)};
  if (made.rows == 0) return made;
  if (const int rank = static_cast<int>(piece % ranks_.size); rank == 0)
    made.encoded = make_rows(from_, recipe_, piece * piece_rows_, made.rows, pool_);
  else
    made.encoded = received_rows(ranks_, rank);
  assign(piece + ranks_.size);
  return made;
}

void help_to_make_rows(const std::string& in, const RepackRanks& ranks, int threads) {
  std::optional<hdf5::File> file;
  std::optional<ThreadPool> pool;
  for (;;) {
    const std::vector<std::byte> message = ranks.receive(0);
    if (message.empty()) return;
    const auto [job, name] = parsed<Job>(message);
    EncodedRows encoded;
    try {
      if (!file) file.emplace(hdf5::File::open(in));
      if (!pool) pool.emplace(threads);
      const hdf5::Dataset dataset = file->dataset(name);
      const RowRecipe recipe{{job.chunk_rows, job.level}, job.shuffle != 0, job.seed};
      encoded = make_rows(RawRows(dataset), recipe, job.first, job.count, *pool);
    } catch (const Error& error) {
      ranks.send(message_of(Answer{.error = static_cast<int32_t>(error.code())}, error.what()), 0);
      continue;
    }
    ranks.send(message_of(Answer{.blocks = encoded.size()}, ""), 0);
    for (const std::vector<std::byte>& block : encoded) ranks.send(block, 0);
  }
}

void dismiss_helpers(const RepackRanks& ranks) {
  for (int rank = 1; rank < ranks.size; ++rank) ranks.send({}, rank);
}

}  // namespace lockstep
