#include "fuzz/input.h"
#include "io/tensors/npz.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace diffit::io;
  const MemoryFile input(data, size);
  return refuse_or_read([&] {
    const NpzReader file(input.path());
    for (const std::string& name : file.names()) {
      const NpyHeader header = file.header(name);
      const NpyArray array = file.read(name, 1 << 22);
      if (array.data.size() != header.bytes() || array.shape != header.shape) std::abort();
    }
  });
}
