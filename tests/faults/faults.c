// A file layer that fails on purpose, for tests/cli/test_faults.py: LD_PRELOAD=libdiffit_faults.so.
//
// Calls that change files below the folder DIFFIT_FAULT_BELOW are numbered from 1 on, over the whole process:
// write, pwrite, writev, fsync, fdatasync, rename, open for writing, ftruncate, mkdir, unlink, close of a file that was open
// for writing.
//   DIFFIT_FAULT_AT=N        the call that fails; 0: none
//   DIFFIT_FAULT_HOW=E       with the errno of that number, or: short (a write writes half), eintr (once, before
//                            it is done)
//   DIFFIT_FAULT_CALLS=F     a file that receives the name of each call as a line: what there is to fail
//   DIFFIT_FAULT_FLOCK=E     every flock fails with this errno, wherever
//   DIFFIT_FAULT_CUT=F:N     the file F is cut to N bytes as soon as it has been mapped
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { kPass = 0, kShort = -1 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static long count = 0;

/// Whether a path, made absolute, lies below the folder that is watched.
static int is_below(const char* path) {
  const char* folder = getenv("DIFFIT_FAULT_BELOW");
  if (folder == NULL || path == NULL) return 0;
  char whole[2 * PATH_MAX + 2];
  if (path[0] == '/') {
    snprintf(whole, sizeof whole, "%s", path);
  } else {
    char at[PATH_MAX];
    if (getcwd(at, sizeof at) == NULL) return 0;
    snprintf(whole, sizeof whole, "%s/%s", at, path);
  }
  const size_t n = strlen(folder);
  return strncmp(whole, folder, n) == 0 && (whole[n] == '/' || whole[n] == '\0');
}

static int is_watched(int fd) {
  char link[64], path[PATH_MAX];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  const ssize_t n = readlink(link, path, sizeof path - 1);
  if (n <= 0) return 0;
  path[n] = '\0';
  return is_below(path);
}

/// 0: the call is made; kShort; or the errno that it fails with.
static int fate(const char* name) {
  const char* at = getenv("DIFFIT_FAULT_AT");
  const char* how = getenv("DIFFIT_FAULT_HOW");
  const char* calls = getenv("DIFFIT_FAULT_CALLS");
  pthread_mutex_lock(&lock);
  const long number = ++count;
  if (calls != NULL) {
    const int fd = (int)syscall(SYS_openat, AT_FDCWD, calls, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    char line[64];
    const int n = snprintf(line, sizeof line, "%s\n", name);
    if (fd >= 0 && syscall(SYS_write, fd, line, (size_t)n) < 0) perror("DIFFIT_FAULT_CALLS");
    if (fd >= 0) syscall(SYS_close, fd);
  }
  pthread_mutex_unlock(&lock);
  if (at == NULL || how == NULL || atol(at) != number) return kPass;
  if (strcmp(how, "short") == 0) return kShort;
  if (strcmp(how, "eintr") == 0) return EINTR;
  return atoi(how);
}

#define REAL(type, name, ...) \
  static type (*real)(__VA_ARGS__); \
  if (real == NULL) real = (type(*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

ssize_t write(int fd, const void* bytes, size_t size) {
  REAL(ssize_t, "write", int, const void*, size_t);
  if (fd > 2 && is_watched(fd)) {
    const int f = fate("write");
    if (f == kShort && size > 1) return real(fd, bytes, size / 2);
    if (f > 0) {
      errno = f;
      return -1;
    }
  }
  return real(fd, bytes, size);
}

static ssize_t faulty_pwrite(int fd, const void* bytes, size_t size, off_t offset) {
  REAL(ssize_t, "pwrite", int, const void*, size_t, off_t);
  if (fd > 2 && is_watched(fd)) {
    const int f = fate("pwrite");
    if (f == kShort && size > 1) return real(fd, bytes, size / 2, offset);
    if (f > 0) {
      errno = f;
      return -1;
    }
  }
  return real(fd, bytes, size, offset);
}
ssize_t pwrite(int fd, const void* bytes, size_t size, off_t offset) { return faulty_pwrite(fd, bytes, size, offset); }
ssize_t pwrite64(int fd, const void* bytes, size_t size, off_t offset) { return faulty_pwrite(fd, bytes, size, offset); }

ssize_t writev(int fd, const struct iovec* parts, int n) {
  REAL(ssize_t, "writev", int, const struct iovec*, int);
  if (fd > 2 && is_watched(fd)) {
    const int f = fate("writev");
    if (f == kShort && n > 0 && parts[0].iov_len > 1) {
      const struct iovec half = {parts[0].iov_base, parts[0].iov_len / 2};
      return real(fd, &half, 1);
    }
    if (f > 0) {
      errno = f;
      return -1;
    }
  }
  return real(fd, parts, n);
}

#define OF_DESCRIPTOR(name)                 \
  int name(int fd) {                        \
    REAL(int, #name, int);                  \
    const int f = is_watched(fd) ? fate(#name) : kPass; \
    if (f > 0) {                            \
      errno = f;                            \
      return -1;                            \
    }                                       \
    return real(fd);                        \
  }
OF_DESCRIPTOR(fsync)
OF_DESCRIPTOR(fdatasync)

static int faulty_ftruncate(int fd, off_t size) {
  REAL(int, "ftruncate", int, off_t);
  const int f = is_watched(fd) ? fate("ftruncate") : kPass;
  if (f > 0) {
    errno = f;
    return -1;
  }
  return real(fd, size);
}
int ftruncate(int fd, off_t size) { return faulty_ftruncate(fd, size); }
int ftruncate64(int fd, off_t size) { return faulty_ftruncate(fd, size); }

int close(int fd) {
  REAL(int, "close", int);
  const int flags = fcntl(fd, F_GETFL);
  const int f = flags >= 0 && (flags & O_ACCMODE) != O_RDONLY && is_watched(fd) ? fate("close") : kPass;
  const int result = real(fd);  // closed in any case, as Linux does
  if (f > 0) {
    errno = f;
    return -1;
  }
  return result;
}

int rename(const char* from, const char* to) {
  REAL(int, "rename", const char*, const char*);
  const int f = is_below(to) ? fate("rename") : kPass;
  if (f > 0) {
    errno = f;
    return -1;
  }
  return real(from, to);
}

int unlink(const char* path) {
  REAL(int, "unlink", const char*);
  const int f = is_below(path) ? fate("unlink") : kPass;
  if (f > 0) {
    errno = f;
    return -1;
  }
  return real(path);
}

int mkdir(const char* path, mode_t mode) {
  REAL(int, "mkdir", const char*, mode_t);
  const int f = is_below(path) ? fate("mkdir") : kPass;
  if (f > 0) {
    errno = f;
    return -1;
  }
  return real(path, mode);
}

static int faulty_open(const char* path, int flags, mode_t mode) {
  const int f = (flags & O_ACCMODE) != O_RDONLY && is_below(path) ? fate("open") : kPass;
  if (f > 0) {
    errno = f;
    return -1;
  }
  return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

#define OPEN(name)                              \
  int name(const char* path, int flags, ...) {  \
    mode_t mode = 0;                            \
    if ((flags & (O_CREAT | O_TMPFILE)) != 0) { \
      va_list more;                             \
      va_start(more, flags);                    \
      mode = va_arg(more, mode_t);              \
      va_end(more);                             \
    }                                           \
    return faulty_open(path, flags, mode);      \
  }
OPEN(open)
OPEN(open64)

int flock(int fd, int operation) {
  REAL(int, "flock", int, int);
  const char* how = getenv("DIFFIT_FAULT_FLOCK");
  if (how != NULL) {
    errno = atoi(how);
    return -1;
  }
  return real(fd, operation);
}

static void* faulty_mmap(void* address, size_t size, int protection, int flags, int fd, off_t offset) {
  REAL(void*, "mmap", void*, size_t, int, int, int, off_t);
  void* got = real(address, size, protection, flags, fd, offset);
  const char* cut = getenv("DIFFIT_FAULT_CUT");
  if (cut == NULL || fd < 0 || got == MAP_FAILED) return got;
  const char* colon = strrchr(cut, ':');
  char link[64], path[PATH_MAX];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  const ssize_t n = readlink(link, path, sizeof path - 1);
  if (n > 0 && colon - cut == n && strncmp(path, cut, (size_t)n) == 0) {
    path[n] = '\0';
    if (truncate(path, atol(colon + 1)) != 0) perror("DIFFIT_FAULT_CUT");
  }
  return got;
}
void* mmap(void* a, size_t s, int p, int f, int fd, off_t o) { return faulty_mmap(a, s, p, f, fd, o); }
void* mmap64(void* a, size_t s, int p, int f, int fd, off_t o) { return faulty_mmap(a, s, p, f, fd, o); }
