#include "base/file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/error.h"

namespace diffit {

namespace {

/// Closes a descriptor at the end of a scope.
struct Descriptor {
  int fd;
  ~Descriptor() {
    if (fd >= 0) ::close(fd);
  }
};

int open_for_reading(const fs::path& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  DIFFIT_CHECK(fd >= 0, "cannot read {}: {}", path.string(), std::strerror(errno));
  return fd;
}

std::uint64_t regular_size(int fd, const fs::path& path) {
  struct stat info {};
  if (::fstat(fd, &info) != 0) fail("cannot read {}: {}", path.string(), std::strerror(errno));
  DIFFIT_CHECK(S_ISREG(info.st_mode), "{}: wanted a file, got a {}", path.string(),
               S_ISDIR(info.st_mode) ? "folder" : "device or pipe");
  return static_cast<std::uint64_t>(info.st_size);
}

template <class Container>
Container read_whole(const fs::path& path, std::uint64_t limit) {
  const Descriptor file{open_for_reading(path)};
  const std::uint64_t size = regular_size(file.fd, path);
  DIFFIT_CHECK(size <= limit, "{}: {} bytes, at most {} wanted here", path.string(), size, limit);
  Container content(size, {});
  std::uint64_t done = 0;
  while (done < size) {
    const ssize_t n = ::read(file.fd, content.data() + done, size - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail("cannot read {}: {}", path.string(), std::strerror(errno));
    if (n == 0) break;
    done += static_cast<std::uint64_t>(n);
  }
  content.resize(done);
  return content;
}

}  // namespace

namespace {

constexpr std::string_view temporary_suffix = ".XXXXXX.tmp";  // X: any letter or digit

}  // namespace

AtomicFile::AtomicFile(fs::path destination) : destination_(std::move(destination)) {
  if (fs::is_directory(destination_)) reject("cannot write {}: it is a folder", destination_.string());
  std::string name = destination_.string().append(temporary_suffix);
  fd_ = ::mkstemps(name.data(), 4);
  if (fd_ < 0) fail("cannot write {}: {}", destination_.string(), std::strerror(errno));
  ::fchmod(fd_, 0644);
  temporary_ = name;
}

AtomicFile::~AtomicFile() {
  if (fd_ >= 0) ::close(fd_);
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

void AtomicFile::write(std::span<const std::byte> bytes) {
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t n = ::write(fd_, bytes.data() + done, bytes.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail("cannot write {}: {}", destination_.string(), std::strerror(errno));
    done += static_cast<std::size_t>(n);
  }
  size_ += bytes.size();
}

void AtomicFile::write(std::string_view text) {
  write(std::as_bytes(std::span(text.data(), text.size())));
}

void AtomicFile::commit() {
  if (::fsync(fd_) != 0) fail("cannot write {}: {}", destination_.string(), std::strerror(errno));
  if (::rename(temporary_.c_str(), destination_.c_str()) != 0) {
    fail("cannot write {}: {}", destination_.string(), std::strerror(errno));
  }
  temporary_.clear();
  const fs::path folder = destination_.has_parent_path() ? destination_.parent_path() : fs::path(".");
  const Descriptor directory{::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (directory.fd >= 0) ::fsync(directory.fd);
}

void remove_temporaries(const fs::path& folder) {
  const auto is_temporary = [](std::string_view name) {
    if (name.size() <= temporary_suffix.size()) return false;
    name.remove_prefix(name.size() - temporary_suffix.size());
    return std::equal(name.begin(), name.end(), temporary_suffix.begin(), [](char got, char wanted) {
      return wanted == 'X' ? std::isalnum(static_cast<unsigned char>(got)) != 0 : got == wanted;
    });
  };
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(folder, none)) {
    if (entry.is_regular_file(none) && is_temporary(entry.path().filename().string())) {
      fs::remove(entry.path(), none);
    }
  }
}

MappedFile::MappedFile(const fs::path& path) : path_(path) {
  const Descriptor file{open_for_reading(path)};
  const std::uint64_t size = regular_size(file.fd, path);
  if (size == 0) return;
  void* address = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.fd, 0);
  if (address == MAP_FAILED) fail("cannot map {}: {}", path.string(), std::strerror(errno));
  bytes_ = {static_cast<const std::byte*>(address), size};
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : path_(std::move(other.path_)), bytes_(std::exchange(other.bytes_, {})) {}

bool MappedFile::holds(std::span<const std::byte> part) const {
  return part.data() >= bytes_.data() && part.data() + part.size() <= bytes_.data() + bytes_.size();
}

void MappedFile::done_with(std::span<const std::byte> part) const {
  if (part.empty() || !holds(part)) return;
  const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  const auto begin = static_cast<std::size_t>(part.data() - bytes_.data());
  const std::size_t first = begin / page * page;  // a page shared with a neighbour is read again, no more
  ::madvise(const_cast<std::byte*>(bytes_.data()) + first, begin + part.size() - first, MADV_DONTNEED);
}

MappedFile::~MappedFile() {
  if (!bytes_.empty()) ::munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
}

std::vector<std::byte> read_file(const fs::path& path, std::uint64_t limit) {
  return read_whole<std::vector<std::byte>>(path, limit);
}

std::string read_text(const fs::path& path, std::uint64_t limit) {
  return read_whole<std::string>(path, limit);
}

void write_file(const fs::path& path, std::string_view text) {
  AtomicFile file(path);
  file.write(text);
  file.commit();
}

}  // namespace diffit
