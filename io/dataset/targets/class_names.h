#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "io/hdf5/hdf5.h"

namespace lockstep {

/// Names of classes in the order of their numbers, made printable().
using ClassNames = std::vector<std::string>;

/// The names of targets' classes.
struct TargetNames {
  ClassNames names = {};  ///< empty: the targets have no names
  bool are_stored =
      false;  ///< whether the rows are stored as names, rather than as the numbers of the classes

  bool operator==(const TargetNames&) const = default;
};

/// Targets in one file that are stored as names of classes, or as numbers that have names there.
struct NamedValues {
  enum class Kind {
    text,         ///< strings
    enumeration,  ///< integers whose type names them, such as h5py's booleans
    categories,   ///< a group with integers, `codes`, that count in the strings `categories`, as AnnData has
  };
  Kind kind = Kind::text;
  hdf5::Dataset values;
  std::string field = "";                     ///< of the elements of `values`, if they are records: "label"
  std::map<int64_t, std::string> names = {};  ///< by value; empty: text
  std::string categories = "";                ///< name of that data set, if there is one

  /// The names, if their values are 0, 1, 2, ... without gaps; else empty.
  ClassNames numbered() const;
  /// "a.h5:/table.label", to begin an error with.
  std::string where() const;
  /// The names of all data sets read.
  std::vector<std::string> data_sets() const;
};

/// The targets with this name. None if there is no such object, or if its values have no names. Throws
/// Error(data) for names that cannot be read.
std::optional<NamedValues> find_named_values(const hdf5::File& file, const std::string& name);

/// Calls visit(element, name) for the elements of rows [first, first + count) in order, numbered from 0.
/// Throws Error(data) that names the row of a value that cannot be read or has no name.
void read_class_names(const NamedValues& values, int64_t first, int64_t count,
                      const std::function<void(int64_t, std::string_view)>& visit);

/// How often each name occurs.
class NameCounts {
 public:
  /// Adds the names of a data set, which are read in pieces of a few MiB. Throws Error(data) for texts that
  /// cannot be names of classes: empty, longer than 1 KiB, or more than kMaxClasses of them.
  void add(const NamedValues& values);

  /// The different names, sorted.
  ClassNames names() const;
  /// How often each occurs, in the same order.
  std::vector<int64_t> counts() const;
  /// Throws Error(data) if most samples have a name of their own. where: for the message.
  void require_classes(const std::string& where) const;

 private:
  std::map<std::string, int64_t, std::less<>> counts_;
  int64_t elements_ = 0;
  size_t bytes_ = 0;
};

/// Finds the classes of names. Immutable.
class NameTable {
 public:
  explicit NameTable(const ClassNames& names);
  /// The class with this name, given as stored; none if there is none.
  std::optional<int32_t> find(std::string_view name) const;

 private:
  std::map<std::string, int32_t, std::less<>> numbers_;
};

/// "cat, cow, dog", at most 20.
std::string names_in_words(const ClassNames& names);

}  // namespace lockstep
