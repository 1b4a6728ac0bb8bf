#include "tools/diffit/part_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/error.h"

namespace diffit {

namespace {

constexpr std::uint64_t kLargestRequest = std::uint64_t{1} << 32;

std::string shortened(const Json& value) {
  const std::string text = value.dump();
  return text.size() <= 60 ? text : text.substr(0, 57) + "...";
}

}  // namespace

std::string file_stamp(const fs::path& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) fail("{}: {}", path.string(), std::strerror(errno));
  return fmt::format("{} bytes, changed {}.{:09}", info.st_size, info.st_mtim.tv_sec, info.st_mtim.tv_nsec);
}

void check_same_request(const Json& stated, const Json& wanted, const fs::path& where) {
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
  fd_ = ::open(rows_path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (fd_ < 0) fail("cannot write {}: {}", rows_path_.string(), std::strerror(errno));
  if (::flock(fd_, LOCK_EX | LOCK_NB) != 0) {
    ::close(std::exchange(fd_, -1));
    fail("{}: another process is writing it", rows_path_.string());
  }
  if (!begun) {
    truncate(0);
    write_file(request_path_, request.dump());
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
  if (::ftruncate(fd_, size) != 0 || ::lseek(fd_, size, SEEK_SET) != size) {
    fail("cannot write {}: {}", rows_path_.string(), std::strerror(errno));
  }
  rows_ = rows;
}

void PartFile::append(std::span<const std::byte> rows) {
  std::size_t done = 0;
  while (done < rows.size()) {
    const ssize_t n = ::write(fd_, rows.data() + done, rows.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail("cannot write {}: {}", rows_path_.string(), std::strerror(errno));
    done += static_cast<std::size_t>(n);
  }
  if (::fdatasync(fd_) != 0) fail("cannot write {}: {}", rows_path_.string(), std::strerror(errno));
  rows_ += static_cast<std::int64_t>(rows.size() / row_bytes_);
}

void PartFile::read(const std::function<void(std::span<const std::byte>)>& sink) const {
  std::vector<std::byte> piece(1 << 20);
  const auto all = static_cast<std::uint64_t>(rows_) * row_bytes_;
  for (std::uint64_t done = 0; done < all;) {
    const ssize_t n = ::pread(fd_, piece.data(), std::min<std::uint64_t>(piece.size(), all - done),
                              static_cast<off_t>(done));
    if (n < 0 && errno == EINTR) continue;
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
