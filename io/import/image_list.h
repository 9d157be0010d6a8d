#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace lockstep {

/// A file that is left out, and why.
struct LeftOut {
  std::string name;    ///< below the folder
  std::string reason;  ///< "its JPEG data is damaged: ..."; of a file of another kind, that kind: ".txt"
};

/// Files that are to be images, and the targets that belong to them.
struct ImageList {
  enum class Targets {
    names,    ///< a class each, by its name
    numbers,  ///< a class each, by its number
    values,   ///< numbers to predict
  };
  std::string folder;
  std::vector<std::string> files;  ///< below the folder
  Targets targets = Targets::names;
  std::vector<int32_t> class_of;         ///< of each file, in `classes`; empty: values
  std::vector<std::string> classes;      ///< names or numbers, in their order
  int64_t values_each = 0;               ///< numbers of a file
  std::vector<float> values;             ///< (files, values_each)
  std::vector<LeftOut> unusable, other;  ///< files named in a table that do not exist; files of other kinds
};

/// Lists a folder with a sub-folder for each class, and in it, at any depth, files whose names say that they
/// are JPEG or PNG. Classes and files are in the order of their names. Throws Error(data) for a folder
/// without such files, and for one that holds parts of a data set rather than classes.
ImageList list_classes(const std::string& folder);

/// Reads a table of comma-separated values (or, if its first line has no comma, tabs or semicolons): a file
/// below `folder`, whose ending may be missing, and its class; or if they are values, one or more numbers.
/// The first line may be a heading. Classes that are all whole numbers from 0 on stay numbers. Throws
/// Error(data) that names the line.
ImageList list_labelled(const std::string& folder, const std::string& table, bool are_values);

/// Whether the name of a file says that it is JPEG or PNG.
bool is_named_as_image(const std::string& name);

}  // namespace lockstep
