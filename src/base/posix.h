// Thin wrappers of system calls: EINTR is repeated, short writes are continued, and a descriptor that another
// process made non-blocking is waited for. Included by .cpp files only.
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <span>
#include <string_view>
#include <utility>

#include "base/layers.h"

namespace diffit::base {

/// Calls `function` again as long as a signal interrupts it.
template <class F>
auto repeated(F function) {
  auto result = function();
  while (result < 0 && errno == EINTR) result = function();
  return result;
}

/// open(2), close-on-exec.
inline int open_file(const char* path, int flags, mode_t mode = 0666) {
  return repeated([&] { return ::open(path, flags | O_CLOEXEC, mode); });
}

/// Owns a descriptor; closes it at the end of a scope.
class Descriptor {
 public:
  explicit Descriptor(int fd = -1) : fd_(fd) {}
  ~Descriptor() { reset(); }
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    reset(std::exchange(other.fd_, -1));
    return *this;
  }
  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }
  int release() { return std::exchange(fd_, -1); }
  void reset(int fd = -1) {
    if (fd_ >= 0) ::close(fd_);
    fd_ = fd;
  }

 private:
  int fd_;
};

/// Writes all of `bytes`; 0, or the errno of the call that failed. `offset` < 0: at the descriptor's
/// position.
inline int write_all(int fd, std::span<const std::byte> bytes, off_t offset = -1) {
  while (!bytes.empty()) {
    const ssize_t n = repeated([&] {
      return offset < 0 ? ::write(fd, bytes.data(), bytes.size())
                        : ::pwrite(fd, bytes.data(), bytes.size(), offset);
    });
    if (n < 0 && errno == EAGAIN) {
      pollfd wanted{fd, POLLOUT, 0};
      if (repeated([&] { return ::poll(&wanted, 1, -1); }) < 0) return errno;
      continue;
    }
    if (n < 0) return errno;
    if (n == 0) return ENOSPC;  // a device that takes no more
    bytes = bytes.subspan(static_cast<std::size_t>(n));
    if (offset >= 0) offset += n;
  }
  return 0;
}

inline int write_all(int fd, std::string_view text) {
  return write_all(fd, std::as_bytes(std::span(text.data(), text.size())));
}

}  // namespace diffit::base
