#include "fuzz/input.h"
#include "io/archives/zip.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace diffit::io;
  const MemoryFile input(data, size);
  return refuse_or_read([&] {
    const ZipReader file(input.path());
    for (std::size_t i = 0; i < file.entries().size(); ++i) {
      const auto& entry = file.entries()[i];
      if (file.find(entry.name) != static_cast<std::int64_t>(i)) std::abort();
      if (file.read(i, 1 << 22).size() != entry.size) std::abort();
    }
  });
}
