// Files: whole writes, mapped reads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace diffit {

namespace fs = std::filesystem;

/// A file that appears whole or not at all: written beside its destination under a temporary name, then
/// fsync and rename (the folder is synced too). Destroyed without commit(), it leaves nothing behind.
/// Every method throws Error(failed) with path and reason.
class AtomicFile {
 public:
  explicit AtomicFile(fs::path destination);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(std::span<const std::byte> bytes);
  void write(std::string_view text);
  /// Bytes written so far.
  std::uint64_t size() const { return size_; }
  /// The temporary path, for libraries that write by name. Such a writer must have closed it before commit().
  const fs::path& temporary() const { return temporary_; }
  void commit();

 private:
  fs::path destination_, temporary_;
  int fd_ = -1;
  std::uint64_t size_ = 0;
};

/// Removes what AtomicFiles of killed processes left in `folder`. Nobody else may be writing there.
void remove_temporaries(const fs::path& folder);

/// A file mapped for reading. Empty files are allowed. Throws Error(invalid) where it cannot be opened.
class MappedFile {
 public:
  explicit MappedFile(const fs::path& path);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&&) = delete;
  MappedFile(const MappedFile&) = delete;

  std::span<const std::byte> bytes() const { return bytes_; }
  /// True where `part` lies in bytes().
  bool holds(std::span<const std::byte> part) const;
  /// `part` of bytes() will not be read soon: its pages leave this process's memory, and come back when read.
  void done_with(std::span<const std::byte> part) const;
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
  std::span<const std::byte> bytes_;
};

/// Reads a whole file of at most `limit` bytes; a larger one is Error(invalid), before memory is taken.
std::vector<std::byte> read_file(const fs::path& path, std::uint64_t limit);
std::string read_text(const fs::path& path, std::uint64_t limit);

/// Writes a whole file through AtomicFile.
void write_file(const fs::path& path, std::string_view text);

}  // namespace diffit
