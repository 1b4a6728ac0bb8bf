#include "config/fields.h"
#include "fuzz/input.h"
#include "io/tensors/safetensors.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace diffit::io;
  const MemoryFile input(data, size);
  return refuse_or_read([&] {
    const SafetensorsFile file(input.path());
    std::size_t bytes = 0;
    unsigned sum = 0;
    for (const TensorView& view : file.tensors()) {
      bytes += view.bytes.size();
      for (const std::byte b : view.bytes) sum += static_cast<unsigned>(b);
      if (&file.at(view.name) != &view) std::abort();
    }
    if (bytes > size || sum > 255 * size) std::abort();
    for (const auto& [key, value] : file.metadata()) parse_json(value, key);
  });
}
