#include "base/temporary.h"

#include <fmt/format.h>
#include <sys/random.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <cstring>

#include "base/error.h"
#include "base/posix.h"

namespace diffit::base {

namespace {

constexpr std::string_view kPrefix = ".diffit-", kSuffix = ".tmp";
constexpr std::size_t kBoot = 8, kRandom = 8, kCheck = 4;
constexpr std::size_t kLength = kPrefix.size() + kBoot + 1 + kRandom + kCheck + kSuffix.size();

/// FNV-1a.
std::uint64_t hash(std::string_view text) {
  std::uint64_t value = 0xcbf29ce484222325u;
  for (const char c : text) value = (value ^ static_cast<std::uint8_t>(c)) * 0x100000001b3u;
  return value ^ value >> 32;
}

/// The same in all containers of a machine, another one after it was started again.
const std::string& boot_name() {
  static const std::string name = [] {
    std::array<char, 64> id{};
    const Descriptor file(open_file("/proc/sys/kernel/random/boot_id", O_RDONLY));
    const ssize_t n = repeated([&] { return ::read(file.get(), id.data(), id.size()); });
    return fmt::format("{:08x}", static_cast<std::uint32_t>(
                                     hash({id.data(), static_cast<std::size_t>(std::max<ssize_t>(n, 0))})));
  }();
  return name;
}

std::string check_of(std::string_view boot_and_random) {
  return fmt::format("{:04x}", static_cast<std::uint16_t>(hash(boot_and_random)));
}

constexpr std::size_t kSlots = 64, kLongestPath = 4096;
struct Slot {
  std::atomic<bool> taken = false, filled = false;
  std::array<char, kLongestPath> path{};
};
std::array<Slot, kSlots> slots;

}  // namespace

std::string temporary_name() {
  constexpr std::string_view kLetters = "0123456789abcdefghijklmnopqrstuvwxyz";
  std::array<std::uint8_t, kRandom> random{};
  if (::getrandom(random.data(), random.size(), GRND_NONBLOCK) != static_cast<ssize_t>(random.size())) {
    const auto now = static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count() ^
                                                static_cast<std::int64_t>(::getpid()) << 40);
    std::memcpy(random.data(), &now, sizeof now);
  }
  std::string text = boot_name() + "-";
  for (const std::uint8_t r : random) text += kLetters[r % kLetters.size()];
  return fmt::format("{}{}{}{}", kPrefix, text, check_of(text), kSuffix);
}

bool is_temporary_name(std::string_view name) {
  if (name.size() != kLength || !name.starts_with(kPrefix) || !name.ends_with(kSuffix)) return false;
  name = name.substr(kPrefix.size(), kBoot + 1 + kRandom + kCheck);
  return name[kBoot] == '-' &&
         name.substr(kBoot + 1 + kRandom) == check_of(name.substr(0, kBoot + 1 + kRandom));
}

bool made_since_boot(std::string_view name) {
  return is_temporary_name(name) && name.substr(kPrefix.size(), kBoot) == boot_name();
}

fs::path scratch_folder() {
  std::error_code error;
  const fs::path folder = fs::temp_directory_path(error);
  if (!error) return folder;
  const char* given = std::getenv("TMPDIR");
  fail("{}: cannot create a temporary file: {}; set TMPDIR to an existing folder",
       given == nullptr ? "the folder for temporary files" : given, error.message());
}

int remember_temporary(const fs::path& path) {
  const std::string& text = path.native();
  if (text.size() >= kLongestPath) return -1;
  for (std::size_t i = 0; i < kSlots; ++i) {
    if (slots[i].taken.exchange(true)) continue;
    std::memcpy(slots[i].path.data(), text.c_str(), text.size() + 1);
    slots[i].filled.store(true);
    return static_cast<int>(i);
  }
  return -1;
}

void forget_temporary(int number) {
  if (number < 0) return;
  Slot& slot = slots[static_cast<std::size_t>(number)];
  slot.filled.store(false);
  slot.taken.store(false);
}

void remove_open_temporaries() noexcept {
  for (Slot& slot : slots) {
    if (slot.filled.load()) ::unlink(slot.path.data());
  }
}

}  // namespace diffit::base
