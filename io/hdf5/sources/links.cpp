#include "io/hdf5/sources/links.h"

#include <set>
#include <utility>

#include "io/hdf5/sources/raw_files.h"
#include "io/hdf5/sources/search.h"
#include "io/hdf5/sources/sources.h"

namespace lockstep::hdf5 {

namespace {

/// libhdf5 itself follows at most 16 links in a row.
constexpr int kMaxLinks = 16;
constexpr int kMaxDepth = 64;

/// The contents of a soft or external link.
struct Link {
  H5L_type_t type = H5L_TYPE_ERROR;
  std::string target;  ///< name of the object
  std::string file;    ///< named by an external link

  bool is_link() const { return type == H5L_TYPE_SOFT || type == H5L_TYPE_EXTERNAL; }
  std::string describe() const {
    if (type == H5L_TYPE_SOFT) return "soft link to " + printable(target);
    return fmt::format("external link to {} of {}", printable(target), printable(file));
  }
  std::string with_article() const { return (type == H5L_TYPE_SOFT ? "a " : "an ") + describe(); }
};

Link link_at(hid_t place, const std::string& name) {
  Link link;
  H5L_info_t info{};
  if (H5Lget_info(place, name.c_str(), &info, H5P_DEFAULT) < 0) return link;
  link.type = info.type;
  if (!link.is_link()) return link;
  std::vector<char> value(info.u.val_size + 1);
  if (H5Lget_val(place, name.c_str(), value.data(), info.u.val_size, H5P_DEFAULT) < 0) return {};
  if (link.type == H5L_TYPE_SOFT) {
    link.target = value.data();
    return link;
  }
  unsigned flags = 0;
  const char *file = nullptr, *target = nullptr;
  if (H5Lunpack_elink_val(value.data(), info.u.val_size, &flags, &file, &target) < 0) return {};
  link.file = file;
  link.target = target;
  return link;
}

/// broken_link for a name from the root of the file `place`, after `links` links.
std::string broken_link_at(hid_t place, std::string name, int links) {
  if (!name.starts_with('/')) name = fmt::format("/{}", name);
  if (links > kMaxLinks) return "and more links follow: they lead in a circle";
  for (size_t end = name.find('/', 1);; end = name.find('/', end + 1)) {
    const std::string part = name.substr(0, end);
    const std::string parent = part.substr(0, part.rfind('/'));
    if (part.back() != '/') {
      if (H5Lexists(place, part.c_str(), H5P_DEFAULT) <= 0) return "";
      const Link link = link_at(place, part);
      if (link.is_link() && H5Oexists_by_name(place, part.c_str(), H5P_DEFAULT) <= 0) {
        const std::string begin = fmt::format("{} is {}", printable(part), link.with_article());
        if (link.type == H5L_TYPE_SOFT) {
          const std::string target = link.target.starts_with('/') ? link.target : parent + "/" + link.target;
          const std::string deeper = broken_link_at(place, target, links + 1);
          return begin + ", " + (deeper.empty() ? "which does not exist" : deeper);
        }
        try {
          const File file =
              open_referenced(Reference::external_link, link.file, own_file(place), begin + ", but ");
          const std::string deeper = broken_link_at(file.id(), link.target, links + 1);
          return fmt::format("{}, {}", begin,
                             deeper.empty() ? fmt::format("which {} does not have", file.path()) : deeper);
        } catch (const Error& e) {
          std::string reason = e.what();
          while (reason.ends_with('.')) reason.pop_back();
          return reason;
        }
      }
    }
    if (end == std::string::npos) return "";
  }
}

/// Visits the groups of a file, following links into other files too.
class Walk {
 public:
  Walk(const File& file, size_t limit) : file_(file), limit_(limit) {}

  void enter(hid_t group, const std::string& path, int depth) {
    H5O_info_t info{};
    if (H5Oget_info2(group, &info, H5O_INFO_BASIC) < 0 || depth > kMaxDepth) return;
    if (!entered_.emplace(own_file(group), info.addr).second) return;
    for (const std::string& name : names_in(group)) {
      if (found_.size() >= limit_) return;
      visit(group, name, path + "/" + name, depth);
    }
  }

  std::vector<Named> found() && { return std::move(found_); }

 private:
  static std::vector<std::string> names_in(hid_t group) {
    std::vector<std::string> names;
    hsize_t next = 0;
    const herr_t status = H5Literate(
        group, H5_INDEX_NAME, H5_ITER_INC, &next,
        [](hid_t, const char* name, const H5L_info_t*, void* out) -> herr_t {
          static_cast<std::vector<std::string>*>(out)->emplace_back(name);
          return 0;
        },
        &names);
    if (status < 0)
      fail(ExitCode::data, "{}: cannot list its data sets: {}. The file is damaged.", own_file(group),
           last_error());
    return names;
  }

  void visit(hid_t group, const std::string& name, const std::string& path, int depth) {
    const Link link = link_at(group, name);
    const std::string says = link.is_link() ? link.describe() : "";
    if (link.is_link()) {
      // libhdf5 would block on a pipe named by an external link.
      if (std::string problem = link_problem(group, name, link, path); !problem.empty()) {
        found_.push_back({path, says, std::move(problem)});
        return;
      }
    }
    H5O_info_t info{};
    if (H5Oget_info_by_name2(group, name.c_str(), &info, H5O_INFO_BASIC, H5P_DEFAULT) < 0) {
      // A damaged object is reported when it is opened.
      H5Eclear2(H5E_DEFAULT);
      found_.push_back({path, says, ""});
    } else if (info.type == H5O_TYPE_DATASET) {
      found_.push_back({path, says, ""});
    } else if (info.type == H5O_TYPE_GROUP) {
      const Id inner(H5Gopen2(group, name.c_str(), H5P_DEFAULT));
      if (inner)
        enter(inner.get(), path, depth + 1);
      else
        found_.push_back({path, says, ""});
    }
  }

  std::string link_problem(hid_t group, const std::string& name, const Link& link,
                           const std::string& path) const {
    const std::string where = fmt::format("{}:{}", file_.path(), printable(path));
    try {
      if (link.type == H5L_TYPE_EXTERNAL) {
        const std::string begin = fmt::format("{} is {}, but ", where, link.with_article());
        open_referenced(Reference::external_link, link.file, own_file(group), begin);
      }
    } catch (const Error& e) {
      return e.what();
    }
    if (H5Oexists_by_name(group, name.c_str(), H5P_DEFAULT) > 0) return "";
    const std::string why = broken_link_at(file_.id(), path, 0);
    return fmt::format("{} leads to no data set: {}.", where,
                       why.empty() ? "it is " + link.with_article() : why);
  }

  const File& file_;
  size_t limit_;
  std::set<std::pair<std::string, haddr_t>> entered_;
  std::vector<Named> found_;
};

}  // namespace

std::vector<Named> list_names(const File& file, size_t limit) {
  const Lock lock;
  const Id root(H5Gopen2(file.id(), "/", H5P_DEFAULT));
  if (!root)
    fail(ExitCode::data, "{}: cannot list its data sets: {}. The file is damaged.", file.path(),
         last_error());
  Walk walk(file, limit);
  walk.enter(root.get(), "", 0);
  return std::move(walk).found();
}

std::string broken_link(const File& file, const std::string& name) {
  const Lock lock;
  return broken_link_at(file.id(), name, 0);
}

}  // namespace lockstep::hdf5
