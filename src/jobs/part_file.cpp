#include "jobs/part_file.h"

#include <sys/stat.h>
#include <zlib.h>

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "base/lock.h"
#include "base/posix.h"
#include "config/json_text.h"

namespace diffit::jobs {

namespace {

constexpr std::uint64_t kLargestRequest = std::uint64_t{1} << 32;

std::string shortened(const Json& value) {
  const std::string text = json_text(value);
  return text.size() <= 60 ? text : text.substr(0, 57) + "...";
}

std::uint32_t crc_of(std::span<const std::byte> bytes, std::uint32_t before = 0) {
  return static_cast<std::uint32_t>(
      crc32_z(before, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()));
}

/// `path` with a suffix; a name that would be too long for the file system is cut, and told apart by its
/// checksum. The room left is for the names of temporary files.
fs::path beside(const fs::path& path, const char* suffix) {
  constexpr std::size_t kLongest = 255 - 32;
  const std::string name = path.filename().string();
  if (name.size() + 16 <= kLongest) return path.string() + suffix;
  const std::string cut = fmt::format("{}-{:08x}", name.substr(0, kLongest - 32),
                                      crc_of(std::as_bytes(std::span(name.data(), name.size()))));
  return path.parent_path() / (cut + suffix);
}

int open_part(const fs::path& path) {
  const int fd = open_file(path.c_str(), O_RDWR | O_CREAT | O_NOCTTY);
  if (fd < 0) fail("cannot write {}: {}", path.string(), std::strerror(errno));
  return fd;
}

void write_at(int fd, std::span<const std::byte> bytes, std::uint64_t at, const fs::path& path) {
  int reason = write_all(fd, bytes, static_cast<off_t>(at));
  if (reason == 0 && repeated([fd] { return ::fdatasync(fd); }) != 0) reason = errno;
  if (reason != 0) fail("cannot write {}: {}", path.string(), std::strerror(reason));
}

void read_at(int fd, std::span<std::byte> bytes, std::uint64_t at, const fs::path& path) {
  for (std::size_t done = 0; done < bytes.size();) {
    const ssize_t n = repeated(
        [&] { return ::pread(fd, bytes.data() + done, bytes.size() - done, static_cast<off_t>(at + done)); });
    if (n <= 0)
      fail("cannot read {}: {}", path.string(), n < 0 ? std::strerror(errno) : "the file was truncated");
    done += static_cast<std::size_t>(n);
  }
}

}  // namespace

std::string file_stamp(const fs::path& path) {
  const Descriptor file(open_file(path.c_str(), O_RDONLY));
  if (!file.valid()) fail("cannot read {}: {}", path.string(), std::strerror(errno));
  std::vector<std::byte> piece(1 << 20);
  std::uint64_t size = 0;
  std::uint32_t crc = 0;
  while (true) {
    const ssize_t n = repeated([&] { return ::read(file.get(), piece.data(), piece.size()); });
    if (n < 0) fail("cannot read {}: {}", path.string(), std::strerror(errno));
    if (n == 0) return fmt::format("{} bytes, crc32 {:08x}", size, crc);
    size += static_cast<std::uint64_t>(n);
    crc = crc_of(std::span(piece).first(static_cast<std::size_t>(n)), crc);
  }
}

std::string earlier_file_stamp(const fs::path& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) fail("{}: {}", path.string(), std::strerror(errno));
  return fmt::format("{} bytes, changed {}.{:09}", info.st_size, info.st_mtim.tv_sec, info.st_mtim.tv_nsec);
}

std::optional<std::string> first_difference(const Json& there, const Json& here) {
  if (!there.is_object() || !here.is_object()) return "not a request";
  for (const Json* side : {&here, &there}) {
    for (const auto& [key, value] : side->items()) {
      const Json a = there.value(key, Json()), b = here.value(key, Json());
      if (json_text(a) != json_text(b))
        return fmt::format("{}: {} stored, {} requested", key, shortened(a), shortened(b));
    }
  }
  return {};
}

void check_same_request(const Json& stated, const Json& wanted, const fs::path& where) {
  const auto difference = first_difference(stated, wanted);
  DIFFIT_CHECK(!difference,
               "{}: started with another request ({}); repeat that request to continue it, or give `restart` "
               "to start again",
               where.string(), *difference);
}

