// Runs a fuzz target over every file of a folder, without libFuzzer: the corpus as a plain test. Each file is
// also cut, lengthened, and damaged bit by bit.
#include <cstdio>
#include <filesystem>
#include <vector>

#include "base/file.h"
#include "base/random.h"
#include "fuzz/input.h"

namespace {

/// A copy of exactly that size: a read behind its end is seen by the address sanitizer.
void run(std::vector<std::uint8_t> bytes) {
  bytes.shrink_to_fit();
  LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
}

void run_damaged(const std::vector<std::uint8_t>& bytes, diffit::Random& random) {
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
    // Half of them near the beginning, where headers are.
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
  int files = 0;
  diffit::Random random(0, diffit::stream_of(diffit::Purpose::test));
  for (int i = 1; i < argc; ++i) {
    for (const auto& entry : std::filesystem::directory_iterator(argv[i])) {
      std::printf("%s\n", entry.path().c_str());
      std::fflush(stdout);
      const auto content = diffit::read_file(entry.path(), 1 << 26);
      const auto* data = reinterpret_cast<const std::uint8_t*>(content.data());
      run_damaged({data, data + content.size()}, random);
      ++files;
    }
  }
  std::printf("%d files\n", files);
  return files > 0 ? 0 : 1;
}
