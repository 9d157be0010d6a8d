#pragma once

#include <optional>
#include <string>
#include <vector>

#include "io/hdf5/hdf5.h"

namespace lockstep {

/// A field of the elements of a compound data set, such as a column of a table.
struct RecordField {
  std::string name;                        ///< "energy", or "position.x" of a nested one
  size_t offset = 0;                       ///< in the element, in bytes
  hdf5::ElementType type;                  ///< of its numbers
  std::optional<hdf5::NumberType> number;  ///< none if they are not read here: text, nested arrays, ...
  std::vector<int64_t> extents;            ///< of an array field; empty: one number
  int64_t count() const;                   ///< of its numbers
};

/// All fields of a compound type, those of nested ones included, in their order; of a complex number "r" and
/// "i". Empty for other types.
std::vector<RecordField> fields_of(const hdf5::Dataset& dataset);

/// The fields that a config means with "energy", "position.x", "a,b,c", or "position", which is all fields of
/// a nested one. Throws Error(data) if there is none of a name.
std::vector<RecordField> fields_named(const hdf5::Dataset& dataset, const std::string& names);

/// The type of one field of the elements, by its whole name; no identifier if there is none.
hdf5::Id type_of_field(const hdf5::Dataset& dataset, const std::string& name);

/// Throws Error(data) unless fields hold numbers that can be read here.
void require_numbers(const hdf5::Dataset& dataset, const std::vector<RecordField>& fields);

/// "energy (float64), hits (int32[3])"; at most 20, then "and 7 more".
std::string fields_in_words(const std::vector<RecordField>& fields);

/// How a config names fields of the table /t that are numbers: x = "/t.a", or several side by side as
/// x = "/t.a,b"; "" if there are none.
std::string naming_fields(const hdf5::Dataset& dataset, const std::vector<RecordField>& fields);

/// The type of the values of several fields side by side: the one to which NumPy promotes them, except that
/// uint64 beside signed integers becomes int64.
hdf5::ElementType common_type(const std::vector<RecordField>& fields);

/// Whether the elements are complex numbers: compounds of two floats r and i, as h5py writes them, or real
/// and imag, as MATLAB does; or HDF5's own type.
bool is_complex(const hdf5::ElementType& type);

/// What a name stands for: a data set, and the fields of its elements; "": the elements as a whole.
struct RecordName {
  std::string data_set, fields;
};

/// "/table.energy" is the field energy of the elements of /table, unless there is a data set of that name.
RecordName record_name(const hdf5::File& file, const std::string& name);

}  // namespace lockstep
