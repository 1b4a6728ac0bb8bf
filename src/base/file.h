// Files: whole writes, mapped reads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/layers.h"

namespace diffit::base {

namespace fs = std::filesystem;

/// A file that appears whole or not at all: written under a temporary name in its destination's folder, then
/// fsync and rename (the folder is synced too). Destroyed without commit(), it leaves nothing behind.
/// - A new file's permissions are up to the umask; one that exists keeps its mode, group and owner if they
/// can be kept.
/// - A link is followed, also one that dangles; its target is replaced.
/// - What cannot be replaced without ceasing to be what it is (a device, a fifo, an open descriptor such as
///   /dev/stdout, a file with several hard links, a file in a folder that cannot be written) gets the whole
///   content at commit(), written into it.
/// Every method throws Error(failed) with path and reason.
class AtomicFile {
 public:
  explicit AtomicFile(const fs::path& destination);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(std::span<const std::byte> bytes);
  void write(std::string_view text);
  /// Replaces bytes that have been written, from `offset` on.
  void overwrite(std::uint64_t offset, std::string_view bytes);
  /// Bytes written so far.
  std::uint64_t size() const { return size_; }
  /// Error(failed) also where an input that is mapped was cut while it was read (MappedFile): nothing made of
  /// it is kept.
  void commit();

 private:
  struct State;
  std::unique_ptr<State> state_;
  std::uint64_t size_ = 0;
};

/// Removes what AtomicFiles of processes that have ended left in `folder`: names that this program made, and
/// that no living process holds. AtomicFile does this by itself, once for each folder.
void remove_temporaries(const fs::path& folder);

/// Removes the temporary files that this process has open now. For signal handlers: async-signal-safe. The
/// process must end after it.
void remove_open_temporaries() noexcept;

/// A file mapped for reading. Empty files are allowed. Throws Error(invalid) where it cannot be opened or is
/// no regular file; a fifo or a device is refused at once.
///
/// Another process may cut the file meanwhile. Reading beyond its new end then gives zeros instead of the
/// signal SIGBUS (a handler for it is installed with the first mapping), and the mapping is known as damaged:
/// check_all() and AtomicFile::commit() throw, so that nothing made of it is kept or printed.
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
  /// Error(failed) where a file that is mapped, or was since the last call, has been cut.
  static void check_all();

 private:
  fs::path path_;
  std::span<const std::byte> bytes_;
};

/// Reads a whole file of at most `limit` bytes; a larger one is Error(invalid), before memory is taken.
std::vector<std::byte> read_file(const fs::path& path, std::uint64_t limit);
std::string read_text(const fs::path& path, std::uint64_t limit);

/// Writes a whole file through AtomicFile.
void write_file(const fs::path& path, std::string_view text);

}  // namespace diffit::base
