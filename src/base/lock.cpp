#include "base/lock.h"

#include <sys/file.h>
#include <sys/stat.h>

#include <cstring>

#include "base/error.h"
#include "base/posix.h"

namespace diffit::base {

LockState try_lock(int fd, int* reason) {
  if (repeated([&] { return ::flock(fd, LOCK_EX | LOCK_NB); }) == 0) return LockState::held;
  if (errno == EWOULDBLOCK || errno == EAGAIN) return LockState::busy;
  if (reason != nullptr) *reason = errno;  // EBADF, ENOSYS, ENOLCK, EOPNOTSUPP: NFS, Lustre, FUSE
  return LockState::unsupported;
}

namespace {

/// Whether `path` still names the open file: its last owner removes it.
bool still_named(int fd, const fs::path& path) {
  struct stat open {};
  struct stat named {};
  return ::fstat(fd, &open) == 0 && ::stat(path.c_str(), &named) == 0 && open.st_ino == named.st_ino &&
         open.st_dev == named.st_dev;
}

}  // namespace

FileLock::FileLock(fs::path path) : path_(std::move(path)) {
  while (true) {
    fd_ = open_file(path_.c_str(), O_RDWR | O_CREAT);
    if (fd_ < 0) fail("cannot lock {}: {}", path_.string(), std::strerror(errno));
    state_ = try_lock(fd_, &reason_);
    if (state_ != LockState::held || still_named(fd_, path_)) return;
    ::close(fd_);
  }
}

FileLock::~FileLock() {
  if (state_ != LockState::busy) ::unlink(path_.c_str());
  ::close(fd_);
}

std::string FileLock::warning() const {
  if (state_ != LockState::unsupported) return {};
  return fmt::format(
      "{}: this file system does not support file locks ({}): make sure that no other process uses the same "
      "folder",
      path_.parent_path().string(), std::strerror(reason_));
}

}  // namespace diffit::base
