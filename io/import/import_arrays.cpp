#include "io/import/import_arrays.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "io/import/array_writer.h"
#include "io/repack/output_file.h"
#include "src/core/error.h"
#include "src/core/text/printable.h"

namespace lockstep {

namespace {

using Progress = std::function<void(int64_t done, int64_t all)>;

/// The arrays of one group of the result.
struct ArrayGroup {
  std::string group;
  StoredArray x;
  std::unique_ptr<StoredArray> y;  ///< null: none
  std::string x_name, y_name;
};

void require_equal_rows(const ArrayGroup& group) {
  if (!group.y || group.x.header.shape[0] == group.y->header.shape[0]) return;
  fail(ExitCode::data, "{} has {} samples, and {} has {}. There must be as many.", group.x.where,
       group.x.header.shape[0], group.y->where, group.y->header.shape[0]);
}

std::vector<ImportedArrays::Array> write_groups(const std::vector<ArrayGroup>& groups, const std::string& out,
                                                const Progress& progress) {
  int64_t done = 0, all = 0;
  for (const ArrayGroup& group : groups) {
    require_equal_rows(group);
    all += group.x.header.data_bytes() + (group.y ? group.y->header.data_bytes() : 0);
  }
  const auto note = [&](int64_t bytes) {
    done += bytes;
    if (progress) progress(done, all);
  };
  OutputFile output(out);
  std::vector<ImportedArrays::Array> written;
  for (const ArrayGroup& group : groups) {
    write_array(output.file(), group.group + "/x", group.x, note);
    written.push_back({group.group + "/x", group.x_name, group.x.header.text()});
    if (!group.y) continue;
    write_array(output.file(), group.group + "/y", *group.y, note);
    written.push_back({group.group + "/y", group.y_name, group.y->header.text()});
  }
  output.commit();
  return written;
}

ZipMember whole_file(const InputFile& file) { return {.stored_bytes = file.bytes(), .bytes = file.bytes()}; }

/// The arrays of a .npz file by their names.
class Npz {
 public:
  explicit Npz(const std::string& path) : file_(path), members_(read_zip_directory(file_)) {
    constexpr std::string_view kEnding = ".npy";
    for (ZipMember& member : members_)
      if (member.name.ends_with(kEnding)) member.name.resize(member.name.size() - kEnding.size());
  }

  const ZipMember* find(const std::string& name) const {
    const auto found = std::ranges::find(members_, name, &ZipMember::name);
    return found == members_.end() ? nullptr : &*found;
  }
  /// The first that there is; "" if there is none.
  std::string find_any(const std::vector<std::string>& names) const {
    const auto found =
        std::ranges::find_if(names, [&](const std::string& name) { return find(name) != nullptr; });
    return found == names.end() ? "" : *found;
  }
  StoredArray open(const std::string& name) const {
    const ZipMember* member = find(name);
    if (member == nullptr)
      fail(ExitCode::data, "{}: no array {} there. It holds: {}.", file_.path(), printable(name), contents());
    return open_array(file_, *member, fmt::format("{}: {}", file_.path(), printable(name)));
  }
  ArrayGroup open_group(const std::string& group, const std::string& x, const std::string& y) const {
    return {group, open(x), y.empty() ? nullptr : std::make_unique<StoredArray>(open(y)), x, y};
  }
  /// All arrays with their types and shapes, as far as they can be imported.
  std::string contents() const {
    constexpr size_t kShown = 20;
    std::vector<std::string> texts;
    for (const ZipMember& member : members_) {
      if (texts.size() == kShown) break;
      try {
        texts.push_back(fmt::format("{} {}", printable(member.name), open(member.name).header.text()));
      } catch (const Error&) {
        texts.push_back(fmt::format("{} (no array of numbers)", printable(member.name)));
      }
    }
    return members_.empty() ? "nothing" : fmt::format("{}", fmt::join(texts, ", "));
  }
  const std::vector<ZipMember>& members() const { return members_; }
  const std::string& path() const { return file_.path(); }

 private:
  InputFile file_;
  std::vector<ZipMember> members_;
};

std::vector<ArrayGroup> find_groups(const Npz& npz) {
  std::vector<ArrayGroup> groups;
  const auto add = [&](const std::string& group, const std::vector<std::string>& endings) {
    std::vector<std::string> xs, ys;
    for (const std::string& ending : endings)
      for (const char* letter : {"x", "X"}) {
        xs.push_back(letter + ending);
        ys.push_back((*letter == 'x' ? "y" : "Y") + ending);
      }
    if (const std::string x = npz.find_any(xs); !x.empty())
      groups.push_back(npz.open_group(group, x, npz.find_any(ys)));
  };
  add("/train", {"_train", ""});
  add("/validation", {"_val", "_valid", "_validation"});
  add("/test", {"_test"});
  if (groups.empty() || groups[0].group != "/train")
    fail(ExitCode::data,
         "{}: no array x or x_train there. Name the samples with --x and their targets with --y. "
         "It holds: {}.",
         npz.path(), npz.contents());
  return groups;
}

}  // namespace

ImportedArrays import_npy(const std::string& x, const std::string& y, const std::string& out,
                          const Progress& progress) {
  const InputFile x_file(x);
  const std::unique_ptr<InputFile> y_file = y.empty() ? nullptr : std::make_unique<InputFile>(y);
  std::vector<ArrayGroup> groups;
  groups.push_back(
      {"/train", open_array(x_file, whole_file(x_file), x),
       y_file ? std::make_unique<StoredArray>(open_array(*y_file, whole_file(*y_file), y)) : nullptr, x, y});
  return {write_groups(groups, out, progress), {}};
}

ImportedArrays import_npz(const std::string& file, const std::string& x, const std::string& y,
                          const std::string& out, const Progress& progress) {
  const Npz npz(file);
  std::vector<ArrayGroup> groups;
  if (x.empty())
    groups = find_groups(npz);
  else
    groups.push_back(npz.open_group("/train", x, y));
  ImportedArrays imported{write_groups(groups, out, progress), {}};
  for (const ZipMember& member : npz.members())
    if (std::ranges::count(imported.arrays, member.name, &ImportedArrays::Array::from) == 0)
      imported.unused.push_back(member.name);
  return imported;
}

}  // namespace lockstep
