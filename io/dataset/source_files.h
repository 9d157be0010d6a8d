#pragma once

#include <string>
#include <vector>

namespace lockstep {

/// The files that are meant by names, some of which may be patterns with *, ? or [...] (glob(7)): those that
/// match, in their natural order, in which "part9" is before "part10". A file with just that name is not a
/// pattern. Throws Error(data) for a pattern that matches no file.
std::vector<std::string> matching_files(const std::vector<std::string>& names);

/// Natural order: numbers in names are compared as numbers, so that "part9" is before "part10".
bool is_naturally_before(const std::string& left, const std::string& right);

}  // namespace lockstep
