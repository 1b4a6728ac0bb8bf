#include "tools/diffit/part_file.h"

#include <sys/stat.h>

#include <cstring>

#include "base/error.h"
#include "base/lock.h"
#include "base/posix.h"
#include "io/json_text.h"

namespace diffit {

namespace {

constexpr std::uint64_t kLargestRequest = std::uint64_t{1} << 32;

std::string shortened(const Json& value) {
  const std::string text = json_text(value);
  return text.size() <= 60 ? text : text.substr(0, 57) + "...";
}

}  // namespace

std::string file_stamp(const fs::path& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) fail("{}: {}", path.string(), std::strerror(errno));
  return fmt::format("{} bytes, changed {}.{:09}", info.st_size, info.st_mtim.tv_sec, info.st_mtim.tv_nsec);
}

void check_same_request(const Json& stated, const Json& given, const fs::path& where) {
  const Json wanted = Json::parse(json_text(given));  // names as they are written
  DIFFIT_CHECK(stated.is_object(), "{}: not a request; --restart begins anew", where.string());
  for (const Json* side : {&wanted, &stated}) {
    for (const auto& [key, value] : side->items()) {
      const Json there = stated.value(key, Json()), here = wanted.value(key, Json());
      DIFFIT_CHECK(
          there == here,
          "{}: begun with another request ({}: {} there, {} here); type that one again to go on with it, "
          "or --restart to begin anew",
          where.string(), key, shortened(there), shortened(here));
    }
  }
}

PartFile::PartFile(fs::path path, const Json& request, std::uint64_t row_bytes, bool restart)
    : rows_path_(path.string() + ".part"),
      request_path_(path.string() + ".part.json"),
      row_bytes_(row_bytes) {
  std::error_code none;
  const bool begun = !restart && fs::exists(request_path_, none);
  if (begun) {
    const std::string where = request_path_.string();
    check_same_request(parse_json(read_text(request_path_, kLargestRequest), where), request, request_path_);
  }
  fd_ = open_file(rows_path_.c_str(), O_RDWR | O_CREAT | O_NOCTTY);
  if (fd_ < 0) fail("cannot write {}: {}", rows_path_.string(), std::strerror(errno));
  if (try_lock(fd_) == LockState::busy) {
    ::close(std::exchange(fd_, -1));
    fail("{}: another process is writing it", rows_path_.string());
  }
  if (!begun) {
    truncate(0);
    write_file(request_path_, json_text(request));
  }
  rows_ = static_cast<std::int64_t>(fs::file_size(rows_path_) / row_bytes_);
  truncate(rows_);  // a row that was cut off
}

PartFile::~PartFile() {
  if (fd_ < 0) return;
  if (rows_ == 0) remove();
  if (fd_ >= 0) ::close(fd_);
}

void PartFile::truncate(std::int64_t rows) {
  const auto size = static_cast<off_t>(static_cast<std::uint64_t>(rows) * row_bytes_);
  if (repeated([&] { return ::ftruncate(fd_, size); }) != 0 || ::lseek(fd_, size, SEEK_SET) != size) {
    fail("cannot write {}: {}", rows_path_.string(), std::strerror(errno));
  }
  rows_ = rows;
}

void PartFile::append(std::span<const std::byte> rows) {
  if (const int reason = write_all(fd_, rows); reason != 0) {
    fail("cannot write {}: {}", rows_path_.string(), std::strerror(reason));
  }
  if (repeated([&] { return ::fdatasync(fd_); }) != 0)
    fail("cannot write {}: {}", rows_path_.string(), std::strerror(errno));
  rows_ += static_cast<std::int64_t>(rows.size() / row_bytes_);
}

void PartFile::read(const std::function<void(std::span<const std::byte>)>& sink) const {
  std::vector<std::byte> piece(1 << 20);
  const auto all = static_cast<std::uint64_t>(rows_) * row_bytes_;
  for (std::uint64_t done = 0; done < all;) {
    const std::size_t wanted = std::min<std::uint64_t>(piece.size(), all - done);
    const ssize_t n = repeated([&] { return ::pread(fd_, piece.data(), wanted, static_cast<off_t>(done)); });
    if (n <= 0) fail("cannot read {}: {}", rows_path_.string(), n < 0 ? std::strerror(errno) : "it was cut");
    sink(std::span(piece).first(static_cast<std::size_t>(n)));
    done += static_cast<std::uint64_t>(n);
  }
}

void PartFile::remove() {
  std::error_code none;
  fs::remove(request_path_, none);
  fs::remove(rows_path_, none);
  ::close(std::exchange(fd_, -1));
}

}  // namespace diffit
