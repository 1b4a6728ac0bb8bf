// A folder that is removed at the end.
#pragma once

#include <cstdlib>
#include <string>

#include "base/error.h"
#include "base/file.h"
#include "base/temporary.h"
#include "capi/names.h"

namespace diffit::capi {

class TemporaryFolder {
 public:
  /// In TMPDIR, or /tmp. Throws Error(failed) if it cannot be made.
  TemporaryFolder() {
    std::string name = (scratch_folder() / "diffit-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) fail("{}: a temporary folder cannot be made", name);
    path_ = name;
  }
  ~TemporaryFolder() {
    std::error_code none;
    fs::remove_all(path_, none);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

}  // namespace diffit::capi
