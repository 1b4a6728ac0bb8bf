// Zip archives through libzip: hostile until checked.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"

namespace diffit::io {

/// Reads entries of an archive; safe for concurrent reads (a pool of handles inside, opened as needed).
/// Throws Error(invalid) with archive and entry for anything malformed: bad CRC, truncated data, duplicate
/// names, absolute names or names with "..", encryption, packing other than stored and deflated, an entry
/// that does not begin with its signature. The declared
/// size of an entry is checked against the caller's limit, and against what its packed size can hold, before
/// memory is taken.
class ZipReader {
 public:
  struct Entry {
    std::string name;
    std::uint64_t size = 0;    // uncompressed, as declared
    std::uint64_t packed = 0;  // as stored
  };

  explicit ZipReader(const fs::path& path);
  ~ZipReader();
  ZipReader(ZipReader&&) noexcept;

  const fs::path& path() const;
  /// In archive order; folders (names that end in '/') are left out.
  const std::vector<Entry>& entries() const;
  /// Names of the folders that have entries of their own, without the '/' at their ends; these may be empty.
  const std::vector<std::string>& folders() const;
  /// The index of the entry of that name, or -1.
  std::int64_t find(std::string_view name) const;
  /// The content of entry `index`, at most `limit` bytes.
  std::vector<std::byte> read(std::size_t index, std::uint64_t limit) const;
  /// The first `count` bytes of the content, or all of it where it is shorter; the checksum is not looked at.
  std::vector<std::byte> read_start(std::size_t index, std::uint64_t count) const;
  /// The content in pieces, for entries larger than memory: `sink` is called in order.
  void stream(std::size_t index, const std::function<void(std::span<const std::byte>)>& sink) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Writes a stored (uncompressed) archive, entry by entry, with constant memory for the data; zip64 where
/// needed; the same bytes for the same entries (fixed dates). The archive appears whole at finish(), or not
/// at all. A name that a ZipReader would refuse is Error(invalid).
class ZipWriter {
 public:
  explicit ZipWriter(const fs::path& path);
  ~ZipWriter();

  void add(std::string_view name, std::span<const std::byte> content);
  /// An entry written in pieces: begin, write ..., end. Sizes and CRC go into the headers afterwards.
  void begin(std::string_view name);
  void write(std::span<const std::byte> bytes);
  void end();
  void finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace diffit::io
