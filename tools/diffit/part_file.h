// An output that takes long, while it is made: rows that are kept when a run is interrupted, and the request
// that they belong to.
#pragma once

#include <cstddef>
#include <functional>
#include <span>

#include "base/file.h"
#include "io/fields.h"

namespace diffit {

/// Which file it was: size and time of change, so that a request notices another one under the same name.
std::string file_stamp(const fs::path& path);

/// Error(invalid) where `stated`, read from the file `where`, is another request than `wanted`: it names what
/// differs, and --restart.
void check_same_request(const Json& stated, const Json& wanted, const fs::path& where);

/// PATH.part holds rows of equal size, PATH.part.json the request. Only one process at a time may have them
/// open. Left alone, they stay for the next run, unless there is no row.
class PartFile {
 public:
  /// Goes on with what is there for the same request; `restart` begins again. Error(invalid) for another
  /// request, Error(failed) where it cannot be written or is open elsewhere.
  PartFile(fs::path path, const Json& request, std::uint64_t row_bytes, bool restart);
  ~PartFile();
  PartFile(const PartFile&) = delete;
  PartFile& operator=(const PartFile&) = delete;

  /// Whole rows that are there.
  std::int64_t rows() const { return rows_; }
  /// Forgets rows from `rows` on.
  void truncate(std::int64_t rows);
  /// Adds whole rows, and waits until they are on the disk.
  void append(std::span<const std::byte> rows);
  /// All rows in order, in pieces: memory does not grow with them.
  void read(const std::function<void(std::span<const std::byte>)>& sink) const;
  MappedFile map() const { return MappedFile(rows_path_); }
  /// Both files are no longer wanted.
  void remove();

 private:
  fs::path rows_path_, request_path_;
  std::uint64_t row_bytes_;
  std::int64_t rows_ = 0;
  int fd_ = -1;
};

}  // namespace diffit
