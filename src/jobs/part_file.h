// An output that takes long, while it is made: rows that are kept when a run is interrupted, and the request
// that they belong to.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "base/file.h"
#include "base/lock.h"
#include "config/fields.h"

namespace diffit::jobs {

/// Which file it was: its size and the CRC-32 of its bytes, so that a request notices another file under the
/// same name.
std::string file_stamp(const fs::path& path);
/// What versions before this one wrote instead: size and time of change.
std::string earlier_file_stamp(const fs::path& path);

/// "steps: 2 there, 400 here": the first key in which `there` and `here` differ.
std::optional<std::string> first_difference(const Json& there, const Json& here);

/// Error(invalid) where `stated`, read from the file `where`, is another request than `wanted`: it names what
/// differs, and --restart.
void check_same_request(const Json& stated, const Json& wanted, const fs::path& where);

/// PATH.part holds rows of equal size, PATH.part.crc the CRC-32 of each row, PATH.part.json the request. Only
/// one process at a time may have them open. Left alone, they stay for the next run, unless there is no row.
class PartFile {
 public:
  /// Goes on with what is there for the same request; `restart` begins again. Rows from the first one on that
  /// does not fit its checksum are forgotten. Error(invalid) for another request, Error(failed) where it
  /// cannot be written or is open elsewhere. `earlier` is the request as versions without checksums wrote it:
  /// their rows are forgotten too.
  PartFile(const fs::path& path, const Json& request, const Json& earlier, std::uint64_t row_bytes,
           bool restart);
  ~PartFile();
  PartFile(const PartFile&) = delete;
  PartFile& operator=(const PartFile&) = delete;

  /// Whole rows that are there.
  std::int64_t rows() const { return static_cast<std::int64_t>(sums_.size()); }
  /// Forgets rows from `rows` on.
  void truncate(std::int64_t rows);
  /// Adds whole rows, and waits until they are on the disk.
  void append(std::span<const std::byte> rows);
  /// All rows in order, in pieces of whole rows: memory does not grow with their number. Error(failed) where
  /// a row does not fit its checksum.
  void read(const std::function<void(std::span<const std::byte>)>& sink) const;
  /// All rows, checked as read() does.
  MappedFile map() const;
  /// The files are no longer wanted.
  void remove();
  /// A sentence for the user where the disk has no locks, "" otherwise.
  std::string warning() const { return lock_.warning(); }

 private:
  std::int64_t piece_rows() const;

  fs::path rows_path_, sums_path_, request_path_;
  FileLock lock_;
  std::uint64_t row_bytes_;
  std::vector<std::uint32_t> sums_;
  int rows_fd_ = -1, sums_fd_ = -1;
};

}  // namespace diffit::jobs
