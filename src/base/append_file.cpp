#include "base/append_file.h"

#include <sys/stat.h>

#include <cstring>

#include "base/error.h"
#include "base/posix.h"

namespace diffit::base {

AppendFile::AppendFile(fs::path path, bool fresh)
    : path_(std::move(path)),
      // A pipe without a reader is an error, and is not waited for.
      fd_(open_file(path_.c_str(),
                    O_WRONLY | O_CREAT | O_APPEND | O_NOCTTY | O_NONBLOCK | (fresh ? O_EXCL : 0))) {
  if (fd_ < 0 && !(fresh && errno == EEXIST))
    fail("cannot write {}: {}", path_.string(), std::strerror(errno));
}

AppendFile::~AppendFile() {
  if (fd_ >= 0) ::close(fd_);
}

int AppendFile::append(std::string_view record) {
  struct stat info {};
  const bool regular = ::fstat(fd_, &info) == 0 && S_ISREG(info.st_mode);
  const int reason = write_all(fd_, record);
  if (reason != 0 && regular && repeated([&] { return ::ftruncate(fd_, info.st_size); }) != 0) return reason;
  return reason;
}

int AppendFile::sync() {
  const int reason = repeated([&] { return ::fdatasync(fd_); }) == 0 ? 0 : errno;
  return reason == EINVAL || reason == EROFS ? 0 : reason;  // a pipe or a device
}

}  // namespace diffit::base
