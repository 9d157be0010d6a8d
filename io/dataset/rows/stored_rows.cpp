#include "io/dataset/rows/stored_rows.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "io/hdf5/sources/family.h"
#include "io/hdf5/sources/sources.h"

namespace lockstep {

void StoredRows::watch(const hdf5::Dataset& dataset) {
  hdf5::Sources sources = hdf5::require_sources(dataset);
  descriptors_.push_back(std::move(sources.descriptors));
  const size_t known = watched_paths_.size();
  for (std::string& path : sources.files)
    if (std::ranges::find(watched_paths_, path) == watched_paths_.end())
      watched_paths_.push_back(std::move(path));
  if (watched_paths_.size() > known) watched_.emplace(watched_paths_);
  if (const auto& map = dataset.shared_chunk_map(); map && map->is_large()) large_maps_.push_back(map);
}

std::vector<std::string> StoredRows::notes() const {
  std::vector<std::string> notes = facts_.notes;
  if (std::string family = hdf5::describe_family(file_); !family.empty())
    notes.insert(notes.begin(), std::move(family));
  return notes;
}

void StoredRows::keep_places(const hdf5::PlacesFolder& folder, const MachineMemory* machine) {
  for (const auto& map : large_maps_) {
    const auto memory =
        machine == nullptr ? nullptr : machine->allocate(map->entries() * sizeof(hdf5::ChunkEntry));
    map->keep(folder, memory, /*loads=*/!memory || machine->rank == 0);
    if (memory) machine->wait_for_all();
  }
}

void StoredRows::read_rows(int64_t first, int64_t count, DType dtype, std::byte* out) const {
  INVARIANT(first >= 0 && count >= 0 && first + count <= rows(), "rows [{}, {}) of {}", first, first + count,
            where());
  const hdf5::RowRun run{first, count};
  if (count > 0) read_runs({&run, 1}, dtype, out);
}

int64_t StoredRows::rows_of_a_piece(size_t row_bytes) const {
  constexpr int64_t kPieceBytes = int64_t{4} << 20;
  const auto bytes = static_cast<int64_t>(row_bytes + facts_.read_bytes);
  return (kPieceBytes / bytes / facts_.block_rows + 1) * facts_.block_rows;
}

double StoredRows::decoded_bytes_per_row(double kept_blocks) const {
  constexpr double kRowsAtOnce = 32;
  const double blocks = std::ceil(static_cast<double>(facts_.rows) / static_cast<double>(facts_.block_rows));
  // Upper limit on the blocks that hold rows read at once.
  const double touched = std::min(blocks, kRowsAtOnce);
  return facts_.block_bytes * (1 - std::min(blocks, kept_blocks) / blocks) * touched / kRowsAtOnce;
}

void StoredRows::read_unchanged(const std::function<void()>& read) const {
  try {
    read();
  } catch (const Error&) {
    watched_->require_all_unchanged();
    throw;
  }
  watched_->require_unchanged();
}

}  // namespace lockstep
