#include "base/output_target.h"

#include <unistd.h>

#include <cerrno>

#include "base/error.h"

namespace diffit::base {

namespace {

constexpr int kMostLinks = 40;

/// The number where `path` is a descriptor of this process under /proc, or -1.
int descriptor_of(const fs::path& path) {
  const std::string name = path.filename().string();
  const bool number =
      !name.empty() && name.size() < 9 && name.find_first_not_of("0123456789") == std::string::npos;
  if (!number) return -1;
  std::error_code none;
  const std::string folder = fs::canonical(folder_of(path), none).string();
  const std::string own = fmt::format("/proc/{}/", ::getpid());
  return folder.starts_with(own) && folder.ends_with("/fd") ? std::stoi(name) : -1;
}

}  // namespace

fs::path folder_of(const fs::path& path) {
  return path.has_parent_path() ? path.parent_path() : fs::path(".");
}

int find_output_target(const fs::path& destination, OutputTarget& target) {
  target.path = destination;
  for (int links = 0; links < kMostLinks; ++links) {
    if (target.path.native().find("fd/") != std::string::npos) {
      target.descriptor = descriptor_of(target.path);
      if (target.descriptor >= 0) return 0;
    }
    target.exists = ::lstat(target.path.c_str(), &target.info) == 0;
    if (!target.exists && errno != ENOENT) return errno;
    if (!target.exists || !S_ISLNK(target.info.st_mode)) return 0;
    std::error_code error;
    const fs::path next = fs::read_symlink(target.path, error);
    if (error) return error.value();
    target.path = next.is_absolute() ? next : folder_of(target.path) / next;
  }
  return ELOOP;
}

bool can_be_replaced(const OutputTarget& target) {
  struct stat folder {};
  const uid_t user = ::geteuid();
  if (!target.exists || user == 0 || ::stat(folder_of(target.path).c_str(), &folder) != 0) return true;
  return (folder.st_mode & S_ISVTX) == 0 || user == folder.st_uid || user == target.info.st_uid;
}

}  // namespace diffit::base
