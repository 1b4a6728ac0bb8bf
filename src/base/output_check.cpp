#include "base/output_check.h"

#include <sys/resource.h>
#include <sys/statvfs.h>

#include <cstring>

#include "base/error.h"
#include "base/output_target.h"
#include "base/posix.h"
#include "base/random_access.h"
#include "base/temporary.h"
#include "base/text.h"

namespace diffit::base {

namespace {

/// Longest name of a file in `folder`.
std::size_t longest_name(const fs::path& folder) {
  const long most = ::pathconf(folder.c_str(), _PC_NAME_MAX);
  return most > 0 ? static_cast<std::size_t>(most) : 255;
}

void check_name(const fs::path& folder, const std::string& name, const std::string& where) {
  const std::size_t most = longest_name(folder);
  DIFFIT_CHECK(name.size() <= most, "{}: the file name has {} bytes, but this file system allows at most {}",
               where, name.size(), most);
}

/// Free space is asked for only where the file system tells it.
void check_free(const fs::path& folder, const std::string& where, std::uint64_t bytes) {
  struct statvfs info {};
  if (::statvfs(folder.c_str(), &info) == 0 && info.f_blocks > 0) {
    const std::uint64_t blocks = ::geteuid() == 0 ? info.f_bfree : info.f_bavail;
    const std::uint64_t free = blocks * info.f_frsize;
    if (free == 0 || free < bytes) {
      fail("{}: the disk has {} free, but {} needed", where, human_bytes(static_cast<double>(free)),
           bytes > 0 ? human_bytes(static_cast<double>(bytes)) + " are" : std::string("some space is"));
    }
  }
}

void check_limit(const std::string& where, std::uint64_t bytes) {
  struct rlimit limit {};
  if (bytes > 0 && ::getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY &&
      limit.rlim_cur < bytes) {
    fail("{}: the file needs {}, but the limit on file sizes is {} (ulimit -f)", where,
         human_bytes(static_cast<double>(bytes)), human_bytes(static_cast<double>(limit.rlim_cur)));
  }
}

/// Makes a file in `folder` that goes away again: permissions alone do not tell (root, read-only disks). 0,
/// or the errno of the refusal.
int try_folder(const fs::path& folder) {
  // A file without a name, where the file system has them: nothing can stay behind.
  if (const Descriptor file(open_file(folder.c_str(), O_TMPFILE | O_WRONLY, 0600)); file.valid()) return 0;
  const fs::path path = folder / temporary_name();
  const Descriptor file(open_file(path.c_str(), O_CREAT | O_EXCL | O_WRONLY, 0600));
  if (!file.valid()) return errno;
  ::unlink(path.c_str());
  return 0;
}

[[noreturn]] void closed_folder(const fs::path& folder, const std::string& where, int reason) {
  fail("{}: cannot write to the folder {}: {}", where, folder.string(), std::strerror(reason));
}

/// A descriptor of this process, a device or a pipe: the content waits in a temporary file.
void check_stream(const OutputTarget& target, const std::string& where) {
  if (target.descriptor >= 0) {
    const int flags = ::fcntl(target.descriptor, F_GETFL);
    if (flags < 0 || (flags & O_ACCMODE) == O_RDONLY) fail("{}: not open for writing", where);
  } else if (::faccessat(AT_FDCWD, target.path.c_str(), W_OK, AT_EACCESS) != 0) {
    fail("{}: cannot write: {}", where, std::strerror(errno));
  }
  const ScratchFile room;
}

/// A file that is replaced, or written where it is if it cannot be replaced.
void check_existing_file(const OutputTarget& target, const fs::path& folder, const std::string& where) {
  const Descriptor file(open_file(target.path.c_str(), O_WRONLY | O_NONBLOCK | O_NOCTTY));
  const int reason = file.valid() ? 0 : errno;
  // An attribute such as "immutable", or a disk mounted for reading.
  if (reason == EPERM || reason == EROFS) fail("{}: cannot write: {}", where, std::strerror(reason));
  if (const int closed = try_folder(folder); closed != 0) {
    if (reason != 0 || (closed != EACCES && closed != EPERM && closed != EROFS))
      closed_folder(folder, where, closed);
    const ScratchFile room;
  } else if (reason != 0 && !can_be_replaced(target)) {
    fail("{}: the file belongs to another user and cannot be replaced in this folder; give another name",
         where);
  } else if (reason != 0 && target.info.st_nlink > 1) {
    fail("{}: cannot write: {}; the file has several names (hard links), so it is not replaced", where,
         std::strerror(reason));
  }
}

}  // namespace

void check_output_file(const fs::path& path, std::string_view option, std::uint64_t bytes) {
  DIFFIT_CHECK(!path.empty(), "{}: wanted a file name, got nothing", option);
  const std::string where = fmt::format("{} {}", option, path.string());
  std::error_code error;
  DIFFIT_CHECK(!fs::is_directory(path, error) && path.has_filename(), "{}: wanted a file, got a folder",
               where);
  OutputTarget target;
  const int reason = find_output_target(path, target);
  DIFFIT_CHECK(reason != ELOOP, "{}: a broken or circular symbolic link; give another name", where);
  if (target.descriptor >= 0) return check_stream(target, where);
  const fs::path folder = folder_of(target.path);
  DIFFIT_CHECK(fs::is_directory(folder, error), "{}: the folder {} does not exist", where, folder.string());
  check_name(folder, target.path.filename().string(), where);
  if (reason != 0) fail("{}: cannot write: {}", where, std::strerror(reason));
  if (target.exists && !S_ISREG(target.info.st_mode)) {
    DIFFIT_CHECK(!S_ISSOCK(target.info.st_mode), "{}: wanted a file, got a socket", where);
    return check_stream(target, where);
  }
  if (target.exists) {
    check_existing_file(target, folder, where);
  } else if (const int closed = try_folder(folder); closed != 0) {
    closed_folder(folder, where, closed);
  }
  check_free(folder, where, bytes);
  check_limit(where, bytes);
}

void check_output_folder(const fs::path& path, std::string_view option, std::uint64_t bytes) {
  DIFFIT_CHECK(!path.empty(), "{}: wanted a folder name, got nothing", option);
  const std::string where = fmt::format("{} {}", option, path.string());
  std::error_code error;
  // The nearest folder above that is there; what is missing below it will be made.
  fs::path above = path.has_filename() ? path : path.parent_path();
  std::vector<std::string> missing;
  while (!above.empty() && !fs::exists(fs::symlink_status(above, error))) {
    DIFFIT_CHECK(!error || error == std::errc::no_such_file_or_directory ||
                     error == std::errc::filename_too_long || error == std::errc::not_a_directory,
                 "{}: {}: {}", where, above.string(), error.message());
    missing.push_back(above.filename().string());
    const fs::path next = above.parent_path();
    if (next == above) break;
    above = next;
  }
  if (above.empty()) above = ".";
  DIFFIT_CHECK(fs::is_directory(above, error), "{}: wanted a folder, {} is {}", where, above.string(),
               fs::exists(above, error) ? "a file" : "a broken symbolic link");
  for (const std::string& name : missing) check_name(above, name, where);
  if (const int closed = try_folder(above); closed != 0) closed_folder(above, where, closed);
  check_free(above, where, bytes);
}

}  // namespace diffit::base
