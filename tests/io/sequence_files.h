#pragma once

#include <string>
#include <vector>

#include "tests/io/text_files.h"

namespace lockstep {

/// Appends a data set of sequences of variable length to a file. item: the type of their elements.
template <typename T>
void put_sequences(const std::string& path, const std::string& name, std::vector<std::vector<T>> sequences,
                   hid_t item, const hdf5::Storage& storage = {}) {
  const hdf5::Id type(H5Tvlen_create(item));
  std::vector<hvl_t> elements;
  for (auto& sequence : sequences) elements.push_back({sequence.size(), sequence.data()});
  put_elements(path, name, {static_cast<int64_t>(sequences.size())}, type.get(), elements.data(), storage);
}

}  // namespace lockstep
