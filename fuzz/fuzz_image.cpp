#include <span>

#include "fuzz/input.h"
#include "io/images/image.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace diffit;
  using namespace diffit::io;
  return refuse_or_read([&] {
    const Image image = decode_image(std::as_bytes(std::span(data, size)), "input");
    if (image.width < 1 || image.height < 1 || (image.channels != 1 && image.channels != 3)) std::abort();
    if (image.pixels.size() != static_cast<std::size_t>(image.width * image.height * image.channels)) {
      std::abort();
    }
  });
}