PartFile::PartFile(const fs::path& path, const Json& request, const Json& earlier, std::uint64_t row_bytes,
                   bool restart)
    : rows_path_(beside(path, ".part")),
      sums_path_(beside(path, ".part.crc")),
      request_path_(beside(path, ".part.json")),
      lock_(beside(path, ".part.lock")),
      row_bytes_(row_bytes) {
  if (lock_.busy()) fail("{}: another process is writing this file", path.string());
  std::error_code none;
  const bool begun = !restart && fs::exists(request_path_, none);
  bool kept = begun;
  if (begun) {
    const Json stated = parse_json(read_text(request_path_, kLargestRequest), request_path_.string());
    kept = json_text(stated) != json_text(earlier);
    if (kept) check_same_request(stated, request, request_path_);
  }
  rows_fd_ = open_part(rows_path_);
  sums_fd_ = open_part(sums_path_);
  if (!kept) {
    truncate(0);
    write_file(request_path_, json_text(request));
    return;
  }
  const std::int64_t rows = static_cast<std::int64_t>(
      std::min(fs::file_size(rows_path_) / row_bytes_, fs::file_size(sums_path_) / sizeof(std::uint32_t)));
  std::vector<std::uint32_t> stated(static_cast<std::size_t>(rows));
  read_at(sums_fd_, std::as_writable_bytes(std::span(stated)), 0, sums_path_);
  std::vector<std::byte> piece;
  while (this->rows() < rows) {
    const std::int64_t first = this->rows();
    piece.resize(static_cast<std::size_t>(std::min(piece_rows(), rows - first)) * row_bytes_);
    read_at(rows_fd_, piece, static_cast<std::uint64_t>(first) * row_bytes_, rows_path_);
    for (std::size_t at = 0; at < piece.size(); at += row_bytes_) {
      const std::uint32_t crc = crc_of(std::span(piece).subspan(at, row_bytes_));
      if (crc != stated[sums_.size()]) break;
      sums_.push_back(crc);
    }
    if (this->rows() < first + static_cast<std::int64_t>(piece.size() / row_bytes_)) break;
  }
  truncate(this->rows());  // whatever follows was cut off or damaged
}

PartFile::~PartFile() {
  if (rows_fd_ >= 0 && sums_.empty()) remove();
  if (rows_fd_ >= 0) ::close(rows_fd_);
  if (sums_fd_ >= 0) ::close(sums_fd_);
}

std::int64_t PartFile::piece_rows() const {
  return static_cast<std::int64_t>(std::max<std::uint64_t>(1, (1 << 20) / row_bytes_));
}

void PartFile::truncate(std::int64_t rows) {
  const auto count = static_cast<std::uint64_t>(rows);
  const auto cut = [](int fd, std::uint64_t size) {
    return repeated([&] { return ::ftruncate(fd, static_cast<off_t>(size)); });
  };
  if (cut(sums_fd_, count * sizeof(std::uint32_t)) != 0 || cut(rows_fd_, count * row_bytes_) != 0) {
    fail("cannot write {}: {}", rows_path_.string(), std::strerror(errno));
  }
  sums_.resize(static_cast<std::size_t>(rows));
}

void PartFile::append(std::span<const std::byte> rows) {
  std::vector<std::uint32_t> sums;
  for (std::size_t at = 0; at < rows.size(); at += row_bytes_)
    sums.push_back(crc_of(rows.subspan(at, row_bytes_)));
  // The checksums first: a row counts once it is there and fits its own.
  write_at(sums_fd_, std::as_bytes(std::span(sums)), sums_.size() * sizeof(std::uint32_t), sums_path_);
  write_at(rows_fd_, rows, sums_.size() * row_bytes_, rows_path_);
  sums_.insert(sums_.end(), sums.begin(), sums.end());
}

void PartFile::read(const std::function<void(std::span<const std::byte>)>& sink) const {
  std::vector<std::byte> piece;
  for (std::int64_t first = 0; first < rows();) {
    piece.resize(static_cast<std::size_t>(std::min(piece_rows(), rows() - first)) * row_bytes_);
    read_at(rows_fd_, piece, static_cast<std::uint64_t>(first) * row_bytes_, rows_path_);
    for (std::size_t at = 0; at < piece.size(); at += row_bytes_, ++first) {
      if (crc_of(std::span(piece).subspan(at, row_bytes_)) == sums_[static_cast<std::size_t>(first)])
        continue;
      fail(
          "{}: row {} was changed while the output was being written; run the same command again to "
          "recompute it",
          rows_path_.string(), first);
    }
    sink(piece);
  }
}

MappedFile PartFile::map() const {
  read([](std::span<const std::byte>) {});
  return MappedFile(rows_path_);
}

void PartFile::remove() {
  std::error_code none;
  for (const fs::path* path : {&request_path_, &rows_path_, &sums_path_}) fs::remove(*path, none);
  ::close(std::exchange(rows_fd_, -1));
  ::close(std::exchange(sums_fd_, -1));
}

}  // namespace diffit::jobs
