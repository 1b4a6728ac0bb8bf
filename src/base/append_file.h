// Records that grow line by line.
#pragma once

#include "base/file.h"

namespace diffit::base {

/// A file that grows by whole records, each written when it is given: a killed process loses none. Where a
/// record cannot be written whole (a full disk), the file is cut back to the records before it.
class AppendFile {
 public:
  /// At the end of a file that is there, or a new one. With `fresh` it must not be there yet. Error(failed)
  /// where it cannot be opened; with `fresh`, false from opened() where one of that name is there.
  explicit AppendFile(fs::path path, bool fresh = false);
  ~AppendFile();
  AppendFile(const AppendFile&) = delete;
  AppendFile& operator=(const AppendFile&) = delete;

  const fs::path& path() const { return path_; }
  bool opened() const { return fd_ >= 0; }
  /// 0, or the errno of what failed. Does not throw: records must not end the work that they are of.
  int append(std::string_view record);
  /// Waits until everything is on the disk; 0 or errno.
  int sync();

 private:
  fs::path path_;
  int fd_ = -1;
};

}  // namespace diffit::base
