#include "io/import/image_list.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <set>
#include <system_error>

#include "src/core/error.h"
#include "src/core/text/printable.h"

namespace lockstep {

namespace {

namespace fs = std::filesystem;

std::string lower_ending(const fs::path& name) {
  std::string ending = name.extension().string();
  for (char& c : ending)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return ending;
}

bool is_hidden(const fs::path& path) { return path.filename().string().starts_with('.'); }

/// What a folder holds, in the order of names.
std::vector<fs::directory_entry> entries_of(const fs::path& folder) {
  std::vector<fs::directory_entry> entries;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error))
    entries.push_back(*it);
  if (error) fail(ExitCode::data, "{}: cannot read the folder: {}.", folder.string(), error.message());
  std::ranges::sort(entries, {}, [](const fs::directory_entry& entry) { return entry.path().string(); });
  return entries;
}

class ClassLister {
 public:
  explicit ClassLister(ImageList& list) : list_(list), folder_(list.folder) {}

  /// All files below a folder. Links to folders are not followed: they may lead back.
  void add_all(const fs::path& below, int32_t label, int depth) {
    constexpr int kMaxDepth = 64;
    for (const fs::directory_entry& entry : entries_of(folder_ / below)) {
      const fs::path name = below / entry.path().filename();
      std::error_code ignored;
      if (is_hidden(name))
        leave_out(name, "hidden");
      else if (entry.is_directory(ignored) && !entry.is_symlink(ignored) && depth < kMaxDepth)
        add_all(name, label, depth + 1);
      else
        add_file(entry, name, label);
    }
  }

  void leave_out(const fs::path& name, const std::string& kind) {
    list_.other.push_back({name.string(), kind});
  }

  /// One that belongs to no class if the label is negative.
  void add_file(const fs::directory_entry& entry, const fs::path& name, int32_t label) {
    std::error_code ignored;
    if (!entry.is_regular_file(ignored)) return leave_out(name, "neither file nor folder");
    if (label < 0 && is_named_as_image(name)) return leave_out(name, "image outside the sub-folders");
    if (!is_named_as_image(name))
      return leave_out(name, name.has_extension() ? lower_ending(name) : "without ending");
    list_.files.push_back(name.string());
    list_.class_of.push_back(label);
  }

 private:
  ImageList& list_;
  fs::path folder_;
};

bool has_folders(const fs::path& folder) {
  std::error_code error;
  fs::directory_iterator it(folder, error);
  return !error &&
         std::any_of(begin(it), end(it), [&](const auto& entry) { return entry.is_directory(error); });
}

/// Refuses a folder whose sub-folders are parts, each with a sub-folder for each class.
void refuse_parts(const std::string& folder, const std::vector<std::string>& names) {
  static const std::set<std::string> parts{"train",      "training", "val",    "valid",
                                           "validation", "test",     "testing"};
  if (names.empty() || !std::ranges::all_of(names, [&](const std::string& name) {
        return parts.contains(name) && has_folders(fs::path(folder) / name);
      }))
    return;
  fail(ExitCode::data,
       "{}: its sub-folders are parts of a data set, not classes. Import each by itself, such as {}, to a "
       "file of its own, and name these files in the config.",
       folder, (fs::path(folder) / names.front()).string());
}

}  // namespace

bool is_named_as_image(const std::string& name) {
  constexpr std::array kEndings{".jpg", ".jpeg", ".jpe", ".jfif", ".png"};
  return std::ranges::count(kEndings, lower_ending(name)) > 0;
}

ImageList list_classes(const std::string& folder) {
  ImageList list;
  list.folder = folder;
  if (std::error_code error; !fs::is_directory(folder, error))
    fail(ExitCode::data, "{} is not a folder. Name the one that holds the images.", folder);
  ClassLister lister(list);
  bool has_images_outside = false;
  for (const fs::directory_entry& entry : entries_of(folder)) {
    const fs::path name = entry.path().filename();
    std::error_code ignored;
    if (is_hidden(name))
      lister.leave_out(name, "hidden");
    else if (entry.is_directory(ignored))
      list.classes.push_back(name.string());
    else
      lister.add_file(entry, name, -1);
    has_images_outside = has_images_outside || is_named_as_image(name.string());
  }
  refuse_parts(folder, list.classes);
  std::vector<std::string> classes;
  for (const std::string& name : list.classes) {
    const size_t before = list.files.size();
    lister.add_all(name, static_cast<int32_t>(classes.size()), 0);
    // Without images, a folder is no class: a model would have an output that is never right.
    if (list.files.size() > before) classes.push_back(name);
  }
  list.classes = std::move(classes);
  if (list.files.empty())
    fail(ExitCode::data, "{}: no sub-folder there holds a .jpg, .jpeg or .png file. {}", folder,
         has_images_outside ? "Put the images of each class into a sub-folder of its own, or name a table of "
                              "their classes with --labels."
                            : "There must be a sub-folder for each class.");
  return list;
}

}  // namespace lockstep
