#pragma once

#include <string>
#include <vector>

#include "io/dataset/dataset.h"
#include "io/dataset/layouts/open_rows.h"
#include "io/dataset/targets/class_names.h"

namespace lockstep {

/// Finds the classes of targets that have names. If options.kind is set, these are options.class_names. Else
/// they are those of an enumeration or of categories in the order of their numbers, if these are 0, 1, 2, ...
/// in all files; else all different names in the files, sorted. Throws Error(data) for text that is not names
/// of classes, and for names where options say that the targets are something else.
TargetNames find_target_names(const std::vector<std::string>& files, const std::string& name,
                              const DatasetOptions& options);

/// `layout` with what is known of targets before they are read: their names, and how sequences are padded.
RowLayout layout_of_targets(RowLayout layout, const std::vector<std::string>& files, const std::string& name,
                            const DatasetOptions& options);

}  // namespace lockstep
