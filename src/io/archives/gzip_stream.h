// The bytes of a file in order, unpacked if it is gzip.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "base/file.h"

namespace diffit::io {

/// As gunzip reads it, members that follow one another are one content. Bytes after the last one are not
/// read.
class GzipStream {
 public:
  /// Whether the file is gzip is decided by its first bytes. The file must outlive the stream.
  explicit GzipStream(const MappedFile& file);
  ~GzipStream();
  GzipStream(const GzipStream&) = delete;
  GzipStream& operator=(const GzipStream&) = delete;

  bool gzip() const { return inflate_ != nullptr; }
  /// Whether nothing is left to read and all checksums were right. Throws Error(invalid) if a gzip file is
  /// truncated.
  bool at_end();
  /// Bytes of the file that have not been used yet.
  std::size_t left() const { return rest_.size(); }
  /// Copies up to out.size() bytes and returns how many there were. Throws Error(invalid) for damaged data.
  std::size_t read(std::span<std::byte> out);

 private:
  struct Inflate;

  bool next_member();

  std::string path_;
  std::span<const std::byte> rest_;
  bool ended_ = false;
  std::unique_ptr<Inflate> inflate_;  // null for a file that is not gzip
};

}  // namespace diffit::io
