#include "fuzz/input.h"
#include "io/datasets/idx.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace diffit::io;
  const MemoryFile input(data, size);
  return refuse_or_read([&] {
    const IdxArray array = read_idx(input.path());
    std::size_t count = 1;
    for (const std::int64_t dim : array.dims) count *= static_cast<std::size_t>(dim);
    if (array.data.size() != count) std::abort();
  });
}
