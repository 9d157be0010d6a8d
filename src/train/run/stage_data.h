#pragma once

#include <string>
#include <vector>

#include "comm/collectives/world.h"
#include "io/dataset/dataset.h"

namespace lockstep {

/// Collective. One rank of each machine copies the files of these sources to `folder` (see stage_files()),
/// and every rank opens the copies in place of them from then on. A file whose data sets also lie in other
/// files, by external links, virtual data sets or raw files, is read where it is, with a warning: libhdf5
/// looks for those beside the file. Does nothing if `folder` is empty. Throws Error(data).
void stage_data(World& world, const std::string& folder, const std::vector<const DataSource*>& sources,
                TargetTask task);

}  // namespace lockstep
