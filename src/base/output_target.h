// Where the bytes of an output go. Included by .cpp files only.
#pragma once

#include <sys/stat.h>

#include "base/file.h"

namespace diffit::base {

/// What the name of an output leads to.
struct OutputTarget {
  fs::path path;        // no link
  int descriptor = -1;  // of this process, where the name is one: /dev/stdout, /proc/self/fd/1
  bool exists = false;
  struct stat info {};  // where it exists
};

/// The folder that holds `path`, "." for a name alone.
fs::path folder_of(const fs::path& path);

/// Follows links; the last one may dangle. 0, or the errno of what stopped it, `target.path` being where.
int find_output_target(const fs::path& destination, OutputTarget& target);

/// False where another user's file lies in a sticky folder (/tmp), so that no file can be renamed onto it.
bool can_be_replaced(const OutputTarget& target);

}  // namespace diffit::base
