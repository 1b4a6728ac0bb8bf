// Locks between processes, as far as the disk has them.
#pragma once

#include "base/file.h"

namespace diffit::base {

enum class LockState {
  held,         // this process has it
  busy,         // another one has it
  unsupported,  // this disk has no locks: nobody can tell
};

/// Tries to take an exclusive lock (flock) on an open file, without waiting. Over NFS the descriptor must be
/// open for writing. `reason`, if given, receives the errno of an unsupported lock.
LockState try_lock(int fd, int* reason = nullptr);

/// An exclusive lock on a file that serves for nothing else. The file is made where it is missing, and
/// removed when the lock is given up; the system gives it up when the process ends, however it ends. Two
/// locks on one file exclude each other within one process too.
///
///   const FileLock lock(FileLock::path_in(folder));
///   DIFFIT_CHECK(!lock.busy(), "{}: another process is writing there", folder.string());
///   if (!lock.warning().empty()) warn(lock.warning());
class FileLock {
 public:
  /// Error(failed) where the file cannot be made.
  explicit FileLock(fs::path path);
  ~FileLock();
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;

  /// The lock file of a whole folder: a hidden name in it.
  static fs::path path_in(const fs::path& folder) { return folder / ".diffit.lock"; }

  LockState state() const { return state_; }
  bool held() const { return state_ == LockState::held; }
  bool busy() const { return state_ == LockState::busy; }
  /// A sentence for the user where the disk has no locks, "" otherwise: work goes on without one.
  std::string warning() const;

 private:
  fs::path path_;
  int fd_ = -1, reason_ = 0;
  LockState state_ = LockState::unsupported;
};

}  // namespace diffit::base
