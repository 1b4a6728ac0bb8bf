#include "io/archives/zip_names.h"

#include "base/error.h"
#include "base/printable.h"
#include "base/text.h"

namespace diffit::io::detail {

void check_zip_name(std::string_view name, const std::string& where) {
  constexpr std::size_t kLongest = 0xffff;
  DIFFIT_CHECK(!name.empty(), "{}: an entry has an empty name", where);
  DIFFIT_CHECK(name.size() <= kLongest, "{}: an entry has a name of {} bytes, the limit is {}", where,
               name.size(), kLongest);
  DIFFIT_CHECK(name.find('\0') == std::string_view::npos, "{}: the name '{}' contains a NUL byte", where,
               printable(name));
  const bool drive = name.size() >= 2 && name[1] == ':';
  DIFFIT_CHECK(name[0] != '/' && name[0] != '\\' && !drive,
               "{}: the name '{}' is absolute, wanted one relative to the archive", where, printable(name));
  for (std::size_t begin = 0; begin <= name.size();) {
    const std::size_t end = std::min(name.find_first_of("/\\", begin), name.size());
    DIFFIT_CHECK(name.substr(begin, end - begin) != "..", "{}: the name '{}' points outside the archive",
                 where, printable(name));
    begin = end + 1;
  }
}

}  // namespace diffit::io::detail
