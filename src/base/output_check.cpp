#include "base/output_check.h"

#include <sys/resource.h>
#include <sys/statvfs.h>

#include <cstring>

#include "base/error.h"
#include "base/posix.h"
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
void check_space(const fs::path& folder, const std::string& where, std::uint64_t bytes) {
  struct statvfs info {};
  if (::statvfs(folder.c_str(), &info) == 0 && info.f_blocks > 0) {
    const std::uint64_t blocks = ::geteuid() == 0 ? info.f_bfree : info.f_bavail;
    const std::uint64_t free = blocks * info.f_frsize;
    if (free == 0 || free < bytes) {
      fail("{}: the disk has {} free, but {} needed", where, human_bytes(static_cast<double>(free)),
           bytes > 0 ? human_bytes(static_cast<double>(bytes)) + " are" : std::string("some space is"));
    }
  }
  struct rlimit limit {};
  if (bytes > 0 && ::getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY &&
      limit.rlim_cur < bytes) {
    fail("{}: the file needs {}, but the limit on file sizes is {} (ulimit -f)", where,
         human_bytes(static_cast<double>(bytes)), human_bytes(static_cast<double>(limit.rlim_cur)));
  }
}

/// Makes a file in `folder` that goes away again: permissions alone do not tell (root, read-only disks).
void try_folder(const fs::path& folder, const std::string& where) {
  // A file without a name, where the file system has them: nothing can stay behind.
  if (const int fd = open_file(folder.c_str(), O_TMPFILE | O_WRONLY, 0600); fd >= 0) {
    ::close(fd);
    return;
  }
  const fs::path path = folder / temporary_name();
  const int fd = open_file(path.c_str(), O_CREAT | O_EXCL | O_WRONLY, 0600);
  if (fd < 0) fail("{}: cannot write to the folder {}: {}", where, folder.string(), std::strerror(errno));
  ::close(fd);
  ::unlink(path.c_str());
}

fs::path folder_of(const fs::path& path) {
  return path.has_parent_path() ? path.parent_path() : fs::path(".");
}

}  // namespace

void check_output_file(const fs::path& path, std::string_view option, std::uint64_t bytes) {
  DIFFIT_CHECK(!path.empty(), "{}: wanted a file name, got nothing", option);
  const std::string where = fmt::format("{} {}", option, path.string());
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  DIFFIT_CHECK(!fs::is_directory(status) && path.has_filename(), "{}: wanted a file, got a folder", where);
  // A link that leads nowhere yet: the file appears where it points to.
  if (fs::is_symlink(fs::symlink_status(path, error)) && !fs::exists(status)) {
    const fs::path target = fs::read_symlink(path, error);
    DIFFIT_CHECK(!error, "{}: cannot read the link: {}", where, error.message());
    const fs::path full = folder_of(path) / target;
    DIFFIT_CHECK(!fs::is_symlink(fs::symlink_status(full, error)),
                 "{}: a broken or circular symbolic link; give another name", where);
    return check_output_file(full, option, bytes);
  }
  const fs::path folder = folder_of(path);
  DIFFIT_CHECK(fs::is_directory(folder, error), "{}: the folder {} does not exist", where, folder.string());
  check_name(folder, path.filename().string(), where);
  if (fs::exists(status) && !fs::is_regular_file(status)) {
    DIFFIT_CHECK(!fs::is_socket(status), "{}: wanted a file, got a socket", where);
    if (::access(path.c_str(), W_OK) != 0) fail("{}: cannot write: {}", where, std::strerror(errno));
    return;
  }
  try_folder(folder, where);
  check_space(folder, where, bytes);
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
  try_folder(above, where);
  check_space(above, where, bytes);
}

}  // namespace diffit::base
