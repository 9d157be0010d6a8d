#include "io/hdf5/needed_version.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <fstream>

#include "io/hdf5/hdf5.h"

namespace lockstep::hdf5 {

namespace {

// Object headers: the HDF5 file format specification, sections IV.A.1 and IV.A.2. A library that does not
// know the version of a message rejects the object without naming that version, so its header is read here.
constexpr unsigned kDatatype = 3, kLayout = 8, kContinuation = 16;
constexpr unsigned kComplexClass = 11;
constexpr uint64_t kMaxHeader = uint64_t{1} << 20;
constexpr int kMaxHeaderBlocks = 64;

struct Release {
  unsigned major = 0, minor = 0;
  auto operator<=>(const Release&) const = default;
};
constexpr Release kBuiltWith{H5_VERS_MAJOR, H5_VERS_MINOR};

/// The version that a data set needs.
struct Need {
  Release release;
  bool is_complex = false;

  void raise(Release other) { release = std::max(release, other); }
};

/// A piece of the file; reads beyond its end return zeros and are recorded.
class Bytes {
 public:
  Bytes(std::ifstream& file, uint64_t at, uint64_t count) : bytes_(std::min(count, kMaxHeader)) {
    file.clear();
    file.seekg(static_cast<std::streamoff>(at));
    file.read(reinterpret_cast<char*>(bytes_.data()), static_cast<std::streamsize>(bytes_.size()));
    bytes_.resize(static_cast<size_t>(std::max<std::streamsize>(file.gcount(), 0)));
  }
  bool begins_with(const char* signature) const {
    return bytes_.size() >= 4 && std::memcmp(bytes_.data(), signature, 4) == 0;
  }
  uint64_t number(size_t at, size_t width) const {
    uint64_t value = 0;
    for (size_t i = width; i-- > 0;) value = value << 8 | (at + i < bytes_.size() ? bytes_[at + i] : 0);
    return value;
  }
  size_t size() const { return bytes_.size(); }

 private:
  std::vector<unsigned char> bytes_;
};

class HeaderReader {
 public:
  HeaderReader(const std::string& path, uint64_t base, size_t address_bytes, size_t length_bytes)
      : file_(path, std::ios::binary),
        base_(base),
        address_bytes_(address_bytes),
        length_bytes_(length_bytes) {}

  Need read(uint64_t address) {
    const Bytes start(file_, base_ + address, 64);
    if (start.begins_with("OHDR")) {
      const auto flags = static_cast<unsigned>(start.number(5, 1));
      const size_t size_width = size_t{1} << (flags & 3);
      const size_t size_at = 6 + (flags & 0x20 ? 16 : 0) + (flags & 0x10 ? 4 : 0);
      message_header_ = 4 + (flags & 0x04 ? 2 : 0);
      read_block(address + size_at + size_width, start.number(size_at, size_width));
    } else if (start.number(0, 1) == 1) {
      is_first_version_ = true;
      message_header_ = 8;
      read_block(address + 16, start.number(8, 4));
    }
    return need_;
  }

 private:
  void read_block(uint64_t address, uint64_t count) {
    if (++blocks_ > kMaxHeaderBlocks) return;
    const Bytes block(file_, base_ + address, count);
    for (size_t at = 0; at + message_header_ <= block.size();) {
      const size_t type_width = is_first_version_ ? 2 : 1;
      const auto type = static_cast<unsigned>(block.number(at, type_width));
      const size_t length = block.number(at + type_width, 2), body = at + message_header_;
      const bool is_shared = block.number(at + type_width + 2, 1) & 2;
      if (!is_shared) take(type, block, body);
      at = body + length;
    }
  }

  void take(unsigned type, const Bytes& block, size_t body) {
    const auto first = static_cast<unsigned>(block.number(body, 1));
    if (type == kDatatype) {
      const unsigned version = first >> 4;
      if (version >= 4) need_.raise({1, 12});
      if (version >= 5) need_.raise({2, 0});
      need_.is_complex = (first & 15) == kComplexClass;
    } else if (type == kLayout) {
      if (first >= 4) need_.raise({1, 10});
      if (first >= 5) need_.raise({2, 0});
    } else if (type == kContinuation) {
      const uint64_t address = block.number(body, address_bytes_);
      const uint64_t count = block.number(body + address_bytes_, length_bytes_);
      // A later block of version 2 begins with "OCHK" and ends with a checksum.
      constexpr uint64_t kSignature = 4, kChecksum = 4;
      if (is_first_version_)
        read_block(address, count);
      else if (count > kSignature + kChecksum)
        read_block(address + kSignature, count - kSignature - kChecksum);
    }
  }

  std::ifstream file_;
  uint64_t base_;
  size_t address_bytes_, length_bytes_;
  bool is_first_version_ = false;
  size_t message_header_ = 0;
  int blocks_ = 0;
  Need need_;
};

}  // namespace

std::string needs_later_version(const File& file, const std::string& name) {
  const Lock lock;
  H5L_info_t link{};
  const Id creation(H5Fget_create_plist(file.id()));
  hsize_t base = 0;
  size_t address_bytes = 0, length_bytes = 0;
  if (!creation || H5Pget_userblock(creation.get(), &base) < 0 ||
      H5Pget_sizes(creation.get(), &address_bytes, &length_bytes) < 0 ||
      H5Lget_info(file.id(), name.c_str(), &link, H5P_DEFAULT) < 0 || link.type != H5L_TYPE_HARD) {
    H5Eclear2(H5E_DEFAULT);
    return {};
  }
  const Need need = HeaderReader(file.path(), base, address_bytes, length_bytes).read(link.u.address);
  if (need.release <= kBuiltWith) return {};
  const std::string remedy = need.is_complex ? "It holds complex numbers, which are not trained on: write "
                                               "their real and imaginary parts as a last axis of two floats"
                                             : "Use a Lockstep that was built with that version, or write "
                                               "the values to another file in an older form: in h5py, "
                                               "h5py.File(NAME, \"w\", libver=(\"earliest\", \"v110\"))";
  return fmt::format(
      "is stored in a form that needs HDF5 {}.{} or newer, and this program was built with {}.{}.{}. {}.",
      need.release.major, need.release.minor, H5_VERS_MAJOR, H5_VERS_MINOR, H5_VERS_RELEASE, remedy);
}

}  // namespace lockstep::hdf5
