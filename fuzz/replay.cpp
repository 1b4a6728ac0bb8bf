// Runs a fuzz target on every file of the given folders without libFuzzer, so that the corpus is a regular
// test. Each file is also truncated, extended and corrupted bit by bit. The program contains the targets
// listed in REPLAY_TARGETS.
//
//   replay NAME FOLDER...
#include <cstdio>
#include <filesystem>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "base/random.h"

// Each target is compiled with a distinct function name (fuzz/CMakeLists.txt).
#define DIFFIT_TARGET(name) extern "C" int fuzz_##name(const std::uint8_t* data, std::size_t size);
REPLAY_TARGETS
#undef DIFFIT_TARGET

namespace {

using Target = int (*)(const std::uint8_t* data, std::size_t size);

Target find_target(std::string_view wanted) {
#define DIFFIT_TARGET(name) \
  if (wanted == #name) return fuzz_##name;
  REPLAY_TARGETS
#undef DIFFIT_TARGET
  return nullptr;
}

Target target = nullptr;

/// Runs the target on a buffer of exactly the input size, so that AddressSanitizer detects reads beyond its
/// end.
void run(std::vector<std::uint8_t> bytes) {
  bytes.shrink_to_fit();
  target(bytes.data(), bytes.size());
}

void run_damaged(const std::vector<std::uint8_t>& bytes, diffit::base::Random& random) {
  run(bytes);
  const auto size = static_cast<std::uint32_t>(bytes.size());
  if (size == 0 || size > 1 << 16) return;
  for (int i = 0; i < 8; ++i) run({bytes.begin(), bytes.begin() + random.below(size)});
  run({bytes.begin(), bytes.end() - 1});
  auto longer = bytes;
  longer.push_back(0);
  run(longer);
  for (int i = 0; i < 48; ++i) {
    auto flipped = bytes;
    // Half of the flips are near the beginning, where headers are.
    const std::uint32_t at = random.below(i % 2 == 0 ? size : std::min<std::uint32_t>(size, 64));
    flipped[at] ^= static_cast<std::uint8_t>(1u << random.below(8));
    run(flipped);
  }
  for (int i = 0; i < 12 && size >= 4; ++i) {
    auto full = bytes;
    const std::uint32_t at = random.below(std::min<std::uint32_t>(size - 3, 128));
    for (std::uint32_t k = 0; k < 4; ++k) full[at + k] = i % 2 == 0 ? 0xff : 0;
    run(full);
  }
}

}  // namespace

int main(int argc, char** argv) {
  target = argc > 2 ? find_target(argv[1]) : nullptr;
  if (target == nullptr) {
    std::fprintf(stderr, "usage: replay TARGET FOLDER...; no such target, or no folder\n");
    return 2;
  }
  int files = 0;
  diffit::base::Random random(0, diffit::base::stream_of(diffit::base::Purpose::test));
  for (int i = 2; i < argc; ++i) {
    for (const auto& entry : std::filesystem::directory_iterator(argv[i])) {
      if (!entry.is_regular_file()) continue;
      std::printf("%s\n", entry.path().c_str());
      std::fflush(stdout);
      const auto content = diffit::base::read_file(entry.path(), 1 << 26);
      const auto* data = reinterpret_cast<const std::uint8_t*>(content.data());
      run_damaged({data, data + content.size()}, random);
      ++files;
    }
  }
  std::printf("%d files\n", files);
  return files > 0 ? 0 : 1;
}
