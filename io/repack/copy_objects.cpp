#include "io/repack/copy_objects.h"

#include <fmt/format.h>

#include <map>
#include <utility>
#include <vector>

#include "io/hdf5/crash_report.h"
#include "src/core/error.h"

namespace lockstep {

namespace {

using hdf5::Id;

/// Whether values of a type hold positions in their file.
bool has_references(hid_t type) { return H5Tdetect_class(type, H5T_REFERENCE) > 0; }

[[noreturn]] void fail_to_copy(const hdf5::File& from, const std::string& name) {
  fail(ExitCode::data, "{}:{} cannot be copied: {}.", from.path(), name, hdf5::last_error());
}

class Copier {
 public:
  Copier(const hdf5::File& from, hdf5::File& to, const std::function<bool(const std::string&)>& rewrite)
      : from_(from), to_(to), rewrite_(rewrite) {}

  /// Holds the lock only for calls of libhdf5, not while a data set is rewritten, which other threads may
  /// help with.
  void run() {
    copy_attributes(from_, "/", to_, "/");
    const H5O_info_t root = info_of("/");
    copied_.try_emplace({root.fileno, root.addr}, "/");
    copy_group("/");
  }

 private:
  struct Link {
    std::string name;
    H5L_type_t type;
  };

  [[noreturn]] void fail_at(const std::string& name) const { fail_to_copy(from_, name); }

  void copy_group(const std::string& group) {
    for (const Link& link : links_of(group)) {
      const std::string name = fmt::format("{}/{}", group == "/" ? "" : group, link.name);
      if (link.type == H5L_TYPE_HARD)
        copy_object(name);
      else
        copy_link(name);
    }
  }

  std::vector<Link> links_of(const std::string& group) const {
    const hdf5::Lock lock;
    std::vector<Link> links;
    const herr_t status = H5Literate_by_name(
        from_.id(), group.c_str(), H5_INDEX_NAME, H5_ITER_INC, nullptr,
        [](hid_t, const char* name, const H5L_info_t* info, void* out) -> herr_t {
          static_cast<std::vector<Link>*>(out)->push_back({name, info->type});
          return 0;
        },
        &links, H5P_DEFAULT);
    if (status < 0) fail_at(group);
    return links;
  }

  void copy_link(const std::string& name) {
    const hdf5::Lock lock;
    if (H5Lcopy(from_.id(), name.c_str(), to_.id(), name.c_str(), H5P_DEFAULT, H5P_DEFAULT) < 0)
      fail_at(name);
  }

  H5O_info_t info_of(const std::string& name) const {
    const hdf5::Lock lock;
    H5O_info_t info{};
    if (H5Oget_info_by_name(from_.id(), name.c_str(), &info, H5P_DEFAULT) < 0) fail_at(name);
    return info;
  }

  void copy_object(const std::string& name) {
    const H5O_info_t info = info_of(name);
    if (const auto [at, is_new] = copied_.try_emplace({info.fileno, info.addr}, name); !is_new) {
      link_again(at->second, name);
    } else if (info.type == H5O_TYPE_GROUP) {
      to_.create_group(name);
      copy_attributes(from_, name, to_, name);
      copy_group(name);
    } else if (info.type == H5O_TYPE_DATASET && rewrite_(name)) {
      copy_attributes(from_, name, to_, name);
    } else {
      copy_whole(name);
    }
  }

  void link_again(const std::string& copy, const std::string& name) {
    const hdf5::Lock lock;
    if (H5Lcreate_hard(to_.id(), copy.c_str(), to_.id(), name.c_str(), H5P_DEFAULT, H5P_DEFAULT) < 0)
      fail_at(name);
  }

  void copy_whole(const std::string& name) {
    const hdf5::Lock lock;
    const hdf5::InsideLibhdf5 inside(from_.path().c_str(), name.c_str());
    if (H5Ocopy(from_.id(), name.c_str(), to_.id(), name.c_str(), H5P_DEFAULT, H5P_DEFAULT) < 0)
      fail_at(name);
  }

  const hdf5::File& from_;
  hdf5::File& to_;
  const std::function<bool(const std::string&)>& rewrite_;
  std::map<std::pair<unsigned long, haddr_t>, std::string> copied_;  ///< by position in the old file
};

}  // namespace

void copy_objects(const hdf5::File& from, hdf5::File& to,
                  const std::function<bool(const std::string& name)>& rewrite) {
  Copier(from, to, rewrite).run();
}

void copy_attributes(const hdf5::File& from, const std::string& object, hdf5::File& to,
                     const std::string& copy) {
  const hdf5::Lock lock;
  const hdf5::InsideLibhdf5 inside(from.path().c_str(), object.c_str());
  for (const std::string& name : from.attribute_names(object)) {
    const Id attribute(H5Aopen_by_name(from.id(), object.c_str(), name.c_str(), H5P_DEFAULT, H5P_DEFAULT));
    const Id type(attribute ? H5Aget_type(attribute.get()) : H5I_INVALID_HID);
    const Id space(attribute ? H5Aget_space(attribute.get()) : H5I_INVALID_HID);
    if (!type || !space) fail_to_copy(from, object);
    if (has_references(type.get())) continue;
    const Id written(H5Acreate_by_name(to.id(), copy.c_str(), name.c_str(), type.get(), space.get(),
                                       H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
    if (!written) fail_to_copy(from, object);
    if (H5Sget_simple_extent_type(space.get()) == H5S_NULL) continue;
    std::vector<std::byte> values(static_cast<size_t>(H5Sget_simple_extent_npoints(space.get())) *
                                  H5Tget_size(type.get()));
    if (values.empty()) continue;
    const bool is_copied = H5Aread(attribute.get(), type.get(), values.data()) >= 0 &&
                           H5Awrite(written.get(), type.get(), values.data()) >= 0;
    // Frees what values of variable length point to.
    H5Dvlen_reclaim(type.get(), space.get(), H5P_DEFAULT, values.data());
    if (!is_copied) fail_to_copy(from, object);
  }
}

}  // namespace lockstep
