// AtomicFile, and the removal of what killed processes left behind.
#include <sys/stat.h>

#include <atomic>
#include <cstring>
#include <ctime>
#include <mutex>
#include <set>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "base/lock.h"
#include "base/output_check.h"
#include "base/output_target.h"
#include "base/posix.h"
#include "base/random_access.h"
#include "base/temporary.h"

namespace diffit::base {

namespace {

constexpr std::size_t kBuffer = std::size_t{256} << 10;

std::atomic<bool> stdout_is_output = false;

[[noreturn]] void cannot_write(const fs::path& path, int reason) {
  fail("cannot write {}: {}", path.string(), std::strerror(reason));
}

/// Gives a new file the owner, group and mode of the one that it will replace, as far as they can be given.
void keep_permissions(int fd, const struct stat& old) {
  mode_t mode = old.st_mode & 07777;
  struct stat made {};
  if (::fstat(fd, &made) == 0 && (made.st_gid != old.st_gid || made.st_uid != old.st_uid) &&
      ::fchown(fd, old.st_uid, old.st_gid) != 0 && ::fchown(fd, static_cast<uid_t>(-1), old.st_gid) != 0 &&
      made.st_gid != old.st_gid) {
    // Another group must not be given what the old one had.
    mode = (mode & ~static_cast<mode_t>(06070)) | (mode & mode << 3 & 070);
  }
  if (::fchmod(fd, mode) != 0) return;  // a disk without permissions
}

/// Makes a file for writing in `folder` under a name of our own, and locks it as long as it is open, which
/// tells others that its writer lives. Returns its path; errno is left where `fd` is -1.
fs::path make_temporary(const fs::path& folder, Descriptor& fd) {
  constexpr int kTries = 100;
  for (int i = 0; i < kTries; ++i) {
    fs::path path = folder / temporary_name();
    fd.reset(open_file(path.c_str(), O_RDWR | O_CREAT | O_EXCL));
    if (!fd.valid() && errno == EEXIST) continue;
    if (!fd.valid()) return {};
    struct stat info {};
    if (try_lock(fd.get()) != LockState::busy && ::fstat(fd.get(), &info) == 0 && info.st_nlink > 0)
      return path;
    fd.reset();  // another process took it for a left-over
  }
  errno = EEXIST;
  return {};
}

void sweep_once(const fs::path& folder) {
  static std::mutex mutex;
  static std::set<fs::path> swept;
  {
    const std::lock_guard lock(mutex);
    if (!swept.insert(folder).second) return;
  }
  remove_temporaries(folder);
}

/// The writer of this file has ended: nobody holds its lock. Where locks tell nothing (a disk without them, a
/// file of another machine), a day has passed.
bool is_left_over(const fs::path& path) {
  const Descriptor file(open_file(path.c_str(), O_RDWR | O_NOFOLLOW | O_NONBLOCK));
  struct stat info {};
  if (!file.valid() || ::fstat(file.get(), &info) != 0 || !S_ISREG(info.st_mode)) return false;
  const LockState state = try_lock(file.get());
  if (state == LockState::busy) return false;
  constexpr std::time_t kDay = 24 * 3600;
  return (state == LockState::held && made_since_boot(path.filename().string())) ||
         std::time(nullptr) - info.st_mtime > kDay;
}

}  // namespace

struct AtomicFile::State {
  fs::path destination;
  OutputTarget target;
  bool in_place = false;  // the content is copied into the target at the end
  fs::path temporary;     // in the target's folder; "" where the content waits in `spool`
  Descriptor fd;
  int remembered = -1;
  std::unique_ptr<ScratchFile> spool;
  std::vector<std::byte> buffer;  // written by the caller, not yet by the system

  ~State() { remove_temporary(); }

  void remove_temporary() {
    if (!temporary.empty()) ::unlink(temporary.c_str());
    temporary.clear();
    forget_temporary(std::exchange(remembered, -1));
  }

  void open() {
    if (target.descriptor >= 0) {
      fd.reset();
      in_place = true;
    } else if (target.exists && !S_ISREG(target.info.st_mode)) {
      if (S_ISDIR(target.info.st_mode)) reject("cannot write {}: it is a folder", destination.string());
      in_place = true;
    } else {
      in_place = target.exists && (target.info.st_nlink > 1 || !can_be_replaced(target));
      if (in_place && !may_be_written()) cannot_write(destination, EACCES);
      const fs::path folder = folder_of(target.path);
      sweep_once(folder);
      temporary = make_temporary(folder, fd);
      if (fd.valid()) {
        remembered = remember_temporary(temporary);
        if (target.exists && !in_place) keep_permissions(fd.get(), target.info);
        return;
      }
      const int reason = errno;
      const bool closed_folder = reason == EACCES || reason == EPERM || reason == EROFS;
      if (!closed_folder || !target.exists || !may_be_written()) cannot_write(destination, reason);
      in_place = true;
    }
    spool = std::make_unique<ScratchFile>();
  }

  bool may_be_written() const { return ::faccessat(AT_FDCWD, target.path.c_str(), W_OK, AT_EACCESS) == 0; }

