#include "base/file.h"

#include <sys/stat.h>

#include <algorithm>
#include <cstring>
#include <iterator>

#include "base/error.h"
#include "base/open_input.h"
#include "base/posix.h"

namespace diffit::base {

namespace {

const char* kind_of(mode_t mode) {
  return S_ISDIR(mode) ? "a folder" : S_ISFIFO(mode) ? "a pipe" : S_ISSOCK(mode) ? "a socket" : "a device";
}

/// Whether the path is at fault. Everything else may be gone at the next try: no free descriptor, a disk or a
/// network that fails.
bool is_about_the_path(int reason) {
  constexpr int kReasons[] = {ENOENT, ENOTDIR, EACCES, EPERM, EISDIR, ELOOP, ENAMETOOLONG, ENXIO, ENODEV};
  return std::find(std::begin(kReasons), std::end(kReasons), reason) != std::end(kReasons);
}

template <class Container>
Container read_whole(const fs::path& path, std::uint64_t limit) {
  std::uint64_t size = 0;
  const Descriptor file(open_input(path, &size));
  DIFFIT_CHECK(size <= limit, "{}: {} bytes, the limit is {}", path.string(), size, limit);
  Container content(size, {});
  std::uint64_t done = 0;
  while (done < size) {
    const ssize_t n = repeated([&] { return ::read(file.get(), content.data() + done, size - done); });
    if (n < 0) fail("cannot read {}: {}", path.string(), std::strerror(errno));
    if (n == 0) break;
    done += static_cast<std::uint64_t>(n);
  }
  content.resize(done);
  return content;
}

}  // namespace

int open_input(const fs::path& path, std::uint64_t* size) {
  // Without O_NONBLOCK, opening a fifo waits for a writer.
  Descriptor file(open_file(path.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY));
  const int reason = errno;
  struct stat info {};
  const bool known =
      file.valid() ? ::fstat(file.get(), &info) == 0 : reason == ENXIO && ::stat(path.c_str(), &info) == 0;
  DIFFIT_CHECK(!known || S_ISREG(info.st_mode), "{}: wanted a file, got {}", path.string(),
               kind_of(info.st_mode));
  DIFFIT_CHECK(file.valid() || !is_about_the_path(reason), "cannot read {}: {}", path.string(),
               std::strerror(reason));
  if (!file.valid()) fail("cannot read {}: {}", path.string(), std::strerror(reason));
  if (!known) fail("cannot read {}: {}", path.string(), std::strerror(errno));
  if (size != nullptr) *size = static_cast<std::uint64_t>(info.st_size);
  return file.release();
}

std::vector<std::byte> read_file(const fs::path& path, std::uint64_t limit) {
  return read_whole<std::vector<std::byte>>(path, limit);
}

std::string read_text(const fs::path& path, std::uint64_t limit) {
  return read_whole<std::string>(path, limit);
}

void write_file(const fs::path& path, std::string_view text) {
  AtomicFile file(path);
  file.write(text);
  file.commit();
}

}  // namespace diffit::base
