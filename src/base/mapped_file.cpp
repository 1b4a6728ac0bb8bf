// MappedFile, and what happens when a file is cut while it is mapped.
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <mutex>
#include <set>

#include "base/error.h"
#include "base/file.h"
#include "base/open_input.h"
#include "base/posix.h"

namespace diffit::base {

namespace {

/// One mapping, as the signal handler sees it. Entries are used again, never freed.
struct Mapping {
  std::atomic<std::uintptr_t> begin = 0, end = 0;
  std::atomic<bool> damaged = false;
  Mapping* next = nullptr;
  // Not for the handler:
  fs::path path;
  dev_t device = 0;
  ino_t inode = 0;
};

std::atomic<Mapping*> mappings = nullptr;
std::mutex mutex;              // of all but what the handler reads
std::set<fs::path> cut_files;  // found damaged when their mapping ended
std::size_t active = 0;        // mappings; the handler is installed while there are any
struct sigaction before {};
std::uintptr_t page_size = 4096;

/// Puts zeros where the file has ended, and remembers it. What is no mapping of ours goes to the handler that
/// was there before.
extern "C" void on_bus_error(int number, siginfo_t* info, void* context) {
  const auto address = reinterpret_cast<std::uintptr_t>(info->si_addr);
  for (Mapping* m = mappings.load(); m != nullptr; m = m->next) {
    const std::uintptr_t begin = m->begin.load(), end = m->end.load();
    if (address < begin || address >= end) continue;
    const std::uintptr_t page = address / page_size * page_size;
    void* got = ::mmap(reinterpret_cast<void*>(page), end - page, PROT_READ,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    if (got == MAP_FAILED) break;
    m->damaged.store(true);
    return;
  }
  if ((before.sa_flags & SA_SIGINFO) != 0 && before.sa_sigaction != nullptr) {
    before.sa_sigaction(number, info, context);
  } else {
    ::sigaction(number, &before, nullptr);  // the access is tried again, and ends as it would have
  }
}

/// For the first mapping. The caller holds the mutex.
void install_handler() {
  if (active++ > 0) return;
  page_size = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  struct sigaction action {};
  action.sa_sigaction = on_bus_error;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  ::sigaction(SIGBUS, &action, &before);
}

/// After the last mapping: the handler that was there before comes back, unless another one has been
/// installed.
void remove_handler() {
  if (--active > 0) return;
  struct sigaction now {};
  if (::sigaction(SIGBUS, nullptr, &now) == 0 && (now.sa_flags & SA_SIGINFO) != 0 &&
      now.sa_sigaction == on_bus_error) {
    ::sigaction(SIGBUS, &before, nullptr);
  }
}

void remember(const std::byte* address, std::uint64_t size, const fs::path& path, const struct stat& info) {
  const std::lock_guard lock(mutex);
  install_handler();
  Mapping* free = mappings.load();
  while (free != nullptr && free->begin.load() != 0) free = free->next;
  const bool fresh = free == nullptr;
  if (fresh) free = new Mapping;  // NOLINT: lives as long as the handler
  free->path = path;
  free->device = info.st_dev;
  free->inode = info.st_ino;
  free->damaged.store(false);
  free->end.store(reinterpret_cast<std::uintptr_t>(address) + size);
  free->begin.store(reinterpret_cast<std::uintptr_t>(address));
  if (!fresh) return;
  free->next = mappings.load();
  mappings.store(free);
}

Mapping* find(const std::byte* address) {
  const auto begin = reinterpret_cast<std::uintptr_t>(address);
  for (Mapping* m = mappings.load(); m != nullptr; m = m->next) {
    if (m->begin.load() == begin) return m;
  }
  return nullptr;
}

/// Whether the file has been cut since it was mapped. In the page that holds its new end nothing is
/// signalled, so its size is asked for too.
bool was_cut(const Mapping& m) {
  struct stat now {};
  return m.damaged.load() ||
         (::stat(m.path.c_str(), &now) == 0 && now.st_dev == m.device && now.st_ino == m.inode &&
          static_cast<std::uint64_t>(now.st_size) < m.end.load() - m.begin.load());
}

}  // namespace

MappedFile::MappedFile(const fs::path& path) : path_(path) {
  const Descriptor file(open_input(path));
  struct stat info {};
  if (::fstat(file.get(), &info) != 0) fail("cannot read {}: {}", path.string(), std::strerror(errno));
  if (info.st_size == 0) return;
  const auto size = static_cast<std::uint64_t>(info.st_size);
  void* address = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.get(), 0);
  if (address == MAP_FAILED) fail("cannot map {}: {}", path.string(), std::strerror(errno));
  bytes_ = {static_cast<const std::byte*>(address), size};
  remember(bytes_.data(), size, path, info);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : path_(std::move(other.path_)), bytes_(std::exchange(other.bytes_, {})) {}

bool MappedFile::holds(std::span<const std::byte> part) const {
  return part.data() >= bytes_.data() && part.data() + part.size() <= bytes_.data() + bytes_.size();
}

void MappedFile::done_with(std::span<const std::byte> part) const {
  if (part.empty() || !holds(part)) return;
  const auto page = static_cast<std::size_t>(page_size);
  const auto begin = static_cast<std::size_t>(part.data() - bytes_.data());
  const std::size_t first = begin / page * page;  // a page shared with a neighbour is read again, no more
  ::madvise(const_cast<std::byte*>(bytes_.data()) + first, begin + part.size() - first, MADV_DONTNEED);
}

MappedFile::~MappedFile() {
  if (bytes_.empty()) return;
  const std::lock_guard lock(mutex);
  if (Mapping* m = find(bytes_.data()); m != nullptr) {
    if (was_cut(*m)) cut_files.insert(m->path);
    m->begin.store(0);
    m->end.store(0);
    remove_handler();
  }
  ::munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
}

void MappedFile::check_all() {
  const std::lock_guard lock(mutex);
  std::set<fs::path> cut = std::exchange(cut_files, {});
  for (const Mapping* m = mappings.load(); m != nullptr; m = m->next) {
    if (m->begin.load() != 0 && was_cut(*m)) cut.insert(m->path);
  }
  if (!cut.empty()) {
    fail("{}: changed while it was being read: another process truncated it, or the disk failed",
         cut.begin()->string());
  }
}

}  // namespace diffit::base