  /// Copies `size` bytes into what is there.
  void copy(std::uint64_t size) {
    const int flags = O_WRONLY | O_NOCTTY;
    const Descriptor out(target.descriptor >= 0
                             ? repeated([&] { return ::fcntl(target.descriptor, F_DUPFD_CLOEXEC, 3); })
                             : open_file(target.path.c_str(), flags));
    if (!out.valid()) cannot_write(destination, errno);
    struct stat into {
    }, standard{};
    if (::fstat(out.get(), &into) == 0 && ::fstat(STDOUT_FILENO, &standard) == 0 && !S_ISCHR(into.st_mode) &&
        into.st_dev == standard.st_dev && into.st_ino == standard.st_ino)
      stdout_is_output = true;
    const bool regular = target.descriptor < 0 && S_ISREG(target.info.st_mode);
    if (regular) {  // a full disk is found before the old content is touched
      const auto wanted = static_cast<off_t>(std::max<std::uint64_t>(size, 1));
      const bool refused = repeated([&] { return ::fallocate(out.get(), 0, 0, wanted); }) != 0;
      if (refused && (errno == ENOSPC || errno == EFBIG || errno == EDQUOT)) cannot_write(destination, errno);
    }
    std::vector<std::byte> piece(1 << 20);
    for (std::uint64_t done = 0; done < size;) {
      const auto part = std::span(piece).first(
          static_cast<std::size_t>(std::min<std::uint64_t>(piece.size(), size - done)));
      read(done, part);
      if (const int reason = write_all(out.get(), part); reason != 0) cannot_write(destination, reason);
      done += part.size();
    }
    if (!regular) return;
    if (repeated([&] { return ::ftruncate(out.get(), static_cast<off_t>(size)); }) != 0 ||
        repeated([&] { return ::fsync(out.get()); }) != 0) {
      cannot_write(destination, errno);
    }
  }

  void write(std::span<const std::byte> bytes) {
    if (buffer.size() + bytes.size() > kBuffer) flush();
    if (bytes.size() > kBuffer) return write_now(bytes);
    buffer.insert(buffer.end(), bytes.begin(), bytes.end());
  }

  void flush() {
    write_now(buffer);
    buffer.clear();
  }

  void write_now(std::span<const std::byte> bytes) {
    if (bytes.empty()) return;
    if (spool) return spool->write(bytes);
    if (const int reason = write_all(fd.get(), bytes); reason != 0) cannot_write(destination, reason);
  }

  void read(std::uint64_t offset, std::span<std::byte> out) const {
    if (spool) return spool->read(offset, out);
    while (!out.empty()) {
      const ssize_t n =
          repeated([&] { return ::pread(fd.get(), out.data(), out.size(), static_cast<off_t>(offset)); });
      if (n <= 0) cannot_write(destination, n < 0 ? errno : EIO);
      offset += static_cast<std::uint64_t>(n);
      out = out.subspan(static_cast<std::size_t>(n));
    }
  }
};

AtomicFile::AtomicFile(const fs::path& destination) : state_(std::make_unique<State>()) {
  state_->destination = destination;
  const int reason = find_output_target(destination, state_->target);
  if (reason != 0) cannot_write(destination, reason);
  state_->open();
}

AtomicFile::~AtomicFile() = default;

void AtomicFile::write(std::span<const std::byte> bytes) {
  state_->write(bytes);
  size_ += bytes.size();
}

void AtomicFile::write(std::string_view text) {
  write(std::as_bytes(std::span(text.data(), text.size())));
}

void AtomicFile::overwrite(std::uint64_t offset, std::string_view text) {
  const auto bytes = std::as_bytes(std::span(text.data(), text.size()));
  state_->flush();
  if (state_->spool) {
    state_->spool->overwrite(offset, bytes);
  } else if (const int reason = write_all(state_->fd.get(), bytes, static_cast<off_t>(offset)); reason != 0) {
    cannot_write(state_->destination, reason);
  }
}

void AtomicFile::commit() {
  State& s = *state_;
  MappedFile::check_all();
  s.flush();
  if (!s.in_place) {
    if (repeated([&] { return ::fsync(s.fd.get()); }) != 0) cannot_write(s.destination, errno);
    if (repeated([&] { return ::rename(s.temporary.c_str(), s.target.path.c_str()); }) == 0) {
      s.temporary.clear();
      forget_temporary(std::exchange(s.remembered, -1));
      const Descriptor folder(open_file(folder_of(s.target.path).c_str(), O_RDONLY | O_DIRECTORY));
      if (folder.valid()) repeated([&] { return ::fsync(folder.get()); });
      return;
    }
    // A mount point, or a file that its folder protects.
    const bool stays = errno == EBUSY || errno == EPERM || errno == EACCES;
    if (!stays || !s.target.exists) cannot_write(s.destination, errno);
  }
  s.copy(size_);
  s.remove_temporary();
}

bool stdout_holds_output() {
  return stdout_is_output;
}

void remove_temporaries(const fs::path& folder) {
  std::error_code none;
  for (fs::directory_iterator entry(folder, none), end; !none && entry != end; entry.increment(none)) {
    const fs::path& path = entry->path();
    if (is_temporary_name(path.filename().native()) && is_left_over(path)) fs::remove(path, none);
  }
}

}  // namespace diffit::base
