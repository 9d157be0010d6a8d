#pragma once

#include <memory>
#include <vector>

#include "comm/collectives/world.h"
#include "io/dataset/dataset.h"
#include "io/dataset/order/sampler.h"
#include "io/stage/keep_files.h"
#include "src/train/run/options.h"

namespace lockstep {

/// Collective. Does what data.stage says with the files of these sources. StagePart::all: one rank of each
/// machine copies them (see stage_files()), and every rank opens the copies in place of them from then on.
/// StagePart::used: each machine keeps what its ranks read of them as long as the result exists; files of
/// which all machines have a whole copy are read from that. A file whose data sets also lie in other files,
/// by external links, virtual data sets or raw files, is read where it is, with a warning: libhdf5 looks for
/// those beside the file. Returns null unless something is kept. Throws Error(data).
std::unique_ptr<KeptFiles> stage_data(World& world, const TrainOptions::Data& options,
                                      const std::vector<const DataSource*>& sources, TargetTask task,
                                      const MachineMemory& machine);

/// Collective. One line about how much of the training data a machine reads in each epoch, if it keeps what
/// it reads. rank_batch: slots of each rank in a global batch.
void log_share_read(World& world, const Order& order, int64_t rank_batch);

/// Collective. One line about how much was read from what machines have kept.
void log_kept_reads(World& world, const KeptFiles& kept, const std::string& folder);

}  // namespace lockstep
