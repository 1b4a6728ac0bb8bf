// Helpers for fuzz targets: input bytes as a file, for readers that take a path, and handling of expected
// errors.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "base/error.h"

namespace diffit::io {

/// Anonymous file with the given content, accessible by a path while the object exists.
class MemoryFile {
 public:
  MemoryFile(const std::uint8_t* data, std::size_t size) : fd_(memfd_create("input", MFD_CLOEXEC)) {
    if (fd_ < 0 || write(fd_, data, size) != static_cast<ssize_t>(size)) std::abort();
  }
  ~MemoryFile() { close(fd_); }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;

  std::string path() const { return "/proc/self/fd/" + std::to_string(fd_); }

 private:
  int fd_;
};

/// Runs `read`. An error is accepted if it has kind `invalid` and a message; any other error aborts.
template <class Read>
int refuse_or_read(Read&& read) {
  try {
    read();
  } catch (const Error& error) {
    const std::string text = error.what();
    if (error.kind() != ErrorKind::invalid || text.empty()) {
      std::fprintf(stderr, "wanted a refusal of the input, got: %s\n", text.c_str());
      std::abort();
    }
  }
  return 0;
}

}  // namespace diffit::io

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
