#include "io/dataset/targets/target_names.h"

#include <algorithm>
#include <utility>

#include "src/core/counted.h"

namespace lockstep {

namespace {

/// What is known of the names without reading the targets.
struct FirstLook {
  bool any = false;         ///< whether a file has names
  bool are_numbers = true;  ///< whether all of them are enumerations, whose values may be read as numbers
  std::string where;        ///< of the first
  ClassNames numbered;      ///< NamedValues::numbered(), if it is the same in all files; else empty
};

FirstLook look_at_names(const std::vector<std::string>& files, const std::string& name) {
  FirstLook look;
  for (const std::string& path : files) {
    const hdf5::File file = hdf5::File::open(path);
    const std::optional<NamedValues> values = find_named_values(file, name);
    if (!values) continue;
    ClassNames numbered = values->numbered();
    if (!look.any) {
      look.where = values->where();
      look.numbered = std::move(numbered);
    } else if (numbered != look.numbered) {
      look.numbered.clear();
    }
    look.any = true;
    look.are_numbers = look.are_numbers && values->kind == NamedValues::Kind::enumeration;
  }
  return look;
}

/// All different names, sorted.
ClassNames read_all_names(const std::vector<std::string>& files, const std::string& name,
                          const FirstLook& look, int64_t declared) {
  NameCounts counts;
  for (const std::string& path : files) {
    const hdf5::File file = hdf5::File::open(path);
    if (const std::optional<NamedValues> values = find_named_values(file, name)) counts.add(*values);
  }
  ClassNames names = counts.names();
  const auto different = static_cast<int64_t>(names.size());
  if (declared == 0) counts.require_classes(look.where);
  if (declared > 0 && declared != different)
    fail(ExitCode::data, "data.classes = {}, but {} holds the names of {}: {}. Remove the key.", declared,
         look.where, counted(different, "class", "classes"), names_in_words(names));
  return names;
}

}  // namespace

TargetNames find_target_names(const std::vector<std::string>& files, const std::string& name,
                              const DatasetOptions& options) {
  const FirstLook look = look_at_names(files, name);
  if (!look.any && !options.class_names.empty())
    fail(ExitCode::data,
         "{}:{} holds no names of classes, but the training data had them: {}. Store these names, too.",
         files[0], name, names_in_words(options.class_names));
  if (!look.any) return {};
  const bool may_be_classes =
      options.kind ? *options.kind == TargetKind::classes
                   : options.task == TargetTask::automatic || options.task == TargetTask::classes;
  const bool are_expected = may_be_classes && !(options.kind && options.class_names.empty());
  if (!are_expected && look.are_numbers) return {};
  if (!may_be_classes)
    fail(ExitCode::data, "{} holds names, which can be classes only, and other targets are expected.",
         look.where);
  if (!are_expected)
    fail(ExitCode::data,
         "{} holds names of classes, but the training data had numbers of classes. Store the same numbers.",
         look.where);
  if (options.kind) {
    if (look.are_numbers && look.numbered == options.class_names) return {options.class_names, false};
    return {options.class_names, true};
  }
  const bool fits = options.classes == 0 || options.classes == static_cast<int64_t>(look.numbered.size());
  if (!look.numbered.empty() && (fits || look.are_numbers))
    return {fits ? look.numbered : ClassNames{}, !look.are_numbers};
  return {read_all_names(files, name, look, options.classes), true};
}

RowLayout layout_of_targets(RowLayout layout, const std::vector<std::string>& files, const std::string& name,
                            const DatasetOptions& options) {
  layout.names = find_target_names(files, name, options);
  layout.length = options.y_length;
  layout.padding = static_cast<double>(options.ignored_label.value_or(0));
  layout.are_targets = true;
  return layout;
}

}  // namespace lockstep
