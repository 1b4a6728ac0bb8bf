#include "base/random_access.h"

#include <stdlib.h>

#include <cstring>
#include <string>

#include "base/error.h"
#include "base/open_input.h"
#include "base/posix.h"
#include "base/temporary.h"

namespace diffit::base {

namespace {

void read_all(int fd, std::uint64_t offset, std::span<std::byte> out, const fs::path& path) {
  while (!out.empty()) {
    const ssize_t count =
        repeated([&] { return ::pread(fd, out.data(), out.size(), static_cast<off_t>(offset)); });
    if (count < 0) fail("{}: cannot read: {}", path.string(), std::strerror(errno));
    if (count == 0)
      fail("{}: ends after {} bytes; was it changed while it was being read?", path.string(), offset);
    offset += static_cast<std::uint64_t>(count);
    out = out.subspan(static_cast<std::size_t>(count));
  }
}

}  // namespace

RandomAccessFile::RandomAccessFile(fs::path path) : path_(std::move(path)), fd_(open_input(path_)) {}

RandomAccessFile::~RandomAccessFile() {
  ::close(fd_);
}

void RandomAccessFile::read(std::uint64_t offset, std::span<std::byte> out) const {
  read_all(fd_, offset, out, path_);
}

ScratchFile::ScratchFile() : folder_(scratch_folder()) {
  std::string name = (folder_ / "diffit-XXXXXX").string();
  fd_ = repeated([&] { return ::mkostemp(name.data(), O_CLOEXEC); });
  if (fd_ < 0) {
    fail("{}: cannot create a temporary file: {}; set TMPDIR to another folder", folder_.string(),
         std::strerror(errno));
  }
  ::unlink(name.c_str());
}

ScratchFile::~ScratchFile() {
  ::close(fd_);
}

void ScratchFile::write(std::span<const std::byte> bytes) {
  overwrite(size_, bytes);
  size_ += bytes.size();
}

void ScratchFile::overwrite(std::uint64_t offset, std::span<const std::byte> bytes) {
  if (const int reason = write_all(fd_, bytes, static_cast<off_t>(offset)); reason != 0) {
    fail("{}: cannot extend a temporary file beyond {} bytes: {}; set TMPDIR to another folder",
         folder_.string(), size_, std::strerror(reason));
  }
}

void ScratchFile::read(std::uint64_t offset, std::span<std::byte> out) const {
  read_all(fd_, offset, out, folder_);
}

}  // namespace diffit::base
