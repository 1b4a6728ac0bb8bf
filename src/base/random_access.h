// Parts of files that are larger than memory, read where they lie. Unlike a mapping, what was read does not
// count as this process's memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/file.h"

namespace diffit::base {

/// A regular file opened for reading. Error(invalid) where it cannot be; a fifo or a device is refused at
/// once. Any number of threads may read at a time.
class RandomAccessFile {
 public:
  explicit RandomAccessFile(fs::path path);
  ~RandomAccessFile();
  RandomAccessFile(const RandomAccessFile&) = delete;
  RandomAccessFile& operator=(const RandomAccessFile&) = delete;

  /// Fills `out` from `offset` on; Error(failed) where the file ends before.
  void read(std::uint64_t offset, std::span<std::byte> out) const;

 private:
  fs::path path_;
  int fd_ = -1;
};

/// A file without a name in the system's folder for temporary files (TMPDIR), gone with the object, however
/// the process ends. Throws Error(failed) where there is no room for it.
class ScratchFile {
 public:
  ScratchFile();
  ~ScratchFile();
  ScratchFile(const ScratchFile&) = delete;
  ScratchFile& operator=(const ScratchFile&) = delete;

  /// At the end.
  void write(std::span<const std::byte> bytes);
  /// Replaces bytes that have been written.
  void overwrite(std::uint64_t offset, std::span<const std::byte> bytes);
  /// As RandomAccessFile::read.
  void read(std::uint64_t offset, std::span<std::byte> out) const;

 private:
  fs::path folder_;
  int fd_ = -1;
  std::uint64_t size_ = 0;
};

}  // namespace diffit::base
